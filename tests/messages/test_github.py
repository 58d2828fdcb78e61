"""What is said of CI runs and artifacts that cannot be released."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.messages.conftest import Golden

from flotilla.github import Artifact, Trusted, WorkflowRun, artifact_table, job_faults, run_faults, stale_faults
from flotilla.github.models import WorkflowJob

COMMIT = "c0ffee" * 6 + "c0ff"
OURS = Trusted(repository="acme/tool", workflow="ci.yml", commit=COMMIT)
BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
RUN = WorkflowRun(
    id=1234567890,
    url="https://github.com/acme/tool/actions/runs/1234567890",
    status="completed",
    conclusion="success",
    commit=COMMIT,
    event="push",
    path=".github/workflows/ci.yml",
    repository="acme/tool",
    head_repository="acme/tool",
    attempt=1,
    created_at=BEGAN,
    started_at=BEGAN,
)
RUNS: tuple[dict[str, Any], ...] = (
    {"repository": "evil/tool"},
    {"head_repository": "evil/tool"},
    {"head_repository": None},
    {"path": ".github/workflows/other.yml"},
    {"commit": "0" * 40},
    {"event": "pull_request"},
    {"event": "pull_request", "bot": "dependabot[bot]"},
    {"event": "workflow_run"},
    {"status": "in_progress", "conclusion": None},
    {"conclusion": "failure"},
    {"conclusion": None},
    {"head_repository": "evil/tool", "event": "pull_request_target", "conclusion": "cancelled"},
)


def artifact(name: str, *, size: int = 1000, expired: bool = False) -> Artifact:
    return Artifact(id=1, name=name, size=size, expired=expired, digest=None, run_id=RUN.id, created_at=BEGAN)


def test_runs_that_are_not_released(golden: Golden) -> None:
    golden("ci-runs", ((str(changed), "\n".join(run_faults(replace(RUN, **changed), OURS))) for changed in RUNS))


def test_artifacts_that_cannot_be_used(golden: Golden) -> None:
    found = [
        artifact("tool-linux-x64"),
        artifact("tool-linux-arm64", expired=True),
        artifact("tool-darwin-x64", size=0),
        artifact("tool-win32-x64"),
    ]
    needed = ["tool-linux-x64", "tool-linux-arm64", "tool-darwin-x64", "tool-win32-x46", "tool-dev"]
    faults = [f"{row.name}: {row.fault}" for row in artifact_table(needed, found) if row.fault]
    golden("ci-artifacts", [("missing, expired and empty", "\n".join(faults))])


def test_jobs_and_artifacts_of_the_jobs_own_run(golden: Golden) -> None:
    jobs = [
        job("build (x64)", "success"),
        job("build (arm64)", "failure"),
        job("docs", "skipped"),
        job("release", None),
    ]
    again = replace(RUN, attempt=2, started_at=BEGAN + timedelta(days=1))
    golden(
        "ci-same-run",
        [
            ("no job", "\n".join(job_faults(RUN, [], []))),
            *((f"ci.jobs: [{name}]", "\n".join(job_faults(RUN, jobs, [name]))) for name in ("docs", "rel*", "biuld")),
            ("an earlier attempt", "\n".join(stale_faults([artifact("tool-linux-x64")], again, []))),
        ],
    )


def job(name: str, conclusion: str | None) -> WorkflowJob:
    return WorkflowJob(
        name=name,
        url=f"{RUN.url}/job/1",
        status="completed" if conclusion else "in_progress",
        conclusion=conclusion,
        started_at=BEGAN,
        completed_at=BEGAN if conclusion else None,
    )
