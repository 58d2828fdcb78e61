"""The inputs of the jobs as options of the command line."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Mapping, Sequence

from flotilla.jobs.inputs import Inputs, variable


def with_options(kind: type[Inputs], arguments: Sequence[str], environment: Mapping[str, str]) -> Mapping[str, str]:
    """Return a job's variables, with its inputs overridden by command-line options: --run-id 7 sets INPUT_RUN-ID.

    Tokens have no option, because everyone on the machine can see arguments. Locally they come from the environment's
    GITHUB_TOKEN and NPM_TOKEN.
    """
    parser = argparse.ArgumentParser(
        prog=f"flotilla {arguments[0]}",
        description=f"Run the job {arguments[0]} here. The options are the inputs of its action, whose page describes "
        "them. The tokens come from GITHUB_TOKEN and NPM_TOKEN.",
        allow_abbrev=False,
    )
    for one in dataclasses.fields(kind):
        if one.repr:
            parser.add_argument(f"--{one.name.replace('_', '-')}", dest=one.name)
    given = vars(parser.parse_args(arguments[1:]))
    tokens = {} if environment.get("GITHUB_ACTIONS") == "true" else _tokens(environment)
    return {**tokens, **environment, **{variable(name): value for name, value in given.items() if value is not None}}


def _tokens(environment: Mapping[str, str]) -> Mapping[str, str]:
    named = {"github-token": "GITHUB_TOKEN", "npm-token": "NPM_TOKEN"}
    return {variable(name): environment[given] for name, given in named.items() if given in environment}
