"""Files in, files out: safe extraction, what a binary is for, the package folder, the deterministic tarball."""

from flotilla.packing.extraction import extract

__all__ = ["extract"]
