"""Decide which assets of a release to upload, replace and keep. No input or output."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from flotilla.errors import ArtifactError, ConflictError
from flotilla.github.models import Asset, Release
from flotilla.text import quoted

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
