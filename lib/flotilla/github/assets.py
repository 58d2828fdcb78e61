"""A release's assets: decide which to upload, replace and keep; then upload, and check after each doubt."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from http import HTTPStatus
from pathlib import Path, PurePosixPath
from urllib.parse import urlencode

from flotilla.documents import Document
from flotilla.errors import ArtifactError, ConflictError
from flotilla.github.api import ACCEPT, LARGEST, Calls, Reply, parsed, refusal
from flotilla.github.downloads import Downloads
from flotilla.github.models import Asset, Release, parse_asset, unusable
from flotilla.github.releases import Releases
from flotilla.http import Request, Unsure
from flotilla.retry import WORKERS, RetryPolicy, TransientError, gather
from flotilla.text import one_line, quoted

# GitHub silently replaces any other character by a period, and drops leading, trailing and repeated periods:
# https://docs.github.com/en/rest/releases/assets#upload-a-release-asset
KEPT_NAME = re.compile(r"(?!\.)(?!.*\.\.)[A-Za-z0-9._+-]{1,255}(?<!\.)")
UPLOADED = "uploaded"
# GitHub's own limits: "file_count limited to 1000 assets per release", "size must be less than or equal to 2147483648".
MOST_ASSETS = 1000
LARGEST_ASSET = 2**31


@dataclass(frozen=True, kw_only=True)
class WantedAsset:
    """A file that the release must have.

    Args:
        size: bytes.
        digest: "sha256:…" of them.
        source: the artifact that it comes from, for messages; empty if none.
    """

    name: str
    size: int
    digest: str
    path: Path
    source: str = ""


@dataclass(frozen=True, kw_only=True)
class Replacement:
    """An asset to delete, and the file to upload in its place."""

    asset: Asset
    wanted: WantedAsset


@dataclass(frozen=True, kw_only=True)
class AssetPlan:
    """What to do with the assets.

    Args:
        upload: files that the release lacks.
        replace: broken uploads, and other content under the same name.
        keep: assets that already have the right content.
        foreign: assets that are not flotilla's; left alone.
    """

    upload: tuple[WantedAsset, ...] = ()
    replace: tuple[Replacement, ...] = ()
    keep: tuple[Asset, ...] = ()
    foreign: tuple[Asset, ...] = ()

    @property
    def complete(self) -> bool:
        """Return whether nothing is left to do."""
        return not self.upload and not self.replace


def asset_name_faults(names: Sequence[str]) -> list[str]:
    """Return a sentence for each name that GitHub would change."""
    return [
        f"GitHub would change the asset name {quoted(name)}; "
        "it keeps only letters, digits and . _ + - (no period first, last or twice in a row)."
        for name in names
        if not KEPT_NAME.fullmatch(name)
    ]


def same_content(asset: Asset, wanted: WantedAsset) -> bool:
    """Return whether the asset is a complete upload of this file, by size and digest (False without a digest)."""
    return asset.state == UPLOADED and asset.size == wanted.size and asset.digest == wanted.digest


def decide_assets(wanted: Sequence[WantedAsset], found: Sequence[Asset]) -> AssetPlan:
    """Compare the wanted files with a release's assets.

    Args:
        found: assets as GitHub lists them, with the missing digests filled in (`Assets.with_digests`).

    Raises:
        ArtifactError: names that GitHub would change, empty or too large files, too many, or one name for two contents.
    """
    files = _distinct(wanted)
    if len({file.name for file in files} | {asset.name for asset in found}) > MOST_ASSETS:
        raise ArtifactError(
            f"The release would have more than {MOST_ASSETS} assets, GitHub's limit.",
            advice="Narrow `release.assets` in flotilla.yml, or pack several files into one.",
        )
    assets = {asset.name: asset for asset in found}
    there = [(assets[file.name], file) for file in files if file.name in assets]
    return AssetPlan(
        upload=tuple(file for file in files if file.name not in assets),
        replace=tuple(Replacement(asset=a, wanted=f) for a, f in there if not same_content(a, f)),
        keep=tuple(asset for asset, file in there if same_content(asset, file)),
        foreign=tuple(asset for asset in found if asset.name not in {file.name for file in files}),
    )


def plan_for(release: Release, wanted: Sequence[WantedAsset]) -> AssetPlan:
    """Return what to do with this release's assets; raise if that is not allowed.

    In a draft, everything may change. In a published release, missing assets may be added and broken uploads replaced.
    In an immutable release, nothing may change.

    Raises:
        ConflictError: a published release differs, or an immutable one lacks an asset.
        ArtifactError: as `decide_assets`.
    """
    plan = decide_assets(wanted, release.assets)
    if release.draft:
        return plan
    faults = [_difference(change) for change in plan.replace if release.immutable or change.asset.state == UPLOADED]
    if release.immutable:
        faults += [f"{file.name} is missing." for file in plan.upload]
    if faults:
        raise ConflictError([f"{release.url}: {fault}" for fault in faults], advice=_conflict_advice(release))
    return plan


def _distinct(wanted: Sequence[WantedAsset]) -> tuple[WantedAsset, ...]:
    files: dict[str, WantedAsset] = {}
    faults = asset_name_faults([file.name for file in wanted])
    for file in wanted:
        first = files.setdefault(file.name, file)
        if (first.size, first.digest) != (file.size, file.digest):
            faults.append(
                f"Two different files would become the asset {file.name}: one from {_source(first)}, one from "
                f"{_source(file)}. An asset is named after its file; give each file its own name."
            )
        if file.size == 0:
            faults.append(f"The asset {file.name} would be empty; GitHub accepts no empty assets.")
        if file.size > LARGEST_ASSET:
            faults.append(f"The asset {file.name} has {file.size} bytes; GitHub accepts at most {LARGEST_ASSET}.")
    if faults:
        raise ArtifactError(faults, advice="Change what CI packs, or `release.assets` in flotilla.yml.")
    return tuple(files.values())


def _source(file: WantedAsset) -> str:
    return f"the artifact {file.source}" if file.source else "flotilla itself"


def _difference(change: Replacement) -> str:
    asset, wanted = change.asset, change.wanted
    if asset.state != UPLOADED:
        return f"{asset.name} is an incomplete upload."
    if asset.size != wanted.size:
        return f"{asset.name} has {asset.size} bytes on GitHub, {wanted.size} here."
    return f"{asset.name} differs: {asset.digest or 'no digest'} on GitHub, {wanted.digest} here."


def _conflict_advice(release: Release) -> str:
    if release.immutable:
        return (
            "The release is published and immutable, so its assets cannot change. Release the next version; "
            "do not delete this one, because its tag name could never be used again. If another tool makes the "
            "releases, let it make drafts: flotilla completes and publishes them."
        )
    return (
        f"The release {release.tag} is already published with other files. Release from the CI run that made them "
        "(`run-id`), or release the next version."
    )


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
