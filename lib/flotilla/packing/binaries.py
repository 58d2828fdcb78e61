"""What a binary runs on, in npm's words, and the window on its bytes that each format's reader gets."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import BinaryIO, Literal

from flotilla.errors import PackageError

Format = Literal["ELF", "Mach-O", "PE", "XCOFF"]

ONE_READ = 256  # bytes that a read costs at the least, so that a loop of empty reads ends too
BASE_ALLOWANCE = 1 << 25
SHARE = 16  # one more byte of allowance for so many bytes of file: archives of many objects need it


@dataclass(frozen=True, kw_only=True)
class Binary:
    """A binary, or an object in a static library.

    Args:
        member: the object's name in its library, None for a file of its own.
        format: how it is written.
        os: what it runs on; None if it does not say (an ELF object or static program may run on several).
        cpus: what it runs on; several for a universal binary.
        libc: glibc or musl; None if it does not say or needs none.
        glibc_needed: the newest glibc version that it needs ("2.28").
        executable: whether it is a program rather than a library or object.
        packed: whether a packer such as UPX hides the program, so that its libc is unknown.
    """

    member: str | None = None
    format: Format
    os: str | None
    cpus: tuple[str, ...]
    libc: str | None = None
    glibc_needed: str | None = None
    executable: bool = False
    packed: bool = False

    def __str__(self) -> str:
        """Return a short description: "ELF for linux x64 glibc"."""
        words = [self.os, "+".join(self.cpus), self.libc]
        return f"{self.format} for {' '.join(word for word in words if word)}"


def version_key(version: str) -> tuple[int, ...]:
    """Return a sort key for versions made of numbers and dots."""
    return tuple(int(number) for number in version.split("."))


class UnreadableError(PackageError):
    """A binary that cannot be read as the format it begins with; the text follows the file's name."""


class Allowance:
    """The number of bytes that may be read from one file, so that looping or lying headers cost bounded time."""

    def __init__(self, size: int) -> None:
        self._left = BASE_ALLOWANCE + size // SHARE

    def spend(self, count: int) -> None:
        """Raise if this many more bytes exceed the allowance."""
        self._left -= max(count, ONE_READ)
        if self._left < 0:
            raise UnreadableError("its headers point in circles")


class Window(io.RawIOBase):
    """A part of a file, seen as a file of its own.

    Args:
        file: the whole file; the window moves its position.
        offset: where the part starts.
        size: bytes in the part; the file has at least as many.
        allowance: shared by all windows on one file.
    """

    def __init__(self, file: BinaryIO, offset: int, size: int, allowance: Allowance) -> None:
        super().__init__()
        self._file = file
        self._offset = offset
        self._position = 0
        self._allowance = allowance
        self.size = size

    @classmethod
    def whole(cls, file: BinaryIO) -> Window:
        """Return the window on all of a file."""
        size = file.seek(0, io.SEEK_END)
        return cls(file, 0, size, Allowance(size))

    def part(self, offset: int, size: int) -> Window:
        """Return a window on a part of this one.

        Raises:
            UnreadableError: the part lies outside.
        """
        if offset < 0 or size < 0 or offset + size > self.size:
            raise UnreadableError("it is truncated: a part of it lies beyond its end")
        return Window(self._file, self._offset + offset, size, self._allowance)

    def over(self, data: bytes) -> Window:
        """Return a window on these bytes, with this one's allowance."""
        return Window(io.BytesIO(data), 0, len(data), self._allowance)

    def head(self, count: int) -> bytes:
        """Return the first bytes."""
        self.seek(0)
        return self.read(count)

    def read(self, size: int | None = -1) -> bytes:
        """Return the next bytes; fewer than asked for only at the end."""
        left = max(0, self.size - self._position)
        count = left if size is None or size < 0 else min(size, left)
        self._allowance.spend(count)
        self._file.seek(self._offset + self._position)
        data = self._file.read(count)
        self._position += len(data)
        return data

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move to a position at or after the window's start."""
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self.size}[whence]
        if start + offset < 0:
            raise UnreadableError("its headers point before its start")
        self._position = start + offset
        return self._position

    def tell(self) -> int:
        """Return the current position."""
        return self._position

    def seekable(self) -> bool:
        """Return True."""
        return True

    def readable(self) -> bool:
        """Return True."""
        return True
