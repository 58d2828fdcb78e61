"""The artifacts' files that are assets of the release, too."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

from flotilla.errors import ArtifactError, ConflictError, InputError
from flotilla.family import Family
from flotilla.github import MOST_ASSETS, Release, WantedAsset, decide_assets, the_release
from flotilla.jobs.build import UnpackedArtifact, matching_files
from flotilla.jobs.context import CHECKSUMS, LEDGER, JobContext
from flotilla.jobs.inputs import Inputs
from flotilla.jobs.ledger import Ledger, read_ledger

OURS = (CHECKSUMS, LEDGER)


def release_assets(family: Family, unpacked: Mapping[str, UnpackedArtifact]) -> list[WantedAsset]:
    """Return what a whole family's artifacts give the release.

    Raises:
        ArtifactError: a pattern of release.assets matches nothing, or GitHub would not take a file as it is.
    """
    patterns = dict.fromkeys(one for several in family.asset_patterns.values() for one in several)
    if empty := [one for one in patterns if not any(_matching_files(unpacked.values(), one))]:
        raise ArtifactError(
            [f"release.assets: {pattern} matches no file of any artifact" for pattern in empty],
            advice="Correct the pattern in flotilla.yml; nothing was written.",
        )
    assets = artifact_assets(family, unpacked)
    if taken := [asset for asset in assets if asset.name in OURS]:
        raise ArtifactError(
            f"{taken[0].name} of the artifact {taken[0].source} would be an asset, and flotilla makes one of that name",
            advice="Give CI's file another name, or narrow release.assets in flotilla.yml; nothing was written.",
        )
    if len(assets) > MOST_ASSETS - len(OURS):
        raise ArtifactError(
            f"release.assets names {len(assets)} files; GitHub takes {MOST_ASSETS}, and {len(OURS)} are flotilla's own",
            advice="Narrow the patterns in flotilla.yml, or pack several files into one; nothing was written.",
        )
    decide_assets(assets, ())
    return assets


def artifact_assets(family: Family, unpacked: Mapping[str, UnpackedArtifact]) -> list[WantedAsset]:
    """Return the files of these artifacts that release.assets names, by name."""
    patterns = [one for several in family.asset_patterns.values() for one in several]
    files = {file: source for pattern in patterns for file, source in _matching_files(unpacked.values(), pattern)}
    return [file_asset(file, source) for file, source in sorted(files.items(), key=lambda item: item[0].name)]


def file_asset(file: Path, source: str = "") -> WantedAsset:
    """Return a file as an asset of its name.

    Args:
        source: the artifact that it is of.
    """
    with file.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    size = file.stat().st_size
    return WantedAsset(name=file.name, size=size, digest=f"sha256:{digest}", path=file, source=source)


def _matching_files(unpacked: Iterable[UnpackedArtifact], pattern: str) -> Iterator[tuple[Path, str]]:
    """Yield the artifacts' files that a pattern of release.assets names, each with its artifact's name."""
    for source in unpacked:
        for name in matching_files(source.files, pattern):
            yield source.files / name, source.artifact.name


def its_release(job: JobContext[Inputs]) -> Release | None:
    """Return the release of the family's tag, as far as this job may see it; None if there is none, or no tag."""
    tag = job.family.tag
    return the_release(job.github.releases.of(tag), tag) if tag else None


Comparison = Callable[[Mapping[str, UnpackedArtifact]], None]
"""Raises ConflictError if a release was made of other artifacts than these."""


def compare_with_release(job: JobContext[Inputs]) -> Comparison:
    """Return what holds artifacts against the tag's release: npm gets what GitHub shows, also if CI ran again.

    The input artifacts-digest has settled that already. A draft is listed only to who may write, so a job without that
    right can compare with a published release only.
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
            "so nothing says that these artifacts are those that were released. Give the output artifacts-digest of "
            "action-release as the input artifacts-digest.",
            title="The build was not compared",
        )
    return lambda _unpacked: None


def hold_to_release(job: JobContext[Inputs], unpacked: Mapping[str, UnpackedArtifact], found: Release) -> None:
    """Refuse artifacts that a release was not made of: by its assets, and by its ledger if it has one.

    Raises:
        ConflictError: with each of them.
    """
    _comparison(job, found)(unpacked)


def _comparison(job: JobContext[Inputs], found: Release) -> Comparison:
    """Return what compares with a release, whose ledger is read once."""
    ledger = release_ledger(job, found)
    if ledger is None:
        job.runner.warning(
            f"{found.url} has no {LEDGER}, so the artifacts are compared by the names of its assets only. Give the "
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
        f"{one.name} is {one.digest} in the CI run, and {there[one.name]} in the release {found.url}"
        for several in assets.values()
        for one in several
        if there.get(one.name) not in {None, one.digest}
    ]
    if ledger is not None:
        faults += [
            f"{name} is {one.digest} in the CI run; the release {found.url} was made of another"
            for name, one in unpacked.items()
            if not _same_build(ledger, one, assets[name])
        ]
    if faults:
        raise ConflictError(faults, advice=_another_build(ledger))


def release_ledger(job: JobContext[Inputs], found: Release) -> Ledger | None:
    """Return the ledger that a release holds; None if it has none.

    Raises:
        ConflictError: what is there under its name is none.
    """
    asset = next((asset for asset in found.assets if asset.name == LEDGER), None)
    if asset is None:
        return None
    try:
        return read_ledger(job.github.assets.download(asset, job.scratch / f"released-{LEDGER}"))
    except InputError as failure:
        raise ConflictError(
            [f"{LEDGER} of the release {found.url}: {fault.text}" for fault in failure.faults],
            advice="Somebody put another file there, or another version of flotilla made it. Find out which; the input "
            "artifacts-digest is compared instead of the ledger.",
        ) from failure


def _same_build(ledger: Ledger, source: UnpackedArtifact, assets: Sequence[WantedAsset]) -> bool:
    """Return whether a release was made of this artifact.

    CI's zip around the same archives is another each time. If nothing but archives is taken from it, these count: each
    must be an asset of this very artifact.
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
        "CI was run again after the release was made. Take the run that the release was made of, by the outputs run-id"
        f"{of} and artifacts-digest of the job that made it; if its artifacts are gone, release a new version. "
        "This job wrote nothing."
    )
