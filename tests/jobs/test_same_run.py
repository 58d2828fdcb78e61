"""Build and release in one workflow run: the job's own run is released from before it has ended."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.world.job_world import TOKEN, VERSION, JobWorld

from flotilla.errors import ArtifactError, RunError
from flotilla.rehearsal.github import GitObject, Run, StoredArtifact

EARLIER = "2026-01-01T10:00:00Z"
LATER = "2026-01-02T10:00:00Z"
ALONE = "chroma-linux-x64-free"


@pytest.fixture
def own(jobs: JobWorld) -> Run:
    """Return CI's run of the example, made the run that the jobs are part of; it has not ended."""
    return joined(jobs)


def joined(jobs: JobWorld) -> Run:
    """Make the jobs part of CI's run."""
    run = jobs.github.runs[0]
    run.status, run.conclusion = "in_progress", None
    jobs.github.release_run.id, jobs.github.release_run.workflow = run.id, "ci.yml"
    jobs.github.add_job(run, "build (linux-x64)")
    jobs.github.add_job(run, "docs", "skipped")
    jobs.github.add_job(run, "release", None)
    return run


def begin_again(jobs: JobWorld, run: Run) -> None:
    """Begin the run's second attempt a day after the first, whose artifacts and jobs stay."""
    for artifact in artifacts_of(jobs, run):
        artifact.created_at = EARLIER
    for job in jobs.github.jobs:
        job.started_at, job.completed_at = EARLIER, EARLIER if job.conclusion else None
    run.attempt = jobs.github.release_run.attempt = 2
    run.created_at, run.started_at = EARLIER, LATER
    jobs.github.jobs[:] = [job for job in jobs.github.jobs if job.name != "release"]
    jobs.github.add_job(run, "release", None, started_at=LATER)


def artifacts_of(jobs: JobWorld, run: Run) -> list[StoredArtifact]:
    return [artifact for artifact in jobs.github.artifacts if artifact.run_id == run.id]


def require_jobs(jobs: JobWorld, *names: str) -> None:
    jobs.edit("flotilla.yml", lambda text: text.replace("ci:\n", f"ci:\n  jobs: {json.dumps(names)}\n", 1))


@pytest.mark.parametrize("named", [True, False])
def test_a_run_releases_what_it_has_built_and_says_so(jobs: JobWorld, own: Run, *, named: bool) -> None:
    done = jobs.run("release", run_id=str(own.id) if named else "")
    assert (done.status, done.outputs["run-id"]) == (0, str(own.id)), done.log
    assert "Released from this run: " in done.summary
    ledger = json.loads((jobs.workspace / done.outputs["ledger"]).read_text(encoding="utf-8"))
    assert ledger["ci-run"]["same-run"] is True
    assert jobs.clock.slept == []


@pytest.mark.npm
def test_every_job_of_the_graph_works_in_the_run_that_built(jobs: JobWorld, own: Run) -> None:
    assert jobs.run("release", run_id=str(own.id)).status == 0
    for done in jobs.everything():
        assert done.status == 0, done.log
    assert "built by this run" in jobs.dev().summary


def test_a_release_of_another_run_does_not_say_same_run(jobs: JobWorld) -> None:
    done = jobs.run("release")
    assert "Same run" not in done.summary
    assert "same-run" not in (jobs.workspace / done.outputs["ledger"]).read_text(encoding="utf-8")


@pytest.mark.parametrize("form", ["tool-v{version}", "@acme/tool@{version}"])
def test_a_pushed_tag_is_released_as_it_is(jobs: JobWorld, own: Run, form: str) -> None:
    jobs.edit("flotilla.yml", lambda text: text.replace('"v{version}"', f'"{form}"'))
    tag = form.replace("{version}", VERSION)
    jobs.github.refs[f"refs/tags/{tag}"] = GitObject(sha=jobs.github.commit, type="commit")
    jobs.github.release_run.ref = f"refs/tags/{tag}"
    done = jobs.run("release", version=tag, run_id=str(own.id))
    assert done.status == 0, done.log
    assert (done.outputs["version"], done.outputs["tag"]) == (VERSION, tag)
    assert jobs.github.tags() == {tag: jobs.github.commit}


@pytest.mark.parametrize("event", ["push", "workflow_dispatch", "schedule", "release"])
def test_a_run_that_somebody_with_write_access_started_is_released(jobs: JobWorld, own: Run, event: str) -> None:
    own.event = event
    assert jobs.run("release", phase="check-artifacts").status == 0


@pytest.mark.parametrize("named", [True, False])
def test_a_job_that_waits_for_its_own_run_is_refused_at_once(jobs: JobWorld, own: Run, *, named: bool) -> None:
    """The release job has no `needs:`, and so begins beside those that build."""
    jobs.github.artifacts[:] = [one for one in jobs.github.artifacts if one.name != ALONE]
    error = jobs.refused("release", run_id=str(own.id) if named else "")
    assert error.title == ArtifactError.title
    assert "`needs:`" in error.text
    assert jobs.clock.slept == []


def test_a_run_that_builds_nothing_takes_an_earlier_run_of_its_workflow(jobs: JobWorld) -> None:
    """As it always did: the workflow runs on the branch and on the tag, and builds on the branch alone."""
    jobs.github.release_run.workflow = "ci.yml"
    own = jobs.github.add_run(workflow="ci.yml", status="in_progress")
    jobs.github.release_run.id = own.id
    jobs.github.add_job(own, "release", None)
    assert jobs.run("release", phase="wait-for-ci").outputs["run-id"] == str(jobs.run_id)


@pytest.mark.parametrize("given", [("build*",), ("build (linux-x64)",), ("build (*)", "build*")])
def test_jobs_that_must_have_succeeded_and_did_are_enough(jobs: JobWorld, own: Run, given: tuple[str, ...]) -> None:
    require_jobs(jobs, *given)
    jobs.github.add_job(own, "publish", None, status="queued")
    assert jobs.run("release", phase="wait-for-ci").status == 0


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("docs", '"docs"'),
        ("rel*", '"release"'),
        ("biuld (linux-x64)", 'did you mean "build (linux-x64)"?'),
        ("sign", '"sign"'),
    ],
)
def test_a_job_that_must_have_succeeded_and_did_not_is_named(jobs: JobWorld, own: Run, given: str, said: str) -> None:
    require_jobs(jobs, given)
    error = jobs.refused("release", run_id=str(own.id))
    assert error.title == RunError.title
    assert said in error.text
    assert jobs.clock.slept == []


@pytest.mark.parametrize("conclusion", ["failure", "cancelled", "timed_out", "neutral", "action_required"])
@pytest.mark.parametrize("named", [True, False])
def test_an_artifact_of_a_run_in_which_a_job_failed_is_refused(
    jobs: JobWorld, own: Run, conclusion: str, *, named: bool
) -> None:
    jobs.github.add_job(own, "build (linux-x64-musl)", conclusion)
    error = jobs.refused("release", run_id=str(own.id) if named else "")
    assert error.title == RunError.title
    assert "build (linux-x64-musl)" in error.text


def test_a_job_that_fails_while_the_artifacts_are_listed_is_noticed(jobs: JobWorld, own: Run) -> None:
    """No later look is needed: the jobs are asked for after the artifacts."""
    job = jobs.github.add_job(own, "build (linux-x64-musl)", None)
    listed = jobs.world.github.state.artifacts

    class Failing(list[StoredArtifact]):
        def __iter__(self) -> Any:
            job.status, job.conclusion, job.completed_at = "completed", "failure", job.started_at
            return super().__iter__()

    jobs.github.artifacts = Failing(listed)
    assert "build (linux-x64-musl)" in jobs.refused("release", run_id=str(own.id)).text


def test_a_run_without_a_job_that_succeeded_is_refused(jobs: JobWorld, own: Run) -> None:
    jobs.github.jobs.clear()
    assert jobs.refused("release", run_id=str(own.id)).title == RunError.title


def test_another_run_that_still_goes_on_is_refused(jobs: JobWorld, own: Run) -> None:
    """A run id that is not ours: what it says of its jobs is not asked."""
    jobs.github.release_run.id = own.id + 1_000_000
    assert f"Run {own.id} has not finished" in jobs.refused("release", run_id=str(own.id)).text


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("head_repository", "mallory/chroma", "mallory/chroma, a fork"),
        ("workflow", ".github/workflows/other.yml", "(ci.workflow)"),
        ("commit", "d" * 40, "built commit"),
        ("event", "pull_request", "the event pull_request"),
        ("event", "pull_request_target", "the event pull_request_target"),
        ("event", "workflow_run", "the event workflow_run"),
    ],
)
def test_the_jobs_own_run_is_held_to_the_rules_of_every_run(
    jobs: JobWorld, own: Run, field: str, value: str, said: str
) -> None:
    setattr(own, field, value)
    assert said in jobs.refused("release", run_id=str(own.id)).text


@pytest.mark.parametrize("event", ["pull_request", "pull_request_target", "workflow_run"])
def test_a_pull_requests_own_run_is_not_released(jobs: JobWorld, own: Run, event: str) -> None:
    own.event = jobs.github.release_run.event = event
    assert f"the event {event}" in jobs.refused("release").text


def test_a_publishing_job_refuses_its_own_run_if_a_job_failed(released: JobWorld) -> None:
    own = joined(released)
    released.github.add_job(own, "build (linux-x64-musl)", "failure")
    assert "build (linux-x64-musl)" in released.refused("publish-dev", run_id=str(own.id), npm_token=TOKEN).text


def test_a_re_run_of_failed_jobs_takes_the_artifacts_of_the_jobs_that_succeeded(jobs: JobWorld, own: Run) -> None:
    begin_again(jobs, own)
    done = jobs.run("release", run_id=str(own.id))
    assert done.status == 0, done.log
    assert "earlier attempt" in done.log


def test_a_re_run_takes_the_newest_artifact_of_a_name(jobs: JobWorld, own: Run) -> None:
    begin_again(jobs, own)
    old = next(artifact for artifact in artifacts_of(jobs, own) if artifact.name == ALONE)
    new = jobs.github.add_artifact(own, ALONE, old.content)
    old.content = b"no zip"
    done = jobs.run("release", run_id=str(own.id))
    assert done.status == 0, done.log
    ledger = json.loads((jobs.workspace / done.outputs["ledger"]).read_text(encoding="utf-8"))
    assert {one["id"] for one in ledger["artifacts"] if one["name"] == ALONE} == {new.id}


@pytest.mark.parametrize("again", [None, "success"])
def test_an_artifact_of_an_earlier_attempt_whose_jobs_are_run_again_is_refused(
    jobs: JobWorld, own: Run, again: str | None
) -> None:
    """All jobs are run again, and the release did not wait for them."""
    begin_again(jobs, own)
    jobs.github.add_job(own, "build (linux-x64)", again, started_at=LATER)
    error = jobs.refused("release", run_id=str(own.id))
    assert error.title == RunError.title
    assert f'The artifact "{ALONE}" is from an earlier attempt' in error.text


def test_an_artifact_of_an_earlier_attempts_failed_job_is_refused(jobs: JobWorld, own: Run) -> None:
    jobs.github.jobs[0].conclusion = "failure"
    begin_again(jobs, own)
    jobs.github.add_job(own, "build (linux-x64)", None, started_at=LATER)
    assert f'The artifact "{ALONE}" is from an earlier attempt' in jobs.refused("release", run_id=str(own.id)).text


def test_a_job_of_an_attempt_that_is_over_is_refused(jobs: JobWorld, own: Run) -> None:
    own.attempt = 2
    assert "attempt 1 of its run" in jobs.refused("release", run_id=str(own.id)).text
