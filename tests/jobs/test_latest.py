"""A release that is completed after a newer one: what users get as the latest stays the newer one."""

from __future__ import annotations

from collections.abc import Mapping

from tests.simulator.world import Saved
from tests.world.job_world import JobWorld

NEWER = "2.0.0"
NAMES = [
    f"@acme/chroma{of}" for of in ("-linux-x64", "-linux-x64-non-free", "-linux-x64-musl", "-linux-x64-musl-non-free")
] + ["@acme/chroma-dev", "@acme/chroma", "@acme/chroma-non-free"]


def drafted_then_overtaken(jobs: JobWorld, everything: Saved) -> None:
    """Put 1.2.3 on npm, with its release a draft, when 2.0.0 comes out."""
    assert jobs.run("release", draft="true").status == 0
    jobs.world.registry.restore(everything.registry)
    for name in NAMES:
        jobs.put_version(name, NEWER)


def test_finishing_an_old_draft_does_not_take_latest_from_a_newer_release(
    stages: Mapping[str, Saved], jobs: JobWorld
) -> None:
    drafted_then_overtaken(jobs, stages["everything"])
    finished = jobs.run("release", phase="finish")
    assert finished.status == 0, finished.log
    (release,) = jobs.world.snapshot()["github"]["releases"]
    assert (release["draft"], release["latest"]) == (False, False)
    assert {tags["latest"] for tags in jobs.registry.tags.values()} == {NEWER}


def test_releasing_an_old_draft_does_not_take_latest_from_a_newer_release(
    stages: Mapping[str, Saved], jobs: JobWorld
) -> None:
    drafted_then_overtaken(jobs, stages["everything"])
    done = jobs.run("release")
    assert done.status == 0, done.log
    (release,) = jobs.world.snapshot()["github"]["releases"]
    assert (release["draft"], release["latest"]) == (False, False)


def test_a_dist_tag_latest_that_is_asked_for_by_name_is_githubs_latest_too(
    stages: Mapping[str, Saved], jobs: JobWorld
) -> None:
    drafted_then_overtaken(jobs, stages["everything"])
    jobs.edit("flotilla.yml", lambda text: text.replace("publish:\n", "publish:\n  dist-tag: latest\n"))
    assert jobs.run("release").status == 0
    (release,) = jobs.world.snapshot()["github"]["releases"]
    assert release["latest"]
