"""A run's artifacts, brought here and made into packages."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from flotilla.errors import ArtifactError, Fault, FlotillaError
from flotilla.family import Package
from flotilla.github import Artifact, Download, WorkflowRun
from flotilla.jobs.inputs import Inputs
from flotilla.jobs.job import Job
from flotilla.jobs.manifests import Manifest
from flotilla.jobs.workshop import Built, Material, Workshop
from flotilla.packing import extract


def gather(job: Job[Inputs], run: WorkflowRun, artifacts: Sequence[Artifact]) -> dict[str, Material]:
    """The run's artifacts on disk, checked and unpacked, by their names.

    Raises:
        ArtifactError: one is missing, altered, hostile or broken; all of them at once.
    """
    downloads = job.github.download_all(artifacts, job.scratch / "downloads")
    materials: dict[str, Material] = {}
    faults: list[Fault] = []
    for download in downloads:
        name = download.artifact.name
        try:
            materials[name] = _unpack(job, download)
        except FlotillaError as failure:
            faults += [Fault(text=f"artifact {name}: {fault.text}") for fault in failure.faults]
    if faults:
        raise ArtifactError(faults, advice=f"Look at what CI uploaded in {run.url}; nothing was written.")
    return materials


def build(
    job: Job[Inputs],
    packages: Iterable[Package],
    manifests: Mapping[str, Manifest],
    materials: Mapping[str, Material],
) -> tuple[Built, ...]:
    """The tarball of each package, in the packages' order; see Workshop.build."""
    built = _workshop(job).build(packages, manifests, materials)
    for warning in (warning for one in built for warning in one.warnings):
        job.runner.warning(warning, title="Binaries")
    for notice in (notice for one in built for notice in one.notices):
        job.runner.notice(notice, title="Package contents")
    return built


def _workshop(job: Job[Inputs]) -> Workshop:
    return Workshop(family=job.family, root=job.root, scratch=job.scratch)


def _unpack(job: Job[Inputs], download: Download) -> Material:
    artifact = download.artifact
    if not download.digest_checked:
        job.runner.line(f"{artifact.name}: GitHub recorded no digest of it; its bytes are {download.digest}")
    files, workshop = job.scratch / "artifacts" / str(artifact.id), _workshop(job)
    if download.raw:
        _put(download, files, download.name)
    else:
        extract(download.path, files, limits=job.family.config.limits)
        if workshop.is_archive(artifact.name, files):
            shutil.rmtree(files)
            _put(download, files, artifact.name)
        else:
            download.path.unlink()
    return workshop.unpack(artifact, download.digest, files)


def _put(download: Download, folder: Path, name: str) -> None:
    folder.mkdir(parents=True)
    download.path.rename(folder / name)
