"""wait-for-ci: the CI run to release from."""

from __future__ import annotations

from typing import assert_never

from flotilla.errors import DeadlineError, RunError
from flotilla.github import Failed, NotYet, Running, Succeeded, Trusted, WorkflowRun, choose_run, run_faults
from flotilla.jobs.inputs import Inputs
from flotilla.jobs.job import Job

POLL_SECONDS = 20.0
GOES_ON = "Re-run this job when CI is done, or give it more time with the input timeout-minutes."
NO_RUN = (
    "Nothing started CI there: look at the workflow's `on:` (branches, tags, paths), at [skip ci] in the commit's "
    "message, and whether this is the commit that you mean. Let CI run on it, then re-run this job."
)


def wait_for_ci(job: Job[Inputs], commit: str, run_id: int | None = None) -> WorkflowRun:
    """The successful run of the configured workflow on this commit; waits for it until the job's deadline.

    Args:
        run_id: take this run and no other; it is not waited for, and checked all the same.

    Raises:
        RunError: the run failed, was cancelled, or is not one to release from.
        DeadlineError: it did not end in time.
    """
    if run_id is not None:
        return checked_run(job, run_id, commit)
    states: list[str] = []
    runs: tuple[WorkflowRun, ...] = ()

    def probe() -> WorkflowRun | None:
        nonlocal runs
        runs = job.github.runs_of(job.family.config.ci.workflow, commit)
        found, state = _look(job, runs, commit)
        if state and state not in states[-1:]:
            states.append(state)
            job.runner.line(state)
        return found

    run = job.policy.poll(probe, every=POLL_SECONDS)
    if run is None:
        raise DeadlineError(
            f"CI did not succeed in time: {states[-1]}",
            advice=GOES_ON if runs else NO_RUN,
        )
    return run


def checked_run(job: Job[Inputs], run_id: int, commit: str) -> WorkflowRun:
    """The run of this number, if it is one to release from.

    Raises:
        RunError: it is not there, or of another repository, workflow, commit or outcome.
    """
    run = job.github.run(run_id)
    if run is None:
        raise RunError(
            f"run {run_id} does not exist in {job.facts.repository}",
            advice="Give the number of a CI run of this repository, such as the output run-id of action-release.",
        )
    if faults := run_faults(run, _trusted(job, commit)):
        raise RunError(faults, advice="Only a successful run of this repository's CI on the released commit is taken.")
    return run


def _look(job: Job[Inputs], runs: tuple[WorkflowRun, ...], commit: str) -> tuple[WorkflowRun | None, str]:
    match choose_run(runs, _trusted(job, commit)):
        case Succeeded(run=run):
            return run, ""
        case Running(run=run):
            return None, f"waiting for {run.url}: {run.status}"
        case NotYet(refused=refused):
            workflow = job.family.config.ci.workflow
            return None, f"waiting for a run of {workflow} on {commit}; there is none yet. {' '.join(refused)}".strip()
        case Failed(runs=ended):
            raise RunError(
                [f"the CI run {run.url} ended as {run.conclusion}" for run in ended],
                advice="Mend it or re-run it, then re-run this job. No other commit's run is taken in its place.",
            )
        case never:
            assert_never(never)


def _trusted(job: Job[Inputs], commit: str) -> Trusted:
    ci = job.family.config.ci
    return Trusted(repository=job.facts.repository, workflow=ci.workflow, commit=commit, pull_requests=ci.pull_requests)
