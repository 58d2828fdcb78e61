"""A package's folder, as it was decided: each file with its mode."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

MANIFEST = "package.json"


@dataclass(frozen=True, kw_only=True)
class PackageFolder:
    """A package, ready to pack.

    Args:
        path: the folder.
        name: of the package.
        version: of the package.
        modes: each file's mode, 0o755 or 0o644, by its posix path in the folder; nothing else in the folder counts.
        warnings: what could not be checked in it, or should be looked at, a line each.
        notices: what was left out of it, a line each.
    """

    path: Path
    name: str
    version: str
    modes: Mapping[str, int]
    warnings: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()
