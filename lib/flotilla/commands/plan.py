"""flotilla plan: show what flotilla.yml would release."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tabulate import tabulate

from flotilla.family import Family, Manifest, Package, Placed, Platform, binaries_told, unpinned_told
from flotilla.github import GitHub
from flotilla.jobs.prepare import meta_doubts, render_all
from flotilla.npm import Packument, Registry
from flotilla.retry import StopFlag, gather
from flotilla.text import plain

LONGEST_TAGS = 60

# flotilla.yml does not say which packages exist and which trust the workflow; the registry does, when a job asks it.
SIGN_IN = (
    "sign-in to npm: each package by trusted publishing if it trusts the publishing job, otherwise with npm-token; "
    "a dry run of the job shows which"
)

FLOORS = {"glibcxx": "GLIBCXX", "macos": "macOS"}


@dataclass(frozen=True, kw_only=True)
class There:
    """What the registry and GitHub have already; None for what was not looked up.

    Args:
        packages: what the registry has of each package, by name, in words.
        github: what GitHub has of the release, a line each.
    """

    packages: Mapping[str, str] | None = None
    github: Sequence[str] | None = None


def on_registry(family: Family, registry: Registry, *, stop: StopFlag) -> dict[str, str]:
    """Return what the registry has of each package, in words, by name.

    Raises:
        RegistryError: it refuses or cannot be understood; likewise DeadlineError.
    """
    names = [package.name for package in family.packages]
    read = gather([partial(registry.fresh, name) for name in names], stop=stop)
    return {one.name: _has(one.version, packument) for one, packument in zip(family.packages, read, strict=True)}


def _has(version: str, packument: Packument | None) -> str:
    if packument is None or not (packument.versions or packument.burnt):
        return "new name"
    if version in packument.versions:
        tags = ", ".join(packument.tags_of(version))
        return f"has {version}" + (f" ({plain(tags, longest=LONGEST_TAGS)})" if tags else "")
    if version in packument.burnt:
        return f"{version} was unpublished and cannot be used again"
    latest = packument.dist_tags.get("latest")
    return f"latest is {plain(latest, longest=LONGEST_TAGS)}" if latest else "other versions"


def on_github(family: Family, github: GitHub, repository: str) -> list[str]:
    """Return what GitHub has of the release, a line each.

    Raises:
        GitHubError: it refuses or does not answer; likewise DeadlineError.
    """
    if family.tag is None:
        return [f"GitHub: {repository} gets no tag and no release"]
    commit, found = github.tags.commit(family.tag), github.releases.of(family.tag)
    lines = [f"GitHub: {repository} has {f'the tag {family.tag} on {commit}' if commit else f'no tag {family.tag}'}"]
    lines += [
        f"GitHub: {'a draft' if one.draft else 'the release'} {one.url} has {len(one.assets)} assets" for one in found
    ]
    return lines if found else [*lines, "GitHub: no release of it can be seen (a draft needs a token that can write)"]


def plan(family: Family, *, root: Path, repository_url: str, there: There | None = None) -> str:
    """Return a table of the family's packages and the source of their files.

    Args:
        there: what the registry and GitHub have, if that was asked.

    Raises:
        ConfigError: a template is wrong.
    """
    manifests = render_all(family.packages, root=root, repository=repository_url, top=Path.cwd())
    platforms, variants = len(family.config.platforms), len(family.config.variants)
    counted = f"{platforms} platforms, {variants} variant{'' if variants == 1 else 's'}"
    tag = f"tag {family.tag}" if family.tag else "no tag and no release"
    packages = there.packages if there else None
    headers = ("package", "kind", "os", "cpu", "libc", "artifact", *(["on the registry"] if packages else []))
    rows = [(*_row(one, family), *([packages[one.name]] if packages else [])) for one in family.packages]
    lines = [
        f"{family.config.family} {family.version}: {len(family.packages)} packages ({counted})",
        f"{tag}, dist-tag {family.config.publish.dist_tag or family.default_dist_tag}",
        SIGN_IN,
        "",
        tabulate(rows, headers, disable_numparse=True),
    ]
    if there and there.github:
        lines += ["", *there.github]
    if told := [
        *_own_versions(family),
        *_placed(family.packages),
        *binaries_told(family.packages),
        *_floors(family.config.platforms),
        *unpinned_told(family.packages),
    ]:
        lines += ["", *told]
    if doubts := meta_doubts(family.packages, manifests, root=root):
        lines += ["", *(f"Warning: {doubt}." for doubt in doubts)]
    return "\n".join(lines)


def _own_versions(family: Family) -> list[str]:
    """Return a line for each package with another version than the family's."""
    return [
        f"{package.name}: has the version {package.version}"
        for package in family.packages
        if package.version != family.version
    ]


def _floors(platforms: Iterable[Platform]) -> list[str]:
    """Return a line for each platform with declared floors; what binaries need is known once they are built."""
    return [
        f"{platform.name}: binaries may need {', '.join(declared)}, and nothing newer"
        for platform in platforms
        if (declared := [f"{FLOORS.get(key, key)} {version}" for key, version in _declared(platform).items()])
    ] + [
        f"{platform.name}: users must have {', '.join(platform.libraries)}"
        for platform in platforms
        if platform.libraries
    ]


def _declared(platform: Platform) -> dict[str, str]:
    floors = {"glibc": platform.glibc, "glibcxx": platform.glibcxx, "macos": platform.macos}
    return {key: version for key, version in floors.items() if version}


def _placed(packages: Iterable[Package]) -> list[str]:
    """Return a line for each choice of files that get another path in their package."""
    return [
        f"{package.name}: {choice.source} → {choice.to}"
        for package in packages
        for choice in package.files
        if isinstance(choice, Placed)
    ]


def plan_json(family: Family, *, root: Path, repository_url: str, there: There | None = None) -> str:
    """Return the same as JSON: names, artifacts and complete manifests."""
    manifests = render_all(family.packages, root=root, repository=repository_url, top=Path.cwd())
    document = {
        "family": family.config.family,
        "version": family.version,
        "tag": family.tag,
        "dist-tag": family.config.publish.dist_tag or family.default_dist_tag,
        "warnings": [
            *(str(warning) for warning in family.config.warnings),
            *meta_doubts(family.packages, manifests, root=root),
        ],
        "platforms": [platform.name for platform in family.config.platforms],
        "packages": [
            _entry(one, manifests[one.name])
            | ({"on-registry": there.packages[one.name]} if there and there.packages else {})
            for one in family.packages
        ],
        **({"on-github": list(there.github)} if there and there.github else {}),
    }
    return json.dumps(document, indent=2)


def _row(package: Package, family: Family) -> tuple[str, ...]:
    platform = package.platform if package.kind == "platform" else None
    cpu = platform.cpu if platform and not platform.wasm else ()
    words = (platform.os, cpu, platform.libc) if platform else ((), (), ())
    return (package.name, package.kind, *(" ".join(word) for word in words), _source(package, family))


def _source(package: Package, family: Family) -> str:
    """Return where a package's files come from: the artifact, and its part of it."""
    ci = family.config.ci
    archive = package.archive.pattern if package.archive and package.archive.pattern != ci.archive else None
    return " / ".join(filter(None, (package.artifact, archive, package.root)))


def _entry(package: Package, manifest: Manifest) -> dict[str, object]:
    platform = package.platform if package.kind == "platform" else None
    return {
        "name": package.name,
        "version": package.version,
        "kind": package.kind,
        "artifact": package.artifact,
        "archive": package.archive.pattern if package.archive else None,
        "root": package.root,
        "files": [{"from": one.source, "to": one.to} if isinstance(one, Placed) else one for one in package.files],
        "manifest": manifest,
        **({"binaries": platform.binaries, "pin": platform.pin} if platform else {}),
        **({"floors": _declared(platform), "libraries": platform.libraries} if platform else {}),
    }
