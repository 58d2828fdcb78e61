"""wait-for-ci: find the CI run to release from, and wait for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

from flotilla.errors import DeadlineError, RunError
from flotilla.github import (
    ArtifactRow,
    Choice,
    Failed,
    NotYet,
    Running,
    Succeeded,
    Trusted,
    WorkflowRun,
    choose_run,
    origin_faults,
    run_faults,
)
from flotilla.jobs.check_artifacts import artifact_rows, refuse_incomplete
from flotilla.jobs.inputs import Inputs, JobContext
from flotilla.jobs.same_run import FITTING, is_same_run, own_job_faults, own_run

POLL_SECONDS = 20.0
# GitHub starts all runs of a push within seconds; after that, no further run is expected.
EARLY_SECONDS = 120.0
GOES_ON = "Re-run this job when CI has finished, or set the input timeout-minutes higher."
NO_RUN = (
    "Nothing started CI on this commit. Check the workflow's `on:` (branches, tags, paths), whether the commit message "
    "says [skip ci], and whether this is the right commit. Run CI on it, then re-run this job."
)


def wait_for_ci(job: JobContext[Inputs], commit: str, run_id: int | None = None) -> WorkflowRun:
    """Return the oldest successful run of the configured workflow on this commit that has every artifact.

    Wait for it until the job's deadline. If the configured workflow is the one that this job runs in, return this run
    without waiting.

    Args:
        run_id: use only this run; it is checked like any other, but not awaited.

    Raises:
        RunError: the run failed, was cancelled, or must not be released from.
        ArtifactError: runs succeeded, but none has every artifact.
        DeadlineError: it did not end in time.
    """
    if run_id is not None:
        return checked_run(job, run_id, commit)
    if own := own_run(job, commit):
        return _of_own_workflow(job, own)
    return _Wait(job, commit).run()


def checked_run(job: JobContext[Inputs], run_id: int, commit: str) -> WorkflowRun:
    """Return the run with this id, if flotilla may release from it.

    Raises:
        RunError: it does not exist, did not succeed, or is of another repository, workflow or commit.
    """
    run = job.github.runs.get(run_id)
    if run is None:
        raise RunError(
            f"run {run_id} does not exist in {job.variables.repository}",
            advice="Set run-id to that of a CI run of this repository, such as action-release's output run-id.",
        )
    if is_same_run(job, run):
        return _fit(job, run, commit)
    if faults := run_faults(run, _trusted(job, commit)) or merge_faults(job, run):
        raise RunError(
            faults,
            advice="flotilla only releases from a successful run of this repository's CI on the released commit.",
        )
    return run


def _of_own_workflow(job: JobContext[Inputs], own: WorkflowRun) -> WorkflowRun:
    """Return the job's own run or, if it has built nothing, an earlier run of the same workflow that has everything.

    Raises:
        RunError: flotilla must not release from the job's own run.
        ArtifactError: it lacks artifacts.
    """
    rows = artifact_rows(job, own)
    if not any(row.artifact for row in rows):
        choice = choose_run(job.github.runs.of(own.path, own.commit), _trusted(job, own.commit))
        for run in choice.runs if isinstance(choice, Succeeded) else ():
            if not merge_faults(job, run) and not any(row.fault for row in artifact_rows(job, run)):
                job.runner.line(f"this run has built nothing; {run.url} of the same workflow has every artifact")
                return run
    _fit(job, own, own.commit)
    if any(row.fault for row in rows):
        refuse_incomplete(job, [(own, rows)])
    return own


def _fit(job: JobContext[Inputs], own: WorkflowRun, commit: str) -> WorkflowRun:
    faults = origin_faults(own, _trusted(job, commit)) or merge_faults(job, own) or own_job_faults(job, own)
    if faults:
        raise RunError(faults, advice=FITTING)
    return own


def merge_faults(job: JobContext[Inputs], run: WorkflowRun) -> list[str]:
    """Return why a pull request's run did not build its commit; [] if it did.

    Such a run builds the merge of the commit into its base, which is the same tree only if the commit contains the
    whole base. GitHub does not tell the base of a closed pull request; the default branch is used instead.
    """
    if run.event != "pull_request":
        return []
    bases = run.bases or (job.github.runs.repository().default_branch,)
    return [
        f"Run {run.id} built a pull request's merge with {base}, which {run.commit} does not contain completely, so "
        "its artifacts come from other sources than the released commit."
        for base in bases
        if not job.github.runs.holds(run.commit, base)
    ]


class _Wait:
    """The wait for one commit's run, and what was reported meanwhile."""

    def __init__(self, job: JobContext[Inputs], commit: str) -> None:
        self._job = job
        self._commit = commit
        self._choice: Choice = NotYet()
        self._told = ""
        self._early = job.policy.clock.now() + EARLY_SECONDS

    def run(self) -> WorkflowRun:
        run = self._job.policy.poll(self._look, every=POLL_SECONDS)
        if run is not None:
            return run
        if isinstance(self._choice, NotYet) and self._choice.refused:
            raise self._refused(self._choice)
        nothing = isinstance(self._choice, NotYet)
        raise DeadlineError(f"CI did not succeed in time: {self._told}", advice=NO_RUN if nothing else GOES_ON)

    def _look(self) -> WorkflowRun | None:
        workflow = self._job.family.config.ci.workflow
        runs = self._job.github.runs.of(workflow, self._commit)
        self._choice = choose_run(runs, _trusted(self._job, self._commit))
        match self._choice:
            case Succeeded(runs=succeeded, running=running):
                return self._complete(succeeded, running)
            case Running(run=run):
                self._tell(f"waiting for {run.url}: {run.status}")
            case NotYet(refused=refused):
                if refused and self._job.policy.clock.now() >= self._early:
                    raise self._refused(self._choice)
                why = f"waiting for a run of {workflow} on {self._commit}; there is none yet. {' '.join(refused)}"
                self._tell(why.strip())
            case Failed(runs=ended):
                raise RunError(
                    [f"the CI run {run.url} ended with the conclusion {run.conclusion}" for run in ended],
                    advice="Fix or re-run CI, then re-run this job. A run of another commit is never used instead.",
                )
            case never:
                assert_never(never)
        return None

    def _complete(self, succeeded: Sequence[WorkflowRun], running: WorkflowRun | None) -> WorkflowRun | None:
        """Return the first run that has everything; None if one that is still running may have it."""
        faults = {run.id: merge_faults(self._job, run) for run in succeeded}
        own = [run for run in succeeded if not faults[run.id]]
        lacking: list[tuple[WorkflowRun, Sequence[ArtifactRow]]] = []
        for run in own:
            rows = artifact_rows(self._job, run)
            if not any(row.fault for row in rows):
                for other, _ in lacking:
                    self._job.runner.line(f"{other.url} succeeded, but lacks artifacts; {run.url} has all of them")
                return run
            lacking.append((run, rows))
        if running is not None:
            self._tell(f"waiting for {running.url}: {running.status}; the runs that succeeded lack artifacts")
            return None
        if lacking:
            refuse_incomplete(self._job, lacking)
        raise RunError(
            [fault for run in succeeded for fault in faults[run.id]],
            advice="Run CI on the commit itself (push or workflow_dispatch), then re-run this job.",
        )

    def _refused(self, choice: NotYet) -> RunError:
        workflow = self._job.family.config.ci.workflow
        return RunError(
            [f"flotilla must not release from any run of {workflow} on {self._commit}", *choice.refused],
            advice="Run CI on the commit itself (push or workflow_dispatch), then re-run this job.",
        )

    def _tell(self, state: str) -> None:
        if state != self._told:
            self._told = state
            self._job.runner.line(state)


def _trusted(job: JobContext[Inputs], commit: str) -> Trusted:
    ci = job.family.config.ci
    return Trusted(
        repository=job.variables.repository, workflow=ci.workflow, commit=commit, pull_requests=ci.pull_requests
    )
