"""Which versions and dist-tags npm takes, and which dist-tag a release gets."""

from __future__ import annotations

import re
from collections.abc import Iterable

from semver import Version

from flotilla.errors import InputError, RefusedError, RegistryError
from flotilla.family.model import DistTag
from flotilla.text import quoted

LONGEST_VERSION = 256
LARGEST_NUMBER = 2**53 - 1
# Source: node-semver, XRANGEPLAIN and TILDE, of which a dist-tag's characters allow these forms.
RANGE = re.compile(
    r"~?v*(?:0|[1-9][0-9]*|[xX*])(?:\.(?:0|[1-9][0-9]*|[xX*])(?:\.(?:0|[1-9][0-9]*|[xX*])(?:-[0-9A-Za-z.-]+)?)?)?"
)
# What encodeURIComponent leaves as it is (npm-package-arg takes no other tag).
TAG = re.compile(r"[A-Za-z0-9_.!~*'()-]+")
NEXT = "next"
LATEST = "latest"


def parse_version(text: str) -> str:
    """Return the version that an input names, without its leading v.

    Raises:
        InputError: npm would not take it as it stands.
    """
    version = text.removeprefix("v")
    if fault := version_fault(version):
        raise InputError(f"The version {quoted(text)} {fault}", advice="Give a version such as 1.2.3 or 1.2.3-beta.1.")
    return version


def version_fault(version: str) -> str | None:
    """Return why npm would not accept this version as it is; None if it would."""
    if len(version) > LONGEST_VERSION:
        return f"has {len(version)} characters; npm allows {LONGEST_VERSION}."
    parsed = parsed_version(version)
    if parsed is None:
        return _no_semver(version)
    if parsed.build is not None:
        return (
            f"has build metadata (+{parsed.build[:40]}), which npm drops: two such versions would be the same on npm."
        )
    if max(parsed.major, parsed.minor, parsed.patch) > LARGEST_NUMBER:
        return f"has a number above {LARGEST_NUMBER}, npm's limit."
    return None


def parsed_version(version: str) -> Version | None:
    """Return a semantic version, None if it is not one."""
    if len(version) > LONGEST_VERSION:
        return None
    try:
        return Version.parse(version)
    except ValueError:
        return None


def _no_semver(version: str) -> str:
    if not version:
        return "is empty."
    if re.fullmatch(r"[0-9]+(\.[0-9]+)?", version):
        return f"has too few numbers; a semantic version has three: {version}{'.0' * (2 - version.count('.'))}."
    if re.fullmatch(r"[0-9]+\.[0-9]+\.[0-9]+[A-Za-z].*", version):
        return "lacks a hyphen before its prerelease part."
    return "is not a semantic version (semver.org)."


def is_prerelease(version: str) -> bool:
    """Return whether a version has a prerelease part."""
    parsed = parsed_version(version)
    return parsed is not None and parsed.prerelease is not None


def default_dist_tag(version: str) -> str:
    """Return latest for a stable version; for a prerelease, its first identifier if that is valid, or else next."""
    parsed = parsed_version(version)
    if parsed is None or parsed.prerelease is None:
        return LATEST
    first = parsed.prerelease.split(".")[0]
    fit = first.isalpha() and first.lower() != LATEST and dist_tag_fault(first) is None
    return first if fit else NEXT


def is_below(version: str, latest: str) -> bool:
    """Return whether a version is lower than the registry's latest.

    Raises:
        RegistryError: that one is no version.
    """
    other, this = parsed_version(latest), parsed_version(version)
    if other is None or this is None:
        raise RegistryError(f"The registry's latest version is {quoted(latest)}, which is not a semantic version.")
    return this < other


def last_before(version: str, others: Iterable[str]) -> str | None:
    """Return the highest of the others that is lower than the version; prereleases count only for a prerelease."""
    this = parsed_version(version)
    parsed = [each for each in map(parsed_version, others) if each and this and each < this]
    fit = [each for each in parsed if each.prerelease is None or (this and this.prerelease)]
    return str(max(fit)) if fit else None


def dist_tag_fault(tag: str) -> str | None:
    """Return why npm would not accept this dist-tag; None if it would."""
    if not TAG.fullmatch(tag):
        return f"the dist-tag {quoted(tag)} may contain only letters, digits, hyphens, dots and underscores."
    if RANGE.fullmatch(tag):
        return f"npm refuses the dist-tag {quoted(tag)}, because it reads as a version; add a word: release-{tag}."
    if tag[0] in "-.~":
        return f"the dist-tag {quoted(tag)} must not begin with {tag[0]}."
    return None


def settle_dist_tag(version: str, *, given: str, configured: str | None, tagged: bool) -> DistTag:
    """Return the release's dist-tag: the input, or else flotilla.yml's, or else the version's own.

    Args:
        given: the input dist-tag; empty if it is not set.
        configured: publish.dist-tag of flotilla.yml.
        tagged: whether the version gets a tag; one without, such as a nightly, becomes `latest` only if it is named.

    Raises:
        RefusedError: npm does not accept it as a dist-tag, or `latest` was surely not meant.
    """
    named, own = given or configured or "", default_dist_tag(version)
    if named and (fault := dist_tag_fault(named)):
        raise RefusedError(fault, advice="Correct the input dist-tag, or publish.dist-tag in flotilla.yml.")
    if not tagged and (named or own) == LATEST and not given:
        _refuse_latest(version, named)
    return DistTag(name=named or own, given=bool(named))


def _refuse_latest(version: str, named: str) -> None:
    """Refuse to let a version without a tag become `latest`, unless flotilla.yml says so.

    Raises:
        RefusedError: flotilla.yml does not say it, or says it and the version is a prerelease.
    """
    if is_prerelease(version):
        raise RefusedError(
            f"{version} is a prerelease without a tag, and publish.dist-tag would make it `latest`",
            advice="Leave out publish.dist-tag; the version has its own dist-tag.",
        )
    if not named:
        raise RefusedError(
            f"{version} is not a prerelease; without a tag it would become `latest` for every user",
            advice=f"Use a prerelease version for a nightly, such as {version}-nightly.20261125. If you do want "
            "`latest`, set publish.dist-tag: latest in flotilla.yml.",
        )
