"""What the runner says about the run that this job belongs to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from flotilla.errors import InputError


@dataclass(frozen=True, kw_only=True)
class Facts:
    """The variables of a GitHub Actions job that flotilla uses.

    Source: GitHub's documentation, "Variables reference", and actions/runner src/Runner.Worker/Handlers.

    Args:
        repository: "OWNER/REPO" that the job runs in.
        commit: the commit that triggered the run, 40 hex digits; empty locally.
        workflow: file name of the calling workflow, the one that npm compares; empty where unknown.
        run_id: id of this workflow run; empty locally.
        workspace: the checked-out repository.
    """

    repository: str
    server_url: str
    api_url: str
    commit: str
    workflow: str
    run_id: str
    workspace: Path

    @property
    def run_url(self) -> str:
        """Page of this run."""
        return f"{self.server_url}/{self.repository}/actions/runs/{self.run_id}"

    @property
    def repository_url(self) -> str:
        """The repository as npm writes it in a manifest."""
        return f"git+{self.server_url}/{self.repository}.git"


def read_facts(environment: Mapping[str, str]) -> Facts:
    """The facts of this job.

    Raises:
        InputError: GITHUB_REPOSITORY is missing or is not OWNER/REPO.
    """
    repository = environment.get("GITHUB_REPOSITORY", "")
    if repository.count("/") != 1 or not all(repository.split("/")):
        raise InputError(
            f"GITHUB_REPOSITORY is {repository!r}: expected OWNER/REPO",
            advice="A runner always sets it; locally, set it to the repository that holds flotilla.yml.",
        )
    server_url = environment.get("GITHUB_SERVER_URL", "https://github.com").rstrip("/")
    workflow = environment.get("GITHUB_WORKFLOW_REF", "").partition("@")[0].rpartition("/")[2]
    return Facts(
        repository=repository,
        server_url=server_url,
        api_url=environment.get("GITHUB_API_URL", "https://api.github.com").rstrip("/"),
        commit=environment.get("GITHUB_SHA", ""),
        workflow=workflow,
        run_id=environment.get("GITHUB_RUN_ID", ""),
        workspace=Path(environment.get("GITHUB_WORKSPACE") or Path.cwd()),
    )
