"""Choose which files go into a package, and where: the artifact's, and the template's as npm pack takes them."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

from flotilla.family.model import FileChoice, Placed
from flotilla.packing.packlist import IGNORE_FILES, MANIFEST, left_out, packed_files
from flotilla.packing.paths import entries_below, files_below, matching
from flotilla.text import printable, quoted

# Folders in the root of a repository that are never packed.
NEVER = (".git", "node_modules")
MOST_NAMES = 10  # of files in one message


def template_files(template: Path | None, manifest: Mapping[str, object]) -> tuple[dict[str, Path], list[str]]:
    """Return the files that npm would pack of a template's folder, except its manifest, and what is wrong with others.

    A folder of templates holds nothing that is there by chance, so what npm would drop by its name is told.
    """
    listed, faults = listed_files(template, "the template's ")
    texts = _ignore_files(files_below(template)[0] if template else {})
    unlisted = {MANIFEST, *unlisted_files(listed, manifest, texts)}
    return {path: file for path, file in listed.items() if path not in unlisted}, faults


def root_files(
    root: Path, manifest: Mapping[str, object], *, beside: Collection[Path]
) -> tuple[dict[str, Path], list[str]]:
    """Return the files that npm would pack of a repository's root, except its manifest, and a notice of links.

    Args:
        manifest: the rendered package.json, whose `files` counts.
        beside: folders that lie in the root and are not of the repository.
    """
    files, others = entries_below(root, without={*beside, *(root / name for name in NEVER)})
    packed = packed_files({*files, *others}, manifest, ignore_files=_ignore_files(files)) - {MANIFEST}
    links = [printable(path) for path in sorted(packed & others.keys())]
    more = f" and {len(links) - MOST_NAMES} more" if links[MOST_NAMES:] else ""
    told = [f"left out, as npm pack does, since these are links: {', '.join(links[:MOST_NAMES])}{more}"]
    return {path: file for path, file in files.items() if path in packed}, told if links else []


def unlisted_files(
    paths: Iterable[str], manifest: Mapping[str, object], ignore_files: Mapping[str, str]
) -> frozenset[str]:
    """Return the paths that npm drops for the manifest's `files` or an ignore file, and takes without them."""
    if "files" not in manifest and not ignore_files:
        return frozenset()
    files = {*paths, MANIFEST}
    unfiltered = {key: value for key, value in manifest.items() if key != "files"}
    return packed_files(files, unfiltered) - packed_files(files, manifest, ignore_files=ignore_files)


def listed_files(root: Path | None, whose: str) -> tuple[dict[str, Path], list[str]]:
    """Return the regular files below a folder that npm packs at all, and a fault for each link or special file."""
    if root is None:
        return {}, []
    if not root.is_dir():
        return {}, [f"{whose}folder {printable(root.name)} does not exist"]
    files, faults = files_below(root)
    return {path: file for path, file in files.items() if not left_out(path)}, [f"{whose}{fault}" for fault in faults]


def _ignore_files(files: Mapping[str, Path]) -> dict[str, str]:
    """Return the texts of the ignore files among some files, by their paths."""
    return {
        path: file.read_text(encoding="utf-8", errors="replace")
        for path, file in files.items()
        if file.name in IGNORE_FILES
    }


SIGN = re.compile(r"[][*?{}!\\|]")


def taken_files(files: Mapping[str, Path], choices: Sequence[FileChoice]) -> tuple[dict[str, Path], list[str]]:
    """Return the chosen files by their paths in the package, and what is wrong with the choices.

    Args:
        files: the artifact's files by their paths.
        choices: what flotilla.yml chooses; if empty, every file.
    """
    if not choices:
        return dict(files), []
    taken: dict[str, Path] = {}
    faults: list[str] = []
    for choice in choices:
        targets, wrong = _targets(files, choice)
        faults += wrong
        for target, source in targets.items():
            if taken.setdefault(target, files[source]) != files[source]:
                faults.append(f"`files` would put two files at {printable(target)}, one of them {printable(source)}")
    return dict(sorted(taken.items())), faults


def _targets(files: Mapping[str, Path], choice: FileChoice) -> tuple[dict[str, str], list[str]]:
    """Return the source of each file that one choice selects, by its path in the package."""
    pattern = choice.source if isinstance(choice, Placed) else choice
    found = sorted(matching(files, pattern))
    if not found:
        return {}, [f"`files` names {quoted(pattern)}, but nothing in the artifact matches it; {_held(files, pattern)}"]
    if isinstance(choice, str):
        return {path: path for path in found}, []
    if not choice.to.endswith("/"):
        if found[1:]:
            names = ", ".join(map(printable, found[:MOST_NAMES])) + (", …" if found[MOST_NAMES:] else "")
            return {}, [
                f"`files` would put {len(found)} files at {printable(choice.to)}: {names}; end `to` with / for a folder"
            ]
        targets = {posixpath.normpath(choice.to): found[0]}
    else:
        below = _folder(pattern, found)
        targets = {posixpath.normpath(choice.to + path.removeprefix(below)): path for path in found}
    faults = [fault for target in targets if (fault := _fault(target))]
    return ({}, faults) if faults else (targets, [])


def _held(files: Mapping[str, Path], pattern: str) -> str:
    """Return in words which files the artifact has: those with the pattern's last part as their name, or else all."""
    name = posixpath.basename(posixpath.normpath(pattern))
    alike = [path for path in sorted(files) if matching([posixpath.basename(path)], name)]
    names = sorted(files) if name in {"*", "**"} else alike or sorted(files)
    shown = ", ".join(map(printable, names[:MOST_NAMES])) or "no file"
    return f"it has {shown}{', …' if names[MOST_NAMES:] else ''}"


def _folder(pattern: str, found: Sequence[str]) -> str:
    """Return the leading folders of a pattern that have no wildcards; files keep their paths below them."""
    bare = posixpath.normpath(pattern)
    if bare not in found and not SIGN.search(bare):
        return f"{bare}/"
    folders: list[str] = []
    for part in bare.split("/")[:-1]:
        if bare not in found and SIGN.search(part):
            break
        folders.append(f"{part}/")
    return "".join(folders)


def _fault(target: str) -> str | None:
    if target == "." or target.split("/", maxsplit=1)[0] == ".." or target.startswith("/"):
        return f"`files` would put a file at {printable(target)}, which is not a path inside the package"
    return f"`files` would put a file at {printable(target)}, which npm never packs" if left_out(target) else None
