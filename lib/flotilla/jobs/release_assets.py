"""The artifacts' files that become assets of the release."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

from flotilla.errors import ArtifactError, ConflictError, InputError
from flotilla.family import Family
from flotilla.github import MOST_ASSETS, Release, WantedAsset, decide_assets
from flotilla.jobs.build import UnpackedArtifact, matching_files
from flotilla.jobs.inputs import Inputs, JobContext, its_release
from flotilla.jobs.ledger import Ledger, read_ledger
from flotilla.runner import CHECKSUMS, LEDGER, OUTPUT_FOLDER, write_output

OURS = (CHECKSUMS, LEDGER)


def release_assets(family: Family, unpacked: Mapping[str, UnpackedArtifact]) -> list[WantedAsset]:
    """Return the assets from all the family's artifacts.

    Raises:
        ArtifactError: a pattern of release.assets matches nothing, or GitHub would not accept a file as it is.
    """
    patterns = dict.fromkeys(one for several in family.asset_patterns.values() for one in several)
    if empty := [one for one in patterns if not any(_matching_files(unpacked.values(), one))]:
        raise ArtifactError(
            [f"release.assets: {pattern} matches no file in any artifact" for pattern in empty],
            advice="Correct the pattern in flotilla.yml. Nothing was written.",
        )
    assets = artifact_assets(family, unpacked)
    if taken := [asset for asset in assets if asset.name in OURS]:
        raise ArtifactError(
            f"{taken[0].name} in the artifact {taken[0].source} has the name of an asset that flotilla writes",
            advice="Rename the file in CI, or narrow release.assets in flotilla.yml. Nothing was written.",
        )
    if len(assets) > MOST_ASSETS - len(OURS):
        raise ArtifactError(
            f"release.assets matches {len(assets)} files; GitHub accepts {MOST_ASSETS}, and flotilla adds {len(OURS)}",
            advice="Narrow the patterns in flotilla.yml, or pack several files into one. Nothing was written.",
        )
    decide_assets(assets, ())
    return assets


def artifact_assets(family: Family, unpacked: Mapping[str, UnpackedArtifact]) -> list[WantedAsset]:
    """Return the files of these artifacts that release.assets matches, by name."""
    patterns = [one for several in family.asset_patterns.values() for one in several]
    files = {file: source for pattern in patterns for file, source in _matching_files(unpacked.values(), pattern)}
    return [file_asset(file, source) for file, source in sorted(files.items(), key=lambda item: item[0].name)]


def file_asset(file: Path, source: str = "") -> WantedAsset:
    """Return a file as an asset of its name.

    Args:
        source: the artifact that contains it.
    """
    with file.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    size = file.stat().st_size
    return WantedAsset(name=file.name, size=size, digest=f"sha256:{digest}", path=file, source=source)


def _matching_files(unpacked: Iterable[UnpackedArtifact], pattern: str) -> Iterator[tuple[Path, str]]:
    """Yield the artifacts' files that a pattern of release.assets matches, each with its artifact's name."""
    for source in unpacked:
        for name in matching_files(source.files, pattern):
            yield source.files / name, source.artifact.name


Comparison = Callable[[Mapping[str, UnpackedArtifact]], None]
"""Raises ConflictError if a release was made of other artifacts than these."""


def compare_with_release(job: JobContext[Inputs]) -> Comparison:
    """Return a check that artifacts are those of the tag's release, so that npm gets what GitHub shows.

    With the input artifacts-digest this is already checked. GitHub lists drafts only to tokens with write access, so a
    job without it can only compare with a published release.
    """
    if job.inputs.artifacts_digest:
        return lambda _unpacked: None
    found = its_release(job)
    if found is not None:
        return _comparison(job, found)
    if not job.inputs.dry_run:
        why = f"no release of {job.family.tag} can be seen here (a draft is shown only to jobs with `contents: write`)"
        job.runner.warning(
            f"{why if job.family.tag else 'a version without a tag has no release to compare with'}, "
            "so nothing shows that these artifacts are the released ones. Pass the output artifacts-digest of "
            "action-release as the input artifacts-digest.",
            title="The build was not compared",
        )
    return lambda _unpacked: None


def hold_to_release(job: JobContext[Inputs], unpacked: Mapping[str, UnpackedArtifact], found: Release) -> None:
    """Refuse artifacts that a release was not made from, by its assets and, if it has one, its ledger.

    Raises:
        ConflictError: names each of them.
    """
    _comparison(job, found)(unpacked)


def _comparison(job: JobContext[Inputs], found: Release) -> Comparison:
    """Return a check against a release, whose ledger is read once."""
    ledger = release_ledger(job, found)
    if ledger is None:
        job.runner.warning(
            f"{found.url} has no {LEDGER}, so only artifacts that are assets of it are compared. Pass the "
            "output artifacts-digest of action-release as the input artifacts-digest.",
            title="The build was not compared in full",
        )
    return partial(_compare, job, found, ledger)


def _compare(
    job: JobContext[Inputs], found: Release, ledger: Ledger | None, unpacked: Mapping[str, UnpackedArtifact]
) -> None:
    assets = {name: artifact_assets(job.family, {name: one}) for name, one in unpacked.items()}
    there = {asset.name: asset.digest for asset in found.assets}
    faults = [
        f"{one.name} is {one.digest} in the CI run, but {there[one.name]} in the release {found.url}"
        for several in assets.values()
        for one in several
        if there.get(one.name) not in {None, one.digest}
    ]
    if ledger is not None:
        faults += [
            f"{name} is {one.digest} in the CI run, but the release {found.url} was made from another artifact"
            for name, one in unpacked.items()
            if not _same_build(ledger, one, assets[name])
        ]
    if faults:
        raise ConflictError(faults, advice=_another_build(ledger))


def release_ledger(job: JobContext[Inputs], found: Release) -> Ledger | None:
    """Return a release's ledger; None if it has none.

    Raises:
        ConflictError: the asset of that name is not a ledger.
    """
    asset = next((asset for asset in found.assets if asset.name == LEDGER), None)
    if asset is None:
        return None
    try:
        return read_ledger(job.github.assets.download(asset, job.scratch / f"released-{found.id}-{LEDGER}"))
    except InputError as failure:
        raise ConflictError(
            [f"{LEDGER} of the release {found.url}: {fault.text}" for fault in failure.faults],
            advice="Somebody replaced it, or another version of flotilla wrote it. Find out which; the input "
            "artifacts-digest is compared instead of the ledger.",
        ) from failure


def _same_build(ledger: Ledger, source: UnpackedArtifact, assets: Sequence[WantedAsset]) -> bool:
    """Return whether a release was made from this artifact.

    CI zips the same archives differently each time. If only archives are taken from the artifact, these count: each
    must be an asset that came from this artifact.
    """
    ids = {one["id"]: one["digest"] for one in ledger["artifacts"] if one["name"] == source.artifact.name}
    if source.digest in ids.values():
        return True
    released = {(one["name"], one["digest"]) for one in ledger["assets"] if one["artifact"] in ids}
    same = {asset.path for asset in assets if (asset.name, asset.digest) in released}
    return None not in source.contents and set(source.archives) <= same


def _another_build(ledger: Ledger | None) -> str:
    run = ledger["ci-run"] if ledger else None
    of = f" ({run['id']})" if run else ""
    return (
        "CI was run again after the release was made. Use the run that it was made from: pass the outputs run-id"
        f"{of} and artifacts-digest of the job that made it; if its artifacts are gone, release a new version. "
        "This job wrote nothing."
    )


def wanted_assets(job: JobContext[Inputs], unpacked: Mapping[str, UnpackedArtifact]) -> tuple[WantedAsset, ...]:
    """Return the release's assets: the artifacts' files that release.assets matches, and their SHA256SUMS.

    A version without a tag has none; what they would be is checked all the same, as everything is.

    Raises:
        ArtifactError: as `release_assets`.
    """
    assets = release_assets(job.family, unpacked)
    if not assets or job.family.tag is None:
        return ()
    unique = sorted({(asset.name, asset.digest.removeprefix("sha256:")) for asset in assets})
    lines = "".join(f"{digest}  {name}\n" for name, digest in unique)
    return (*assets, file_asset(job.variables.workspace / write_output(job.variables.workspace, CHECKSUMS, lines)))


def checksums_file(assets: Sequence[WantedAsset]) -> str:
    """Return the path of the SHA256SUMS file relative to the workspace; empty if there are no assets."""
    return f"{OUTPUT_FOLDER}/{CHECKSUMS}" if assets else ""
