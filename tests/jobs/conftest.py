"""What the tests of whole jobs share: one world, put back as it was before each of them."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from tests.conftest import RecordedClock
from tests.faults.artifacts import EXAMPLE, example_artifacts
from tests.jobs.jobworld import JobWorld

from flotilla.rehearsal.github_state import GitHubState
from flotilla.rehearsal.serve import add_artifact
from flotilla.rehearsal.world import Rehearsal, Saved

REPOSITORY = "acme/chroma"
# Two platforms are enough to tell them apart; the whole example is released in test_whole_example.
LEFT_OUT = ("darwin-arm64", "darwin-x64", "linux-arm64")


@pytest.fixture(scope="session")
def artifacts() -> Path:
    """The example's artifacts, a folder each."""
    return example_artifacts()


@pytest.fixture(scope="session")
def shared_clock() -> RecordedClock:
    return RecordedClock()


@pytest.fixture(scope="session")
def shared_world(
    artifacts: Path, shared_clock: RecordedClock, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Rehearsal, Saved, int]]:
    """GitHub with CI's run of the example, an empty registry; how they were; and the run."""
    github = GitHubState(repository=REPOSITORY)
    run = github.add_run(workflow="ci.yml")
    for path in sorted(artifacts.iterdir()):
        add_artifact(github, run, path)
    with Rehearsal(tmp_path_factory.mktemp("world"), github=github, clock=shared_clock.now) as world:
        yield world, world.saved(), run.id


@pytest.fixture(scope="session")
def npm_variables(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    """The real npm starts faster where its compiled code is kept from one run to the next."""
    return {"NODE_COMPILE_CACHE": str(tmp_path_factory.mktemp("compiled"))}


@pytest.fixture
def jobs(
    shared_world: tuple[Rehearsal, Saved, int],
    shared_clock: RecordedClock,
    npm_variables: Mapping[str, str],
    tmp_path: Path,
) -> JobWorld:
    """The example with two platforms, before its release."""
    world, saved, run_id = shared_world
    world.restore(saved)
    shared_clock.slept.clear()
    workspace = tmp_path / "workspace"
    shutil.copytree(EXAMPLE, workspace)
    made = JobWorld(world=world, workspace=workspace, clock=shared_clock, run_id=run_id, variables=npm_variables)
    made.edit("flotilla.yml", without_other_platforms)
    return made


@pytest.fixture
def released(jobs: JobWorld) -> JobWorld:
    """The same, with its tag and release made."""
    done = jobs.run("release")
    assert done.status == 0, done.log
    return jobs


def without_other_platforms(config: str) -> str:
    """flotilla.yml with linux-x64 and linux-x64-musl alone."""
    return re.sub(rf"^  - \{{?(name: )?({'|'.join(LEFT_OUT)})\b.*\n", "", config, flags=re.MULTILINE)
