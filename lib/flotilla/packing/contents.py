"""What a package holds, file by file: read from any tarball, and compared."""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from flotilla.errors import ArchiveError
from flotilla.family import Limits
from flotilla.packing.budget import Budget
from flotilla.packing.extraction import EXECUTABLE, PLAIN, open_members
from flotilla.text import printable

LIBRARY = re.compile(r"\.so(\.\d+)*$|\.dylib$")


@dataclass(frozen=True, kw_only=True)
class FileEntry:
    """One file of a package.

    Args:
        mode: 0o755 where somebody may run it, 0o644 otherwise: the rest of a mode is the umask of who packed it.
        size: bytes.
        sha256: of the content, in hex.
    """

    mode: int
    size: int
    sha256: str


Contents = Mapping[str, FileEntry]
"""The files of a package by their paths below package/."""


def differences(ours: Contents, theirs: Contents) -> tuple[str, ...]:
    """How the files differ, a line each in plain words, sorted by path; empty where all are the same.

    Args:
        ours: what is here.
        theirs: what is there, on the registry.
    """
    return tuple(_differences(ours, theirs))


def _differences(ours: Contents, theirs: Contents) -> Iterator[str]:
    for path in sorted({*ours, *theirs}):
        here, there = ours.get(path), theirs.get(path)
        if here is None or there is None:
            yield f"{printable(path)}: {'only here' if there is None else 'only there'}"
        elif (how := _difference(here, there)) is not None:
            yield f"{printable(path)}: {how}"


def _difference(here: FileEntry, there: FileEntry) -> str | None:
    if here.size != there.size:
        return f"{here.size} bytes here, {there.size} there"
    if here.sha256 != there.sha256:
        digests = f"sha256 {here.sha256[:12]}… here, {there.sha256[:12]}… there"
        return f"{here.size} bytes in both, but other content ({digests})"
    if here.mode != there.mode:
        return f"mode {here.mode:o} here, {there.mode:o} there"
    return None


def library_copies(contents: Contents) -> tuple[str, ...]:
    """Return a line for each shared library that a package holds several times, with what that costs.

    A build makes links of libacme.so to libacme.so.1; npm packs no links, so each of them becomes a whole file.
    """
    alike: dict[str, list[str]] = defaultdict(list)
    for path in sorted(contents):
        if LIBRARY.search(path) and contents[path].size:
            alike[contents[path].sha256].append(path)
    return tuple(
        f"{', '.join(map(printable, paths))} are full copies of one library, which costs "
        f"{contents[paths[0]].size * (len(paths) - 1)} bytes unpacked: npm packs no links; pack the one that is loaded"
        for paths in alike.values()
        if len(paths) > 1
    )


def read_contents(tarball: Path, *, limits: Limits) -> Contents:
    """What an npm tarball holds, as npm would install it: links dropped, the first folder of each path too.

    Args:
        tarball: the file; anybody may have made it.
        limits: bytes, files and ratio at the most.

    Raises:
        ArchiveError: it is damaged, too large, or no tarball.
    """
    try:
        with tarball.open("rb") as source:
            return dict(_entries(source, Budget(tarball.stat().st_size, limits)))
    except ArchiveError as error:
        raise ArchiveError(
            [f"{printable(tarball.name)}: {fault}" for fault in error.faults], advice=error.advice
        ) from error


def _entries(source: BinaryIO, budget: Budget) -> Iterator[tuple[str, FileEntry]]:
    for member in open_members(source, budget, into=None):
        budget.enter()
        _, _, path = member.name.partition("/")
        if member.kind != "file" or not path:
            continue
        digest, size = hashlib.sha256(), 0
        for part in member.content():
            budget.write(len(part))
            digest.update(part)
            size += len(part)
        yield path, FileEntry(mode=EXECUTABLE if member.executable else PLAIN, size=size, sha256=digest.hexdigest())
