"""Check the jobs and artifacts of a run that releases what it built itself, before that run has ended."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from fnmatch import fnmatchcase

from flotilla.github.artifacts import from_earlier_attempts
from flotilla.github.models import Artifact, WorkflowJob, WorkflowRun
from flotilla.text import did_you_mean, one_line, quoted

# A job's times and an artifact's come from different clocks.
SKEW = timedelta(minutes=2)


def job_faults(run: WorkflowRun, jobs: Sequence[WorkflowJob], required: Sequence[str]) -> list[str]:
    """Return why the jobs of a run's attempt forbid releasing from it; [] if they do not.

    Args:
        jobs: those of the run's latest attempt, including those it did not run again.
        required: names or patterns of the jobs that must have succeeded.
    """
    if not jobs:
        return [f"GitHub lists no jobs for attempt {run.attempt} of this run, so no job is known to have succeeded."]
    failed = [
        f"The job {quoted(job.name)} of this run did not succeed ({_conclusion(job)}): {job.url}"
        for job in jobs
        if job.ended and job.conclusion not in {"success", "skipped"}
    ]
    return list(dict.fromkeys([*failed, *(fault for name in required for fault in _required_faults(name, jobs))]))


def _required_faults(name: str, jobs: Sequence[WorkflowJob]) -> Iterator[str]:
    named = [job for job in jobs if job.name == name or fnmatchcase(job.name, name)]
    if not named:
        near = did_you_mean(name, tuple(dict.fromkeys(one_line(job.name) for job in jobs)))
        yield f"This run has no job named {quoted(name)} (ci.jobs), or it has not started yet; {near}"
    for job in named:
        if not job.ended:
            status = one_line(job.status)
            yield f"The job {quoted(job.name)}, which ci.jobs requires, has not ended ({status})."
        elif job.conclusion == "skipped":
            yield f"The job {quoted(job.name)}, which ci.jobs requires, was skipped."


def _conclusion(job: WorkflowJob) -> str:
    return one_line(job.conclusion or "no conclusion")


def stale_faults(artifacts: Sequence[Artifact], run: WorkflowRun, jobs: Sequence[WorkflowJob]) -> list[str]:
    """Return the artifacts of earlier attempts that no successful job made; [] if only failed jobs were re-run.

    GitHub does not say which job made an artifact. An older artifact counts if it was made while a job ran that
    succeeded and was not run again; jobs that run again upload new ones.

    Args:
        jobs: those of the run's latest attempt, including those it did not run again (they ended before it started).
    """
    kept = [
        job for job in jobs if job.conclusion == "success" and job.completed_at and job.completed_at <= run.started_at
    ]
    return [
        f"The artifact {quoted(artifact.name)} is from an earlier attempt of this run, and the jobs that may have "
        "made it failed or are running again."
        for artifact in from_earlier_attempts(artifacts, run)
        if not any(_made_by(artifact, job) for job in kept)
    ]


def _made_by(artifact: Artifact, job: WorkflowJob) -> bool:
    ended = job.completed_at or job.started_at
    return job.started_at - SKEW <= artifact.created_at <= ended + SKEW
