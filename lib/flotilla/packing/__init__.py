"""Files in, files out: extract archives safely, check binaries, build package folders, write deterministic tarballs."""

from flotilla.packing.extraction import extract, sidecar_faults
from flotilla.packing.floors import floors_told, risen
from flotilla.packing.package import Contents, PackageFiles, package_files
from flotilla.packing.paths import matching
from flotilla.packing.platform_check import binary_faults, identify
from flotilla.packing.tarball import (
    contents_digest,
    differences,
    library_copies,
    most_packed,
    read_contents,
    write_tarball,
)

__all__ = [
    "Contents",
    "PackageFiles",
    "binary_faults",
    "contents_digest",
    "differences",
    "extract",
    "floors_told",
    "identify",
    "library_copies",
    "matching",
    "most_packed",
    "package_files",
    "read_contents",
    "risen",
    "sidecar_faults",
    "write_tarball",
]
