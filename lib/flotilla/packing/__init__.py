"""Files in, files out: extract archives safely, check binaries, build package folders, write deterministic tarballs."""

from flotilla.packing.binaries import Binary, UnreadableError
from flotilla.packing.checksums import sidecar_faults
from flotilla.packing.extract import extract
from flotilla.packing.package import PackageFolder, build_folder
from flotilla.packing.paths import matching
from flotilla.packing.platform_check import binary_faults, identify
from flotilla.packing.tarball import (
    Contents,
    FileEntry,
    Tarball,
    differences,
    library_copies,
    read_contents,
    tarball_name,
    write_tarball,
)

__all__ = [
    "Binary",
    "Contents",
    "FileEntry",
    "PackageFolder",
    "Tarball",
    "UnreadableError",
    "binary_faults",
    "build_folder",
    "differences",
    "extract",
    "identify",
    "library_copies",
    "matching",
    "read_contents",
    "sidecar_faults",
    "tarball_name",
    "write_tarball",
]
