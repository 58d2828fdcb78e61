"""What the tests of faults share: a world, and the clean release in it that all others are held against."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from tests.faults.artifacts import EXAMPLE, ROOT, example_artifacts
from tests.faults.clean import Checkpoint, clean_release
from tests.world.scene import Scene

from flotilla.errors import RegistryError
from flotilla.rehearsal.node import node_modules


@pytest.fixture(scope="session")
def scene() -> Iterator[Scene]:
    try:
        node_modules(ROOT / ".cache", environment=os.environ)
    except RegistryError as why:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(f"not installed, and not to be had: {why}")
    with Scene(EXAMPLE, example_artifacts(), provenance=True) as scene:
        yield scene


@pytest.fixture(scope="session")
def release(scene: Scene) -> tuple[Checkpoint, ...]:
    return clean_release(scene)
