"""The tarball that npm publishes: the same bytes from the same folder, wherever and whenever."""

from __future__ import annotations

import base64
import hashlib
import sys
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

if sys.version_info >= (3, 14):
    import tarfile
else:
    from backports.zstd import tarfile

from flotilla.packing.contents import Contents, FileEntry
from flotilla.packing.folder import MANIFEST, PackageFolder
from flotilla.packing.inflation import CHUNK

MTIME = 499_162_500  # 1985-10-26T08:15:00Z, the moment that npm pack gives every file
LEVEL = 6  # 9 takes twice the time and saves 0.2 %
END = bytes(2 * tarfile.BLOCKSIZE)


@dataclass(frozen=True, kw_only=True)
class Tarball:
    """A package, ready to publish.

    Args:
        path: the file.
        name: of the package.
        version: of the package.
        integrity: sha512 of the file, as npm writes it.
        shasum: sha1 of the file, in hex.
        size: bytes of the file.
        unpacked_size: bytes of the files in it.
        contents: what is in it.
    """

    path: Path
    name: str
    version: str
    integrity: str
    shasum: str
    size: int
    unpacked_size: int
    contents: Contents


def write_tarball(folder: PackageFolder, into: Path) -> Tarball:
    """Packs a package folder, in constant memory.

    Args:
        folder: what build_folder made.
        into: the folder that the tarball goes to, under the name that npm pack would give it.
    """
    into.mkdir(parents=True, exist_ok=True)
    path = into / tarball_name(folder.name, folder.version)
    with path.open("wb") as file:
        sink = _Gzip(file)
        contents = {name: _write_file(folder, name, sink) for name in package_order(folder.modes)}
        sink.write(END)
        sink.close()
    return Tarball(
        path=path,
        name=folder.name,
        version=folder.version,
        integrity=sink.integrity,
        shasum=sink.shasum,
        size=sink.size,
        unpacked_size=sum(entry.size for entry in contents.values()),
        contents=contents,
    )


def tarball_name(name: str, version: str) -> str:
    """What npm pack calls a package's tarball: @acme/tool at 1.0.0 is acme-tool-1.0.0.tgz."""
    return f"{name.removeprefix('@').replace('/', '-')}-{version}.tgz"


def package_order(paths: Iterable[str]) -> list[str]:
    """The manifest first, so that a reader finds it at once, then by path."""
    return sorted(paths, key=lambda path: (path != MANIFEST, path))


class _Gzip:
    """Compresses into a file and hashes what comes out; its header holds no time and no name."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._zlib = zlib.compressobj(LEVEL, zlib.DEFLATED, zlib.MAX_WBITS | 16)
        self._sha512 = hashlib.sha512()
        self._sha1 = hashlib.sha1(usedforsecurity=False)
        self.size = 0

    def write(self, data: bytes) -> None:
        self._put(self._zlib.compress(data))

    def close(self) -> None:
        self._put(self._zlib.flush())

    @property
    def integrity(self) -> str:
        return f"sha512-{base64.b64encode(self._sha512.digest()).decode()}"

    @property
    def shasum(self) -> str:
        return self._sha1.hexdigest()

    def _put(self, data: bytes) -> None:
        self._file.write(data)
        self._sha512.update(data)
        self._sha1.update(data)
        self.size += len(data)


def _write_file(folder: PackageFolder, name: str, sink: _Gzip) -> FileEntry:
    mode, path = folder.modes[name], folder.path / name
    size = path.stat().st_size
    sink.write(_header(f"package/{name}", size, mode))
    digest, written = hashlib.sha256(), 0
    with path.open("rb") as file:
        while part := file.read(CHUNK):
            sink.write(part)
            digest.update(part)
            written += len(part)
    assert written == size, f"{name} changed while it was packed"  # noqa: S101 - nobody else may write there
    sink.write(bytes(-size % tarfile.BLOCKSIZE))
    return FileEntry(mode=mode, size=size, sha256=digest.hexdigest())


def _header(name: str, size: int, mode: int) -> bytes:
    """A plain ustar header; a pax one only where ustar cannot hold the name or the size."""
    info = tarfile.TarInfo(name)
    info.size, info.mode, info.mtime = size, mode, MTIME
    if name.isascii():
        try:
            return info.tobuf(tarfile.USTAR_FORMAT, "ascii", "strict")
        except ValueError:
            pass
    return info.tobuf(tarfile.PAX_FORMAT, "utf-8", "strict")
