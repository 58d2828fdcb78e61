"""The only place that prints or exits: job name → inputs → job → outputs and exit status."""

from __future__ import annotations

import os
import resource
import signal
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from types import FrameType
from typing import Any

from flotilla.errors import DefectError, explained
from flotilla.jobs.inputs import (
    DevInputs,
    FamilyInputs,
    Inputs,
    JobContext,
    MetaInputs,
    PlatformInputs,
    ReleaseInputs,
    open_job,
    variable,
    with_options,
)
from flotilla.jobs.publishing_jobs import publish_dev, publish_meta, publish_platform
from flotilla.jobs.release import release, stopped
from flotilla.jobs.release_family import release_family
from flotilla.runner import Runner, temporary_folders

STOPPING = (signal.SIGINT, signal.SIGTERM)

JOBS: Mapping[str, tuple[type[Inputs], Callable[[JobContext[Any]], None]]] = {
    "release": (ReleaseInputs, release),
    "publish-platform": (PlatformInputs, publish_platform),
    "publish-dev": (DevInputs, publish_dev),
    "publish-meta": (MetaInputs, publish_meta),
    "release-family": (FamilyInputs, release_family),
}
SECRETS = (
    *(variable(name) for name in ("github-token", "npm-token")),
    *("GITHUB_TOKEN", "NODE_AUTH_TOKEN", "NPM_TOKEN", "NPM_ID_TOKEN", "ACTIONS_ID_TOKEN_REQUEST_TOKEN"),
    *("ACTIONS_RUNTIME_TOKEN", "SIGSTORE_ID_TOKEN"),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one job or command; return its exit status."""
    runner = Runner(os.environ, sys.stdout)
    for name in SECRETS:
        runner.mask(os.environ.get(name, ""))
    try:
        # Memory holds secrets: write no core file, neither of this process nor of npm.
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        for stopping in STOPPING:
            signal.signal(stopping, _stop)
        with temporary_folders(os.environ):
            return run(list(sys.argv[1:] if arguments is None else arguments), os.environ, runner)
    except (Exception, KeyboardInterrupt) as stopping:  # noqa: BLE001 - whatever it is, its reader gets an annotation
        return _stopped(runner, stopping)


def run(arguments: Sequence[str], environment: Mapping[str, str], runner: Runner) -> int:
    """Run what the first argument names."""
    if len(arguments) == 1 and arguments[0] in JOBS:
        return run_job(arguments[0], environment, runner, {})
    # Imported only for a person: a job in the image has no options, and needs no command line.
    from flotilla.commands import command_line  # noqa: PLC0415

    jobs = {name: (kind, partial(run_job, name, environment, runner)) for name, (kind, _) in JOBS.items()}
    return command_line.run(arguments, environment, runner, jobs=jobs)


def run_job(name: str, environment: Mapping[str, str], runner: Runner, given: Mapping[str, str]) -> int:
    """Run a job.

    Args:
        given: the variables of the inputs that were given as options.
    """
    kind, job = JOBS[name]
    with open_job(kind, with_options(given, environment), runner) as opened:
        job(opened)
    return 0


def _stopped(runner: Runner, stopping: BaseException) -> int:
    """Say in an annotation and the job summary what stopped the job; return the exit status."""
    _ignore_signals()
    failure = explained(stopping, wrote=runner.wrote)
    if isinstance(failure, DefectError):
        with runner.group("Traceback, to report to flotilla"):
            runner.line("".join(traceback.format_exception(failure.__cause__ or stopping)))
    runner.error(failure)
    if runner.summarizes:
        with suppress(OSError):  # the disk may be full; the annotation is printed already
            site = os.environ.get("GITHUB_SERVER_URL", "https://github.com")
            runner.summary(stopped(failure, wrote=runner.wrote, site=site))
    return failure.status


def _stop(_signal: int, _frame: FrameType | None) -> None:
    _ignore_signals()
    raise KeyboardInterrupt


def _ignore_signals() -> None:
    # The runner sends SIGINT, and SIGTERM seconds later, which must not interrupt the clean-up.
    for stopping in STOPPING:
        signal.signal(stopping, signal.SIG_IGN)


if __name__ == "__main__":
    sys.exit(main())
