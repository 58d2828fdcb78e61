"""Workflow runs and their artifacts, read."""

from __future__ import annotations

from pathlib import PurePosixPath
from urllib.parse import quote

from flotilla.errors import GitHubError, RunError
from flotilla.github import replies
from flotilla.github.api import Call, Calls
from flotilla.github.trust import workflow_path
from flotilla.github.values import Artifact, Repository, WorkflowRun
from flotilla.text import one_line

READ = "Reading runs and artifacts needs `actions: read`."


class Runs:
    """Reads of one repository's CI."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self._root = calls.endpoint.root

    def repository(self) -> Repository:
        """Return the repository itself.

        Raises:
            GitHubError: it has another name by now: lists that are asked for by the old one are not to be relied on.
        """
        found = replies.repository(self._calls.document(Call(what="read the repository", path=self._root)))
        if found.full_name.lower() != self._calls.endpoint.repository.lower():
            raise GitHubError(
                f"{self._calls.endpoint.repository} is {one_line(found.full_name)} by now: it was renamed or moved.",
                advice="Start the release anew: a re-run of an old run keeps the old name.",
            )
        return found

    def holds(self, commit: str, base: str) -> bool:
        """Return whether base, a commit or a branch, is that commit or one of its ancestors."""
        path = f"{self._root}/compare/{quote(base, safe='')}...{quote(commit, safe='')}"
        call = Call(what=f"compare {base} with {commit}", path=path, params={"per_page": "1"})
        found = self._calls.find(call)
        return found is not None and found.text("status") in {"ahead", "identical"}

    def of(self, workflow: str, commit: str) -> tuple[WorkflowRun, ...]:
        """Every run of a workflow on a commit, newest first."""
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
        runs = [replies.workflow_run(document) for document in found]
        return tuple(sorted(runs, key=lambda run: (run.created_at, run.id), reverse=True))

    def run(self, run_id: int) -> WorkflowRun | None:
        """One run; None where there is none of that id."""
        call = Call(what=f"read run {run_id}", path=f"{self._root}/actions/runs/{run_id}", hint=READ)
        found = self._calls.find(call)
        return replies.workflow_run(found) if found else None

    def artifacts(self, run_id: int) -> tuple[Artifact, ...]:
        """Every artifact of a run, those of earlier attempts and of the same name included."""
        call = Call(
            what=f"list the artifacts of run {run_id}",
            path=f"{self._root}/actions/runs/{run_id}/artifacts",
            hint=READ,
        )
        found = self._calls.find_listed(call, key="artifacts")
        if found is None:
            raise RunError(
                f"{self._calls.endpoint.repository} has no run {run_id}.",
                advice="Check `run-id`; runs are deleted after their retention time.",
            )
        return tuple(replies.artifact(document, run_id) for document in found)
