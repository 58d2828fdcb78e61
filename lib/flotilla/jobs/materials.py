"""From CI artifacts to tarballs; writes nothing but in the job's scratch folder."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from wcmatch import glob

from flotilla.errors import ArtifactError, Fault, FlotillaError, PackageError
from flotilla.family import Need, Package
from flotilla.github import Artifact, Download, WorkflowRun
from flotilla.jobs.check_artifacts import check_artifacts
from flotilla.jobs.inputs import Inputs
from flotilla.jobs.job import Job
from flotilla.jobs.manifests import Manifest
from flotilla.packing import Tarball, build_folder, extract, sidecar_faults, write_tarball


@dataclass(frozen=True, kw_only=True)
class Material:
    """One CI artifact, unpacked.

    Args:
        files: folder of what the artifact itself holds; release assets come from here.
        content: folder that packages take their files from: the archive's, or the artifact's own.
    """

    artifact: Artifact
    digest: str
    files: Path
    content: Path


@dataclass(frozen=True, kw_only=True)
class Built:
    """A package, ready to publish."""

    package: Package
    manifest: Manifest
    tarball: Tarball
    material: Material | None


def gather(job: Job[Inputs], run: WorkflowRun, needs: Sequence[Need]) -> dict[str, Material]:
    """The run's artifacts on disk, checked and unpacked, by their names.

    Raises:
        ArtifactError: one is missing, altered or broken; all of them at once.
        ArchiveError: an archive is hostile or damaged.
    """
    found = check_artifacts(job, run, needs)
    downloads = job.github.download_all(found, job.scratch / "downloads")
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
    """The tarball of each package, in the packages' order.

    Raises:
        PackageError: with what is wrong with each of them.
    """
    built: list[Built] = []
    faults: list[Fault] = []
    (job.scratch / "tarballs").mkdir(exist_ok=True)
    for package in packages:
        try:
            built.append(_build(job, package, manifests[package.name], materials))
        except PackageError as failure:
            faults += [Fault(text=f"{package.name}: {fault.text}", place=fault.place) for fault in failure.faults]
    if faults:
        raise PackageError(
            faults, advice="Nothing was written; correct CI's artifacts or flotilla.yml, then run again."
        )
    return tuple(built)


def _build(job: Job[Inputs], package: Package, manifest: Manifest, materials: Mapping[str, Material]) -> Built:
    material = materials[package.artifact] if package.artifact else None
    folder = job.scratch / "packages" / package.name.replace("/", "+")
    tarball = write_tarball(
        build_folder(
            package,
            manifest,
            template=job.root / package.template if package.template else None,
            content=material.content if material else None,
            into=folder,
        ),
        job.scratch / "tarballs",
    )
    shutil.rmtree(folder)
    budget = job.family.config.publish.package_size
    if tarball.size > budget:
        raise PackageError(
            f"is {tarball.size} bytes packed, over the budget of {budget}; the registry refuses packages that are "
            "too large (publish.size-limit-mb in flotilla.yml sets the budget)"
        )
    return Built(package=package, manifest=manifest, tarball=tarball, material=material)


def _unpack(job: Job[Inputs], download: Download) -> Material:
    artifact, ci, limits = download.artifact, job.family.config.ci, job.family.config.limits
    files = job.scratch / "artifacts" / str(artifact.id)
    if download.raw:
        files.mkdir(parents=True)
        download.path.rename(files / download.name)
    else:
        extract(download.path, files, limits=limits)
        download.path.unlink()
    if faults := sidecar_faults(files):
        raise ArtifactError(faults)
    content = files
    if ci.archive is not None:
        content = job.scratch / "contents" / str(artifact.id)
        extract(_only(files, ci.archive), content, strip_components=ci.strip_components, limits=limits)
    return Material(artifact=artifact, digest=download.digest, files=files, content=content)


def _only(files: Path, pattern: str) -> Path:
    found = sorted(glob.glob(pattern, root_dir=files, flags=glob.GLOBSTAR | glob.NODIR))
    if len(found) != 1:
        holds = ", ".join(sorted(path.relative_to(files).as_posix() for path in files.rglob("*"))) or "nothing"
        raise ArtifactError(
            f"{pattern} (ci.archive) matches {len(found)} files in it, and must match one; it holds {holds}"
        )
    return files / found[0]
