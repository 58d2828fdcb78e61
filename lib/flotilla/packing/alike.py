"""Whether npm's reader of tarballs takes a member for what Python's takes it for.

They part ways on headers that nobody writes by accident: then a published tarball would be compared by one content, and
installed with another. Source: node-tar's header.js and pax.js, Python's tarfile.py.
"""

from __future__ import annotations

import re
import sys

if sys.version_info >= (3, 14):
    import tarfile
else:
    from backports.zstd import tarfile

BLOCK = tarfile.BLOCKSIZE
NAME, SIZE, TYPE, MAGIC, PREFIX = slice(0, 100), slice(124, 136), slice(156, 157), slice(257, 265), slice(345, 500)
NUMBER = re.compile(rb" *[0-7]+[ \0]*")
USTAR = b"ustar\x0000"
ENDS_SHORT_PREFIX = 475 - 345  # a prefix with something there has 155 bytes for node-tar, any other 130

PAX_KEYS = {
    *("path", "linkpath", "size", "mtime", "atime", "ctime", "uid", "gid", "uname", "gname", "comment", "charset"),
    *("SCHILY.dev", "SCHILY.ino", "SCHILY.nlink"),
}


def read_alike(info: tarfile.TarInfo, headers: bytes) -> bool:
    """Whether both readers see the same member.

    Args:
        info: as Python's reader took it.
        headers: the bytes that it read for it, extended headers first.
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
    """One extended header, a long name or a pax one, written as all write it."""
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
    """A pax record; the length before it counts itself."""
    length = len(text) + 2
    while len(str(length)) + 1 + len(text) != length:
        length = len(str(length)) + 1 + len(text)
    return b"%d %s" % (length, text)
