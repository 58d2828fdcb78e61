"""Versions and the CHANGELOG: may this version be released, with which notes, and which tags follow it."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import total_ordering
from typing import Self

from scripts.release.settings import ReleaseError

NUMBER = r"(0|[1-9]\d*)"
SEMVER = re.compile(rf"{NUMBER}\.{NUMBER}\.{NUMBER}(?:-((?:[0-9A-Za-z-]+)(?:\.[0-9A-Za-z-]+)*))?")
HEADING = re.compile(r"^## \[?([^\]\s]+)\]?(?: - .*)?$", re.MULTILINE)
LINK = re.compile(r"^\[[^\]]+\]: \S+\n?", re.MULTILINE)
UNRELEASED = "Unreleased"


@total_ordering
@dataclass(frozen=True, kw_only=True, eq=True)
class Version:
    """A semantic version without build metadata."""

    major: int
    minor: int
    patch: int
    prerelease: str = ""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the version.

        Raises:
            ReleaseError: if the text is not one.
        """
        found = SEMVER.fullmatch(text)
        if found is None:
            raise ReleaseError(f'expected a version such as 1.4.0 or 2.0.0-rc.1, got "{text}"')
        return cls(major=int(found[1]), minor=int(found[2]), patch=int(found[3]), prerelease=found[4] or "")

    def __str__(self) -> str:
        """Write it as semver does."""
        core = f"{self.major}.{self.minor}.{self.patch}"
        return f"{core}-{self.prerelease}" if self.prerelease else core

    def __lt__(self, other: Version) -> bool:
        """Compare by semver's precedence."""
        return self._key() < other._key()

    def _key(self) -> tuple[object, ...]:
        parts = [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in self.prerelease.split(".")]
        return (self.major, self.minor, self.patch, not self.prerelease, parts if self.prerelease else [])

    def following(self) -> tuple[Version, Version, Version]:
        """Return the next patch, minor and major version."""
        major, minor, patch = self.major, self.minor, self.patch
        return (
            Version(major=major, minor=minor, patch=patch + 1),
            Version(major=major, minor=minor + 1, patch=0),
            Version(major=major + 1, minor=0, patch=0),
        )


def sections(changelog: str) -> dict[str, str]:
    """Return the text under each heading of the second level, in the file's order (keepachangelog.com)."""
    parts = HEADING.split(LINK.sub("", changelog))
    return {name.strip(): body.strip() for name, body in zip(parts[1::2], parts[2::2], strict=True)}


def check(version: str, *, changelog: str, pyproject: str) -> str:
    """Return the release notes of a version that its commit is ready for.

    Raises:
        ReleaseError: with everything that is missing.
    """
    wanted, parts = Version.parse(version), sections(changelog)
    faults = []
    declared = tomllib.loads(pyproject)["project"]["version"]
    if declared != version:
        faults.append(f"pyproject.toml says version {declared}; set it to {version}")
    released = [Version.parse(name) for name in parts if name != UNRELEASED]
    if not parts.get(version):
        faults.append(f'CHANGELOG.md has nothing under "[{version}]"; rename "[{UNRELEASED}]" to it')
    elif released[0] != wanted:
        faults.append(f"the newest version of CHANGELOG.md is {released[0]}; put {version} first")
    if parts.get(UNRELEASED):
        faults.append(f'CHANGELOG.md still has entries under "[{UNRELEASED}]"; move them under "[{version}]"')
    before = [one for one in released if one != wanted and not one.prerelease]
    core = Version(major=wanted.major, minor=wanted.minor, patch=wanted.patch)
    if before and core not in before[0].following():
        choice = ", ".join(str(one) for one in before[0].following())
        faults.append(f"after {before[0]} comes one of {choice}, not {version}")
    if faults:
        raise ReleaseError("; ".join(faults))
    return parts[version]


def moving_tags(version: str, tags: Iterable[str]) -> list[str]:
    """Return which of vX and vX.Y the version takes over: none that stands at a higher version.

    Args:
        tags: every tag of the repository.
    """
    wanted = Version.parse(version)
    if wanted.prerelease:
        return []
    stable = released(tags)
    highest_of_major = max([one for one in stable if one.major == wanted.major], default=wanted)
    minor = (wanted.major, wanted.minor)
    highest_of_minor = max([one for one in stable if (one.major, one.minor) == minor], default=wanted)
    moved = [f"v{wanted.major}.{wanted.minor}"] if wanted >= highest_of_minor else []
    return [*moved, f"v{wanted.major}"] if wanted >= highest_of_major else moved


def is_latest(version: str, tags: Iterable[str]) -> bool:
    """Say whether GitHub shows this release as the latest: a stable one, higher than all others."""
    wanted = Version.parse(version)
    return not wanted.prerelease and all(one <= wanted for one in released(tags))


def released(tags: Iterable[str]) -> list[Version]:
    """Return the stable versions that have a tag."""
    found = [Version.parse(tag[1:]) for tag in tags if tag.startswith("v") and SEMVER.fullmatch(tag[1:])]
    return [one for one in found if not one.prerelease]
