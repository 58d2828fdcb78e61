"""Files in, files out: safe extraction, what a binary is for, the package folder, the deterministic tarball."""

from flotilla.packing.binaries import Binary, UnreadableError
from flotilla.packing.contents import Contents, FileEntry, differences, library_copies, read_contents
from flotilla.packing.extraction import extract
from flotilla.packing.folder import PackageFolder
from flotilla.packing.folders import build_folder
from flotilla.packing.platform_check import binary_faults, identify
from flotilla.packing.selection import matching
from flotilla.packing.sidecars import sidecar_faults
from flotilla.packing.tarballs import Tarball, tarball_name, write_tarball

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
