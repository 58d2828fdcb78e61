"""Choose which files of an artifact go into a package, and where."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from flotilla.family import FileChoice, Placed
from flotilla.packing.packlist import left_out
from flotilla.packing.paths import matching
from flotilla.text import printable, quoted

SIGN = re.compile(r"[][*?{}!\\|]")
MOST_NAMES = 10  # of files in one message


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
