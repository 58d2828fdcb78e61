"""A registry that allows a burst and then one publish at a time: how long a release takes beside what it must."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.faults.trial import run_until_done
from tests.simulator.memory import RegistryState
from tests.world.scene import Scene

from flotilla.rehearsal.registry import Bucket

BURST = 4
SECONDS = 120.0


@dataclass(frozen=True, kw_only=True)
class Paced:
    """A release under a rate limit.

    Args:
        packages: how many the family has.
        accepted: how often the registry took each, by name@version.
        expected: name@version of each package.
        floor: seconds that the bucket alone makes of it.
        waited: seconds that the release took by the clock of the jobs and the registry.
        real: seconds that it took here.
        refused: how often the registry answered 429.
        reruns: how often a job had to be run again.
    """

    packages: int
    accepted: dict[str, int]
    expected: Sequence[str]
    floor: float
    waited: float
    real: float
    refused: int
    reruns: int

    @property
    def faults(self) -> list[str]:
        """Return the packages that are lost or doubled."""
        counted = {spec: self.accepted.get(spec, 0) for spec in self.expected}
        return [f"{spec} was accepted {count} times" for spec, count in counted.items() if count != 1]

    def __str__(self) -> str:
        """Return a line for the report."""
        limit = f"rate limit: {self.packages} packages at a burst of {BURST} and one each {SECONDS:.0f} s"
        took = f"{self.waited:.0f} s of the jobs' time (the bucket's floor: {self.floor:.0f} s), {self.real:.0f} s here"
        counts = f"{self.refused} answers 429, {self.reruns} re-runs, {len(self.faults)} lost or doubled"
        return f"{limit}: {took}; {counts}"


def paced_release(source: Path, artifacts: Path) -> Paced:
    """Release a family into such a registry, each job run again until it is done."""
    rules = RegistryState(bucket=Bucket(burst=BURST, seconds=SECONDS))
    with Scene(source, artifacts, token=True, registry=rules) as scene:
        began, real, reruns = scene.clock.now(), time.monotonic(), 0
        for step in scene.steps():
            reruns += len(run_until_done(scene, step, timeout=None)) - 1
        packages = scene.family.packages
        return Paced(
            packages=len(packages),
            accepted=scene.world.registry.state.accepted_counts(),
            expected=[f"{package.name}@{package.version}" for package in packages],
            floor=max(0, len(packages) - BURST) * SECONDS,
            waited=scene.clock.now() - began,
            real=time.monotonic() - real,
            refused=sum(request.status == 429 for request in scene.plan.requests),
            reruns=reruns,
        )
