"""The artifacts' files that are assets of the release, too."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path

from wcmatch import glob

from flotilla.errors import ConflictError
from flotilla.github import WantedAsset, the_release
from flotilla.jobs.inputs import Inputs
from flotilla.jobs.job import Job
from flotilla.jobs.workshop import Material


def matching_files(materials: Iterable[Material], pattern: str) -> Iterable[Path]:
    """The artifacts' files that a pattern of release.assets names."""
    for material in materials:
        for name in glob.glob(pattern, root_dir=material.files, flags=glob.GLOBSTAR | glob.NODIR):
            yield material.files / name


def artifact_assets(job: Job[Inputs], materials: Mapping[str, Material]) -> list[WantedAsset]:
    """The files of these artifacts that release.assets names, by name."""
    patterns = job.family.config.release.assets
    files = {file for pattern in patterns for file in matching_files(materials.values(), pattern)}
    return [file_asset(file) for file in sorted(files, key=lambda file: file.name)]


def file_asset(file: Path) -> WantedAsset:
    """A file as an asset of its name."""
    with file.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    return WantedAsset(name=file.name, size=file.stat().st_size, digest=f"sha256:{digest}", path=file)


def refuse_other_assets(job: Job[Inputs], materials: Mapping[str, Material]) -> None:
    """Hold the artifacts against the tag's release: npm gets what GitHub shows, also where CI ran again in between.

    A draft is shown only to who may write, so a job without that right compares with a published release only.

    Raises:
        ConflictError: the release has a file of the same name with other bytes.
    """
    wanted = artifact_assets(job, materials)
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
