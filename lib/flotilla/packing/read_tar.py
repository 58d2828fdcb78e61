"""Read the members of a tar archive, plain or compressed, one after another in constant memory.

A published tarball is accepted only if npm's reader understands each member as Python's does. They differ on headers
that nobody writes by accident; such a tarball could be compared by one content and installed with another. Source:
node-tar's header.js and pax.js, Python's tarfile.py.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

if sys.version_info >= (3, 14):
    import tarfile
else:
    from backports.zstd import tarfile  # the 3.14 one: Debian 12's Python 3.11.2 has no data filter

from flotilla.errors import ArchiveError
from flotilla.packing.paths import safe_parts
from flotilla.packing.streams import CHUNK, DAMAGED, Budget, Inflated, Kind, Member, no_content
from flotilla.text import printable, quoted

SPARSE_PARTS = 1 << 16  # runs of data in one sparse file
SPECIAL = {
    tarfile.CHRTYPE: "a character device",
    tarfile.BLKTYPE: "a block device",
    tarfile.FIFOTYPE: "a fifo",
}
BLOCK = tarfile.BLOCKSIZE
NAME, SIZE, TYPE, MAGIC, PREFIX = slice(0, 100), slice(124, 136), slice(156, 157), slice(257, 265), slice(345, 500)
NUMBER = re.compile(rb" *[0-7]+[ \0]*")
USTAR = b"ustar\x0000"
ENDS_SHORT_PREFIX = 475 - 345  # a prefix with something there has 155 bytes for node-tar, any other 130
PAX_KEYS = {
    *("path", "linkpath", "size", "mtime", "atime", "ctime", "uid", "gid", "uname", "gname", "comment", "charset"),
    *("SCHILY.dev", "SCHILY.ino", "SCHILY.nlink"),
}


def tar_members(source: BinaryIO, compression: str | None, budget: Budget, *, into: Path | None) -> Iterator[Member]:
    """Return the members in order; only tarfile's own `data` filter has checked names and links.

    Args:
        source: the archive's file, at its start.
        compression: a key of INFLATERS; None if it is not compressed.
        budget: counts all bytes that come out.
        into: the folder that the filter guards; None if nothing is written (names are not checked then).

    Raises:
        ArchiveError: it is not a tar, damaged, truncated, has data after its end, or contains a device.
    """
    inflated = Inflated(source, compression, budget)
    archive = _open(inflated)
    while (info := _next(archive, inflated)) is not None:
        if into is not None:
            _filter(info, into)
        elif not read_alike(info, bytes(inflated.headers)):
            raise ArchiveError(
                f"the member {quoted(info.name)} has headers that npm may read differently.",
                advice="Find out who published this, and with which tool; release under a new version number.",
            )
        inflated.headers.clear()
        yield _member(archive, info, inflated)
    if len(inflated.last_block) < tarfile.BLOCKSIZE or any(inflated.last_block):
        raise ArchiveError(
            "it has no end-of-archive mark: a header is damaged, or the archive is truncated.", advice=DAMAGED
        )
    inflated.expect_data()
    inflated.finish()


def looks_like_tar(head: bytes) -> bool:
    """Return whether a file that starts like this is a plain tar archive."""
    try:
        tarfile.TarInfo.frombuf(head[: tarfile.BLOCKSIZE], "utf-8", "surrogateescape")
    except (tarfile.HeaderError, ValueError):
        return False
    return True


def _open(inflated: Inflated) -> tarfile.TarFile:
    try:
        return tarfile.TarFile(fileobj=inflated, mode="r", encoding="utf-8", stream=True)  # type: ignore[arg-type]
    except ArchiveError:
        raise
    except Exception as error:  # whatever the parser stumbles over, the archive is at fault
        raise ArchiveError(f"it is not a tar archive ({printable(str(error))}).", advice=DAMAGED) from error


def _next(archive: tarfile.TarFile, inflated: Inflated) -> tarfile.TarInfo | None:
    inflated.expect_headers()
    archive.pax_headers = {}  # global ones add up for ever otherwise, and none means anything to us
    try:
        info = archive.next()
    except ArchiveError:
        raise
    except Exception as error:  # a header can cause any: ValueError, RecursionError, OverflowError
        raise ArchiveError(f"one of its headers is damaged ({printable(str(error))}).", advice=DAMAGED) from error
    inflated.expect_data()
    return info


def _filter(info: tarfile.TarInfo, into: Path) -> None:
    safe_parts(info.name)  # our words first: the filter repairs some names in silence
    if info.type in SPECIAL:
        raise _special(info)
    try:
        tarfile.data_filter(info, str(into))
    except (tarfile.FilterError, OSError, ValueError) as error:
        what = f"the member {quoted(info.name)} is refused by Python's tar filter ({type(error).__name__})."
        if isinstance(error, tarfile.LinkOutsideDestinationError | tarfile.AbsoluteLinkError):
            what = f"the link {quoted(info.name)} points to {quoted(info.linkname)}, outside the archive."
        raise ArchiveError(what, advice="Pack plain files, and links that stay inside the archive.") from error


def _member(archive: tarfile.TarFile, info: tarfile.TarInfo, inflated: Inflated) -> Member:
    def content() -> Iterator[bytes]:
        return _content(archive, info, inflated)

    kind = _kind(info)
    return Member(
        name=info.name,
        kind=kind,
        executable=bool(info.mode & 0o100),
        target=info.linkname,
        content=content if kind == "file" else no_content,
    )


def _kind(info: tarfile.TarInfo) -> Kind:
    if info.isreg():
        return "file"
    if info.isdir():
        return "folder"
    if info.issym():
        return "symlink"
    if info.islnk():
        return "hardlink"
    raise _special(info)


def _special(info: tarfile.TarInfo) -> ArchiveError:
    what = SPECIAL.get(info.type, "neither a file, a folder nor a link")
    return ArchiveError(f"the member {quoted(info.name)} is {what}.", advice="Pack plain files only.")


def _content(archive: tarfile.TarFile, info: tarfile.TarInfo, inflated: Inflated) -> Iterator[bytes]:
    if info.sparse is not None:
        _check_sparse_map(info)
    file = archive.extractfile(info)
    assert file is not None  # noqa: S101 - only a regular file gets here
    left = info.size
    while left:
        try:
            part = file.read(min(left, CHUNK))
        except ArchiveError:
            raise
        except Exception as error:  # a stream that ends, a sparse map that contradicts itself
            raise _cut(info) from error
        if not part:
            raise _cut(info)
        left -= len(part)
        yield part
    inflated.expect_data()


def _cut(info: tarfile.TarInfo) -> ArchiveError:
    return ArchiveError(f"it is truncated: it ends in the middle of {quoted(info.name)}.", advice=DAMAGED)


def _check_sparse_map(info: tarfile.TarInfo) -> None:
    """Refuse an impossible map, which tarfile would search forever.

    A header has room for four runs; tarfile also returns the unused ones, in any order.
    """
    given: list[tuple[int, int]] = list(info.sparse or [])  # type: ignore[arg-type] # typeshed says bytes
    runs = [run for run in given if run != (0, 0)]
    info.sparse = runs  # type: ignore[assignment]
    end = 0
    for offset, size in runs:
        if offset < end or size < 0:
            break
        end = offset + size
    else:
        if end <= info.size and len(runs) <= SPARSE_PARTS:
            return
    raise ArchiveError(f"the sparse file {quoted(info.name)} has an impossible map.", advice=DAMAGED)


def read_alike(info: tarfile.TarInfo, headers: bytes) -> bool:
    """Return whether npm's reader and Python's see the same member.

    Args:
        info: the member as Python's reader sees it.
        headers: the bytes that it read for the member, extended headers first.
    """
    own, extended = headers[-BLOCK:], headers[:-BLOCK]
    if info.sparse is not None or (info.size and not info.isreg()) or not _plain_numbers_and_names(own):
        return False
    if not extended:
        return _prefix_alike(own[PREFIX], own[MAGIC])
    return not any(own[PREFIX]) and _extension_alike(info, extended)


def _plain_numbers_and_names(header: bytes) -> bool:
    names = (header[NAME].rstrip(b"\0"), header[PREFIX].rstrip(b"\0"))
    return NUMBER.fullmatch(header[SIZE]) is not None and all(b"\0" not in name for name in names)


def _prefix_alike(prefix: bytes, magic: bytes) -> bool:
    whole = bool(prefix[ENDS_SHORT_PREFIX]) or not any(prefix[ENDS_SHORT_PREFIX:])
    return not any(prefix) or (magic == USTAR and whole)


def _extension_alike(info: tarfile.TarInfo, extended: bytes) -> bool:
    """Return whether there is exactly one extended header (a long name or pax), written in the usual way."""
    if not NUMBER.fullmatch(extended[SIZE]):
        return False
    size = int(extended[SIZE].strip(b" \0"), 8)
    if len(extended) != BLOCK + size + -size % BLOCK:
        return False
    if extended[TYPE] == tarfile.GNUTYPE_LONGNAME:
        return True
    known = info.pax_headers.keys() <= PAX_KEYS and not any("\n" in value for value in info.pax_headers.values())
    return extended[TYPE] == tarfile.XHDTYPE and known and _records(info) == extended[BLOCK : BLOCK + size]


def _records(info: tarfile.TarInfo) -> bytes:
    return b"".join(
        _record(f"{key}={value}\n".encode(errors="surrogateescape")) for key, value in info.pax_headers.items()
    )


def _record(text: bytes) -> bytes:
    """Return a pax record; its length includes the length's own digits."""
    length = len(text) + 2
    while len(str(length)) + 1 + len(text) != length:
        length = len(str(length)) + 1 + len(text)
    return b"%d %s" % (length, text)
