"""A small repository to release, without Docker."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.release import programs
from tests.release.oci import MemoryRegistry
from tests.release.world import World, github, small_repository
from tests.simulator.faults import FaultPlan

from flotilla.rehearsal.loopback import Serving


@pytest.fixture
def images() -> MemoryRegistry:
    return MemoryRegistry()


@pytest.fixture
def plan() -> FaultPlan:
    return FaultPlan()


@pytest.fixture
def world(tmp_path: Path, images: MemoryRegistry, plan: FaultPlan) -> Iterator[World]:
    programs.install(tmp_path / "bin", docker="docker_without_engine", gh="gh")
    with Serving() as serving, github(serving, plan) as server:
        made = World(folder=tmp_path, github=server, images=images.serve(serving))
        made.begin(small_repository())
        yield made
