"""Which jobs and artifacts of a run count, if it is released from before it has ended."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from tests.github.conftest import REPO

from flotilla.errors import RunError
from flotilla.github import job_faults, stale_faults
from flotilla.github.models import WorkflowJob

if TYPE_CHECKING:
    from tests.github.conftest import Maker, ScriptedServer

    from flotilla.github import GitHub

BEGAN = datetime(2026, 1, 2, tzinfo=UTC)
AGAIN = "2026-01-03T00:00:00Z"
BUILD = {"id": 1, "name": "build (x64)", "status": "completed", "conclusion": "success", "html_url": "https://x/1"}
TIMES = {"started_at": "2026-01-02T00:00:00Z", "completed_at": "2026-01-02T00:05:00Z"}


def a_job(name: str, conclusion: str | None = "success", *, status: str = "", minutes: float = 5) -> WorkflowJob:
    return WorkflowJob(
        name=name,
        url=f"https://x/{name}",
        status=status or ("completed" if conclusion else "in_progress"),
        conclusion=conclusion,
        started_at=BEGAN,
        completed_at=BEGAN + timedelta(minutes=minutes) if conclusion else None,
    )


def test_the_jobs_of_an_attempt_are_read(github: GitHub, server: ScriptedServer) -> None:
    going = BUILD | {"id": 2, "name": "release", "status": "in_progress", "conclusion": None, "html_url": None}
    listed = {"jobs": [BUILD | TIMES, going | TIMES | {"completed_at": None}]}
    server.on("GET", f"{REPO}/actions/runs/7/attempts/2/jobs?per_page=100", reply=listed)
    ended, running = github.runs.jobs(7, 2)
    assert (ended.name, ended.ended, ended.conclusion, ended.started_at) == ("build (x64)", True, "success", BEGAN)
    assert (running.ended, running.conclusion, running.completed_at, running.url) == (False, None, None, "")


def test_an_attempt_that_is_not_there_is_refused(github: GitHub, server: ScriptedServer) -> None:
    server.on("GET", f"{REPO}/actions/runs/7/attempts/2/jobs?per_page=100", 404, reply={"message": "Not Found"})
    with pytest.raises(RunError, match="no attempt 2") as refused:
        github.runs.jobs(7, 2)
    assert "`run-id`" in refused.value.advice


def test_jobs_that_succeeded_were_skipped_or_go_on_forbid_nothing(make: Maker) -> None:
    jobs = [a_job("build"), a_job("docs", "skipped"), a_job("release", None), a_job("publish", None, status="queued")]
    assert job_faults(make.a_run(), jobs, ["build"]) == []


@pytest.mark.parametrize("conclusion", ["failure", "cancelled", "timed_out", "neutral", "action_required", "stale"])
def test_a_job_that_did_not_succeed_forbids_it_even_if_it_is_not_required(make: Maker, conclusion: str) -> None:
    (fault,) = job_faults(make.a_run(), [a_job("build"), a_job("lint", conclusion)], ["build"])
    assert '"lint"' in fault
    assert f"({conclusion}): https://x/lint" in fault


def test_a_job_that_ended_without_a_conclusion_did_not_succeed(make: Maker) -> None:
    (fault,) = job_faults(make.a_run(), [a_job("lint", None, status="completed")], [])
    assert "(no conclusion)" in fault


def test_of_two_jobs_of_one_name_both_count(make: Maker) -> None:
    assert job_faults(make.a_run(), [a_job("build"), a_job("build", "failure")], []) != []


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("release", 'The job "release", which ci.jobs requires, has not ended (in_progress)'),
        ("publish", "has not ended (queued)"),
        ("docs", "was skipped"),
        ("d*", 'The job "docs", which ci.jobs requires, was skipped'),
        ("biuld", 'did you mean "build"?'),
        ("BUILD", '"BUILD"'),
    ],
)
def test_a_required_job_must_have_ended_in_success(make: Maker, name: str, said: str) -> None:
    jobs = [a_job("build"), a_job("docs", "skipped"), a_job("release", None), a_job("publish", None, status="queued")]
    (fault,) = job_faults(make.a_run(), jobs, [name])
    assert said in fault


def test_a_jobs_name_with_brackets_is_a_name_before_it_is_a_pattern(make: Maker) -> None:
    assert job_faults(make.a_run(), [a_job("build [x64]")], ["build [x64]"]) == []


@pytest.mark.parametrize(
    ("made", "jobs", "fit"),
    [
        ("2026-01-02T00:04:00Z", [a_job("build")], True),
        ("2026-01-02T00:01:00Z", [a_job("build")], True),
        ("2026-01-01T23:58:00Z", [a_job("build")], True),
        ("2026-01-02T00:07:00Z", [a_job("build")], True),
        ("2026-01-02T00:08:00Z", [a_job("build")], False),
        ("2026-01-01T23:57:00Z", [a_job("build")], False),
        ("2026-01-02T00:04:00Z", [a_job("build", "failure")], False),
        ("2026-01-02T00:04:00Z", [a_job("build", "skipped")], False),
        ("2026-01-02T00:04:00Z", [a_job("build", None)], False),
        ("2026-01-02T00:04:00Z", [a_job("build", minutes=60 * 24)], True),
        ("2026-01-02T00:04:00Z", [a_job("build", minutes=60 * 24 + 1)], False),
        ("2026-01-02T00:04:00Z", [], False),
        ("2026-01-03T00:00:00Z", [], True),
    ],
)
def test_an_artifact_of_an_earlier_attempt_counts_only_if_a_job_that_succeeded_may_have_made_it(
    make: Maker, made: str, jobs: list[WorkflowJob], *, fit: bool
) -> None:
    run = make.a_run(run_attempt=2, run_started_at=AGAIN)
    faults = stale_faults([make.an_artifact(31, name="tool", created_at=made)], run, jobs)
    assert (faults == []) is fit
    assert all('"tool"' in fault for fault in faults)


def test_in_a_first_attempt_no_artifact_is_of_an_earlier_one(make: Maker) -> None:
    first: Any = make.a_run()
    assert stale_faults([make.an_artifact(31, created_at="2025-12-31T00:00:00Z")], first, []) == []
