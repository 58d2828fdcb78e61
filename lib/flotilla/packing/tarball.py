"""Write the tarball that npm publishes, byte for byte the same from the same folder; and read any tarball's files."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
import sys
import zlib
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

if sys.version_info >= (3, 14):
    import tarfile
else:
    from backports.zstd import tarfile

from flotilla.errors import ArchiveError, PackageError
from flotilla.family.model import Limits, PackedPackage
from flotilla.packing.extraction import open_members
from flotilla.packing.package import Contents, FileEntry, PackageFiles
from flotilla.packing.packlist import MANIFEST
from flotilla.packing.streams import BLOCK, CHUNK, EXECUTABLE, PLAIN, Budget
from flotilla.retry import StopFlag
from flotilla.text import printable

MTIME = 499_162_500  # 1985-10-26T08:15:00Z, the moment that npm pack gives every file
LEVEL = 6  # 9 takes twice the time and saves 0.2 %
END = bytes(2 * BLOCK)
MOST_HEADERS = 8 * BLOCK  # of one file: its own, and a pax one with the longest path
LIBRARY = re.compile(r"\.so(\.\d+)*$|\.dylib$")


def write_tarball(package: PackageFiles, into: Path, *, stop: StopFlag | None = None) -> PackedPackage:
    """Pack a package, in constant memory.

    Args:
        package: what package_files returned.
        into: the folder to write to; the file gets the name that npm pack would give it.
        stop: ends the packing if the job is cancelled.

    Raises:
        PackageError: a file has changed since it was checked.
    """
    into.mkdir(parents=True, exist_ok=True)
    path = into / tarball_name(package.name, package.version)
    with path.open("wb") as file:
        sink = _Gzip(file)
        for name in package_order(package.contents):
            _write_file(package, name, sink, stop or StopFlag())
        sink.write(END)
        sink.close()
    return PackedPackage(
        name=package.name,
        version=package.version,
        manifest=package.manifest,
        path=path,
        integrity=sink.integrity,
        shasum=sink.shasum,
        size=sink.size,
    )


def most_packed(contents: Contents) -> int:
    """Return the bytes that a tarball of these files has at the most, if nothing in them can be compressed."""
    tar = sum(-(-each.size // BLOCK) * BLOCK + MOST_HEADERS for each in contents.values())
    return tar + tar // 1000 + MOST_HEADERS  # zlib stores what it cannot compress, with 5 bytes for each 16 KiB


def tarball_name(name: str, version: str) -> str:
    """Return npm pack's name for a package's tarball: @acme/tool at 1.0.0 is acme-tool-1.0.0.tgz."""
    return f"{name.removeprefix('@').replace('/', '-')}-{version}.tgz"


def package_order(paths: Iterable[str]) -> list[str]:
    """Return a sort key: the manifest first, so that readers find it at once, then the others by path."""
    return sorted(paths, key=lambda path: (path != MANIFEST, path))


class _Gzip:
    """Compresses into a file and hashes the result; the header has no time and no name."""

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


def _write_file(package: PackageFiles, name: str, sink: _Gzip, stop: StopFlag) -> None:
    entry, digest, written = package.contents[name], hashlib.sha256(), 0
    sink.write(_header(f"package/{name}", entry.size, entry.mode))
    text = package.texts.get(name)
    source = package.files[name].open("rb") if text is None else io.BytesIO(text)
    with source:
        while part := source.read(CHUNK):
            stop.check()
            sink.write(part)
            digest.update(part)
            written += len(part)
    if digest.hexdigest() != entry.sha256:
        raise PackageError(
            f"{package.name}: {printable(name)} changed while it was packed",
            advice="Something else writes into the checkout or the scratch folder: end it, then run the job again.",
        )
    sink.write(bytes(-written % BLOCK))


def _header(name: str, size: int, mode: int) -> bytes:
    """Return a plain ustar header, or a pax one if ustar cannot store the name or the size."""
    info = tarfile.TarInfo(name)
    info.size, info.mode, info.mtime = size, mode, MTIME
    if name.isascii():
        try:
            return info.tobuf(tarfile.USTAR_FORMAT, "ascii", "strict")
        except ValueError:
            pass
    return info.tobuf(tarfile.PAX_FORMAT, "utf-8", "strict")


def contents_digest(contents: Contents) -> str:
    """Return the "sha256:…" that stands for all files of a package, however they are compressed.

    It is the digest of a line for each file, sorted by path: its mode in octal, its sha256, its path as a JSON string.
    """
    lines = (f"{each.mode:o} {each.sha256} {json.dumps(path)}\n" for path, each in sorted(contents.items()))
    return f"sha256:{hashlib.sha256(''.join(lines).encode()).hexdigest()}"


def differences(ours: Contents, theirs: Contents) -> tuple[str, ...]:
    """Return how the files differ, a line each, sorted by path; empty if they are the same.

    Args:
        ours: the files built here.
        theirs: the files on the registry.
    """
    return tuple(_differences(ours, theirs))


def _differences(ours: Contents, theirs: Contents) -> Iterator[str]:
    for path in sorted({*ours, *theirs}):
        here, there = ours.get(path), theirs.get(path)
        if here is None or there is None:
            yield f"{printable(path)}: only {'here' if there is None else 'on the registry'}"
        elif (how := _difference(here, there)) is not None:
            yield f"{printable(path)}: {how}"


def _difference(here: FileEntry, there: FileEntry) -> str | None:
    if here.size != there.size:
        return f"{here.size} bytes here, {there.size} on the registry"
    if here.sha256 != there.sha256:
        digests = f"sha256 {here.sha256[:12]}… here, {there.sha256[:12]}… on the registry"
        return f"{here.size} bytes in both, but different content ({digests})"
    if here.mode != there.mode:
        return f"mode {here.mode:o} here, {there.mode:o} on the registry"
    return None


def library_copies(contents: Contents) -> tuple[str, ...]:
    """Return a line for each shared library that a package contains several times, with the wasted bytes.

    Builds link libacme.so to libacme.so.1. npm packs no links, so each becomes a full copy.
    """
    alike: dict[str, list[str]] = defaultdict(list)
    for path in sorted(contents):
        if LIBRARY.search(path) and contents[path].size:
            alike[contents[path].sha256].append(path)
    return tuple(
        f"{', '.join(map(printable, paths))} are full copies of one library and waste "
        f"{contents[paths[0]].size * (len(paths) - 1)} bytes unpacked, as npm packs no links; pack only the loaded one"
        for paths in alike.values()
        if len(paths) > 1
    )


def read_contents(tarball: Path, *, limits: Limits) -> Contents:
    """Return the files of an npm tarball as npm would install them: without links and each path's first folder.

    Args:
        tarball: the file, not trusted.
        limits: the most bytes and files, and the largest ratio.

    Raises:
        ArchiveError: it is damaged, too large, or not a tarball.
    """
    try:
        with tarball.open("rb") as source:
            return dict(_entries(source, Budget(tarball.stat().st_size, limits)))
    except ArchiveError as error:
        raise ArchiveError(
            [f"{printable(tarball.name)}: {fault}" for fault in error.faults], advice=error.advice
        ) from error


def _entries(source: BinaryIO, budget: Budget) -> Iterator[tuple[str, FileEntry]]:
    for member in open_members(source, budget, into=None):
        budget.enter()
        _, _, path = member.name.partition("/")
        if member.kind != "file" or not path:
            continue
        digest, size = hashlib.sha256(), 0
        for part in member.content():
            budget.write(len(part))
            digest.update(part)
            size += len(part)
        yield path, FileEntry(mode=EXECUTABLE if member.executable else PLAIN, size=size, sha256=digest.hexdigest())
