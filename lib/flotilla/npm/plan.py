"""What to do about each package of a job, decided before the first is published. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Literal, assert_never

from flotilla.errors import ConflictError
from flotilla.family import PackedPackage
from flotilla.npm.manifest_diff import version_differences
from flotilla.npm.packument import Packument, PublishedVersion, same_integrity

# Says how a published tarball's files differ from ours, a line each; no line: not at all.
Differs = Callable[[PublishedVersion], Sequence[str]]

OTHER_CONTENT = (
    "Nothing was published. Release under a new version number; or, where templates, flotilla.yml or the CI run are "
    "not those that the version was made from, run again with those."
)


# How a package ends, from the decision to the output `packages` and the ledger.
Status = Literal["published", "already-published", "staged", "dry-run"]
# Of these the registry has the version.
ON_REGISTRY = frozenset[Status]({"published", "already-published"})


@dataclass(frozen=True, kw_only=True)
class DistTag:
    """The dist-tag of a release.

    Args:
        given: somebody named it; it was not derived from the version.
    """

    name: str
    given: bool = False

    def __str__(self) -> str:
        """Return its name."""
        return self.name


@dataclass(frozen=True, kw_only=True)
class Terms:
    """What holds for all packages of a release.

    Args:
        trusted_publishing: there is no token; npm exchanges the job's id-token.
        repository: OWNER/NAME, for the command that sets trusted publishing up.
        workflow: the file name of the calling workflow, release.yml; empty where unknown.
        staged: packages are staged and not published.
        below: whether the version is lower than that one.
        registry: its URL.
        dist_tag: where the version shall be found.
    """

    trusted_publishing: bool
    repository: str
    workflow: str
    staged: bool
    below: Callable[[str], bool]
    registry: str
    dist_tag: DistTag


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

    package: PackedPackage


@dataclass(frozen=True, kw_only=True)
class AlreadyPublished:
    """The registry has the version, with this content.

    Args:
        wanted: the dist-tag of this release. It is told and never moved: only a publish sets it.
        wanted_on: the version that this dist-tag is on, None for none.
        dist_tag: one that the version has; the wanted one if it is among them, empty for none.
        repacked: another tarball, with the same files in it.
    """

    package: PackedPackage
    published: PublishedVersion
    wanted: str
    wanted_on: str | None
    dist_tag: str
    repacked: bool

    def next_step(self, below: Callable[[str], bool]) -> str:
        """Return what to do about a dist-tag that points elsewhere; empty if it does not.

        Args:
            below: whether this version is lower than that one.
        """
        if self.dist_tag == self.wanted:
            return ""
        has = f'has the dist-tag "{self.dist_tag}", not "{self.wanted}"' if self.dist_tag else "has no dist-tag"
        if self.wanted_on is not None and below(self.wanted_on):
            return f'{has}: "{self.wanted}" is on {self.wanted_on}, a newer version, and stays there'
        on = f"on {self.wanted_on}" if self.wanted_on else "on no version"
        return f'{has}: "{self.wanted}" is {on}. To set it: npm dist-tag add {self.package} {self.wanted}'


@dataclass(frozen=True, kw_only=True)
class AlreadyStaged:
    """The version waits for its approval, with this content."""

    package: PackedPackage
    staged: Staged
    wanted: str

    @property
    def dist_tag(self) -> str:
        """Return where it will be found once it is approved; that was settled when it was staged."""
        return self.staged.tag or self.wanted

    def next_step(self) -> str:
        """Return what to do about a dist-tag that is not the one wanted; empty if it is."""
        if self.dist_tag == self.wanted:
            return ""
        return (
            f'staged by an earlier run for the dist-tag "{self.dist_tag}", not "{self.wanted}"; for that one, '
            f"reject it (npm stage reject {self.staged.id}) and run this job again"
        )


@dataclass(frozen=True, kw_only=True)
class Conflict:
    """The registry has the version, or has it staged, with other content."""

    package: PackedPackage
    differences: tuple[str, ...]


Decision = Publish | AlreadyPublished | AlreadyStaged | Conflict
Settled = Publish | AlreadyPublished | AlreadyStaged


def decide(
    package: PackedPackage,
    packument: Packument | None,
    terms: Terms,
    *,
    differs: Differs,
    files: Collection[str],
    staged: Sequence[Staged] = (),
) -> Decision:
    """Return what to do about one package.

    Args:
        packument: a fresh read of it, None where the registry has no such package.
        terms: of this release.
        differs: asked only where the registry has another tarball of this version.
        files: paths in the package.
        staged: what waits for approval, as far as the credential may see it.
    """
    dist_tag = terms.dist_tag.name
    published = packument.versions.get(package.version) if packument else None
    if packument and published:
        repacked = not same_integrity(package.integrity, published.integrity)
        changed = differs(published) if repacked else ()
        # npm installs by the registry's manifest, so the same tarball is not enough.
        lines = version_differences(package.manifest, "", published, registry=terms.registry, files=files)
        if differences := (*changed, *(f"manifest on the registry: {line}" for line in lines)):
            return Conflict(package=package, differences=differences)
        tags = packument.tags_of(package.version)
        return AlreadyPublished(
            package=package,
            published=published,
            wanted=dist_tag,
            wanted_on=packument.dist_tags.get(dist_tag),
            dist_tag=dist_tag if dist_tag in tags else next(iter(tags), ""),
            repacked=repacked,
        )
    waiting = next((each for each in staged if each.version == package.version), None)
    return _compare_staged(package, waiting, dist_tag) if waiting else Publish(package=package)


def decide_all(decisions: Sequence[Decision]) -> tuple[Settled, ...]:
    """Return the decisions of a whole job, in their order; one conflict anywhere stops it before anything is written.

    Raises:
        ConflictError: names every package that is there with other content, and what differs.
    """
    faults: list[str] = []
    settled: list[Settled] = []
    for decision in decisions:
        match decision:
            case Conflict():
                words = "; ".join(decision.differences)
                faults.append(f"{decision.package} is on the registry with other content: {words}")
            case Publish() | AlreadyPublished() | AlreadyStaged():
                settled.append(decision)
            case _:
                assert_never(decision)
    if faults:
        raise ConflictError(faults, advice=OTHER_CONTENT)
    return tuple(settled)


def _compare_staged(package: PackedPackage, waiting: Staged, dist_tag: str) -> Decision:
    if waiting.shasum == package.shasum:
        return AlreadyStaged(package=package, staged=waiting, wanted=dist_tag)
    difference = f"it is staged as {waiting.id} with shasum {waiting.shasum}, ours is {package.shasum}"
    return Conflict(package=package, differences=(difference,))
