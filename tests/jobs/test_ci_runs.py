"""Which CI run a release takes, of several, and how long it waits for one."""

from __future__ import annotations

from typing import Any

import pytest
from tests.world.job_world import JobWorld

from flotilla.errors import ArtifactError, RunError
from flotilla.rehearsal.github import Run

OLDER = "a" * 40
NEWER = "b" * 40


def another_run(jobs: JobWorld, *, without: str = "", **of: Any) -> Run:
    """Return a further run of CI on the commit, with the artifacts of the first, but for one."""
    run = jobs.github.add_run(workflow="ci.yml", **of)
    for one in [one for one in jobs.github.artifacts if one.run_id == jobs.run_id and one.name != without]:
        jobs.github.add_artifact(run, one.name, one.content)
    return run


def expire(jobs: JobWorld, run_id: int) -> None:
    for one in jobs.github.artifacts:
        one.expired = one.expired or one.run_id == run_id


def allow_pull_requests(jobs: JobWorld) -> None:
    jobs.edit("flotilla.yml", lambda text: text.replace("ci:\n", "ci:\n  pull-requests: true\n", 1))


@pytest.mark.parametrize("phase", ["wait-for-ci", "check-artifacts", "release", "all"])
def test_a_run_whose_artifacts_have_expired_does_not_hide_a_later_one_that_has_them(jobs: JobWorld, phase: str) -> None:
    later = another_run(jobs)
    expire(jobs, jobs.run_id)
    done = jobs.run("release", phase=phase)
    assert (done.status, done.outputs["run-id"]) == (0, str(later.id)), done.log
    assert f"/actions/runs/{jobs.run_id} " in done.log


def test_a_run_that_built_nothing_does_not_hide_a_later_one(jobs: JobWorld) -> None:
    later = another_run(jobs)
    jobs.github.artifacts[:] = [one for one in jobs.github.artifacts if one.run_id != jobs.run_id]
    assert jobs.run("release", phase="wait-for-ci").outputs["run-id"] == str(later.id)


def test_of_two_runs_that_have_everything_the_oldest_is_taken(jobs: JobWorld) -> None:
    another_run(jobs)
    assert jobs.run("release", phase="wait-for-ci").outputs["run-id"] == str(jobs.run_id)


def test_where_no_run_has_everything_each_is_named_with_what_it_lacks(jobs: JobWorld) -> None:
    later = another_run(jobs, without="chroma-linux-x64-free")
    expire(jobs, jobs.run_id)
    error = jobs.refused("release", phase="wait-for-ci")
    assert error.title == ArtifactError.title
    assert f" in {url(jobs.run_id)}" in error.text
    assert "- chroma-linux-x64-free: expired" in error.text
    assert f" in {url(later.id)}" in error.text
    assert "- chroma-linux-x64-free: missing" in error.text
    assert "`run-id`" in error.text
    assert jobs.clock.slept == []


def test_a_run_that_still_goes_on_is_waited_for_where_the_others_lack_artifacts(jobs: JobWorld) -> None:
    later = another_run(jobs, reads_until_done=3)
    expire(jobs, jobs.run_id)
    done = jobs.run("release", phase="wait-for-ci")
    assert done.outputs["run-id"] == str(later.id)
    assert f"waiting for {url(later.id)}: in_progress" in done.log


@pytest.mark.parametrize(
    ("of", "said"),
    [
        ({"event": "pull_request"}, "`pull-requests: true`"),
        ({"event": "pull_request", "head_repository": "mallory/chroma"}, "mallory/chroma, a fork"),
        ({"head_repository": "mallory/chroma"}, "mallory/chroma, a fork"),
        ({"event": "pull_request", "actor": "dependabot[bot]"}, "dependabot[bot]"),
    ],
)
def test_an_hour_is_not_waited_where_only_runs_that_never_count_are_there(
    jobs: JobWorld, of: dict[str, Any], said: str
) -> None:
    for field, value in of.items():
        setattr(jobs.github.runs[0], field, value)
    error = jobs.refused("release", phase="wait-for-ci")
    assert error.title == RunError.title
    assert said in error.text
    assert sum(jobs.clock.slept) <= 120


def test_a_forks_run_is_never_told_that_pull_requests_would_help(jobs: JobWorld) -> None:
    run = jobs.github.runs[0]
    run.event, run.head_repository = "pull_request", "mallory/chroma"
    assert "pull-requests" not in jobs.refused("release", phase="wait-for-ci").text
    assert "pull-requests" not in jobs.refused("release", phase="wait-for-ci", run_id=str(run.id)).text


def test_a_push_that_starts_ci_a_little_after_a_pull_requests_run_is_still_waited_for(jobs: JobWorld) -> None:
    pushed = jobs.github.runs.pop()
    jobs.github.add_run(workflow="ci.yml", event="pull_request")
    sleep = jobs.clock.sleep

    def slept(seconds: float) -> None:
        sleep(seconds)
        if pushed not in jobs.github.runs:
            jobs.github.runs.append(pushed)

    jobs.clock.sleep = slept  # type: ignore[method-assign]
    try:
        done = jobs.run("release", phase="wait-for-ci")
    finally:
        del jobs.clock.sleep
    assert done.outputs["run-id"] == str(pushed.id)


def test_a_pull_requests_run_counts_where_its_merge_is_the_commits_own_tree(jobs: JobWorld) -> None:
    allow_pull_requests(jobs)
    jobs.github.add_commit(OLDER)
    jobs.github.add_commit(jobs.github.commit, parent=OLDER)
    jobs.github.runs[0].event, jobs.github.runs[0].bases = "pull_request", [OLDER]
    assert jobs.run("release", phase="check-artifacts").status == 0


@pytest.mark.parametrize("given", [True, False])
def test_a_pull_requests_run_that_built_other_sources_than_the_commits_is_refused(
    jobs: JobWorld, *, given: bool
) -> None:
    """Its base went on meanwhile, so the merge that CI built holds commits that the released one does not."""
    allow_pull_requests(jobs)
    jobs.github.add_commit(NEWER, parent=OLDER)
    jobs.github.add_commit(jobs.github.commit, parent=OLDER)
    jobs.github.runs[0].event, jobs.github.runs[0].bases = "pull_request", [NEWER]
    error = jobs.refused("release", **({"run_id": str(jobs.run_id)} if given else {}))
    assert error.title == RunError.title
    assert f"Run {jobs.run_id} " in error.text
    assert NEWER in error.text
    assert jobs.clock.slept == []


def test_a_closed_pull_request_is_held_to_the_default_branch(jobs: JobWorld) -> None:
    allow_pull_requests(jobs)
    jobs.github.runs[0].event = "pull_request"
    assert jobs.run("release", phase="wait-for-ci").status == 0
    jobs.github.add_commit(NEWER, parent=jobs.github.commit)
    jobs.github.refs["refs/heads/main"] = type(jobs.github.refs["refs/heads/main"])(sha=NEWER, type="commit")
    assert " main" in jobs.refused("release", phase="wait-for-ci").text


def test_a_bots_pull_request_is_never_released(jobs: JobWorld) -> None:
    allow_pull_requests(jobs)
    run = jobs.github.runs[0]
    run.event, run.actor = "pull_request", "renovate[bot]"
    error = jobs.refused("release", run_id=str(run.id))
    assert f"Run {run.id} was started by renovate[bot]" in error.text


def url(run_id: int) -> str:
    return f"https://github.com/acme/chroma/actions/runs/{run_id}"
