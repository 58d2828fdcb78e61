"""check-artifacts: everything that the family needs is in the CI run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NoReturn

from flotilla.errors import ArtifactError, RunError
from flotilla.family import Need
from flotilla.github import Artifact, ArtifactRow, WorkflowRun, artifact_table, from_earlier_attempts
from flotilla.jobs.inputs import Inputs
from flotilla.jobs.job import Job
from flotilla.jobs.markdown import code, link, linked, size, table


def check_artifacts(job: Job[Inputs], run: WorkflowRun, needs: Sequence[Need]) -> tuple[Artifact, ...]:
    """Return the artifacts needed, in the order of the needs.

    Raises:
        ArtifactError: with every artifact that is missing, expired or empty.
        RunError: the run was started again, so that the artifacts may be of an attempt that nobody has checked.
    """
    found = job.github.artifacts(run.id)
    _refuse_restarted(job, run)
    rows = artifact_table([need.artifact for need in needs], found)
    if any(row.fault for row in rows):
        refuse_incomplete(job, [(run, rows)])
    artifacts = tuple(row.artifact for row in rows if row.artifact)
    for artifact in from_earlier_attempts(artifacts, run):
        job.runner.line(f"{artifact.name} is of an earlier attempt of the run; only failed jobs were re-run")
    return artifacts


def artifact_rows(job: Job[Inputs], run: WorkflowRun) -> tuple[ArtifactRow, ...]:
    """Return a row for each artifact that the family needs, as the run has it."""
    return artifact_table([need.artifact for need in job.family.artifacts], job.github.artifacts(run.id))


def refuse_incomplete(job: Job[Inputs], lacking: Sequence[tuple[WorkflowRun, Sequence[ArtifactRow]]]) -> NoReturn:
    """Say what each run lacks, in the job summary, too.

    Raises:
        ArtifactError: always.
    """
    said = []
    for run, rows in lacking:
        job.runner.summary(artifacts_summary(run, rows))
        faults = [f"{row.name}: {row.fault}" for row in rows if row.fault]
        said += [f"{len(faults)} of {len(rows)} required artifacts are missing or unusable in {run.url}", *faults]
    raise ArtifactError(
        said,
        advice="Run the CI workflow on this commit again, then re-run this job: it takes the oldest successful run "
        "that has every artifact, or the one that the input `run-id` names. If a name is wrong, correct ci.artifact "
        "in flotilla.yml. Nothing was written.",
    )


def _refuse_restarted(job: Job[Inputs], run: WorkflowRun) -> None:
    """An artifact does not say which attempt it is of: between two looks at one and the same, it can be of no later."""
    again = job.github.run(run.id)
    if again is None or (again.attempt, again.status, again.conclusion) != (run.attempt, run.status, run.conclusion):
        raise RunError(
            f"the CI run {run.url} was started again while its artifacts were looked up",
            advice="Re-run this job when CI is done.",
        )


def artifacts_summary(run: WorkflowRun, rows: Sequence[ArtifactRow]) -> str:
    """Expected against found, a row an artifact."""
    cells = [
        (
            code(row.name),
            linked(row.fault) if row.fault else "found",
            size(row.artifact.size) if row.artifact else "",
            code(row.artifact.digest or "") if row.artifact else "",
        )
        for row in rows
    ]
    heading = f"### Artifacts of CI run {link(run.id, run.url)}\n\n"
    return heading + table(("artifact", "state", "size", "digest"), cells) + "\n"
