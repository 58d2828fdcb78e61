"""From a CI run's artifacts to tarballs: download, check, unpack, build; all of it in the scratch folder."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from wcmatch import glob

from flotilla.errors import ArtifactError, Fault, FlotillaError, PackageError, Place
from flotilla.family import Config, Family, Package, PackedPackage
from flotilla.github import Artifact, Download, WorkflowRun
from flotilla.jobs.context import JobContext
from flotilla.jobs.inputs import Inputs
from flotilla.jobs.manifests import Manifest, Refusal, grouped
from flotilla.packing import (
    PackageFolder,
    Tarball,
    build_folder,
    extract,
    library_copies,
    matching,
    sidecar_faults,
    write_tarball,
)

FLAGS = glob.GLOBSTAR | glob.NODIR


@dataclass(frozen=True, kw_only=True)
class UnpackedArtifact:
    """One CI artifact, unpacked.

    Args:
        digest: "sha256:…" of the artifact's bytes, as they were served.
        files: folder of what the artifact itself holds; release assets come from here.
        content: folder that packages take their files from: the archive's, or the artifact's own.
    """

    artifact: Artifact
    digest: str
    files: Path
    content: Path


@dataclass(frozen=True, kw_only=True)
class Built:
    """A package, ready to publish; what could not be checked in it, and what else is worth to know of it."""

    package: Package
    manifest: Manifest
    tarball: Tarball
    source: UnpackedArtifact | None
    warnings: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()

    @property
    def packed(self) -> PackedPackage:
        """Return what is published of it."""
        tarball = self.tarball
        return PackedPackage(
            name=self.package.name,
            version=self.package.version,
            path=tarball.path,
            integrity=tarball.integrity,
            shasum=tarball.shasum,
            size=tarball.size,
            manifest=self.manifest,
        )


@dataclass(frozen=True, kw_only=True)
class PackageBuilder:
    """Where a family's packages are made.

    Args:
        root: folder of flotilla.yml; templates are found from there.
        scratch: a private folder; the caller removes it.
    """

    family: Family
    root: Path
    scratch: Path

    def is_archive(self, name: str, files: Path) -> bool:
        """Whether a zipped artifact is no wrapping but the archive that ci.archive names, uploaded as it is.

        GitHub serves a .zip that was uploaded with `archive: false` as it serves one that it zipped itself.

        Args:
            name: of the artifact; a raw one has its file's.
            files: folder of what the zip holds.
        """
        pattern = self.family.config.ci.archive
        return pattern is not None and glob.globmatch(name, pattern, flags=FLAGS) and not _matching(files, pattern)

    def unpack(self, artifact: Artifact, digest: str, files: Path) -> UnpackedArtifact:
        """An artifact's files, checked against their .sha256 files, and the archive among them unpacked.

        Args:
            digest: "sha256:…" of the artifact's bytes.
            files: folder of what it holds.

        Raises:
            ArtifactError: a file is not what its .sha256 says, or there is not exactly one archive.
            ArchiveError: the archive is hostile or damaged.
        """
        ci = self.family.config.ci
        if faults := sidecar_faults(files):
            raise ArtifactError(faults)
        content = files
        if ci.archive is not None:
            content = self.scratch / "contents" / str(artifact.id)
            archive = _only(files, ci.archive)
            limits, wanted = self.family.config.limits, self._wanted(artifact.name)
            extract(archive, content, strip_components=ci.strip_components, limits=limits, wanted=wanted)
        return UnpackedArtifact(artifact=artifact, digest=digest, files=files, content=content)

    def _wanted(self, artifact: str) -> Callable[[str], bool]:
        """Whether any package takes a file of this path from an artifact."""
        chosen = [package.files for package in self.family.packages if package.artifact == artifact]
        return lambda path: any(not files or any(matching([path], pattern) for pattern in files) for files in chosen)

    def build(
        self, packages: Iterable[Package], manifests: Mapping[str, Manifest], unpacked: Mapping[str, UnpackedArtifact]
    ) -> tuple[Built, ...]:
        """The tarball of each package, in the packages' order.

        Args:
            manifests: by package name.
            unpacked: by artifact name.

        Raises:
            PackageError: with what is wrong with each of them.
        """
        built: list[Built] = []
        faults: list[tuple[str, str, Place | None]] = []
        packages = tuple(packages)
        for package in packages:
            source = unpacked[package.artifact] if package.artifact else None
            of = f"{package.name}: "
            try:
                tarball, folder = self._tarball(package, manifests[package.name], source)
            except PackageError as failure:
                faults += [(package.name, each.text.removeprefix(of), each.place) for each in failure.faults]
            else:
                made = Built(
                    package=package,
                    manifest=manifests[package.name],
                    tarball=tarball,
                    source=source,
                    warnings=tuple(of + warning for warning in folder.warnings),
                    notices=tuple(of + notice for notice in (*folder.notices, *library_copies(tarball.contents))),
                )
                built.append(made)
        if faults:
            places = {why: place for _, why, place in reversed(faults)}
            refusals = grouped((Refusal(of=name, why=why) for name, why, _ in faults), of=len(packages))
            raise PackageError(
                [Fault(text=str(each), place=places[each.why]) for each in refusals],
                advice="Nothing was written. Correct CI's artifacts or flotilla.yml, then run again.",
            )
        return tuple(built)

    def _tarball(
        self, package: Package, manifest: Manifest, source: UnpackedArtifact | None
    ) -> tuple[Tarball, PackageFolder]:
        place = self.scratch / "packages" / package.name.replace("/", "+")
        folder = build_folder(
            package,
            manifest,
            template=self.root / package.template if package.template else None,
            content=source.content if source else None,
            into=place,
        )
        # A folder for each: @acme/a-b and @acme-a/b have one and the same tarball's name.
        tarball = write_tarball(folder, self.scratch / "tarballs" / place.name)
        shutil.rmtree(place)
        budget = self.family.config.publish.package_size
        if tarball.size > budget:
            raise PackageError(
                f"is {tarball.size} bytes packed, over the budget of {budget}; the registry refuses packages that are "
                "too large (publish.size-limit-mb in flotilla.yml sets the budget)"
            )
        return tarball, folder


def unused_executables(config: Config, built: Sequence[Built]) -> list[str]:
    """The patterns of `executables` that match nothing, in words; a script that was meant would not run.

    Args:
        built: every package of the family: a pattern may be for one platform only.
    """
    specs = {"platform": config.packages.platform, "dev": config.packages.dev, "meta": config.packages.meta}
    paths = {
        kind: {path for one in built if one.package.kind == kind for path in one.tarball.contents} for kind in specs
    }
    return [
        f"packages.{kind}.executables: {pattern} matches no file of any {kind} package"
        for kind, spec in specs.items()
        for pattern in (spec.executables if spec else ())
        if not matching(paths[kind], pattern)
    ]


def _only(files: Path, pattern: str) -> Path:
    found = _matching(files, pattern)
    if len(found) != 1:
        holds = ", ".join(sorted(path.relative_to(files).as_posix() for path in files.rglob("*"))) or "nothing"
        raise ArtifactError(
            f"{pattern} (ci.archive) matches {len(found)} files in it, and must match one; it holds {holds}"
        )
    return files / found[0]


def _matching(files: Path, pattern: str) -> list[str]:
    return sorted(glob.glob(pattern, root_dir=files, flags=FLAGS))


def gather(job: JobContext[Inputs], run: WorkflowRun, artifacts: Sequence[Artifact]) -> dict[str, UnpackedArtifact]:
    """The run's artifacts on disk, checked and unpacked, by their names.

    Raises:
        ArtifactError: one is missing, altered, hostile or broken; all of them at once.
    """
    downloads = job.github.download_all(artifacts, job.scratch / "downloads")
    unpacked: dict[str, UnpackedArtifact] = {}
    faults: list[Fault] = []
    for download in downloads:
        name = download.artifact.name
        try:
            unpacked[name] = _unpack(job, download)
        except FlotillaError as failure:
            faults += [Fault(text=f"artifact {name}: {fault.text}") for fault in failure.faults]
    if faults:
        raise ArtifactError(faults, advice=f"Look at what CI uploaded in {run.url}; nothing was written.")
    return unpacked


def build(
    job: JobContext[Inputs],
    packages: Iterable[Package],
    manifests: Mapping[str, Manifest],
    unpacked: Mapping[str, UnpackedArtifact],
) -> tuple[Built, ...]:
    """The tarball of each package, in the packages' order; see PackageBuilder.build."""
    built = _builder(job).build(packages, manifests, unpacked)
    for warning in (warning for one in built for warning in one.warnings):
        job.runner.warning(warning, title="Binaries")
    for notice in (notice for one in built for notice in one.notices):
        job.runner.notice(notice, title="Package contents")
    return built


def _builder(job: JobContext[Inputs]) -> PackageBuilder:
    return PackageBuilder(family=job.family, root=job.root, scratch=job.scratch)


def _unpack(job: JobContext[Inputs], download: Download) -> UnpackedArtifact:
    artifact = download.artifact
    if not download.digest_checked:
        job.runner.line(f"{artifact.name}: GitHub recorded no digest of it; its bytes are {download.digest}")
    files, builder = job.scratch / "artifacts" / str(artifact.id), _builder(job)
    if download.raw:
        _put(download, files, download.name)
    else:
        extract(download.path, files, limits=job.family.config.limits)
        if builder.is_archive(artifact.name, files):
            shutil.rmtree(files)
            _put(download, files, artifact.name)
        else:
            download.path.unlink()
    return builder.unpack(artifact, download.digest, files)


def _put(download: Download, folder: Path, name: str) -> None:
    folder.mkdir(parents=True)
    download.path.rename(folder / name)
