"""Read an archive's bytes and members: compressed streams, forwards only, within a budget."""

from __future__ import annotations

import bz2
import lzma
import sys
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO, Literal, Protocol

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd


from flotilla.errors import ArchiveError
from flotilla.family.model import Limits

MEBIBYTE = 1 << 20
HARMLESS = 64 * MEBIBYTE  # below this no ratio is a danger: 64 KiB of zeros already compress a thousandfold

BOMB_ADVICE = "If the archive is genuine, raise `limits` in flotilla.yml; if not, find out who made it."
BLOCK = 512  # bytes of a header, and the unit of all that follows it
CHUNK = 1 << 18
MEMORY = 1 << 27  # bytes a decompressor may keep; xz -9 needs 65 MiB, zstd -22 a window of 128 MiB
STREAMS = 1 << 17  # in one file: bgzip makes one for each 64 KiB, and each costs the time to begin it
HEADERS = 1 << 20  # bytes of headers before one member: names and sparse maps, read into memory by tarfile
DAMAGED = "Build the artifact again: the archive is damaged or incomplete."


class Budget:
    """Counts what one archive unpacks to, and enforces the limits; headers are never trusted for this.

    Args:
        size: bytes of the archive itself.
        limits: the family's.
    """

    def __init__(self, size: int, limits: Limits) -> None:
        allowed = limits.ratio * size
        self._by_ratio = allowed < limits.extracted_bytes
        self._limits = limits
        self._ceiling = min(max(HARMLESS, allowed), limits.extracted_bytes)
        self._inflated = 0
        self._written = 0
        self._members = 0
        self._placed = 0

    def inflate(self, count: int) -> None:
        """Count bytes from the decompressor."""
        self._inflated += count
        self._refuse_beyond(self._inflated)

    def write(self, count: int) -> None:
        """Count bytes written to the disk."""
        self._written += count
        self._refuse_beyond(self._written)

    def enter(self) -> None:
        """Count one more member of the archive."""
        self._members += 1
        self._refuse_more(self._members)

    def place(self) -> None:
        """Count one more file or folder on the disk."""
        self._placed += 1
        self._refuse_more(self._placed)

    def _refuse_more(self, count: int) -> None:
        if count > self._limits.files:
            raise ArchiveError(f"it contains more than {self._limits.files} files and folders.", advice=BOMB_ADVICE)

    @property
    def directory_size(self) -> int:
        """Return the largest size of the list of members, for formats that have one."""
        return self._limits.files * 256 + MEBIBYTE

    def _refuse_beyond(self, count: int) -> None:
        if count <= self._ceiling:
            return
        shown = f"{self._ceiling // MEBIBYTE} MiB"
        why = f"{self._limits.ratio} times its own size" if self._by_ratio else "the limit for one archive"
        raise ArchiveError(f"it unpacks to more than {shown}, {why}.", advice=BOMB_ADVICE)


class Inflater(Protocol):
    """The common interface of the decompressors of bz2, lzma and zstd."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int) -> bytes: ...


class _Gunzip:
    """zlib's decompressor with the interface of the others."""

    def __init__(self) -> None:
        self._zlib = zlib.decompressobj(zlib.MAX_WBITS | 16)

    @property
    def eof(self) -> bool:
        return self._zlib.eof

    @property
    def needs_input(self) -> bool:
        return not self._zlib.unconsumed_tail

    @property
    def unused_data(self) -> bytes:
        return self._zlib.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        return self._zlib.decompress(self._zlib.unconsumed_tail + data, max_length)


def _unxz() -> Inflater:
    return lzma.LZMADecompressor(format=lzma.FORMAT_XZ, memlimit=MEMORY)


def _unzstd() -> Inflater:
    largest_window = MEMORY.bit_length() - 1
    return zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: largest_window})


INFLATERS: dict[str, Callable[[], Inflater]] = {
    "gzip": _Gunzip,
    "bzip2": bz2.BZ2Decompressor,
    "xz": _unxz,
    "zstd": _unzstd,
}


class Inflated:
    """The content of a compressed file, as the forward-only file that tarfile reads.

    Args:
        source: the compressed file, at its start.
        compression: a key of INFLATERS; None if it is not compressed.
        budget: counts each byte that comes out.
    """

    def __init__(self, source: BinaryIO, compression: str | None, budget: Budget) -> None:
        self._source = source
        self._new = INFLATERS[compression] if compression else None
        self._inflater = self._new() if self._new else None
        self._rest = b""
        self._budget = budget
        self._position = 0
        self._headers_left = HEADERS
        self.headers = bytearray()  # of the members that were asked for since somebody cleared it
        self._streams_left = STREAMS
        self.last_block = b""

    def tell(self) -> int:
        """Return the number of bytes read so far."""
        return self._position

    def seekable(self) -> bool:
        """Return False: the file can only be read forwards."""
        return False

    def expect_headers(self) -> None:
        """Treat what follows as a member's headers, until expect_data."""
        self._headers_left = HEADERS

    def expect_data(self) -> None:
        """Treat what follows as content, which is streamed to the disk."""
        self._headers_left = sys.maxsize

    def read(self, size: int) -> bytes:
        """Return the next bytes; fewer than asked for only at the end."""
        self._headers_left -= size
        if self._headers_left < 0:
            raise ArchiveError(f"a member has more than {HEADERS >> 20} MiB of headers.", advice=DAMAGED)
        parts = []
        while size > 0 and (part := self._some(min(size, CHUNK))):
            parts.append(part)
            size -= len(part)
        self.last_block = b"".join(parts)
        if self._headers_left <= HEADERS and not len(self.last_block) % BLOCK:  # tarfile skips by reading one byte
            self.headers += self.last_block
        return self.last_block

    def seek(self, position: int) -> None:
        """Skip forwards."""
        if position < self._position:
            raise ArchiveError("its headers point backwards.", advice=DAMAGED)
        while self._position < position and self._some(min(position - self._position, CHUNK)):
            pass

    def finish(self) -> None:
        """Read the rest, so that checksums are checked; it may contain only zeros."""
        while part := self._some(CHUNK):
            if part.count(0) != len(part):
                raise ArchiveError("there is data after its end.", advice=DAMAGED)

    def _some(self, size: int) -> bytes:
        part = self._source.read(size) if self._inflater is None else self._inflate(self._inflater, size)
        self._position += len(part)
        self._budget.inflate(len(part))
        return part

    def _inflate(self, inflater: Inflater, size: int) -> bytes:
        while True:
            if inflater.eof:
                following = self._following(inflater)
                if following is None:
                    return b""
                inflater = self._inflater = following
            fed = self._feed() if inflater.needs_input else b""
            starving = inflater.needs_input and not fed
            try:
                part = inflater.decompress(fed, size)
            except (zlib.error, OSError, lzma.LZMAError, zstd.ZstdError) as error:  # OSError is bz2's
                raise ArchiveError(f"its compressed data is damaged ({error}).", advice=DAMAGED) from error
            if part:
                return part
            if starving and not inflater.eof:
                raise ArchiveError("it is truncated.", advice=DAMAGED)

    def _feed(self) -> bytes:
        fed, self._rest = self._rest or self._source.read(CHUNK), b""
        return fed

    def _following(self, inflater: Inflater) -> Inflater | None:
        """Return the inflater of a further stream (pigz and `cat a.gz b.gz` make several), None at the end."""
        rest = inflater.unused_data.lstrip(b"\0") or self._feed().lstrip(b"\0")
        while not rest and (fed := self._source.read(CHUNK)):
            rest = fed.lstrip(b"\0")
        if not rest:
            return None
        self._rest = rest
        self._streams_left -= 1
        if not self._streams_left:
            raise ArchiveError(f"it consists of more than {STREAMS} compressed streams.", advice=DAMAGED)
        assert self._new is not None  # noqa: S101 - only a compressed file has an inflater to follow
        return self._new()


Kind = Literal["file", "folder", "symlink", "hardlink"]


def no_content() -> Iterator[bytes]:
    """Return no content, for members that have none."""
    return iter(())


@dataclass(frozen=True, kw_only=True)
class Member:
    """A member as its archive describes it; nothing here is trusted yet.

    Args:
        name: the path, unchanged.
        kind: what it is; devices, fifos and the like are refused earlier.
        executable: whether its owner may run it.
        target: a link's target, unchanged.
        content: yields the bytes; use it before asking for the next member.
    """

    name: str
    kind: Kind
    executable: bool = False
    target: str = ""
    content: Callable[[], Iterator[bytes]] = no_content


EXECUTABLE, PLAIN = 0o755, 0o644
