"""One repository on GitHub, as the jobs see it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Self

from flotilla.errors import GitHubError
from flotilla.github.api import Calls, Endpoint
from flotilla.github.artifacts import Artifacts
from flotilla.github.assets import UPLOADED, AssetPlan, WantedAsset
from flotilla.github.downloads import Downloads
from flotilla.github.models import Asset, Release
from flotilla.github.releases import Releases, Tags
from flotilla.github.runs import Runs
from flotilla.github.transfers import Streams, Uploads
from flotilla.http import Http
from flotilla.parallel import WORKERS, gather
from flotilla.retry import RetryPolicy


class Assets:
    """The files of one repository's releases."""

    def __init__(self, downloads: Downloads, uploads: Uploads, policy: RetryPolicy) -> None:
        self._downloads = downloads
        self._uploads = uploads
        self._policy = policy

    def upload(self, release: Release, plan: AssetPlan, *, workers: int = WORKERS) -> tuple[Asset, ...]:
        """Carry out a plan of `plan_for`, a few files at a time; return the new assets, replacements first.

        All failures are raised together.

        Raises:
            ArtifactError: GitHub would not keep a name, or a file is gone or empty.
            ConflictError: the release is published, and has other content under a name.
        """
        return self._uploads.all(release, plan, workers=workers)

    def download(self, asset: Asset, path: Path) -> Path:
        """Write an asset's bytes to that path, compared with GitHub's digest if it recorded one.

        Raises:
            ArtifactError: gone, or not those bytes.
        """
        return self._downloads.asset(asset, path)

    def with_digests(self, release: Release, wanted: Sequence[WantedAsset]) -> Release:
        """Return the release, with the digest added to assets that lack one and whose size matches a wanted file.

        They are downloaded and hashed: GitHub records digests only since 2025.
        """
        sizes = {file.name: file.size for file in wanted}
        doubtful = [
            a for a in release.assets if a.digest is None and a.state == UPLOADED and a.size == sizes.get(a.name)
        ]
        digests = gather([partial(self._downloads.asset_digest, asset) for asset in doubtful], stop=self._policy.stop)
        told = {asset.id: digest for asset, digest in zip(doubtful, digests, strict=True)}
        assets = tuple(replace(asset, digest=told.get(asset.id, asset.digest)) for asset in release.assets)
        return replace(release, assets=assets)


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
