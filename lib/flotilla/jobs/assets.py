"""The artifacts' files that are assets of the release, too."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from wcmatch import glob

from flotilla.errors import ArtifactError, ConflictError
from flotilla.family import Config
from flotilla.github import MOST_ASSETS, WantedAsset, decide_assets, the_release
from flotilla.jobs.inputs import Inputs
from flotilla.jobs.job import CHECKSUMS, LEDGER, Job
from flotilla.jobs.workshop import Material

OURS = (CHECKSUMS, LEDGER)


def release_assets(config: Config, materials: Mapping[str, Material]) -> list[WantedAsset]:
    """What a whole family's artifacts give the release.

    Raises:
        ArtifactError: a pattern of release.assets matches nothing, or GitHub would not take a file as it is.
    """
    if empty := [one for one in config.release.assets if not any(_matching_files(materials.values(), one))]:
        raise ArtifactError(
            [f"release.assets: {pattern} matches no file of any artifact" for pattern in empty],
            advice="Correct the pattern in flotilla.yml; nothing was written.",
        )
    assets = artifact_assets(config, materials)
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


def artifact_assets(config: Config, materials: Mapping[str, Material]) -> list[WantedAsset]:
    """The files of these artifacts that release.assets names, by name."""
    patterns = config.release.assets
    files = {file: source for pattern in patterns for file, source in _matching_files(materials.values(), pattern)}
    return [file_asset(file, source) for file, source in sorted(files.items(), key=lambda item: item[0].name)]


def file_asset(file: Path, source: str = "") -> WantedAsset:
    """A file as an asset of its name.

    Args:
        source: the artifact that it is of.
    """
    with file.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    size = file.stat().st_size
    return WantedAsset(name=file.name, size=size, digest=f"sha256:{digest}", path=file, source=source)


def _matching_files(materials: Iterable[Material], pattern: str) -> Iterator[tuple[Path, str]]:
    """The artifacts' files that a pattern of release.assets names, each with its artifact's name."""
    for material in materials:
        for name in glob.glob(pattern, root_dir=material.files, flags=glob.GLOBSTAR | glob.NODIR):
            yield material.files / name, material.artifact.name


def refuse_other_assets(job: Job[Inputs], materials: Mapping[str, Material]) -> None:
    """Hold the artifacts against the tag's release: npm gets what GitHub shows, also where CI ran again in between.

    A draft is shown only to who may write, so a job without that right compares with a published release only.

    Raises:
        ConflictError: the release has a file of the same name with other bytes.
    """
    wanted = artifact_assets(job.family.config, materials)
    found = the_release(job.github.releases(job.family.tag), job.family.tag) if wanted else None
    if found is None:
        return
    there = {asset.name: asset.digest for asset in found.assets}
    faults = [
        f"{one.name} is {one.digest} in the CI run, and {there[one.name]} in the release {found.url}"
        for one in wanted
        if there.get(one.name) not in {None, one.digest}
    ]
    if faults:
        raise ConflictError(
            faults,
            advice="CI was run again after the release was made. Publish from the run that the release was made of "
            "(its output run-id), or release a new version; nothing was published.",
        )
