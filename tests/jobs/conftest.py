"""Fixtures for tests of whole jobs: one world, restored before each test."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from tests.conftest import RecordedClock
from tests.faults.artifacts import EXAMPLE, example_artifacts
from tests.simulator.world import Rehearsal, Saved
from tests.world.ended import Ended
from tests.world.job_world import JobWorld

from flotilla.rehearsal.github import GitHubState, add_artifact

REPOSITORY = "acme/chroma"
Begin = Callable[[Path], JobWorld]
# Two platforms are enough to tell them apart; the whole example is released in test_whole_example.
LEFT_OUT = ("darwin-arm64", "darwin-x64", "linux-arm64")


@pytest.fixture(scope="session")
def artifacts() -> Path:
    """Return the example's artifacts, a folder each."""
    return example_artifacts()


@pytest.fixture(scope="session")
def shared_clock() -> RecordedClock:
    return RecordedClock()


@pytest.fixture(scope="session")
def shared_world(
    artifacts: Path, shared_clock: RecordedClock, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Rehearsal, Saved, int]]:
    """Yield GitHub with CI's run of the example and an empty registry; their saved state; and the run."""
    github = GitHubState(repository=REPOSITORY)
    run = github.add_run(workflow="ci.yml")
    for path in sorted(artifacts.iterdir()):
        add_artifact(github, run, path)
    with Rehearsal(tmp_path_factory.mktemp("world"), github=github, clock=shared_clock.now) as world:
        yield world, world.saved(), run.id


@pytest.fixture(scope="session")
def npm_variables(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    """Return the real npm starts faster where its compiled code is kept from one run to the next."""
    return {"NODE_COMPILE_CACHE": str(tmp_path_factory.mktemp("compiled"))}


@pytest.fixture(scope="session")
def begin(
    shared_world: tuple[Rehearsal, Saved, int], shared_clock: RecordedClock, npm_variables: Mapping[str, str]
) -> Begin:
    """Return what begins anew: the world as it was, and a checkout of the example with two platforms."""
    world, saved, run_id = shared_world

    def begun(workspace: Path) -> JobWorld:
        world.restore(saved)
        world.plan.start()
        shared_clock.slept.clear()
        shutil.copytree(EXAMPLE, workspace)
        made = JobWorld(world=world, workspace=workspace, clock=shared_clock, run_id=run_id, variables=npm_variables)
        made.edit("flotilla.yml", without_other_platforms)
        return made

    return begun


@pytest.fixture(scope="session")
def stages(begin: Begin, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Saved]:
    """Return the world after each step of a release; what many tests begin with is done once."""
    jobs = begin(tmp_path_factory.mktemp("stages") / "workspace")
    steps: list[tuple[str, Callable[[], Ended]]] = [
        ("released", lambda: jobs.run("release")),
        ("linux-x64", jobs.platform),
        ("platforms", lambda: jobs.platform("linux-x64-musl")),
        ("dev", jobs.dev),
        ("everything", lambda: jobs.run("publish-meta")),
    ]
    saved = {}
    for name, step in steps:
        done = step()
        assert done.status == 0, done.log
        saved[name] = jobs.world.saved()
    return saved


@pytest.fixture
def jobs(begin: Begin, tmp_path: Path) -> JobWorld:
    """Return the example with two platforms, before its release."""
    return begin(tmp_path / "workspace")


@pytest.fixture
def released(stages: Mapping[str, Saved], jobs: JobWorld) -> JobWorld:
    """Return the same, with its tag and release made."""
    return at(stages["released"], jobs)


@pytest.fixture
def one_platform(stages: Mapping[str, Saved], jobs: JobWorld) -> JobWorld:
    """Return the same, with linux-x64 published."""
    return at(stages["linux-x64"], jobs)


@pytest.fixture
def platforms(stages: Mapping[str, Saved], jobs: JobWorld) -> JobWorld:
    """Return the same, with its platform packages published."""
    return at(stages["platforms"], jobs)


@pytest.fixture
def everything(stages: Mapping[str, Saved], jobs: JobWorld) -> JobWorld:
    """Return the same, with every package published."""
    return at(stages["everything"], jobs)


def at(saved: Saved, jobs: JobWorld) -> JobWorld:
    """Return the jobs in a world as it was then."""
    jobs.world.restore(saved)
    jobs.clock.slept.clear()
    return jobs


def without_other_platforms(config: str) -> str:
    """Return flotilla.yml with linux-x64 and linux-x64-musl only."""
    return re.sub(rf"^  - \{{?(name: )?({'|'.join(LEFT_OUT)})\b.*\n", "", config, flags=re.MULTILINE)
