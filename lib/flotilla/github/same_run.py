"""A workflow run that releases what it has built: rules for its jobs and artifacts, since it has not ended yet."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from fnmatch import fnmatchcase

from flotilla.github.artifacts import from_earlier_attempts
from flotilla.github.models import Artifact, WorkflowJob, WorkflowRun
from flotilla.text import did_you_mean, one_line, quoted

# The clocks of a job and of an artifact are two.
SKEW = timedelta(minutes=2)


def job_faults(run: WorkflowRun, jobs: Sequence[WorkflowJob], required: Sequence[str]) -> list[str]:
    """Return why the jobs of a run's attempt forbid releasing from it; nothing if they do not.

    Args:
        jobs: of the run's latest attempt, those that it did not run again included.
        required: names or patterns of the jobs that must have succeeded.
    """
    if not jobs:
        return [f"GitHub lists no job of attempt {run.attempt} of this run, so none is known to have succeeded."]
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
        yield f"No job of this run is named {quoted(name)} (ci.jobs), or it has not begun; {near}"
    for job in named:
        if not job.ended:
            status = one_line(job.status)
            yield f"The job {quoted(job.name)} of this run has not ended ({status}), and ci.jobs lists it."
        elif job.conclusion == "skipped":
            yield f"The job {quoted(job.name)} of this run was skipped, and ci.jobs lists it."


def _conclusion(job: WorkflowJob) -> str:
    return one_line(job.conclusion or "no conclusion")


def stale_faults(artifacts: Sequence[Artifact], run: WorkflowRun, jobs: Sequence[WorkflowJob]) -> list[str]:
    """Return which artifacts of earlier attempts no job vouches for; nothing if only failed jobs were run again.

    GitHub does not tell which job made an artifact. It counts if it was made while a job ran that succeeded and was not
    run again; the jobs that are run again make theirs anew.

    Args:
        jobs: of the run's latest attempt, those that it did not run again included, which ended before it started.
    """
    kept = [
        job for job in jobs if job.conclusion == "success" and job.completed_at and job.completed_at <= run.started_at
    ]
    return [
        f"The artifact {quoted(artifact.name)} is of an earlier attempt of this run; the jobs that may have made it "
        "did not succeed, or are run again."
        for artifact in from_earlier_attempts(artifacts, run)
        if not any(_made_by(artifact, job) for job in kept)
    ]


def _made_by(artifact: Artifact, job: WorkflowJob) -> bool:
    ended = job.completed_at or job.started_at
    return job.started_at - SKEW <= artifact.created_at <= ended + SKEW
