"""Tells binaries from everything else, and what each is for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, TypeVar, cast

import arpy  # type: ignore[import-untyped] # it carries no types

from flotilla.packing import elf, macho, windows
from flotilla.packing.binary import Binary
from flotilla.packing.names import printable
from flotilla.packing.window import UnreadableError, Window

ARCHIVE = b"!<arch>\n"
THIN_ARCHIVE = b"!<thin>\n"
OBJECT_SUFFIXES = frozenset({".o", ".obj"})  # COFF has no magic: a file of its own is only looked at with these

UNREADABLE = "cannot be read as"

T = TypeVar("T")
Reader = Callable[[Window, str | None], Binary | None]


def identify(path: Path) -> tuple[Binary, ...]:
    """What a file's binaries are for: one for a binary, one an object for a static library, () for anything else.

    Args:
        path: a regular file; anybody may have made it.

    Raises:
        UnreadableError: it begins like a binary and goes on otherwise; the text names no file.
    """
    with path.open("rb") as file:
        window = Window.whole(file)
        coff = path.suffix.lower() in OBJECT_SUFFIXES
        return tuple(_identify(window, coff=coff))


def _identify(window: Window, *, coff: bool) -> Iterator[Binary]:
    if window.head(4) in macho.UNIVERSAL:
        yield from _attempt("a universal Mach-O", lambda: list(_universal(window)))
    else:
        yield from _thin(window, coff=coff)


def _thin(window: Window, *, coff: bool) -> Iterator[Binary]:
    magic = window.head(len(ARCHIVE))
    if magic == THIN_ARCHIVE:
        raise UnreadableError("it is a thin archive, which names its objects and does not hold them")
    if magic == ARCHIVE:
        yield from _attempt("an ar archive", lambda: list(_objects(window)))
    else:
        yield from _single(window, None, coff=coff)


def _single(window: Window, member: str | None, *, coff: bool) -> Iterator[Binary]:
    what, reader = _reader(window.head(4), coff=coff)
    if reader is not None and (found := _attempt(what, partial(reader, window, member))) is not None:
        yield found


def _reader(head: bytes, *, coff: bool) -> tuple[str, Reader | None]:
    if head == elf.MAGIC:
        return "ELF", elf.read_elf
    if head in macho.MAGICS:
        return "Mach-O", macho.read_macho
    if head.startswith(windows.MAGIC):
        return "PE", windows.read_pe
    return ("COFF", windows.read_coff) if coff else ("", None)


def _objects(window: Window) -> Iterator[Binary]:
    window.seek(0)
    for data in arpy.Archive(fileobj=cast("Any", window)):
        header = data.header
        member = printable(header.name.rstrip(b"\0").decode(errors="replace"))
        yield from _single(window.part(header.file_offset, header.size), member, coff=True)


def _universal(window: Window) -> Iterator[Binary]:
    """One binary that stands for all parts of the file."""
    parts = macho.slices(window)
    held = [(part, list(_thin(part.window, coff=False))) for part in parts]
    if not all(binaries for _, binaries in held):
        raise UnreadableError("a part of it holds no binary")
    found = [(part, binary) for part, binaries in held for binary in binaries]
    if any(binary.cpus != (part.cpu,) for part, binary in found):
        raise UnreadableError("a part of it is for another cpu than the file says")
    if found:
        yield Binary(
            format="Mach-O",
            os=next((binary.os for _, binary in found if binary.os != "darwin"), "darwin"),
            cpus=tuple(part.cpu for part in parts),
            executable=all(binary.executable for _, binary in found),
        )


def _attempt(what: str, read: Callable[[], T]) -> T:
    try:
        return read()
    except UnreadableError as error:
        text = str(error)
        raise error if text.startswith(UNREADABLE) else UnreadableError(f"{UNREADABLE} {what}: {text}") from error
    except Exception as error:  # the formats' libraries raise whatever a damaged file leads them to
        reason = printable(str(error)) or type(error).__name__
        raise UnreadableError(f"{UNREADABLE} {what} ({reason})") from error
