"""Each job with the permissions that the example's workflow gives it, and without one of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.faults.artifacts import EXAMPLE
from tests.world.ended import Ended
from tests.world.job_world import JobWorld

WORKFLOW: dict[str, Any] = yaml.safe_load(Path(EXAMPLE, ".github/workflows/release.yml").read_text(encoding="utf-8"))[
    "jobs"
]
PHASES = ("prepare", "wait-for-ci", "check-artifacts", "release")
GRANTED = {name: job["permissions"] for name, job in WORKFLOW.items()} | {"finish": WORKFLOW["release"]["permissions"]}


def run(jobs: JobWorld, name: str) -> Ended:
    """Return the workflow's job of that name; what it would publish is left unpublished."""
    if name == "publish-platform":
        return jobs.platform(dry_run="true")
    if name == "publish-dev":
        return jobs.dev(dry_run="true")
    if name == "publish-meta":
        return jobs.run(name, dry_run="true")
    return jobs.run("release", phase=name)


@pytest.mark.parametrize("name", GRANTED)
def test_a_job_needs_no_more_than_the_workflow_grants(request: pytest.FixtureRequest, name: str) -> None:
    world: JobWorld = request.getfixturevalue("jobs" if name in PHASES else "everything")
    world.github.permissions = dict(GRANTED[name])
    done = run(world, name)
    assert done.status == 0, done.log


@pytest.mark.parametrize("name", [name for name, granted in GRANTED.items() if "actions" in granted])
def test_a_job_without_actions_read_is_told_so(request: pytest.FixtureRequest, name: str) -> None:
    world: JobWorld = request.getfixturevalue("jobs" if name in PHASES else "everything")
    world.github.permissions = {key: level for key, level in GRANTED[name].items() if key != "actions"}
    before = world.world.snapshot()
    done = run(world, name)
    assert (done.status, world.world.snapshot()) == (1, before)
    assert "actions: read" in done.error.text
