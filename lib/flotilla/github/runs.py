"""Workflow runs: read them, and decide which a release may come from. Each rule has a test named after its attack."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from fnmatch import fnmatchcase
from pathlib import PurePosixPath
from urllib.parse import quote

from flotilla.errors import GitHubError, RunError
from flotilla.github.api import Call, Calls
from flotilla.github.models import (
    Artifact,
    Repository,
    WorkflowJob,
    WorkflowRun,
    parse_repository,
    parse_workflow_job,
    parse_workflow_run,
)
from flotilla.text import did_you_mean, one_line, quoted

READ = "Reading runs and artifacts needs `actions: read`."

# Events that only somebody with write access can cause. pull_request_target, workflow_run, issue_comment and the like
# run with this repository's rights on what a stranger wrote, so they are never trusted.
TRUSTED_EVENTS = frozenset({"push", "workflow_dispatch", "schedule", "release", "merge_group"})
WORKFLOWS = PurePosixPath(".github/workflows")


@dataclass(frozen=True, kw_only=True)
class Trusted:
    """What a run must match, to release from it.

    Args:
        repository: "owner/name".
        workflow: the workflow file of ci.workflow, with or without ".github/workflows/".
        commit: the tag's commit, 40 hexadecimal digits.
        pull_requests: also trust pull requests from branches of this repository.
    """

    repository: str
    workflow: str
    commit: str
    pull_requests: bool = False


@dataclass(frozen=True, kw_only=True)
class Succeeded:
    """Runs to release from, oldest first; and the newest that is still running, if any."""

    runs: tuple[WorkflowRun, ...]
    running: WorkflowRun | None = None


@dataclass(frozen=True, kw_only=True)
class Running:
    """No run has succeeded yet, but this one, the newest that is still running, may."""

    run: WorkflowRun


@dataclass(frozen=True, kw_only=True)
class Failed:
    """Every run of the commit has ended, and none succeeded; newest first."""

    runs: tuple[WorkflowRun, ...]


@dataclass(frozen=True, kw_only=True)
class NotYet:
    """No run counts yet; `refused` says why the existing ones do not."""

    refused: tuple[str, ...] = ()


Choice = Succeeded | Running | Failed | NotYet


class Runs:
    """The repository and its workflow runs."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self._root = calls.endpoint.root
        self._repository: Repository | None = None

    def repository(self) -> Repository:
        """Return the repository itself, read once.

        Raises:
            GitHubError: it was renamed; lists under the old name cannot be relied on.
        """
        if self._repository is not None:
            return self._repository
        found = parse_repository(self._calls.document(Call(what="read the repository", path=self._root)))
        if found.full_name.lower() != self._calls.endpoint.repository.lower():
            raise GitHubError(
                f"{self._calls.endpoint.repository} is now {one_line(found.full_name)}: it was renamed or moved.",
                advice="Start a new run of the release workflow: a re-run keeps the old name.",
            )
        self._repository = found
        return found

    def holds(self, commit: str, base: str) -> bool:
        """Return whether base (a commit or branch) is the commit itself or one of its ancestors."""
        path = f"{self._root}/compare/{quote(base, safe='')}...{quote(commit, safe='')}"
        call = Call(what=f"compare {base} with {commit}", path=path, params={"per_page": "1"})
        found = self._calls.find(call)
        return found is not None and found.text("status") in {"ahead", "identical"}

    def of(self, workflow: str, commit: str) -> tuple[WorkflowRun, ...]:
        """Return every run of a workflow on a commit, newest first; `choose_run` decides among them.

        Raises:
            RunError: the repository has no such workflow.
        """
        file = quote(PurePosixPath(workflow).name, safe="")
        call = Call(
            what=f"list the runs of {workflow}",
            path=f"{self._root}/actions/workflows/{file}/runs",
            params={"head_sha": commit},
            hint=READ,
        )
        found = self._calls.find_listed(call, key="workflow_runs")
        if found is None:
            raise RunError(
                f"{self._calls.endpoint.repository} has no workflow {workflow_path(workflow)}.",
                advice="Check `ci.workflow` in flotilla.yml, and that the job has `actions: read`.",
            )
        runs = [parse_workflow_run(document) for document in found]
        return tuple(sorted(runs, key=lambda run: (run.created_at, run.id), reverse=True))

    def get(self, run_id: int) -> WorkflowRun | None:
        """Return one run; None if no run has that id."""
        call = Call(what=f"read run {run_id}", path=f"{self._root}/actions/runs/{run_id}", hint=READ)
        found = self._calls.find(call)
        return parse_workflow_run(found) if found else None

    def jobs(self, run_id: int, attempt: int) -> tuple[WorkflowJob, ...]:
        """Return the jobs of one attempt of a run, including those it did not run again.

        Raises:
            RunError: there is no such run or attempt.
        """
        call = Call(
            what=f"list the jobs of run {run_id}",
            path=f"{self._root}/actions/runs/{run_id}/attempts/{attempt}/jobs",
            hint=READ,
        )
        found = self._calls.find_listed(call, key="jobs")
        if found is None:
            raise RunError(
                f"{self._calls.endpoint.repository} has no run {run_id}, or no attempt {attempt} of it.",
                advice="Check `run-id`, and that the job has `actions: read`.",
            )
        return tuple(parse_workflow_job(document) for document in found)


def workflow_path(workflow: str) -> str:
    """Return the workflow file's path in its repository: "ci.yml" is ".github/workflows/ci.yml"."""
    return workflow if workflow.startswith(f"{WORKFLOWS}/") else str(WORKFLOWS / workflow)


def run_faults(run: WorkflowRun, trusted: Trusted) -> list[str]:
    """Return a sentence for everything that forbids releasing from a run; [] if nothing does."""
    return [*origin_faults(run, trusted), *_end_faults(run)]


def origin_faults(run: WorkflowRun, trusted: Trusted) -> list[str]:
    """Return what is wrong with a run's origin (repository, workflow, commit, event), however it ended."""
    return [
        *_repository_faults(run, trusted.repository),
        *_workflow_faults(run, trusted.workflow),
        *_commit_faults(run, trusted.commit),
        *_event_faults(run, trusted),
    ]


def choose_run(runs: Sequence[WorkflowRun], trusted: Trusted) -> Choice:
    """Return the runs of a commit to release from, or why there is none yet.

    If several succeeded (a push and a schedule, say), the oldest that has every artifact counts, so that a later
    success does not change what a re-run of the release uses. The latest attempt of each run counts.
    """
    faults = {run.id: origin_faults(run, trusted) for run in runs}
    counted = sorted((run for run in runs if not faults[run.id]), key=lambda run: (run.created_at, run.id))
    succeeded = tuple(run for run in counted if not _end_faults(run))
    running = next((run for run in reversed(counted) if run.status != "completed"), None)
    if succeeded:
        return Succeeded(runs=succeeded, running=running)
    if running:
        return Running(run=running)
    if counted:
        return Failed(runs=tuple(reversed(counted)))
    return NotYet(refused=tuple(fault for run in runs for fault in faults[run.id]))


def _repository_faults(run: WorkflowRun, repository: str) -> list[str]:
    faults = []
    if not _same(run.repository, repository):
        faults.append(f"Run {run.id} belongs to {one_line(run.repository)}, not to {repository}.")
    if run.head_repository is None:
        faults.append(f"Run {run.id} built a commit of a deleted repository, not of {repository}.")
    elif not _same(run.head_repository, repository):
        faults.append(f"Run {run.id} built a commit of {one_line(run.head_repository)}, a fork, not of {repository}.")
    return faults


def _workflow_faults(run: WorkflowRun, workflow: str) -> list[str]:
    wanted = workflow_path(workflow)
    if run.path == wanted:
        return []
    return [f"Run {run.id} is a run of the workflow {one_line(run.path)}, not of {wanted} (ci.workflow)."]


def _commit_faults(run: WorkflowRun, commit: str) -> list[str]:
    if run.commit == commit.lower():
        return []
    return [f"Run {run.id} built commit {one_line(run.commit)}, not {commit}."]


def _event_faults(run: WorkflowRun, trusted: Trusted) -> list[str]:
    if run.event in TRUSTED_EVENTS:
        return []
    if run.event == "pull_request" and run.bot is not None:
        return [f"Run {run.id} was started by {one_line(run.bot)}; flotilla never releases from a bot's pull request."]
    if run.event == "pull_request" and trusted.pull_requests:
        return []
    ours = run.event == "pull_request" and _same(run.head_repository or "", trusted.repository)
    hint = "; to allow it, set `pull-requests: true` under `ci` in flotilla.yml" if ours else ""
    return [f"Run {run.id} was started by the event {one_line(run.event)}, which flotilla does not trust{hint}."]


def _end_faults(run: WorkflowRun) -> list[str]:
    if run.status != "completed":
        return [f"Run {run.id} has not finished ({one_line(run.status)}): {run.url}"]
    if run.conclusion != "success":
        return [f"Run {run.id} did not succeed ({one_line(run.conclusion or 'no conclusion')}): {run.url}"]
    return []


def _same(one: str, other: str) -> bool:
    # GitHub ignores case in names: no two repositories differ in case alone.
    return one.lower() == other.lower()


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


def from_earlier_attempts(artifacts: Sequence[Artifact], run: WorkflowRun) -> tuple[Artifact, ...]:
    """Return the artifacts older than the run's latest attempt (rightly so if only failed jobs were re-run)."""
    return tuple(artifact for artifact in artifacts if run.attempt > 1 and artifact.created_at < run.started_at)
