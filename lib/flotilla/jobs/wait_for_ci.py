"""wait-for-ci and check-artifacts: find the CI run to release from, wait for it, and check that it has everything.

A job may release what its own run has built; flotilla never waits for itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn, assert_never

from flotilla.errors import ArtifactError, ConflictError, DeadlineError, RunError
from flotilla.family import Need
from flotilla.github import (
    Artifact,
    ArtifactRow,
    Choice,
    Failed,
    NotYet,
    Running,
    Succeeded,
    Trusted,
    WorkflowRun,
    artifact_table,
    artifacts_digest,
    choose_run,
    from_earlier_attempts,
    job_faults,
    origin_faults,
    run_faults,
    stale_faults,
)
from flotilla.jobs.inputs import Inputs, JobContext, is_same_run
from flotilla.text import code, link, linked, size, table

NEEDS = (
    "flotilla cannot wait for its own run: make this job wait for the jobs that build, with `needs:` in the workflow. "
    "If a name is wrong, correct ci.artifact in flotilla.yml. Nothing was written."
)
FITTING = (
    "To release what its own run has built, a job's workflow must be ci.workflow, every job that has ended must have "
    "succeeded, and the jobs of ci.jobs must have ended (`needs:`). Correct this, then re-run the failed jobs or the "
    "workflow."
)


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


@dataclass(frozen=True, kw_only=True)
class Checked:
    """A run's artifacts for the family.

    Args:
        artifacts: those that were asked for, in the order of the needs.
        digest: the digest of all the family's artifacts; None if GitHub does not tell it and this job does not need it.
    """

    artifacts: tuple[Artifact, ...]
    digest: str | None


def check_artifacts(job: JobContext[Inputs], run: WorkflowRun, needs: Sequence[Need]) -> Checked:
    """Return the needed artifacts, compared with the input artifacts-digest.

    Raises:
        ConflictError: the family's artifacts are not those that the input describes.
        ArtifactError: names every artifact that is missing, expired or empty.
        RunError: the run was started again, so the artifacts may be from an attempt that was not checked.
    """
    found = job.github.artifacts.of(run.id)
    _refuse_restarted(job, run)
    rows = artifact_table([need.artifact for need in needs], found)
    if any(row.fault for row in rows):
        refuse_incomplete(job, [(run, rows)])
    artifacts = tuple(row.artifact for row in rows if row.artifact)
    # Read after the artifacts: by now, a job that made one of them and failed has ended.
    if is_same_run(job, run) and (faults := own_job_faults(job, run, artifacts)):
        raise RunError(faults, advice=FITTING)
    for artifact in from_earlier_attempts(artifacts, run):
        job.runner.line(f"{artifact.name} is from an earlier attempt of the run; only failed jobs were re-run")
    return Checked(artifacts=artifacts, digest=_family_digest(job, run, needs, found))


def _family_digest(
    job: JobContext[Inputs], run: WorkflowRun, needs: Sequence[Need], found: Sequence[Artifact]
) -> str | None:
    """Return the digest of all the family's artifacts, even if this job uses only some of them.

    An expired artifact keeps its digest. An artifact without a recorded digest is downloaded to compute it.
    """
    given = job.inputs.artifacts_digest
    rows = artifact_table([need.artifact for need in job.family.artifacts], found)
    there = [row.artifact for row in rows if row.artifact]
    unrecorded = [artifact for artifact in there if artifact.digest is None]
    complete = len(there) == len(rows)
    if not given and (unrecorded or not complete) and len({need.artifact for need in needs}) < len(rows):
        return None
    digests = {artifact.name: artifact.digest or "" for artifact in there}
    for download in job.github.artifacts.download(unrecorded, job.scratch / "unrecorded") if complete else ():
        digests[download.artifact.name] = download.digest
        download.path.unlink()
    digest = artifacts_digest(digests)
    if given and digest != given:
        job.runner.summary(artifacts_summary(run, rows))
        raise ConflictError(
            [
                f"the artifacts of the CI run {run.url} have the digest {digest}, but artifacts-digest is {given}",
                *(f"{row.name}: {row.fault}" for row in rows if row.artifact is None),
            ],
            advice="CI was run again after they were checked, so this release would be of two builds. Give the run-id "
            "and the artifacts-digest of one and the same check; if the release is out already, release a new version. "
            "This job wrote nothing.",
        )
    return digest


def artifact_rows(job: JobContext[Inputs], run: WorkflowRun) -> tuple[ArtifactRow, ...]:
    """Return a row for each artifact that the family needs, with what the run has."""
    return artifact_table([need.artifact for need in job.family.artifacts], job.github.artifacts.of(run.id))


def refuse_incomplete(
    job: JobContext[Inputs], lacking: Sequence[tuple[WorkflowRun, Sequence[ArtifactRow]]]
) -> NoReturn:
    """Raise an error that says what each run lacks, and say it in the job summary, too.

    Raises:
        ArtifactError: always.
    """
    said = []
    for run, rows in lacking:
        job.runner.summary(artifacts_summary(run, rows))
        faults = [f"{row.name}: {row.fault}" for row in rows if row.fault]
        said += [f"{len(faults)} of {len(rows)} required artifacts are missing or unusable in {run.url}", *faults]
    if all(is_same_run(job, run) for run, _ in lacking):
        raise ArtifactError(said, advice=NEEDS)
    raise ArtifactError(
        said,
        advice="Run the CI workflow on this commit again, then re-run this job: it takes the oldest successful run "
        "that has every artifact, or the one that the input `run-id` names. If a name is wrong, correct ci.artifact "
        "in flotilla.yml. Nothing was written.",
    )


def _refuse_restarted(job: JobContext[Inputs], run: WorkflowRun) -> None:
    """Refuse a run that was restarted: artifacts do not say which attempt they are from."""
    again = job.github.runs.get(run.id)
    if again is None or (again.attempt, again.status, again.conclusion) != (run.attempt, run.status, run.conclusion):
        raise RunError(
            f"the CI run {run.url} was started again while this job read its artifacts",
            advice="Re-run this job when CI has finished.",
        )


def artifacts_summary(run: WorkflowRun, rows: Sequence[ArtifactRow]) -> str:
    """Return a table of the needed artifacts and what was found."""
    cells = [
        (
            code(row.name),
            linked(row.fault, site=run.url) if row.fault else "found",
            size(row.artifact.size) if row.artifact else "",
            code(row.artifact.digest or "") if row.artifact else "",
        )
        for row in rows
    ]
    heading = f"### Artifacts of CI run {link(run.id, run.url)}\n\n"
    return heading + table(("artifact", "state", "size", "digest"), cells) + "\n"


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
