"""check-artifacts: check that the CI run has every artifact that the family needs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn

from flotilla.errors import ArtifactError, ConflictError, RunError
from flotilla.family import Need
from flotilla.github import (
    Artifact,
    ArtifactRow,
    WorkflowRun,
    artifact_table,
    artifacts_digest,
    from_earlier_attempts,
)
from flotilla.jobs.inputs import Inputs, JobContext
from flotilla.jobs.markdown import code, link, linked, size, table
from flotilla.jobs.same_run import FITTING, NEEDS, is_same_run, own_job_faults


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
