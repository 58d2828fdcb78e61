"""Run a release without faults, with which every other one is compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tests.simulator.faults import Request
from tests.simulator.world import Saved
from tests.world.ended import Ended
from tests.world.scene import Scene, Step


class BrokenError(Exception):
    """A release without a fault failed."""


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """One job of a clean release.

    Args:
        before: the world that it began in.
        after: what it left.
        handed_over: its outputs.
        requests: what it asked.
    """

    step: Step
    before: Saved
    after: dict[str, Any]
    handed_over: dict[str, Any]
    requests: tuple[Request, ...]


def clean_release(scene: Scene, steps: Sequence[Step] | None = None) -> tuple[Checkpoint, ...]:
    """Release the family, job after job.

    Raises:
        BrokenError: a job failed; with what it printed.
    """
    return tuple(_checkpoint(scene, step) for step in steps or tuple(scene.steps()))


def clean_releases(scene: Scene) -> tuple[Checkpoint, ...]:
    """Release the family by each of the workflows, each from the same beginning.

    Raises:
        BrokenError: a job failed; with what it printed.
    """
    beginning = scene.world.saved()
    found: list[Checkpoint] = []
    for steps in (scene.steps, scene.several_platforms, scene.same_run, scene.one_step, scene.draft_in_one_step):
        scene.world.restore(beginning)
        found += clean_release(scene, tuple(steps()))
    return tuple(found)


def _checkpoint(scene: Scene, step: Step) -> Checkpoint:
    before = scene.world.saved()
    scene.plan.start()
    ended = succeeded(scene.run(step), step)
    return Checkpoint(
        step=step,
        before=before,
        after=scene.world.snapshot(),
        handed_over=ended.handed_over,
        requests=tuple(scene.plan.requests),
    )


def succeeded(ended: Ended, step: Step) -> Ended:
    """Return how the job ended; raise if it failed."""
    if ended.status != 0:
        raise BrokenError(f"{step} failed with {ended.status}:\n{ended.log}")
    return ended
