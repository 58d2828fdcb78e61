"""What a binary runs on, in npm's words, and the window on its bytes that each format's reader gets."""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import BinaryIO, Literal

from flotilla.errors import PackageError

Format = Literal["ELF", "Mach-O", "PE", "XCOFF"]

ONE_READ = 256  # bytes that a read costs at the least, so that a loop of empty reads ends too
BASE_ALLOWANCE = 1 << 25
SHARE = 16  # one more byte of allowance for so many bytes of file: archives of many objects need it
HASHED_AT_ONCE = 1 << 20
LARGEST_TABLE = 1 << 23  # bytes of symbols, or of their names; those of larger ones are not read

LONGEST_NAME = 64  # of a symbol: as much as is read of it
NODE_API = (b"napi_", b"node_api_")  # what the names of its functions begin with

# The libraries of glibc itself. Others have symbols of a version called GLIBC_…, too: gcc's libgcc_s on every libc.
GLIBC_LIBRARY = re.compile(
    r"^(ld-linux.*\.so\.\d+|ld(64)?\.so\.[12]|lib[cm]\.so\.6(\.1)?|libpthread\.so\.0|lib(dl|resolv)\.so\.2|"
    r"lib(rt|util|anl|mvec|BrokenLocale)\.so\.1)$"
)


@dataclass(frozen=True, kw_only=True)
class Needs:
    """What a machine must have for a program or shared library to be loaded.

    Args:
        libraries: the libraries that the loader must find, as the binary names them.
        search: the folders that it tells the loader to look in.
        interpreter: the path of the loader that the system starts first.
        versions: the newest that it needs of each of glibc, glibcxx, cxxabi and macos, by these words.
        node_api: the functions of Node-API that it links to; None if its symbols were not read.
        signature: what is wrong with its code signature; None if nothing is, or if it needs none.
    """

    libraries: tuple[str, ...] = ()
    search: tuple[str, ...] = ()
    interpreter: str | None = None
    versions: tuple[tuple[str, str], ...] = ()
    node_api: tuple[str, ...] | None = ()
    signature: str | None = None


@dataclass(frozen=True, kw_only=True)
class Binary:
    """A binary, or an object in a static library.

    Args:
        member: the object's name in its library, None for a file of its own.
        format: how it is written.
        os: what it runs on; None if it does not say (an ELF object or static program may run on several).
        cpus: what it runs on; several for a universal binary.
        libc: glibc or musl; None if it does not say or needs none.
        executable: whether it is a program rather than a library or object.
        packed: whether a packer such as UPX hides the program, so that its libc is unknown.
        needs: what a machine must have to load it; an object in a static library has no needs of its own.
    """

    member: str | None = None
    format: Format
    os: str | None
    cpus: tuple[str, ...]
    libc: str | None = None
    executable: bool = False
    packed: bool = False
    needs: Needs = field(default_factory=Needs, compare=False)

    @property
    def glibc_needed(self) -> str | None:
        """Return the newest glibc version that it needs ("2.28")."""
        return dict(self.needs.versions).get("glibc")

    def __str__(self) -> str:
        """Return a short description: "ELF for linux x64 glibc"."""
        words = [self.os, "+".join(self.cpus), self.libc]
        return f"{self.format} for {' '.join(word for word in words if word)}"


def version_key(version: str) -> tuple[int, ...]:
    """Return a sort key for versions made of numbers and dots."""
    return tuple(int(number) for number in version.split("."))


def newest(versions: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """Return the newest version of each word."""
    return tuple(sorted(dict(sorted(versions, key=lambda each: version_key(each[1]))).items()))


def node_api_names(texts: Iterable[bytes]) -> tuple[str, ...]:
    """Return the functions of Node-API among names that end in a NUL, sorted."""
    names = {text.partition(b"\0")[0] for text in texts if text.startswith(NODE_API)}
    return tuple(sorted(name.decode(errors="replace") for name in names))


class UnreadableError(PackageError):
    """A binary that cannot be read as the format it begins with; the text follows the file's name."""


class Allowance:
    """The number of bytes that may be read from one file, so that looping or lying headers cost bounded time."""

    def __init__(self, size: int) -> None:
        self._left = BASE_ALLOWANCE + size // SHARE
        self._unhashed = size

    def spend(self, count: int) -> None:
        """Raise if this many more bytes exceed the allowance."""
        self._left -= max(count, ONE_READ)
        if self._left < 0:
            raise UnreadableError("its headers point in circles")

    def hash_once(self, count: int) -> None:
        """Raise if more bytes are hashed than the file has; no part of one is signed twice."""
        self._unhashed -= count
        if self._unhashed < 0:
            raise UnreadableError("its signed parts overlap")


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

    def page_digests(self, end: int, page: int, algorithm: str) -> Iterator[bytes]:
        """Yield the digest of each page from the start to an offset inside; the last page may be shorter.

        Raises:
            UnreadableError: parts of the file are hashed twice.
        """
        self._allowance.hash_once(end)
        for start in range(0, end, page):
            self._file.seek(self._offset + start)
            digest, left = hashlib.new(algorithm, usedforsecurity=False), min(page, end - start)
            while left and (data := self._file.read(min(left, HASHED_AT_ONCE))):
                digest.update(data)
                left -= len(data)
            yield digest.digest()

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
