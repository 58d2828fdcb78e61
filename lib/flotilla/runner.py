"""What a job tells the GitHub runner: log lines, annotations, masks, outputs, the job summary.

All text from outside passes through here on its way to a log, so this is the one place that makes it harmless: lines
that the runner would take for a command are defused, and secrets are hidden even if the runner's own mask would.
Sources: actions/runner src/Runner.Common/ActionCommand.cs and src/Runner.Worker/FileCommandManager.cs.
"""

from __future__ import annotations

import os
import tempfile
import threading
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from flotilla.errors import Fault, FlotillaError, InputError, MachineError
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
        self._writing = threading.Lock()
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
        with self._writing:  # a mask that another thread cuts in two would hide nothing
            self._out.write(f"{line}\n")
            self._out.flush()

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


@dataclass(frozen=True, kw_only=True)
class RunnerVariables:
    """The variables of a GitHub Actions job that flotilla uses.

    Source: GitHub's documentation, "Variables reference", and actions/runner src/Runner.Worker/Handlers.

    Args:
        repository: "OWNER/REPO" that the job runs in.
        commit: the commit that triggered the run, 40 hex digits; empty locally.
        workflow: file name of the calling workflow, which npm compares; empty if unknown.
        run_id: id of this workflow run; empty locally.
        run_attempt: the run's attempt that this job belongs to; empty locally.
        workspace: the checked-out repository.
        unprotected: the branch or tag that the job runs on, if GitHub says that no rule protects it; empty otherwise.
    """

    repository: str
    server_url: str
    api_url: str
    commit: str
    workflow: str
    run_id: str
    workspace: Path
    run_attempt: str = ""
    unprotected: str = ""

    @property
    def run_url(self) -> str:
        """Return the URL of this run's page."""
        return f"{self.server_url}/{self.repository}/actions/runs/{self.run_id}"

    @property
    def repository_url(self) -> str:
        """Return the repository's URL as npm writes it in a manifest."""
        return f"git+{self.server_url}/{self.repository}.git"


def read_variables(environment: Mapping[str, str]) -> RunnerVariables:
    """Return the variables of this job.

    Raises:
        InputError: GITHUB_REPOSITORY is missing or is not OWNER/REPO.
    """
    repository = environment.get("GITHUB_REPOSITORY", "")
    if repository.count("/") != 1 or not all(repository.split("/")):
        raise InputError(
            f"GITHUB_REPOSITORY is {repository!r}; expected OWNER/REPO",
            advice="A runner always sets it; locally, set it to the repository that contains flotilla.yml.",
        )
    server_url = environment.get("GITHUB_SERVER_URL", "https://github.com").rstrip("/")
    workflow = environment.get("GITHUB_WORKFLOW_REF", "").partition("@")[0].rpartition("/")[2]
    return RunnerVariables(
        repository=repository,
        server_url=server_url,
        api_url=environment.get("GITHUB_API_URL", "https://api.github.com").rstrip("/"),
        commit=environment.get("GITHUB_SHA", ""),
        workflow=workflow,
        run_id=environment.get("GITHUB_RUN_ID", ""),
        run_attempt=environment.get("GITHUB_RUN_ATTEMPT", ""),
        workspace=Path(environment.get("GITHUB_WORKSPACE") or Path.cwd()),
        unprotected=environment.get("GITHUB_REF", "") if environment.get("GITHUB_REF_PROTECTED") == "false" else "",
    )


OUTPUT_FOLDER = "flotilla-output"


CHECKSUMS = "SHA256SUMS"


LEDGER = "flotilla-ledger.json"


def output_file(workspace: Path, name: str) -> Path:
    """Return the path of a file for later steps, in flotilla's own folder in the workspace.

    Raises:
        InputError: the repository has a link or something else in its place, so that we would write elsewhere.
    """
    folder = workspace / OUTPUT_FOLDER
    file = folder / name
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise InputError(
            f"{OUTPUT_FOLDER} already exists and is not a plain folder",
            advice=f"Remove {OUTPUT_FOLDER} from the repository; flotilla writes its files there.",
        )
    if file.is_symlink() or (file.exists() and not file.is_file()):
        raise InputError(
            f"{OUTPUT_FOLDER}/{name} already exists and is not a plain file",
            advice=f"Remove {OUTPUT_FOLDER} from the repository; flotilla writes its files there.",
        )
    return file


def write_output(workspace: Path, name: str, text: str) -> str:
    """Write a file for later steps, and return its path relative to the workspace.

    The container's user is root. A self-hosted runner's is not, but must be able to remove files from its workspace, so
    the workspace's owner gets the folder and the file.

    Raises:
        InputError: something else is in its place.
    """
    file = output_file(workspace, name)
    file.parent.mkdir(exist_ok=True)
    handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o644)
    with os.fdopen(handle, "w", encoding="utf-8") as stream:
        stream.write(text)
    if os.geteuid() == 0:
        owner = workspace.stat()
        for path in (file.parent, file):
            os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)
    return f"{OUTPUT_FOLDER}/{name}"
