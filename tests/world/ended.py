"""How a job ended, whether it ran in this process or in another."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

from flotilla import __main__ as program
from flotilla.rehearsal.job_environment import JobEnvironment
from flotilla.retry import Clock

_COMMAND = re.compile(r"::(?P<kind>error|warning|notice) (?P<properties>[^:]*)::(?P<text>.*)")
# The outputs that later jobs use, and that users may rely on.
KEPT = ("version", "tag", "commit", "run-id", "dist-tag", "prerelease", "platforms", "checksums")


@dataclass(frozen=True, kw_only=True)
class Annotation:
    """One ::error, ::warning or ::notice as the runner reads it."""

    kind: str
    title: str
    text: str
    file: str = ""
    line: str = ""
    col: str = ""


@dataclass(frozen=True, kw_only=True)
class Ended:
    """A job, ended.

    Args:
        name: the action that it ran; empty if it does not matter.
        status: its exit status, -9 for killed.
        log: what it printed.
        stderr: what it printed there, where that was kept apart.
        ledger: what its ledger says; None for none.
        folder: its files.
    """

    status: int
    log: str
    outputs: Mapping[str, str]
    summary: str = ""
    name: str = ""
    stderr: str = ""
    ledger: Any = None
    folder: Path = field(default_factory=Path)

    @property
    def packages(self) -> list[dict[str, Any]]:
        """Return the output `packages`, parsed."""
        listed: list[dict[str, Any]] = json.loads(self.outputs.get("packages", "[]"))
        return listed

    @property
    def statuses(self) -> dict[str, str]:
        """Return the status of each package."""
        return {package["name"]: package["status"] for package in self.packages}

    @property
    def handed_over(self) -> dict[str, Any]:
        """Return the outputs that must be the same whatever went wrong (a package's status may differ)."""
        kept: dict[str, Any] = {name: self.outputs[name] for name in KEPT if name in self.outputs}
        return kept | {"packages": [{**package, "status": ""} for package in self.packages]}

    @property
    def left(self) -> list[str]:
        """Return what is left in the folder for temporary files."""
        return sorted(str(path) for path in (self.folder / "tmp").rglob("*"))

    def annotations(self, kind: str) -> list[Annotation]:
        """Return the annotations of a kind, in order."""
        return [found for found in map(_annotation, self.log.splitlines()) if found and found.kind == kind]

    @property
    def error(self) -> Annotation:
        """Return the only error annotation."""
        (only,) = self.annotations("error")
        return only


def ended(status: int, log: str, folder: Path, **more: Any) -> Ended:
    """Return how a job ended, from its log and the folder with its files."""
    made = JobEnvironment(variables={}, folder=folder)
    return Ended(status=status, log=log, outputs=made.outputs(), summary=made.summary, folder=made.folder, **more)


def in_process(arguments: list[str], variables: Mapping[str, str], clock: Clock | None = None) -> tuple[int, str, str]:
    """Run flotilla's main with these arguments and variables in this process, which starts faster.

    Args:
        clock: the job's, instead of the machine's.

    Returns:
        Its exit status, and what it printed on standard output and on standard error.
    """
    out, errors = io.StringIO(), io.StringIO()
    handlers = {number: signal.getsignal(number) for number in program.STOPPING}
    with ExitStack() as stack:
        stack.enter_context(patch.dict(os.environ, variables, clear=True))
        stack.enter_context(patch.object(tempfile, "tempdir", variables.get("TMPDIR")))
        stack.enter_context(redirect_stdout(out))
        stack.enter_context(redirect_stderr(errors))
        if clock is not None:
            stack.enter_context(patch("flotilla.jobs.inputs.SystemClock", lambda _stop: clock))
        try:
            status = program.main(arguments)
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)
    return status, out.getvalue(), errors.getvalue()


def _annotation(line: str) -> Annotation | None:
    found = _COMMAND.fullmatch(line)
    if not found:
        return None
    properties = dict(entry.split("=", 1) for entry in found["properties"].split(","))
    unescaped = {key: _plain(value) for key, value in properties.items()}
    return Annotation(kind=found["kind"], text=_plain(found["text"]), **unescaped)


def _plain(escaped: str) -> str:
    """Return an annotation's text, as the runner unescapes it."""
    for code, character in {"%3A": ":", "%2C": ",", "%0A": "\n", "%0D": "\r", "%25": "%"}.items():
        escaped = escaped.replace(code, character)
    return escaped
