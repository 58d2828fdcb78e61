"""Release what the job's own workflow run has built; flotilla never waits for itself."""

from __future__ import annotations

from collections.abc import Sequence

from flotilla.github import Artifact, WorkflowRun, job_faults, stale_faults
from flotilla.jobs.inputs import Inputs, JobContext

NEEDS = (
    "flotilla cannot wait for its own run: make this job wait for the jobs that build, with `needs:` in the workflow. "
    "If a name is wrong, correct ci.artifact in flotilla.yml. Nothing was written."
)
FITTING = (
    "To release what its own run has built, a job's workflow must be ci.workflow, every job that has ended must have "
    "succeeded, and the jobs of ci.jobs must have ended (`needs:`). Correct this, then re-run the failed jobs or the "
    "workflow."
)


def is_same_run(job: JobContext[Inputs], run: WorkflowRun) -> bool:
    """Return whether this job is part of the run, which then has not ended."""
    return str(run.id) == job.variables.run_id and run.status != "completed"


def own_run(job: JobContext[Inputs], commit: str) -> WorkflowRun | None:
    """Return the run that this job is part of, if it is a run of ci.workflow on this commit; otherwise None."""
    variables = job.variables
    if not variables.run_id.isdecimal() or variables.workflow != job.family.config.ci.workflow:
        return None
    run = job.github.runs.get(int(variables.run_id))
    return run if run and is_same_run(job, run) and run.commit == commit else None


def own_job_faults(job: JobContext[Inputs], run: WorkflowRun, artifacts: Sequence[Artifact] = ()) -> list[str]:
    """Return why the jobs of the job's own run forbid releasing from it.

    Args:
        artifacts: those to release, which must not come from an attempt whose jobs failed or run again.
    """
    attempt = job.variables.run_attempt
    if attempt and attempt != str(run.attempt):
        return [f"This job belongs to attempt {attempt} of its run, which is now in attempt {run.attempt}."]
    jobs = job.github.runs.jobs(run.id, run.attempt)
    return [*job_faults(run, jobs, job.family.config.ci.jobs), *stale_faults(artifacts, run, jobs)]
