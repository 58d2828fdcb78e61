"""Check the .sha256 files that CI put beside its files."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path

from flotilla.packing.paths import files_below
from flotilla.text import printable

SUFFIX = ".sha256"
LONGEST = 1 << 20  # bytes of such a file
LINE = re.compile(r"\\?(?P<hash>[0-9a-fA-F]{64})(?: [ *](?P<name>.+))?")


def sidecar_faults(folder: Path) -> list[str]:
    """Return what is wrong with the .sha256 files below a folder, a line each, sorted; empty if nothing is.

    Each file holds one hash, for the file beside it, or sha256sum's lines of hash and name. Only the last part of a
    name counts, because CI may have run sha256sum in another folder.

    Args:
        folder: where to look.
    """
    files, _ = files_below(folder)
    sidecars = [path for path in files if path.endswith(SUFFIX)]
    return [f"{printable(path)} {fault}" for path in sidecars for fault in _faults(files[path])]


def _faults(sidecar: Path) -> Iterator[str]:
    for line in _lines(sidecar):
        match = LINE.fullmatch(line)
        if match is None:
            yield "is not in sha256sum's format"
            return
        yield from _line_faults(sidecar, match["hash"].lower(), match["name"])


def _lines(sidecar: Path) -> list[str]:
    with sidecar.open("rb") as file:
        text = file.read(LONGEST).decode(errors="replace")
    return [line.strip() for line in text.splitlines() if line.strip()] or [""]


def _line_faults(sidecar: Path, expected: str, name: str | None) -> Iterator[str]:
    wanted = name.replace("\\", "/").rpartition("/")[2] if name else sidecar.name.removesuffix(SUFFIX)
    target = sidecar.with_name(wanted) if wanted not in ("", ".", "..") else None
    if target is None or target.is_symlink() or not target.is_file():
        yield f"names {printable(wanted)}, but there is no such file beside it"
        return
    with target.open("rb") as file:
        actual = hashlib.file_digest(file, "sha256").hexdigest()
    if actual != expected:
        yield f"expects the sha256 {expected[:12]}… for {printable(wanted)}, which has {actual[:12]}…"
