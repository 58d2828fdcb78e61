"""A job and everything it works with, put together once, before anything is decided."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from flotilla.errors import ConfigError, Place, Fault
from flotilla.family import Config, Family, parse_config
from flotilla.github import GitHub
from flotilla.jobs.facts import Facts, read_facts
from flotilla.jobs.inputs import Inputs, read_inputs
from flotilla.npm import Npm, Registry
from flotilla.patience import Clock, Patience, SystemClock, until
from flotilla.runner import Runner

I = TypeVar("I", bound=Inputs, covariant=True)  # noqa: E741 - the inputs' type


@dataclass(frozen=True, kw_only=True)
class Job(Generic[I]):
    """What a job knows and may use.

    Args:
        root: folder of flotilla.yml; templates are found from there.
        scratch: a private folder, gone when the job ends.
        environment: the runner's variables, for the npm CLI only.
    """

    inputs: I
    facts: Facts
    family: Family
    root: Path
    github: GitHub
    registry: Registry
    npm: Npm
    patience: Patience
    runner: Runner
    scratch: Path
    environment: Mapping[str, str]


@contextmanager
def open_job(kind: type[I], environment: Mapping[str, str], runner: Runner, *, minutes: float) -> Iterator[Job[I]]:
    """The job that these variables describe."""
    inputs = read_inputs(kind, environment)
    facts = read_facts(environment)
    config = read_config(facts.workspace, inputs.config)
    clock = SystemClock()
    patience = Patience(deadline=until(getattr(inputs, "timeout_minutes", 60), clock), clock=clock, told=runner.line)
    npm = Npm(environment=environment)
    with tempfile.TemporaryDirectory(prefix="flotilla-") as scratch:
        yield Job(
            inputs=inputs,
            facts=facts,
            family=Family(config, inputs.version),
            root=(facts.workspace / inputs.config).parent,
        )
