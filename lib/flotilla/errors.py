"""Every failure that flotilla explains, in one tree.

    FlotillaError            exit status 1, one annotation
    ├── InputError           an input or variable of the job is missing or malformed
    ├── ConfigError          flotilla.yml, or a template of it, is wrong; carries places
    ├── GitHubError          GitHub refused a call or did not answer
    ├── RefusedError         what prepare found: the release must not begin
    ├── RunError             the CI run is not one to release from
    ├── ArtifactError        an artifact is missing, expired, altered or broken
    ├── ArchiveError         an archive is hostile or damaged
    ├── PackageError         a package is not fit to publish
    ├── RegistryError        npm or its registry refused a call or did not answer
    ├── ConflictError        something of that name is already there, and differs
    └── DeadlineError        the time is up; says what is done and how to resume

Anything else that escapes is a defect of flotilla: exit status 70.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, kw_only=True)
class Place:
    """A place in a file of the consumer's repository; line and column count from 1."""

    file: str
    line: int | None = None
    column: int | None = None

    def __str__(self) -> str:
        """file:line:column, as far as it is known."""
        return ":".join(str(part) for part in (self.file, self.line, self.column) if part is not None)


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One thing that is wrong: what, and where if a file says it."""

    text: str
    place: Place | None = None

    def __str__(self) -> str:
        """The text behind its place."""
        return f"{self.place}: {self.text}" if self.place else self.text


class FlotillaError(Exception):
    """Something to explain to the person who reads the log.

    Args:
        faults: what is wrong, in plain words; all faults of a kind at once.
        advice: what to do next, as a sentence.
    """

    title: ClassVar[str] = "Release stopped"

    def __init__(self, faults: str | Fault | Sequence[str | Fault], *, advice: str = "") -> None:
        given = [faults] if isinstance(faults, str | Fault) else faults
        self.faults = tuple(fault if isinstance(fault, Fault) else Fault(text=fault) for fault in given)
        self.advice = advice
        super().__init__(str(self))

    def __str__(self) -> str:
        """All faults, a line each where there are several, then the advice."""
        several = len(self.faults) > 1
        lines = [f"- {fault}" if several else str(fault) for fault in self.faults]
        return "\n".join([*lines, self.advice] if self.advice else lines)


class InputError(FlotillaError):
    """An input or variable of the job is missing or malformed."""

    title = "Input"


class ConfigError(FlotillaError):
    """flotilla.yml, or a template that it names, is wrong."""

    title = "Configuration"


class GitHubError(FlotillaError):
    """GitHub refused a call, or did not answer within the limits."""

    title = "GitHub"


class RefusedError(FlotillaError):
    """The release must not begin; nothing was written."""

    title = "Refused before anything was written"


class RunError(FlotillaError):
    """The CI run is not one to release from."""

    title = "CI run"


class ArtifactError(FlotillaError):
    """An artifact is missing, expired, altered or broken."""

    title = "Artifacts"


class ArchiveError(FlotillaError):
    """An archive is hostile or damaged."""

    title = "Archive"


class PackageError(FlotillaError):
    """A package is not fit to publish."""

    title = "Package"


class RegistryError(FlotillaError):
    """npm or its registry refused a call, or did not answer within the limits."""

    title = "npm"


class ConflictError(FlotillaError):
    """Something of that name is already there, and differs."""

    title = "Already there, but different"


class DeadlineError(FlotillaError):
    """The time is up; what is done stays done, and a re-run resumes."""

    title = "Out of time"
