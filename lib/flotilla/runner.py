"""What a job tells the GitHub runner: log lines, annotations, masks, outputs, the job summary.

All text from outside passes through here on its way to a log, so this is the one place that makes it harmless: lines
that the runner would take for a command are defused, and secrets are hidden even if the runner's own mask would.
Sources: actions/runner src/Runner.Common/ActionCommand.cs and src/Runner.Worker/FileCommandManager.cs.
"""

from __future__ import annotations

import tempfile
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from flotilla.errors import Fault, FlotillaError, MachineError
from flotilla.text import defused, hide

LISTED = "- "  # how FlotillaError begins one of several faults


class Runner:
    """Write a job's log, annotations, outputs and summary.

    Args:
        environment: the job's variables; GITHUB_OUTPUT and GITHUB_STEP_SUMMARY name files. Without GITHUB_ACTIONS
            the job runs locally and prints plain text.
        out: the log.

    Attributes:
        wrote: whether the job has begun to write to GitHub or the registry; a job says so before its first write.
    """

    def __init__(self, environment: Mapping[str, str], out: TextIO) -> None:
        self._out = out
        self._on_github = environment.get("GITHUB_ACTIONS") == "true"
        self._output_file = _file(environment.get("GITHUB_OUTPUT"))
        self._summary_file = _file(environment.get("GITHUB_STEP_SUMMARY"))
        self._secrets: list[str] = []
        self.wrote = False

    @property
    def summarizes(self) -> bool:
        """Return whether there is a job summary besides the log."""
        return self._summary_file is not None

    def mask(self, secret: str) -> None:
        """Hide a value in everything printed from now on, here and in later steps."""
        # A secret pasted with a space at its end is used without it.
        for line in filter(None, (line.strip() for line in secret.splitlines())):
            self._secrets.append(line)
            if self._on_github:
                self._write(f"::add-mask::{_data(line)}")

    def line(self, text: str = "") -> None:
        """Print to the log; no line can act as a workflow command."""
        for line in self._blanked(text).splitlines() or [""]:
            self._write(defused(line))

    def notice(self, text: str, *, title: str = "flotilla") -> None:
        """Annotate with a notice."""
        self._annotate("notice", title, Fault(text=text))

    def warning(self, text: str, *, title: str = "flotilla") -> None:
        """Annotate with a warning."""
        self._annotate("warning", title, Fault(text=text))

    def error(self, failure: FlotillaError) -> None:
        """Annotate with what stopped the job, in one annotation."""
        place = next((fault.place for fault in failure.faults if fault.place), None)
        self._annotate("error", failure.title, Fault(text=str(failure), place=place))

    def output(self, name: str, value: str) -> None:
        """Set an output of the step; the value cannot forge another output."""
        if self._output_file is None:
            self.line(f"{name}={value}")
            return
        delimiter = f"flotilla-{uuid.uuid4()}"
        self._append(self._output_file, f"{name}<<{delimiter}\n{self._blanked(value)}\n{delimiter}\n")

    def summary(self, markdown: str) -> None:
        """Add to the job summary; locally, to the log."""
        if self._summary_file is None:
            self.line(markdown)
        else:
            self._append(self._summary_file, self._blanked(markdown) + "\n")

    @contextmanager
    def group(self, title: str) -> Iterator[None]:
        """Fold the lines printed inside."""
        if self._on_github:
            self._write(f"::group::{_data(defused(self._blanked(title)))}")
        else:
            self.line(title)
        try:
            yield
        finally:
            if self._on_github:
                self._write("::endgroup::")

    def _annotate(self, kind: str, title: str, fault: Fault) -> None:
        text = "\n".join(defused(line) for line in self._blanked(fault.text).splitlines())
        if not self._on_github:
            gap = "\n" if text.startswith(LISTED) else " "
            self.line(f"{kind}: {title}:{gap}{text}")
            return
        place = fault.place
        places = {"file": place.file, "line": place.line, "col": place.column} if place else {}
        properties = {"title": title, **{key: value for key, value in places.items() if value is not None}}
        listed = ",".join(f"{key}={_property(defused(self._blanked(str(value))))}" for key, value in properties.items())
        self._write(f"::{kind} {listed}::{_data(text)}")

    def _blanked(self, text: str) -> str:
        return hide(text, self._secrets)

    def _write(self, line: str) -> None:
        print(line, file=self._out, flush=True)

    @staticmethod
    def _append(file: Path, text: str) -> None:
        # A server's JSON may contain half a character (\ud800), which no file can hold.
        with file.open("a", encoding="utf-8", errors="backslashreplace") as stream:
            stream.write(text)


@contextmanager
def temporary_folders(environment: Mapping[str, str]) -> Iterator[Path]:
    """Make every temporary folder inside the runner's (/tmp outside a runner), and nowhere else.

    Python would fall back to the current folder, the workspace, where a later step could find an npmrc.

    Raises:
        MachineError: nothing can be written there.
    """
    given = environment.get("RUNNER_TEMP", "")
    parent = Path(given if given and Path(given).is_dir() else environment.get("TMPDIR") or "/tmp")  # noqa: S108 - 0700
    before = tempfile.tempdir
    tempfile.tempdir = str(parent)
    try:
        try:
            Path(tempfile.mkdtemp(prefix="flotilla-")).rmdir()
        except OSError as failure:
            raise MachineError(
                f"the temporary folder {parent} cannot be written: {failure.strerror}",
                advice="Set RUNNER_TEMP (outside a runner: TMPDIR, or else /tmp) to a folder this user can write to.",
            ) from failure
        yield parent
    finally:
        tempfile.tempdir = before


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def _file(name: str | None) -> Path | None:
    return Path(name) if name else None
