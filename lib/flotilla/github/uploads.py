"""Assets to a release: streamed, looked at after every doubt, never twice."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from pathlib import PurePosixPath
from urllib.parse import urlsplit

import requests

from flotilla.errors import ArtifactError, ConflictError
from flotilla.github import replies
from flotilla.github.answers import Reply, Unsure, broken, refusal
from flotilla.github.assets import (
    KEPT_NAME,
    UPLOADED,
    AssetPlan,
    Replacement,
    WantedAsset,
    asset_name_faults,
    same_content,
)
from flotilla.github.calls import Calls, parsed
from flotilla.github.document import Document, unusable
from flotilla.github.parallel import WORKERS, gather
from flotilla.github.releases import Releases
from flotilla.github.sessions import Sessions
from flotilla.github.values import Asset, Release
from flotilla.retry import TransientError
from flotilla.text import one_line

TIMEOUTS = (60.0, 300.0)
TYPES = {
    ".gz": "application/gzip",
    ".tgz": "application/gzip",
    ".json": "application/json",
    ".sha256": "text/plain",
    ".txt": "text/plain",
    ".zip": "application/zip",
}


class Uploads:
    """Uploads to one repository's releases.

    Args:
        digest_of: downloads an asset that GitHub recorded no digest of, and tells its digest.
    """

    def __init__(self, calls: Calls, releases: Releases, digest_of: Callable[[Asset], str]) -> None:
        self._calls = calls
        self._releases = releases
        self._digest_of = digest_of
        self._sessions = Sessions()

    def all(self, release: Release, plan: AssetPlan, *, workers: int = WORKERS) -> tuple[Asset, ...]:
        """Carry out a plan, some files at a time: the new assets, replacements first."""
        replaced = [partial(self._replaced, release, change) for change in plan.replace]
        added = [partial(self.one, release, wanted) for wanted in plan.upload]
        return gather([*replaced, *added], workers=workers)

    def one(self, release: Release, wanted: WantedAsset) -> Asset:
        """One file; see `GitHub.upload_asset`."""
        self._refuse_unfit(release, wanted)
        return self._calls.write(
            lambda: self._sent(release, wanted),
            lambda: self._found(release, wanted),
            what=f"upload {wanted.name}",
        )

    def close(self) -> None:
        self._sessions.close()

    def _replaced(self, release: Release, change: Replacement) -> Asset:
        """The file in the place of what is there now, which may be something else than when it was planned."""
        return self._found(release, change.wanted) or self.one(release, change.wanted)

    def _refuse_unfit(self, release: Release, wanted: WantedAsset) -> None:
        if not KEPT_NAME.fullmatch(wanted.name):
            raise ArtifactError(asset_name_faults([wanted.name]), advice="Change what CI packs.")
        if not wanted.path.is_file() or wanted.path.stat().st_size != wanted.size or not wanted.size:
            raise ArtifactError(f"{wanted.path.name} is not there, empty, or not the {wanted.size} bytes it was.")
        if not self._calls.endpoint.takes_uploads(release.upload_url):
            raise unusable(f"the release {release.tag}", "its upload address is not GitHub's; the token stays here")

    def _sent(self, release: Release, wanted: WantedAsset) -> Asset:
        reply = self._posted(release.upload_url, wanted)
        if reply.status == HTTPStatus.UNPROCESSABLE_ENTITY and "already_exists" in reply.message:
            found = self._found(release, wanted)
            if found is not None:
                return found
            raise TransientError("GitHub had an asset of that name, which is gone now")
        if reply.status >= HTTPStatus.MULTIPLE_CHOICES:
            now = self._calls.policy.clock.now()
            raise refusal(reply, what=f"upload {wanted.name}", now=now, hint="Assets need `contents: write`.")
        return self._accepted(replies.asset(Document.of(reply.document, f"upload {wanted.name}")), wanted)

    def _accepted(self, asset: Asset, wanted: WantedAsset) -> Asset:
        """The new asset, if GitHub stored what was sent; a GitHub without digests is believed by the size."""
        if asset.name != wanted.name:
            raise ArtifactError(
                f"GitHub renamed the asset {wanted.name} to {one_line(asset.name)}.",
                advice="Delete that asset, and change the name that CI packs.",
            )
        if asset.state == UPLOADED and asset.size == wanted.size and asset.digest in {None, wanted.digest}:
            return asset
        raise Unsure(f"GitHub stored {asset.size} of {wanted.size} bytes, or other ones ({one_line(asset.state)})")

    def _found(self, release: Release, wanted: WantedAsset) -> Asset | None:
        """The asset, if it is there and right; a broken one, or in a draft another one, is deleted for the next try."""
        found = next((asset for asset in self._releases.assets(release) if asset.name == wanted.name), None)
        if found is None or self._same(found, wanted):
            return found
        if found.state == UPLOADED and not self._is_draft(release):
            raise ConflictError(
                f"{release.url}: the asset {wanted.name} is there with other content.",
                advice="The release is published, or gone, so nothing of it is replaced: look at it, then run again.",
            )
        self._releases.delete_asset(found)
        return None

    def _is_draft(self, release: Release) -> bool:
        """Whether it is a draft still; somebody may have published it since it was read."""
        now = self._releases.release(release.id) if release.draft else None
        return now is not None and now.draft

    def _same(self, asset: Asset, wanted: WantedAsset) -> bool:
        if asset.digest is not None or asset.state != UPLOADED or asset.size != wanted.size:
            return same_content(asset, wanted)
        return self._digest_of(asset) == wanted.digest

    def _posted(self, url: str, wanted: WantedAsset) -> Reply:
        headers = {
            "Accept": "application/vnd.github+json",
            "Content-Type": TYPES.get(PurePosixPath(wanted.name).suffix, "application/octet-stream"),
            **self._calls.endpoint.authorization,
        }
        with self._sessions.borrow() as session, wanted.path.open("rb") as file:
            try:
                # requests takes Content-Length from the file, and sends it block by block.
                response = session.post(
                    url,
                    params={"name": wanted.name},
                    data=file,
                    headers=headers,
                    timeout=TIMEOUTS,
                    allow_redirects=False,
                )
            except requests.RequestException as error:
                raise broken(error, host=urlsplit(url).hostname or "GitHub") from None
        document = parsed(response.text, response.status_code, f"upload {wanted.name}")
        lowered = {name.lower(): value for name, value in response.headers.items()}
        return Reply(status=response.status_code, headers=lowered, document=document)
