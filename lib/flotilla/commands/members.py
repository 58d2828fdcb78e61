"""The packages of a family that a repository has: those of platforms, the one that users install, the headers."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from flotilla.commands.builds import Named, named
from flotilla.commands.repository import Manifest, Repository

DEV = re.compile(r"[-/](?:dev|headers|include)(?:-|$)")


@dataclass(frozen=True, kw_only=True)
class Member:
    """A package of the family that the repository has, or names as a dependency: then it has no folder."""

    name: str
    folder: str = ""
    manifest: Manifest = field(default_factory=dict)
    platform: Named | None = None


@dataclass(frozen=True, kw_only=True)
class Members:
    """The family's packages, as far as the repository has them; the meta package with the shortest name is first."""

    platforms: tuple[Member, ...]
    metas: tuple[Member, ...]
    devs: tuple[Member, ...]

    @property
    def suffixes(self) -> list[str]:
        """Return what the names of platform packages end in, nothing first."""
        return sorted(dict.fromkeys(one.platform.after for one in self.platforms if one.platform), key=bool)


def file_of(member: Member | None) -> str:
    """Return the package.json of a package."""
    return posixpath.normpath(posixpath.join(member.folder if member else "", "package.json"))


def members(repository: Repository) -> Members:
    """Return the packages of the family that a repository has."""
    public = [
        Member(name=str(manifest["name"]), folder=folder, manifest=manifest)
        for folder, manifest in repository.manifests.items()
        if isinstance(manifest.get("name"), str) and not manifest.get("private")
    ]
    for_machines = [one for one in public if one.manifest.get("os") or one.manifest.get("cpu")]
    platforms = [replace(one, platform=found) for one in for_machines if (found := named(one.name))]
    rest = [one for one in public if one.name not in {each.name for each in platforms}]
    names = {one.name for one in platforms}
    pinning = [one for one in rest if names & set(_pins(one))]
    if not platforms:
        pinning = [one for one in rest if any(named(name) and _own(one.name, name) for name in _pins(one))]
        pinned = [name for one in pinning for name in _pins(one) if _own(one.name, name)]
        platforms = [Member(name=name, platform=found) for name in dict.fromkeys(pinned) if (found := named(name))]
    devs = [one for one in rest if one not in pinning and DEV.search(one.name) and (platforms or pinning)]
    metas = pinning or _likely_metas(repository, [one for one in rest if one not in devs], platforms)
    metas = sorted(metas, key=lambda one: len(one.name))
    return Members(platforms=tuple(platforms), metas=tuple(metas), devs=tuple(devs))


def _likely_metas(repository: Repository, rest: Sequence[Member], platforms: Sequence[Member]) -> list[Member]:
    """Return what users install, if no package pins the platforms."""
    names = {f"{one.platform.before.rstrip('-/')}{one.platform.after}" for one in platforms if one.platform}
    if by_name := [one for one in rest if one.name in names]:
        return by_name
    telling = [one for one in rest if "napi" in one.manifest or one.folder in repository.downloads]
    return (telling or [one for one in rest if "bin" in one.manifest] or list(rest))[:1]


def _pins(one: Member) -> list[str]:
    pins = one.manifest.get("optionalDependencies")
    return list(pins) if isinstance(pins, dict) else []


def _own(meta: str, name: str) -> bool:
    """Return whether a dependency has a name as packages of the family have."""
    scope = meta.rpartition("/")[0]
    return name.startswith((f"{meta}-", f"@{meta.lstrip('@')}/", *([f"{scope}/"] if scope else [])))
