"""The help, what is said of wrong inputs, and how what stops a job is printed."""

from __future__ import annotations

import errno
import io
from collections.abc import Mapping
from contextlib import redirect_stdout
from functools import partial

import pytest
from tests.messages.conftest import Golden, Messages
from tests.messages.printed import printed, refusal

from flotilla.__main__ import JOBS, main
from flotilla.errors import ConfigError, Fault, FlotillaError, Place, explained
from flotilla.jobs.inputs import Inputs, MetaInputs, PlatformInputs, ReleaseInputs, read_inputs

COMMANDS = ("init", "plan", "check", "rehearse", "verify", "doctor", "completion")
INPUTS: tuple[tuple[type[Inputs], Mapping[str, str]], ...] = (
    (PlatformInputs, {}),
    (PlatformInputs, {"version": "1.2.3", "platform": "linux-x64", "run-id": "42x"}),
    (ReleaseInputs, {"version": "1.2.3", "commit": "main"}),
    (ReleaseInputs, {"version": "1.2.3", "phase": "relase"}),
    (ReleaseInputs, {"version": "1.2.3", "dry-run": "yes", "draft": "1"}),
    (ReleaseInputs, {"version": "1.2.3", "timeout-minutes": "an hour"}),
    (MetaInputs, {"version": "1.2.3", "provenance": "ture", "pause-seconds": "-1"}),
    (MetaInputs, {"version": "1.2.3", "packages": "@acme/tool"}),
    (MetaInputs, {"version": "1.2.3", "packages": '[{"name": "@acme/tool"}]'}),
)
NO_ROOM = OSError(errno.ENOSPC, "No space left on device", "lib/libtool.so")
FORBIDDEN = OSError(errno.EACCES, "Permission denied", "flotilla-output")


def helped(*arguments: str) -> str:
    out = io.StringIO()
    with redirect_stdout(out):
        assert main([*arguments, "--help"]) == 0
    return out.getvalue()


def test_the_help(golden: Golden, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "1000")  # Pythons break lines in different ways
    monkeypatch.setenv("NO_COLOR", "1")
    names = ((), *((name,) for name in (*COMMANDS, *JOBS)))
    golden("help", ((" ".join(["flotilla", *name, "--help"]), helped(*name)) for name in names))


def test_faults_of_inputs(golden: Golden) -> None:
    def said() -> Messages:
        for kind, given in INPUTS:
            variables = {f"INPUT_{name.upper()}": value for name, value in given.items()}
            yield f"{kind.__name__} {dict(given)}", refusal(partial(read_inputs, kind, variables))

    golden("inputs", said())


def test_how_what_stops_a_job_is_printed(golden: Golden) -> None:
    def said() -> Messages:
        for wrote in (False, True):
            after = "after the first write" if wrote else "before the first write"
            for stopping in (KeyboardInterrupt(), NO_ROOM, FORBIDDEN, ZeroDivisionError("x")):
                yield f"{stopping!r} {after}", printed(explained(stopping, wrote=wrote))
        place = Place(file="flotilla.yml", line=3, column=5)
        several = ConfigError([Fault(text="one is 100% wrong.", place=place), "the other, too."], advice="Correct it.")
        for failure in (FlotillaError("it stopped", advice="Run it again."), several):
            yield f"{type(failure).__name__} locally", printed(failure)
            yield f"{type(failure).__name__} on GitHub", printed(failure, on_github=True)

    golden("annotations", said())
