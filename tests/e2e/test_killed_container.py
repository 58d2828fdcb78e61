"""A publishing container that is killed half-way, and the workflow run again."""

from __future__ import annotations

import time
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest
from docker import DockerClient
from tests.e2e.release import release, world_of
from tests.e2e.workflow import WorkflowResult, make_consumer
from tests.simulator.world import Rehearsal

pytestmark = [pytest.mark.docker, pytest.mark.e2e, pytest.mark.registry, pytest.mark.npm, pytest.mark.timeout(1200)]

VERSION = "1.0.0"
DROPPED = ("darwin-arm64", "darwin-x64", "linux-arm64")
PLATFORMS = ("linux-x64", "linux-x64-musl")


def kill_after_the_first_publish(docker: DockerClient, world: Rehearsal, running: Future[WorkflowResult]) -> int:
    """Kill every container that publishes platform packages, once one of these is accepted; how many were by then."""
    while not any("-linux-" in one.name for one in world.registry.state.accepted):
        assert not running.done(), running.result().log
        time.sleep(0.05)
    running_now = docker.containers.list()
    publishing = [one for one in running_now if "action-publish-platform" in one.attrs["Config"]["Image"]]
    assert publishing, [one.attrs["Config"]["Image"] for one in running_now]
    for container in publishing:
        container.kill()
    return sum("-linux-" in one.name for one in world.registry.state.accepted)


@pytest.mark.usefixtures("runner")
def test_a_release_whose_container_was_killed_is_completed_by_running_it_again(
    docker: DockerClient, tmp_path: Path, actions: Path, artifacts: Path, modules: Path
) -> None:
    consumer = make_consumer(tmp_path / "chroma", without_platforms=DROPPED)
    with (
        world_of(consumer, artifacts=artifacts, folder=tmp_path / "world", modules=modules) as world,
        ThreadPoolExecutor(1) as pool,
    ):
        token = next(iter(world.registry.state.tokens))
        run = partial(
            release, world, consumer, actions=actions, scratch=tmp_path / "act", version=VERSION, npm_token=token
        )
        first = pool.submit(run)
        # Between a job's two publishes lies its pause, so that there is one left to lose.
        accepted = kill_after_the_first_publish(docker, world, first)
        assert not first.result().succeeded
        assert "publish-meta" not in first.result().jobs()
        assert accepted < 2 * len(PLATFORMS)
        tagged = world.snapshot()["github"]

        second = run()
        assert second.succeeded, second.log
        assert world.snapshot()["github"] == tagged
        binaries = {f"@acme/chroma-{platform}{suffix}" for platform in PLATFORMS for suffix in ("", "-non-free")}
        family = binaries | {"@acme/chroma-dev", "@acme/chroma", "@acme/chroma-non-free"}
        assert world.snapshot()["registry"]["accepted"] == {f"{name}@{VERSION}": 1 for name in sorted(family)}
