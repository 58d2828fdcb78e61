"""One repository on GitHub, as the jobs see it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Self

from flotilla.errors import GitHubError
from flotilla.github.api import Calls
from flotilla.github.assets import UPLOADED, AssetPlan, WantedAsset
from flotilla.github.downloads import Downloads
from flotilla.github.endpoint import Endpoint
from flotilla.github.releases import Releases
from flotilla.github.runs import Runs
from flotilla.github.tags import Tags
from flotilla.github.transfers import WORKERS, Streams, Uploads, gather
from flotilla.github.values import Artifact, Asset, Download, Release, Repository, WorkflowRun
from flotilla.http import Http
from flotilla.retry import RetryPolicy


class GitHub:
    """GitHub's REST API for one repository: frozen values out, failures in words, no write repeated unseen.

    Every method may raise GitHubError (refused for good, or not to be understood) and DeadlineError (still not through
    before the deadline).

    Args:
        api_url: "https://api.github.com", or GITHUB_API_URL of an Enterprise.
        token: shown to the API and to its upload host, and to nobody else.
        repository: "owner/name".
        policy: how long to keep trying.
        server_url: where people open this GitHub.

    Raises:
        InputError: address, repository or token cannot be right.
    """

    def __init__(
        self, *, api_url: str, token: str, repository: str, policy: RetryPolicy, server_url: str = "https://github.com"
    ) -> None:
        endpoint = Endpoint(api_url=api_url, repository=repository, token=token)
        self.server_url = server_url.rstrip("/")
        self.page = f"{self.server_url}/{repository}"
        self._http = Http(policy, error=GitHubError)
        self._calls = Calls(endpoint, self._http)
        self._runs = Runs(self._calls)
        self._tags = Tags(self._calls)
        self._releases = Releases(self._calls)
        self._downloads = Downloads(endpoint, Streams(endpoint, self._http))
        self._uploads = Uploads(self._calls, self._releases, self._downloads.asset_digest)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close every idle connection."""
        self._http.close()

    def repository(self) -> Repository:
        """The repository itself."""
        return self._runs.repository()

    def holds(self, commit: str, base: str) -> bool:
        """Whether base, a commit or a branch, is that commit or one of its ancestors."""
        return self._runs.holds(commit, base)

    def runs_of(self, workflow: str, commit: str) -> tuple[WorkflowRun, ...]:
        """Every run of a workflow on a commit, newest first; `choose_run` decides among them.

        Raises:
            RunError: the repository has no such workflow.
        """
        return self._runs.of(workflow, commit)

    def run(self, run_id: int) -> WorkflowRun | None:
        """One run; None where there is none of that id."""
        return self._runs.run(run_id)

    def artifacts(self, run_id: int) -> tuple[Artifact, ...]:
        """Every artifact of a run; of one name, `newest` picks.

        Raises:
            RunError: there is no run of that id.
        """
        return self._runs.artifacts(run_id)

    def download(self, artifact: Artifact, into: Path) -> Download:
        """The artifact's bytes in that folder, under a name of ours; one that is there whole is not fetched again.

        Raises:
            ArtifactError: gone, expired, larger than declared, or not the bytes that GitHub recorded.
        """
        return self._downloads.artifact(artifact, into)

    def download_all(
        self, artifacts: Sequence[Artifact], into: Path, *, workers: int = WORKERS
    ) -> tuple[Download, ...]:
        """`download` for several, some at a time, in the order given; what fails is raised together."""
        return self._downloads.all(artifacts, into, workers=workers)

    def tag_commit(self, tag: str) -> str | None:
        """The commit that a tag stands for, annotated or not; None where the tag does not exist."""
        return self._tags.commit(tag)

    def create_tag(self, tag: str, commit: str) -> None:
        """A tag at that commit; one that is there at it is kept.

        Raises:
            ConflictError: the tag is at another commit.
        """
        self._tags.create(tag, commit)

    def releases(self, tag: str) -> tuple[Release, ...]:
        """The tag's releases, drafts included; `the_release` picks, or refuses two drafts."""
        return self._releases.of(tag)

    def release(self, release_id: int) -> Release | None:
        """One release as it is now; None where there is none of that id."""
        return self._releases.release(release_id)

    def generate_notes(self, tag: str, commit: str) -> str:
        """The notes that GitHub would generate; nothing is stored."""
        return self._releases.generate_notes(tag, commit)

    def create_draft(self, tag: str, *, name: str, body: str, prerelease: bool) -> Release:
        """A draft of that tag; the one that is there is kept as it is.

        Raises:
            ConflictError: two drafts, a published release, or a tag name that GitHub gives out no more.
        """
        return self._releases.create_draft(tag, name=name, body=body, prerelease=prerelease)

    def with_digests(self, release: Release, wanted: Sequence[WantedAsset]) -> Release:
        """The release, assets without a recorded digest given theirs, where their size says they may be ours.

        Such assets are downloaded to be hashed: GitHub records digests since 2025 only.
        """
        sizes = {file.name: file.size for file in wanted}
        doubtful = [
            a for a in release.assets if a.digest is None and a.state == UPLOADED and a.size == sizes.get(a.name)
        ]
        digests = gather(
            [partial(self._downloads.asset_digest, asset) for asset in doubtful], stop=self._http.policy.stop
        )
        told = {asset.id: digest for asset, digest in zip(doubtful, digests, strict=True)}
        assets = tuple(replace(asset, digest=told.get(asset.id, asset.digest)) for asset in release.assets)
        return replace(release, assets=assets)

    def upload_assets(self, release: Release, plan: AssetPlan, *, workers: int = WORKERS) -> tuple[Asset, ...]:
        """Carry out a plan of `plan_for`, some files at a time; the new assets, replacements first.

        Raises:
            ArtifactError, ConflictError: as `upload_asset`; what fails is raised together.
        """
        return self._uploads.all(release, plan, workers=workers)

    def upload_asset(self, release: Release, path: Path, *, name: str, digest: str) -> Asset:
        """The file as an asset of that name; digest is "sha256:…" of it.

        Raises:
            ArtifactError: GitHub would not keep the name, or the file is gone or empty.
            ConflictError: the release is published, and has other content under that name.
        """
        size = path.stat().st_size
        return self._uploads.one(release, WantedAsset(name=name, size=size, digest=digest, path=path))

    def delete_asset(self, asset: Asset) -> None:
        """Remove a broken asset; one that is gone already is no failure."""
        self._releases.delete_asset(asset)

    def download_asset(self, asset: Asset, path: Path) -> Path:
        """An asset's bytes at that path, compared with GitHub's digest where it recorded one.

        Raises:
            ArtifactError: gone, or not those bytes.
        """
        return self._downloads.asset(asset, path)

    def publish_release(self, release: Release, *, latest: bool, prerelease: bool) -> Release:
        """The release, published, marked as a prerelease or not, and as the latest or not (a prerelease never is).

        Raises:
            ConflictError: the tag has a published release, or its name is used up.
        """
        return self._releases.publish(release, latest=latest, prerelease=prerelease)
