"""Read the members of a zip archive, one after another in constant memory, as strictly as zips should be written."""

from __future__ import annotations

import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from itertools import pairwise
from typing import BinaryIO

from flotilla.errors import ArchiveError
from flotilla.packing.paths import LONGEST_PATH
from flotilla.packing.streams import CHUNK, DAMAGED, Budget, Kind, Member, no_content
from flotilla.text import printable, quoted

LOCAL_HEADER = struct.Struct("<4s5H3L2H")
LOCAL_MAGIC = b"PK\x03\x04"
END_MAGIC = b"PK\x05\x06"
END_SIZE = 22
ENCRYPTED = 0x1 | 0x40 | 0x2000  # ordinary, strong, and encrypted directory (APPNOTE 4.4.4)
STREAMED = 0x8  # sizes and checksum stand behind the data
DESCRIPTORS = frozenset({0, 12, 16, 20, 24})  # bytes that such a data descriptor may have
UTF8 = 0x800  # the name is in UTF-8
UNICODE_PATH = 0x7075  # the extra field with the name in UTF-8 (APPNOTE 4.6.9), as Info-ZIP writes it
IN_ZIP64 = 0xFFFFFFFF  # the field is in the zip64 extra
RARE_METHODS = {9: "deflate64", 12: "bzip2", 14: "LZMA", 93: "zstd", 95: "xz", 99: "AES"}
METHODS = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})

REPACK = "Pack it with an ordinary zip tool (zip -r, or actions/upload-artifact), or as a tar.gz."


def zip_members(source: BinaryIO, budget: Budget) -> Iterator[Member]:
    """Return the members in the order of the zip's directory; their paths and links are not checked here.

    Args:
        source: the archive's file; it must be seekable.
        budget: counts all bytes that come out.

    Raises:
        ArchiveError: it is damaged, truncated, encrypted, contradictory, or uses a rare compression.
    """
    with _open(source, budget) as archive:
        infos = archive.infolist()
        for info in infos:
            _check_entry(info)
        _check_end(source, archive)
        _check_layout(source, archive, infos)
        for info in infos:
            yield _member(archive, info, _name(info), budget)


class _Capped:
    """A file that limits the bytes of one read: zipfile reads the whole directory at once."""

    def __init__(self, file: BinaryIO, cap: int) -> None:
        self._file = file
        self._cap = cap
        self.seek = file.seek
        self.tell = file.tell
        self.seekable = file.seekable

    def read(self, size: int = -1) -> bytes:
        part = self._file.read(min(size, self._cap + 1) if size >= 0 else self._cap + 1)
        if len(part) > self._cap:
            raise ArchiveError("its directory is far too large for the files that it may contain.", advice=REPACK)
        return part


def _open(source: BinaryIO, budget: Budget) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(_Capped(source, budget.directory_size))
    except ArchiveError:
        raise
    except Exception as error:  # struct.error, UnicodeError, NotImplementedError: whatever a directory can cause
        raise ArchiveError(f"its directory cannot be read ({printable(str(error))}).", advice=DAMAGED) from error


def _check_entry(info: zipfile.ZipInfo) -> None:
    name = quoted(info.orig_filename)
    if info.flag_bits & ENCRYPTED:
        raise ArchiveError(f"the member {name} is encrypted.", advice="Pack it without a password.")
    if info.compress_type not in METHODS:
        method = RARE_METHODS.get(info.compress_type, str(info.compress_type))
        raise ArchiveError(f'the member {name} is compressed with method "{method}".', advice=REPACK)


def _check_end(source: BinaryIO, archive: zipfile.ZipFile) -> None:
    expected = END_SIZE + len(archive.comment)
    end = source.seek(0, 2)
    source.seek(max(0, end - expected))
    if source.read(len(END_MAGIC)) != END_MAGIC:
        raise ArchiveError("there is data after its end.", advice=DAMAGED)


def _check_layout(source: BinaryIO, archive: zipfile.ZipFile, infos: list[zipfile.ZipInfo]) -> None:
    """Check that the members follow each other without overlap or gap, so that all readers see the same content."""
    spans = sorted(_span(source, info) for info in infos)
    if not spans or spans[0][0] != 0:
        raise ArchiveError("it has data before its first member.", advice=REPACK)
    for (_, end, streamed), (start, _, _) in pairwise([*spans, (archive.start_dir, 0, False)]):
        gap = start - end
        if gap != 0 and not (streamed and gap in DESCRIPTORS):
            raise ArchiveError("its members overlap, or there is other data between them.", advice=REPACK)


def _span(source: BinaryIO, info: zipfile.ZipInfo) -> tuple[int, int, bool]:
    """Return where a member starts and ends, and whether a data descriptor may follow; refuse headers that disagree."""
    inside = 0 <= info.header_offset < source.seek(0, 2)
    head = _read_at(source, info.header_offset, LOCAL_HEADER.size) if inside else b""
    if len(head) < LOCAL_HEADER.size or not head.startswith(LOCAL_MAGIC):
        raise ArchiveError(f"the member {quoted(info.orig_filename)} is not where the directory says.", advice=DAMAGED)
    _, _, flags, method, _, _, crc, packed, size, name_size, extra_size = LOCAL_HEADER.unpack(head)
    streamed = bool(info.flag_bits & STREAMED)
    said = [(crc, info.CRC), (packed, info.compress_size), (size, info.file_size)]
    agreed = all(local in (true, IN_ZIP64) or (streamed and local == 0) for local, true in said)
    if not agreed or method != info.compress_type or flags & ENCRYPTED:
        raise ArchiveError(
            f"the zip's two headers for the member {quoted(info.orig_filename)} disagree.", advice=REPACK
        )
    rest = _read_at(source, info.header_offset + LOCAL_HEADER.size, name_size + extra_size)
    if _unicode_names(rest[name_size:]) - _unicode_names(info.extra):
        raise ArchiveError(
            f"the zip's two headers for the member {quoted(info.orig_filename)} disagree about its name.",
            advice=REPACK,
        )
    data = info.header_offset + LOCAL_HEADER.size + name_size + extra_size
    return info.header_offset, data + info.compress_size, streamed


def _read_at(source: BinaryIO, offset: int, size: int) -> bytes:
    source.seek(offset)
    return source.read(size)


def _name(info: zipfile.ZipInfo) -> str:
    """Return a member's name: from its Unicode field, else from its bytes as UTF-8.

    Raises:
        ArchiveError: its bytes are in an unknown encoding, or a Windows tool wrote backslashes.
    """
    flagged = bool(info.flag_bits & UTF8)
    written = info.orig_filename.encode("utf-8" if flagged else "cp437")  # zipfile's own guess, taken back
    names = {name for crc, name in _unicode_names(info.extra) if crc == zlib.crc32(written)}
    if len(names | {written} if flagged else names) > 1:
        raise ArchiveError(f"the member {quoted(info.orig_filename)} has two names.", advice=REPACK)
    try:
        name = (names.pop() if names else written).decode()
    except UnicodeDecodeError as error:
        raise ArchiveError(
            f"the name of the member {quoted(info.orig_filename)} is not UTF-8, and the zip does not say its encoding.",
            advice="Pack it with a tool that writes UTF-8 names (zip -r, 7z, actions/upload-artifact), or as a tar.gz.",
        ) from error
    if "\\" in name:
        raise ArchiveError(
            f"the member {quoted(name)} contains a backslash, which only Windows takes for a folder separator.",
            advice="Windows PowerShell's Compress-Archive writes such zips. Use PowerShell 7 (shell: pwsh) or 7z a.",
        )
    return name


def _unicode_names(extra: bytes) -> set[tuple[int, bytes]]:
    """Return the names in a header's Unicode fields, each with the checksum of the name that it replaces."""
    found = set()
    while len(extra) >= 4:  # noqa: PLR2004 - a field's own header
        kind, size = struct.unpack_from("<HH", extra)
        data, extra = extra[4 : 4 + size], extra[4 + size :]
        if kind == UNICODE_PATH and len(data) > 5 and data[0] == 1:  # noqa: PLR2004 - its version and checksum
            found.add((struct.unpack_from("<L", data, 1)[0], data[5:]))
    return found


def _member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, name: str, budget: Budget) -> Member:
    def content() -> Iterator[bytes]:
        return _content(archive, info, budget)

    kind, mode = _kind(info, name), info.external_attr >> 16
    return Member(
        name=name,
        kind=kind,
        executable=bool(mode & 0o100),
        target=_target(content()) if kind == "symlink" else "",
        content=content if kind == "file" else no_content,
    )


def _kind(info: zipfile.ZipInfo, name: str) -> Kind:
    """Return the kind from the Unix mode in the external attributes, whichever system the zip claims to be from."""
    form = stat.S_IFMT(info.external_attr >> 16)
    if form == stat.S_IFLNK:
        return "symlink"
    if form not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise ArchiveError(f"the member {quoted(name)} is a device, fifo or socket.", advice="Pack plain files only.")
    return "folder" if form == stat.S_IFDIR or name.endswith("/") else "file"


def _target(content: Iterator[bytes]) -> str:
    target = b""
    for part in content:
        target += part
        if len(target) > LONGEST_PATH:
            break
    return target[: LONGEST_PATH + 1].decode(errors="surrogateescape")


def _content(archive: zipfile.ZipFile, info: zipfile.ZipInfo, budget: Budget) -> Iterator[bytes]:
    left = info.file_size
    try:
        with archive.open(info) as file:
            while part := file.read(CHUNK):
                left -= len(part)
                budget.inflate(len(part))
                yield part
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, ValueError, struct.error) as error:
        raise ArchiveError(
            f"the member {quoted(info.orig_filename)} is damaged ({printable(str(error))}).", advice=DAMAGED
        ) from error
    if left:
        raise ArchiveError(f"the member {quoted(info.orig_filename)} is shorter than its header says.", advice=DAMAGED)
