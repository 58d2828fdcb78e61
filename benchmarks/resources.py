"""Rows about a process: how soon it sends its first request, and what it needs for a large artifact."""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from benchmarks import alternatives
from benchmarks.family import World
from benchmarks.measure import FLOOR, FLOTILLA, Peak, Row, medians, peak, run

from flotilla.rehearsal.node import node

DOWNLOAD = str(alternatives.HERE / "download.mjs")


def start_row(world: World, rounds: int) -> Row:
    """Return the row of the time until the first request; the floor is Python that does nothing."""

    def first_request(job: Callable[[Path], float]) -> float:
        with world.fresh() as folder:
            seen: list[float] = []
            world.plan.on_request = lambda _request, _phase: seen.append(time.perf_counter())
            began = time.perf_counter()
            job(folder)
            world.plan.on_request = lambda _request, _phase: None
            return seen[0] - began

    def theirs(folder: Path) -> float:
        return run([str(node()), DOWNLOAD, "."], folder, alternatives.variables(world, folder))

    found = medians(
        rounds,
        {
            FLOOR: partial(run, [sys.executable, "-I", "-c", "pass"], world.folder),
            "theirs": partial(first_request, theirs),
            FLOTILLA: partial(first_request, partial(world.flotilla, "release", phase="prepare")),
        },
    )
    return Row(
        work="start to first request (the floor is an empty script)",
        alternative="actions/download-artifact's client",
        theirs=found["theirs"].seconds,
        flotilla=found[FLOTILLA].seconds,
        floor=found[FLOOR].seconds,
    )


def large_rows(world: World, rounds: int) -> Iterator[Row]:
    """Yield the memory and the disk that one large artifact needs: downloaded, checked, and uploaded as an asset."""
    size = sum(artifact.size for artifact in world.github.state.artifacts)

    def client(folder: Path) -> Peak:
        command = [str(node()), DOWNLOAD, "."]
        return peak(command, folder, alternatives.variables(world, folder), scratch=folder)

    def fresh(job: Callable[[Path], Peak]) -> Peak:
        with world.fresh() as folder:
            return job(folder)

    turns = [(fresh(client), fresh(partial(world.flotilla_peak, "release", disk=True))) for _ in range(rounds)]
    work, alternative = (
        f"release job, one artifact of {size / 1e6:.0f} MB that does not compress",
        "actions/download-artifact's client",
    )
    theirs, ours = (statistics.median(one.memory for one in each) for each in zip(*turns, strict=True))
    aims = {"figure": 80.0}
    yield Row(work=f"{work}: memory", alternative=alternative, theirs=theirs, flotilla=ours, unit="MiB", aims=aims)
    theirs, ours = (statistics.median(one.disk / size for one in each) for each in zip(*turns, strict=True))
    aims = {"figure": 2.2}
    yield Row(work=f"{work}: disk", alternative=alternative, theirs=theirs, flotilla=ours, unit="x size", aims=aims)
