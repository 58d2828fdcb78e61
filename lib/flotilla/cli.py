"""The desk commands, and the four jobs' inputs as options."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Mapping, Sequence

from flotilla.jobs.inputs import Inputs, variable
from flotilla.runner import Runner


def with_options(kind: type[Inputs], arguments: Sequence[str], environment: Mapping[str, str]) -> Mapping[str, str]:
    """The variables of a job, its inputs overridden by options of the command line: --run-id 7 is INPUT_RUN-ID.

    Tokens have no option: an argument is visible to everyone on the machine.
    """
    parser = argparse.ArgumentParser(prog=f"flotilla {arguments[0]}", description=kind.__doc__, allow_abbrev=False)
    for one in dataclasses.fields(kind):
        if one.repr:
            parser.add_argument(f"--{one.name.replace('_', '-')}", dest=one.name)
    given = vars(parser.parse_args(arguments[1:]))
    return {**environment, **{variable(name): value for name, value in given.items() if value is not None}}


def run(arguments: Sequence[str], environment: Mapping[str, str], runner: Runner) -> int:
    """Run a desk command."""
    raise NotImplementedError
