"""The beginning of a file that is being downloaded, and its sha256 so far."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from pathlib import Path
from typing import IO, Self

from flotilla.errors import ArtifactError

BLOCK = 1024 * 1024
LONGEST_MAGIC = 8


class PartFile:
    """Grows by what arrives; goes on where an earlier process stopped, and stays on disk for the next.

    Args:
        path: where it lies; None keeps only size and digest.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._file: IO[bytes] | None = None
        self._hash = hashlib.sha256()
        self._first = b""
        self.size = 0
        self.resumed = False

    def __enter__(self) -> Self:
        if self._path is not None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._open(self._path)
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):  # a full disk was reported where the bytes were written
            self._close()

    @property
    def digest(self) -> str:
        """The digest of what is here, as GitHub writes it ("sha256:…")."""
        return f"sha256:{self._hash.hexdigest()}"

    def first_bytes(self) -> bytes:
        """The first eight bytes, to tell a format by."""
        return self._first

    def append(self, chunk: bytes) -> None:
        """Add what arrived; ArtifactError where the disk does not take it."""
        try:
            if self._file is not None:
                self._file.write(chunk)
        except OSError as error:
            raise self._unwritable(error) from None
        self._count(chunk)

    def restart(self) -> None:
        """Forget what is here."""
        if self._file is not None:
            self._file.seek(0)
            self._file.truncate()
        self._hash, self._first, self.size, self.resumed = hashlib.sha256(), b"", 0, False

    def continued(self) -> None:
        """What comes now continues what an earlier answer brought."""
        self.resumed = self.size > 0

    def discard(self) -> None:
        """Take it off the disk."""
        self._close()
        if self._path is not None:
            self._path.unlink(missing_ok=True)

    def move_to(self, path: Path) -> None:
        """Give it its name: only whole files bear one."""
        try:
            self._close()
            path.parent.mkdir(parents=True, exist_ok=True)
            if self._path is not None:
                self._path.replace(path)
        except OSError as error:
            raise self._unwritable(error) from None

    def _open(self, path: Path) -> None:
        if path.is_symlink():
            path.unlink()
        try:
            self._file = path.open("a+b")
            self._file.seek(0)
            while block := self._file.read(BLOCK):
                self._count(block)
        except OSError as error:
            raise self._unwritable(error) from None

    def _count(self, chunk: bytes) -> None:
        self._hash.update(chunk)
        self.size += len(chunk)
        if len(self._first) < LONGEST_MAGIC:
            self._first = (self._first + chunk)[:LONGEST_MAGIC]

    def _close(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            file.close()

    def _unwritable(self, error: OSError) -> ArtifactError:
        return ArtifactError(
            f"{self._path} cannot be written: {error.strerror}.", advice="Give the runner more disk, or another folder."
        )
