"""GitHub: workflow runs, artifacts, tags and releases, as frozen values and in plain words."""

from __future__ import annotations

from typing import Self

from flotilla.errors import GitHubError
from flotilla.github.api import Calls, Endpoint
from flotilla.github.artifacts import ArtifactRow, Artifacts, artifact_table, artifacts_digest
from flotilla.github.assets import (
    MOST_ASSETS,
    UPLOADED,
    AssetPlan,
    Assets,
    Uploads,
    WantedAsset,
    decide_assets,
    plan_for,
)
from flotilla.github.downloads import Downloads, Streams
from flotilla.github.models import Artifact, Asset, Download, Release, WorkflowRun
from flotilla.github.releases import Releases, Tags, the_release
from flotilla.github.runs import (
    Choice,
    Failed,
    NotYet,
    Running,
    Runs,
    Succeeded,
    Trusted,
    choose_run,
    from_earlier_attempts,
    job_faults,
    origin_faults,
    run_faults,
    stale_faults,
)
from flotilla.http import Http
from flotilla.retry import RetryPolicy

__all__ = [
    "MOST_ASSETS",
    "UPLOADED",
    "Artifact",
    "ArtifactRow",
    "Asset",
    "AssetPlan",
    "Choice",
    "Download",
    "Failed",
    "GitHub",
    "NotYet",
    "Release",
    "Running",
    "Succeeded",
    "Trusted",
    "WantedAsset",
    "WorkflowRun",
    "artifact_table",
    "artifacts_digest",
    "choose_run",
    "decide_assets",
    "from_earlier_attempts",
    "job_faults",
    "origin_faults",
    "plan_for",
    "run_faults",
    "stale_faults",
    "the_release",
]


class GitHub:
    """GitHub's REST API for one repository: it returns frozen values, and never repeats a write without checking.

    Every method of its parts may raise GitHubError (refused for good, or an answer that cannot be read) and
    DeadlineError (no success before the deadline).

    Args:
        api_url: "https://api.github.com", or GITHUB_API_URL of an Enterprise.
        token: sent to the API and its upload host only.
        repository: "owner/name".
        policy: how long to keep trying.

    Raises:
        InputError: the address, repository or token is malformed.
    """

    def __init__(self, *, api_url: str, token: str, repository: str, policy: RetryPolicy) -> None:
        endpoint = Endpoint(api_url=api_url, repository=repository, token=token)
        self._http = Http(policy, error=GitHubError)
        calls = Calls(endpoint, self._http)
        downloads = Downloads(endpoint, Streams(endpoint, self._http))
        self.runs = Runs(calls)
        self.artifacts = Artifacts(calls, downloads)
        self.tags = Tags(calls)
        self.releases = Releases(calls)
        self.assets = Assets(downloads, Uploads(calls, self.releases, downloads.asset_digest), policy)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close every idle connection."""
        self._http.close()
