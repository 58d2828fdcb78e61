"""What to do about each package of a job, decided before the first is published. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import assert_never

from flotilla.errors import ConflictError
from flotilla.npm.manifest_diff import version_differences
from flotilla.npm.packument import Packument, PublishedVersion, same_integrity

# Says how a published tarball's files differ from ours, a line each; no line: not at all.
Differs = Callable[[PublishedVersion], Sequence[str]]

OTHER_CONTENT = (
    "Nothing was published. Release under a new version number; or, where templates, flotilla.yml or the CI run are "
    "not those that the version was made from, run again with those."
)


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """One package as this job wants it on the registry.

    Args:
        integrity: of our tarball; empty where it is not built yet.
        shasum: sha1 of our tarball in hexadecimal; it is all that a staged version can be compared by.
        dist_tag: where the version shall be found.
        dist_tag_given: the consumer named the dist-tag; it was not derived from the version.
        manifest: our package.json.
    """

    name: str
    version: str
    dist_tag: str
    integrity: str = ""
    shasum: str = ""
    dist_tag_given: bool = False
    manifest: Mapping[str, object] = field(default_factory=lambda: MappingProxyType({}))

    def __str__(self) -> str:
        """name@version."""
        return f"{self.name}@{self.version}"


@dataclass(frozen=True, kw_only=True)
class Staged:
    """A version that waits on the registry for its approval; the tag is empty where the registry does not say it."""

    id: str
    version: str
    shasum: str
    tag: str = ""


@dataclass(frozen=True, kw_only=True)
class Publish:
    """The registry does not have the version: publish it."""

    wanted: Wanted


@dataclass(frozen=True, kw_only=True)
class AlreadyPublished:
    """The registry has the version, with this content.

    Args:
        dist_tag_on: the version that the wanted dist-tag is on, None for none. It is told and never moved: only a
            publish sets it.
        repacked: another tarball, with the same files in it.
    """

    wanted: Wanted
    published: PublishedVersion
    dist_tag_on: str | None
    repacked: bool

    def next_step(self, below: Callable[[str], bool]) -> str:
        """What to do about a dist-tag that points elsewhere; empty where it does not.

        Args:
            below: whether this version is lower than that one.
        """
        wanted, on = self.wanted, self.dist_tag_on
        if on == wanted.version:
            return ""
        if on is not None and below(on):
            return f'the dist-tag "{wanted.dist_tag}" is on {on}, a newer version, and stays there'
        return (
            f'{wanted} is there, but the dist-tag "{wanted.dist_tag}" is {f"on {on}" if on else "not on it"}. '
            f"Set it by hand if you want it: npm dist-tag add {wanted} {wanted.dist_tag}"
        )


@dataclass(frozen=True, kw_only=True)
class AlreadyStaged:
    """The version waits for its approval, with this content."""

    wanted: Wanted
    staged: Staged

    @property
    def dist_tag(self) -> str:
        """Where it will be found once it is approved; that was settled when it was staged."""
        return self.staged.tag or self.wanted.dist_tag

    def next_step(self) -> str:
        """What to do about a dist-tag that is not the one wanted; empty where it is."""
        if self.dist_tag == self.wanted.dist_tag:
            return ""
        return (
            f'staged by an earlier run for the dist-tag "{self.dist_tag}", not "{self.wanted.dist_tag}"; for that one, '
            f"reject it (npm stage reject {self.staged.id}) and run this job again"
        )


@dataclass(frozen=True, kw_only=True)
class Conflict:
    """The registry has the version, or has it staged, with other content."""

    wanted: Wanted
    differences: tuple[str, ...]


Decision = Publish | AlreadyPublished | AlreadyStaged | Conflict
Settled = Publish | AlreadyPublished | AlreadyStaged


def decide(
    wanted: Wanted,
    packument: Packument | None,
    *,
    differs: Differs,
    registry: str,
    files: Collection[str],
    staged: Sequence[Staged] = (),
) -> Decision:
    """Return what to do about one package.

    Args:
        packument: a fresh read of it, None where the registry has no such package.
        differs: asked only where the registry has another tarball of this version.
        registry: URL of the registry.
        files: paths in the package.
        staged: what waits for approval, as far as the credential may see it.
    """
    published = packument.versions.get(wanted.version) if packument else None
    if packument and published:
        repacked = not same_integrity(wanted.integrity, published.integrity)
        # npm installs by the registry's manifest, so the same tarball is not enough.
        differences = [
            *(differs(published) if repacked else ()),
            *(
                f"manifest on the registry: {line}"
                for line in version_differences(wanted.manifest, "", published, registry=registry, files=files)
            ),
        ]
        if differences:
            return Conflict(wanted=wanted, differences=tuple(differences))
        on = packument.dist_tags.get(wanted.dist_tag)
        return AlreadyPublished(wanted=wanted, published=published, dist_tag_on=on, repacked=repacked)
    waiting = next((each for each in staged if each.version == wanted.version), None)
    return _compare_staged(wanted, waiting) if waiting else Publish(wanted=wanted)


def decide_all(decisions: Sequence[Decision]) -> tuple[Settled, ...]:
    """The decisions of a whole job, in their order; one conflict anywhere stops it before anything is written.

    Raises:
        ConflictError: names every package that is there with other content, and what differs.
    """
    faults: list[str] = []
    settled: list[Settled] = []
    for decision in decisions:
        match decision:
            case Conflict():
                faults.append(conflict_words(decision))
            case Publish() | AlreadyPublished() | AlreadyStaged():
                settled.append(decision)
            case _:
                assert_never(decision)
    if faults:
        raise ConflictError(faults, advice=OTHER_CONTENT)
    return tuple(settled)


def conflict_words(conflict: Conflict) -> str:
    """One conflict in words, with what differs."""
    return f"{conflict.wanted} is on the registry with other content: {'; '.join(conflict.differences)}"


def _compare_staged(wanted: Wanted, waiting: Staged) -> Decision:
    if waiting.shasum == wanted.shasum:
        return AlreadyStaged(wanted=wanted, staged=waiting)
    difference = f"it is staged as {waiting.id} with shasum {waiting.shasum}, ours is {wanted.shasum}"
    return Conflict(wanted=wanted, differences=(difference,))
