"""The npm packages that tests run: installed once for each lock, below the cache."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from flotilla.errors import RegistryError
from flotilla.rehearsal.node import HERE, node_modules

ROOT = Path(__file__).parents[2]


def installed(locks: Path = HERE) -> Path:
    """Return the node_modules folder of a package-lock.json; skip the test if it cannot be installed, but not in CI.

    Args:
        locks: the folder of package.json and package-lock.json; the rehearsal's by default.
    """
    cache = Path(os.environ.get("FLOTILLA_CACHE", ROOT / ".cache"))
    try:
        return node_modules(cache, environment=os.environ, locks=locks)
    except RegistryError as why:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(f"npm cannot install the packages of {locks.name}: {why}")
