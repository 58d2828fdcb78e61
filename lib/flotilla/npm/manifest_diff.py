"""Two manifests of one package, ours and the registry's, where npm changed ours on the way. Pure.

npm publishes a tarball with a manifest of its own making (npm: @npmcli/package-json, lib/normalize.js, the steps of
`prepare`): what it adds there or writes in another way is no difference.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping, Sequence

Manifest = Mapping[str, object]

# What npm installs by, and neither rewrites beyond what is known here nor leaves to the registry.
COMPARED = (
    *("type", "main", "module", "types", "typings", "exports", "os", "cpu", "libc", "license", "engines"),
    *("dependencies", "optionalDependencies", "peerDependencies", "peerDependenciesMeta", "bin"),
)
MOST_NAMED = 5
_GITHUB = re.compile(r"(?:(?:ssh|https?|git)://(?:git@)?github\.com/|git@github\.com:|github:)?(?=[^/:@\s]+/[^/]+$)")


def manifest_differences(ours: Manifest, theirs: Manifest) -> list[str]:
    """How the registry's manifest says something else than ours, in words, a field each; empty for ours.

    Args:
        ours: package.json of the tarball.
        theirs: as the registry has it; anybody may have written it.
    """
    here, there = _fields(ours), _fields(_without_additions(ours, theirs))
    return [_difference(key, here[key], there[key]) for key in COMPARED if here[key] != there[key]]


def _without_additions(ours: Manifest, theirs: Manifest) -> Manifest:
    """Theirs without what npm adds to a manifest that is silent: types beside main, bin for a folder of commands."""
    added = set()
    if not ours.keys() & {"types", "typings"} and theirs.get("types") == _types_beside(ours.get("main") or "index.js"):
        added.add("types")
    if not ours.get("bin") and _lies_in(theirs.get("bin"), ours.get("directories")):
        added.add("bin")
    return {key: value for key, value in theirs.items() if key not in added}


def _types_beside(main: object) -> str:
    stem = posixpath.splitext(str(main))[0]
    return f"./{posixpath.normpath(stem)}.d.ts"


def _lies_in(bin_: object, directories: object) -> bool:
    """Whether all commands are files of directories.bin, under their own names."""
    match bin_, directories:
        case {**commands}, {"bin": str(folder)}:
            below = f"{_inside(folder)}/"
            files = {name: str(file) for name, file in commands.items()}
            return all(file.startswith(below) and posixpath.basename(file) == name for name, file in files.items())
    return False


def _fields(manifest: Manifest) -> dict[str, object]:
    return {key: _plain(_field(manifest, key)) for key in COMPARED}


def _field(manifest: Manifest, key: str) -> object:
    value = manifest.get(key)
    if key == "dependencies" and isinstance(value, Mapping):
        # npm has listed optional dependencies among the dependencies too.
        optional = manifest.get("optionalDependencies")
        left_out = optional if isinstance(optional, Mapping) else {}
        return {name: _git(spec) for name, spec in value.items() if name not in left_out}
    return _bin(value, manifest) if key == "bin" else value


def _git(spec: object) -> object:
    """A dependency from git in one of the forms that npm takes for the same (hosted-git-info)."""
    if not isinstance(spec, str):
        return spec
    return _GITHUB.sub("github:", re.sub(r"\.git(?=#|$)", "", spec.removeprefix("git+")), count=1)


def _bin(value: object, manifest: Manifest) -> object:
    """Commands and their files as npm writes them (normalizePackageBin); one alone has the package's name."""
    match value:
        case str():
            value = {str(manifest.get("name", "")): value}
        case list():
            value = {posixpath.basename(str(file)): file for file in value}
    if not isinstance(value, Mapping):
        return None
    return {str(name).rpartition("/")[2]: _inside(file) for name, file in value.items() if isinstance(file, str)}


def _inside(path: str) -> str:
    return posixpath.join("/", posixpath.normpath(path)).lstrip("/")


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()} or None
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(each) for each in value] or None
    return value


def _difference(key: str, ours: object, theirs: object) -> str:
    if isinstance(theirs, dict) and isinstance(ours, dict):
        names = sorted(name for name in theirs.keys() | ours.keys() if theirs.get(name) != ours.get(name))
        return f"{key} ({', '.join(names[:MOST_NAMED])}{' …' if names[MOST_NAMED:] else ''})"
    return f"{key} is {theirs!r} there, {ours!r} here"
