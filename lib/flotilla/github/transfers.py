"""Bytes from and to GitHub: downloads opened, uploads sent and checked after each doubt."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from pathlib import PurePosixPath
from urllib.parse import urlencode

from flotilla.documents import Document, parse_json
from flotilla.errors import ArtifactError, ConflictError, FlotillaError
from flotilla.github.api import ACCEPT, LARGEST, Calls, Endpoint, Reply, parsed, refusal
from flotilla.github.assets import (
    KEPT_NAME,
    UPLOADED,
    AssetPlan,
    Replacement,
    WantedAsset,
    asset_name_faults,
    same_content,
)
from flotilla.github.models import Asset, Release, parse_asset, unusable
from flotilla.github.releases import Releases
from flotilla.http import Http, Request, Stream, Unsure
from flotilla.parallel import WORKERS, gather
from flotilla.retry import TransientError
from flotilla.text import one_line, sentence

TYPES = {
    ".gz": "application/gzip",
    ".tgz": "application/gzip",
    ".json": "application/json",
    ".sha256": "text/plain",
    ".txt": "text/plain",
    ".zip": "application/zip",
}


@dataclass(frozen=True, kw_only=True)
class Source:
    """Something to stream.

    Args:
        what: the transfer in plain words ("download artifact x").
        path: below the API's URL.
        accept: the Accept header.
        size: bytes that GitHub says it has.
        digest: "sha256:…" that GitHub recorded, or None.
        permission: the token's permission that it needs ("actions: read").
    """

    what: str
    path: str
    accept: str
    size: int
    digest: str | None
    permission: str

    @property
    def limit(self) -> int:
        """Return the most bytes to accept: the declared size, and some room for a zip that is made on the fly."""
        return self.size + self.size // 8 + 1024 * 1024


class Streams:
    """Opens sources; a storage host that GitHub redirects to never sees the token."""

    def __init__(self, endpoint: Endpoint, http: Http) -> None:
        self.endpoint = endpoint
        self.http = http

    @contextmanager
    def opened(self, source: Source, *, offset: int) -> Iterator[Stream]:
        """Open the bytes from offset on; status 200 if the server starts from the beginning instead.

        Raises:
            TransientError: another try, with a fresh URL, may succeed.
            FlotillaError: refused for good, or a redirect that must not be followed.
        """
        request = Request(
            what=source.what,
            url=self.endpoint.base + source.path,
            headers={"Accept": source.accept} | ({"Range": f"bytes={offset}-"} if offset else {}),
            credential=self.endpoint.credential,
        )
        with self.http.stream(request) as stream:
            if stream.status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                raise RangeRefused("the server has fewer bytes than were already downloaded")
            if stream.status not in {HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT}:
                failure = _api_failure if stream.credited else _storage_failure
                raise failure(_refused(stream), source, self.http.policy.clock.now())
            yield stream


class RangeRefused(TransientError):  # noqa: N818 - not an error yet
    """The bytes downloaded so far cannot be the beginning of the server's file."""


def _api_failure(reply: Reply, source: Source, now: float) -> TransientError | FlotillaError:
    if reply.status == HTTPStatus.GONE:
        return ArtifactError(
            f"{sentence(source.what)}: the artifact has expired.", advice="Re-run the CI workflow on this commit."
        )
    if reply.status == HTTPStatus.NOT_FOUND:
        return ArtifactError(
            f"{sentence(source.what)}: it no longer exists, or the token cannot see it.",
            advice=f"Check whether somebody deleted it, and that the job has `{source.permission}`.",
        )
    return refusal(reply, what=source.what, now=now, hint=f"This needs `{source.permission}`.")


def _storage_failure(reply: Reply, source: Source, now: float) -> TransientError | FlotillaError:
    # A signed URL is valid for a minute; after that storage hosts answer 403, 404 or 410. The next try gets a new one.
    if reply.status in {HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND, HTTPStatus.GONE, HTTPStatus.UNAUTHORIZED}:
        return TransientError(f"the storage host no longer accepts the signed URL (HTTP {reply.status})")
    return refusal(reply, what=source.what, now=now)


def _refused(stream: Stream) -> Reply:
    """Return the refusal, with the server's message if it is short JSON."""
    try:
        document = parse_json(stream.refused)
    except ValueError:
        document = None
    return Reply(status=stream.status, headers=stream.headers, document=document)


class Uploads:
    """Uploads to one repository's releases.

    Args:
        digest_of: downloads an asset without a recorded digest, and returns its digest.
    """

    def __init__(self, calls: Calls, releases: Releases, digest_of: Callable[[Asset], str]) -> None:
        self._calls = calls
        self._releases = releases
        self._digest_of = digest_of

    def all(self, release: Release, plan: AssetPlan, *, workers: int = WORKERS) -> tuple[Asset, ...]:
        """Carry out a plan, a few files at a time; return the new assets, replacements first."""
        replaced = [partial(self._replaced, release, change) for change in plan.replace]
        added = [partial(self.one, release, wanted) for wanted in plan.upload]
        return gather([*replaced, *added], stop=self._calls.policy.stop, workers=workers)

    def one(self, release: Release, wanted: WantedAsset) -> Asset:
        """Upload one file; see `GitHub.upload_asset`."""
        self._refuse_unfit(release, wanted)
        return self._calls.write(
            lambda: self._sent(release, wanted),
            lambda: self._found(release, wanted),
            what=f"upload {wanted.name}",
        )

    def _replaced(self, release: Release, change: Replacement) -> Asset:
        """Replace the asset of this name, which may have changed since the plan was made."""
        return self._found(release, change.wanted) or self.one(release, change.wanted)

    def _refuse_unfit(self, release: Release, wanted: WantedAsset) -> None:
        if not KEPT_NAME.fullmatch(wanted.name):
            raise ArtifactError(asset_name_faults([wanted.name]), advice="Change what CI packs.")
        if not wanted.path.is_file() or wanted.path.stat().st_size != wanted.size or not wanted.size:
            raise ArtifactError(f"{wanted.path.name} is missing, empty, or no longer {wanted.size} bytes long.")
        if not self._calls.endpoint.takes_uploads(release.upload_url):
            raise unusable(
                f"the release {release.tag}", "its upload URL is not GitHub's, so the token is not sent there"
            )

    def _sent(self, release: Release, wanted: WantedAsset) -> Asset:
        reply = self._posted(release.upload_url, wanted)
        if reply.status == HTTPStatus.UNPROCESSABLE_ENTITY and "already_exists" in reply.message:
            found = self._found(release, wanted)
            if found is not None:
                return found
            raise TransientError("GitHub reported an asset of that name, but it is gone now")
        if reply.status >= HTTPStatus.MULTIPLE_CHOICES:
            now = self._calls.policy.clock.now()
            raise refusal(
                reply, what=f"upload {wanted.name}", now=now, hint="Uploading assets needs `contents: write`."
            )
        return self._accepted(parse_asset(Document.of(reply.document, f"upload {wanted.name}", unusable)), wanted)

    def _accepted(self, asset: Asset, wanted: WantedAsset) -> Asset:
        """Return the new asset if GitHub stored what was sent; without a digest, the size must do."""
        if asset.name != wanted.name:
            raise ArtifactError(
                f"GitHub renamed the asset {wanted.name} to {one_line(asset.name)}.",
                advice="Delete that asset, and rename the file in CI.",
            )
        if asset.state == UPLOADED and asset.size == wanted.size and asset.digest in {None, wanted.digest}:
            return asset
        raise Unsure(f"GitHub stored {asset.size} of {wanted.size} bytes, or other content ({one_line(asset.state)})")

    def _found(self, release: Release, wanted: WantedAsset) -> Asset | None:
        """Return the asset if it is right; delete a broken one (in a draft, any other one) before the next try."""
        found = next((asset for asset in self._releases.assets(release) if asset.name == wanted.name), None)
        if found is None or self._same(found, wanted):
            return found
        if found.state == UPLOADED and not self._is_draft(release):
            raise ConflictError(
                f"{release.url}: the asset {wanted.name} already exists with other content.",
                advice="The release was published or deleted in the meantime, so flotilla replaces nothing. "
                "Look at the release, then re-run the job.",
            )
        self._releases.delete_asset(found)
        return None

    def _is_draft(self, release: Release) -> bool:
        """Return whether the release is still a draft; somebody may have published it in the meantime."""
        now = self._releases.get(release.id) if release.draft else None
        return now is not None and now.draft

    def _same(self, asset: Asset, wanted: WantedAsset) -> bool:
        if asset.digest is not None or asset.state != UPLOADED or asset.size != wanted.size:
            return same_content(asset, wanted)
        return self._digest_of(asset) == wanted.digest

    def _posted(self, url: str, wanted: WantedAsset) -> Reply:
        what = f"upload {wanted.name}"
        kind = TYPES.get(PurePosixPath(wanted.name).suffix, "application/octet-stream")
        with wanted.path.open("rb") as file:
            request = Request(
                what=what,
                url=f"{url}?{urlencode({'name': wanted.name})}",
                method="POST",
                headers={"Accept": ACCEPT, "Content-Type": kind},
                credential=self._calls.endpoint.credential,
                body=file,
                follow=False,
            )
            answer = self._calls.http.read(request, limit=LARGEST)
        document = parsed(answer.body.decode(errors="replace"), answer.status, what)
        return Reply(status=answer.status, headers=answer.headers, document=document)
