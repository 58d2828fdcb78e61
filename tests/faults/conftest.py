"""What the tests of faults share: a world, and the clean release in it that all others are held against."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.faults.artifacts import EXAMPLE, example_artifacts
from tests.faults.clean import Checkpoint, clean_release
from tests.world.npm_packages import installed
from tests.world.scene import Scene


@pytest.fixture(scope="session")
def scene() -> Iterator[Scene]:
    installed()
    with Scene(EXAMPLE, example_artifacts(), provenance=True) as scene:
        yield scene


@pytest.fixture(scope="session")
def release(scene: Scene) -> tuple[Checkpoint, ...]:
    return clean_release(scene)
