"""The world as a whole: one numbering, one environment, saved and restored together."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.rehearsal.client import Client
from tests.rehearsal.publishing import put
from tests.simulator.world import Rehearsal

from flotilla.rehearsal.github import GitHubState
from flotilla.rehearsal.job_environment import read_outputs


@pytest.fixture
def world(tmp_path: Path) -> Iterator[Rehearsal]:
    with Rehearsal(tmp_path / "world", github=GitHubState(repository="acme/ffmpeg")) as world:
        yield world


def act(world: Rehearsal, version: str) -> None:
    """Draft a release and publish a package."""
    repository = f"{world.github.origins.api}/repos/acme/ffmpeg"
    with Client(repository, token=world.github.state.token) as github:
        github.post("/releases", body={"tag_name": f"v{version}", "draft": True})
    with Client(world.registry.url, token=next(iter(world.registry.state.tokens))) as npm:
        put(npm, "@acme/ffmpeg", version)


def test_github_and_the_registry_are_numbered_together(world: Rehearsal) -> None:
    act(world, "1.0.0")
    assert [(request.n, request.server) for request in world.plan.requests] == [(1, "github"), (2, "registry")]


def test_a_saved_world_comes_back_and_a_replay_ends_the_same(world: Rehearsal) -> None:
    act(world, "1.0.0")
    saved = world.saved()
    before = world.snapshot()
    act(world, "1.1.0")
    after = world.snapshot()
    world.restore(saved)
    assert world.snapshot() == before != after
    act(world, "1.1.0")
    assert world.snapshot() == after


def test_the_same_deeds_leave_equal_snapshots_in_two_worlds(tmp_path: Path) -> None:
    snapshots = []
    for name in ("one", "two"):
        with Rehearsal(tmp_path / name, github=GitHubState(repository="acme/ffmpeg")) as world:
            act(world, "1.0.0")
            snapshots.append(world.snapshot())
    assert snapshots[0] == snapshots[1]


def test_a_job_has_the_runners_variables_its_inputs_and_its_files(world: Rehearsal, tmp_path: Path) -> None:
    job = world.environment("release", workspace=tmp_path, inputs={"run-id": "7", "dry-run": "true"})
    expected = {
        "GITHUB_ACTIONS": "true",
        "GITHUB_API_URL": world.github.origins.api,
        "GITHUB_REPOSITORY": "acme/ffmpeg",
        "GITHUB_SHA": GitHubState.commit,
        "GITHUB_WORKFLOW_REF": "acme/ffmpeg/.github/workflows/release.yml@refs/heads/main",
        "GITHUB_WORKSPACE": str(tmp_path),
        "INPUT_RUN-ID": "7",
        "INPUT_DRY-RUN": "true",
        "INPUT_GITHUB-TOKEN": world.github.state.token,
        "RUNNER_ENVIRONMENT": "github-hosted",
        "ACTIONS_ID_TOKEN_REQUEST_URL": world.github.id_token_url,
        "npm_config_registry": world.registry.url,
    }
    assert {name: job.variables[name] for name in expected} == expected
    for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY", "GITHUB_ENV", "GITHUB_EVENT_PATH"):
        assert Path(job.variables[name]).is_file()
    for name in ("HOME", "RUNNER_TEMP"):
        assert Path(job.variables[name]).is_dir()


def test_a_job_without_the_permission_has_no_id_token_variables(world: Rehearsal, tmp_path: Path) -> None:
    job = world.environment("release", workspace=tmp_path, id_token=False)
    assert not [name for name in job.variables if name.startswith("ACTIONS_ID_TOKEN")]


def test_each_job_has_files_of_its_own(world: Rehearsal, tmp_path: Path) -> None:
    jobs = [world.environment("publish-platform", workspace=tmp_path) for _job in range(2)]
    Path(jobs[0].variables["GITHUB_OUTPUT"]).write_text("a=1\nb<<X\n2\n3\nX\n", encoding="utf-8")
    Path(jobs[0].variables["GITHUB_STEP_SUMMARY"]).write_text("# done\n", encoding="utf-8")
    assert (jobs[0].outputs(), jobs[0].summary) == ({"a": "1", "b": "2\n3"}, "# done\n")
    assert jobs[1].outputs() == {}


def test_outputs_are_read_as_the_runner_reads_them() -> None:
    assert read_outputs("a=b<<c\nd<<E\nx=y\nE\nf=\n") == {"a": "b<<c", "d": "x=y", "f": ""}


def test_verdaccio_without_its_modules_is_a_mistake_of_the_caller(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="node_modules"), Rehearsal(tmp_path, verdaccio=True):
        pass


def test_jobs_that_begin_side_by_side_have_files_of_their_own(world: Rehearsal, tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        jobs = [*pool.map(lambda _job: world.environment("publish-platform", workspace=tmp_path), range(64))]
    assert len({job.folder for job in jobs}) == 64
