"""Every failure that flotilla explains, in one tree.

FlotillaError            exit status 1, one annotation
├── InputError           an input or variable of the job is missing or malformed
├── ConfigError          flotilla.yml or a template is wrong; has places
├── GitHubError          GitHub refused a call or did not answer
├── RefusedError         what prepare found: the release must not begin
├── RunError             flotilla must not release from the CI run
├── ArtifactError        an artifact is missing, expired, altered or broken
├── ArchiveError         an archive is hostile or damaged
├── PackageError         a package must not be published
├── RegistryError        npm or its registry refused a call or did not answer
├── ConflictError        something of that name already exists, and differs
├── DeadlineError        the time ran out; says what was done and how to resume
├── CancelledError       the job was cancelled
├── MachineError         the disk is full, or the machine forbids something
└── DefectError          any other exception, a bug: exit status 70, with a traceback in the log
"""

from __future__ import annotations

import errno
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar

RESUMES = "Everything done so far is kept; re-run the job to continue from there."
NOTHING_WRITTEN = "Nothing was written."
FULL = (errno.ENOSPC, errno.EDQUOT)
FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)


@dataclass(frozen=True, kw_only=True)
class Place:
    """A place in a file of the consumer's repository; line and column count from 1."""

    file: str
    line: int | None = None
    column: int | None = None

    def __str__(self) -> str:
        """Return file:line:column, as far as known."""
        return ":".join(str(part) for part in (self.file, self.line, self.column) if part is not None)


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One thing that is wrong, and its place if it is in a file."""

    text: str
    place: Place | None = None

    def __str__(self) -> str:
        """Return the place and the text."""
        return f"{self.place}: {self.text}" if self.place else self.text


class FlotillaError(Exception):
    """A failure to explain to the person who reads the log.

    Args:
        faults: what is wrong, in plain words; all faults at once.
        advice: what to do next, as a sentence.
    """

    title: ClassVar[str] = "Job stopped"
    status: ClassVar[int] = 1

    def __init__(self, faults: str | Fault | Sequence[str | Fault], *, advice: str = "") -> None:
        given = [faults] if isinstance(faults, str | Fault) else faults
        self.faults = tuple(fault if isinstance(fault, Fault) else Fault(text=fault) for fault in given)
        self.advice = advice
        super().__init__(str(self))

    def __str__(self) -> str:
        """Return all faults, one per line if there are several, then the advice."""
        several = len(self.faults) > 1
        lines = [f"- {fault}" if several else str(fault) for fault in self.faults]
        return "\n".join([*lines, self.advice] if self.advice else lines)


class InputError(FlotillaError):
    """An input or variable of the job is missing or malformed."""

    title = "Invalid input"


class ConfigError(FlotillaError):
    """flotilla.yml, or a template that it names, is wrong."""

    title = "Invalid configuration"


class GitHubError(FlotillaError):
    """GitHub refused a call, or did not answer within the limits."""

    title = "GitHub call failed"


class RefusedError(FlotillaError):
    """The release, or a step of it, must not begin."""

    title = "Release refused"


class RunError(FlotillaError):
    """flotilla must not release from the CI run."""

    title = "CI run check failed"


class ArtifactError(FlotillaError):
    """An artifact is missing, expired, altered or broken."""

    title = "Artifact check failed"


class ArchiveError(FlotillaError):
    """An archive is hostile or damaged."""

    title = "Archive check failed"


class PackageError(FlotillaError):
    """A package must not be published."""

    title = "Package check failed"


class RegistryError(FlotillaError):
    """npm or its registry refused a call, or did not answer within the limits."""

    title = "npm or its registry failed"


class ConflictError(FlotillaError):
    """Something of that name already exists, and differs."""

    title = "Already exists, but differs"


class DeadlineError(FlotillaError):
    """The time ran out; what is done is kept, and a re-run resumes."""

    title = "Out of time"


class CancelledError(FlotillaError):
    """The job was cancelled."""

    title = "Job cancelled"


class MachineError(FlotillaError):
    """The machine lacks something that any job needs: disk space or a permission."""

    title = "Runner problem"


class DefectError(FlotillaError):
    """A bug in flotilla; its cause is the unexpected exception."""

    title = "Bug in flotilla"
    status = 70  # EX_SOFTWARE of sysexits.h


def explained(stopping: BaseException, *, wrote: bool) -> FlotillaError:
    """Return what stopped a job, as an error for the person who reads the log.

    Args:
        wrote: whether the job had begun to write to GitHub or the registry.
    """
    if isinstance(stopping, FlotillaError):
        return stopping
    resumes = RESUMES if wrote else NOTHING_WRITTEN
    if isinstance(stopping, KeyboardInterrupt):
        return CancelledError("the job was cancelled", advice=resumes)
    if isinstance(stopping, OSError) and stopping.errno in FULL:
        return MachineError(
            f"the disk is full ({stopping.strerror}: {stopping.filename or 'the temporary folder'})",
            advice=f"Free disk space in an earlier step, or use a runner with a larger disk. {resumes}",
        )
    if isinstance(stopping, OSError) and stopping.errno in FORBIDDEN:
        return MachineError(
            f"a file or folder cannot be used ({stopping.strerror}: {stopping.filename or 'no path given'})",
            advice=f"Give the job's user read and write access to it. {resumes}",
        )
    return DefectError(
        f"unexpected {type(stopping).__name__}",
        advice=f"Please report this with the traceback from the job's log (a folded group). {resumes}",
    )


NAMED = 3  # so many packages are named though a reason holds for all


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """One reason not to begin: the culprit, and why and what to do in plain words."""

    of: str
    why: str

    def __str__(self) -> str:
        """Return the culprit and the reason, without repeating the culprit."""
        return self.why if self.why.casefold().startswith(self.of.casefold()) else f"{self.of}: {self.why}"


def grouped(found: Iterable[Refusal], *, of: int) -> list[Refusal]:
    """Return the refusals in order, those with the same reason as one.

    Args:
        of: how many packages were checked; a reason that applies to all of them names none.
    """
    names: dict[str, list[str]] = {}
    for refusal in found:
        names.setdefault(refusal.why, []).append(refusal.of)
    return [
        Refusal(of=f"all {of} packages" if len(each) == of > NAMED else ", ".join(each), why=why)
        for why, each in names.items()
    ]
