"""Turn a CI run's artifacts into tarballs: download, check, unpack and build them in the scratch folder."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from wcmatch import glob

from flotilla.errors import ArtifactError, ConflictError, Fault, FlotillaError, PackageError, Place
from flotilla.family import Archive, Config, Family, Need, Package, PackedPackage
from flotilla.family.yaml import dotted
from flotilla.github import Artifact, Download, WorkflowRun
from flotilla.jobs.context import OUTPUT_FOLDER, JobContext
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
from flotilla.text import printable

FLAGS = glob.GLOBSTAR | glob.NODIR | glob.BRACE
MOST_NAMED = 30
DOWNLOADS, ARTIFACTS, CONTENTS = FOLDERS = ("downloads", "artifacts", "contents")


@dataclass(frozen=True, kw_only=True)
class UnpackedArtifact:
    """One CI artifact, unpacked.

    Args:
        digest: "sha256:…" of the artifact's bytes, as GitHub served them.
        files: folder with the artifact's own files; release assets come from here.
        contents: folders that packages take their files from, by the archive that was unpacked there; None stands
            for the artifact itself.
        archives: the archives that were unpacked.
    """

    artifact: Artifact
    digest: str
    files: Path
    contents: Mapping[Archive | None, Path]
    archives: tuple[Path, ...] = ()

    def content(self, package: Package) -> Path:
        """Return the folder from which a package takes its files.

        Raises:
            PackageError: the artifact has no such folder.
        """
        content = self.contents[package.archive]
        if package.root is None:
            return content
        folder = content / package.root
        if not folder.is_dir() or not folder.resolve().is_relative_to(content.resolve()):
            inside = f"the archive {package.archive.pattern} of the artifact" if package.archive else "the artifact"
            raise PackageError(
                f"{inside} {self.artifact.name} has no folder {printable(package.root)} (ci.root); it has "
                f"{_names(content)}"
            )
        return folder


@dataclass(frozen=True, kw_only=True)
class Built:
    """A package, ready to publish, with warnings about what could not be checked, and notices."""

    package: Package
    manifest: Manifest
    tarball: Tarball
    source: UnpackedArtifact | None
    warnings: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()

    @property
    def packed(self) -> PackedPackage:
        """Return the packed package."""
        return self.tarball.package


@dataclass(frozen=True, kw_only=True)
class PackageBuilder:
    """Builds a family's packages.

    Args:
        root: folder of flotilla.yml, to which templates are relative.
        scratch: a private folder; the caller removes it.
        beside: folders inside the repository that do not belong to it.
    """

    family: Family
    root: Path
    scratch: Path
    beside: tuple[Path, ...] = ()

    def is_archive(self, name: str, files: Path, needs: Iterable[Need]) -> bool:
        """Return whether a zipped artifact is itself the archive that ci.archive names, uploaded as it is.

        GitHub serves a .zip that was uploaded with `archive: false` like one that it zipped itself.

        Args:
            name: the artifact's name; a raw artifact has its file's name.
            files: folder with the zip's files.
            needs: what is taken from it.
        """
        patterns = {need.archive.pattern for need in needs if need.archive}
        return any(glob.globmatch(name, one, flags=FLAGS) and not matching_files(files, one) for one in patterns)

    def unpack(self, artifact: Artifact, digest: str, files: Path, needs: Iterable[Need]) -> UnpackedArtifact:
        """Check an artifact's files against their .sha256 files, and unpack the archives among them.

        Args:
            digest: "sha256:…" of the artifact's bytes.
            files: folder with its files.
            needs: what is taken from it.

        Raises:
            ArtifactError: a file does not match its .sha256, or there is not exactly one archive.
            ArchiveError: the archive is hostile or damaged.
        """
        if faults := sidecar_faults(files):
            raise ArtifactError(faults)
        taken = dict.fromkeys(need.archive for need in needs)
        packed = [archive for archive in taken if archive]
        if fault := _archive_fault(files, [one.pattern for one in packed]):
            raise ArtifactError(fault)
        contents: dict[Archive | None, Path] = {None: files} if None in taken else {}
        archives = [files / file for archive in packed for file in matching_files(files, archive.pattern)]
        for number, (archive, file) in enumerate(zip(packed, archives, strict=True)):
            contents[archive] = self.scratch / CONTENTS / str(artifact.id) / str(number)
            limits, wanted = self.family.config.limits, self._wanted(artifact.name, archive)
            strip = archive.strip_components
            extract(file, contents[archive], strip_components=strip, limits=limits, wanted=wanted)
        return UnpackedArtifact(
            artifact=artifact, digest=digest, files=files, contents=contents, archives=tuple(archives)
        )

    def _wanted(self, artifact: str, archive: Archive) -> Callable[[str], bool]:
        """Return whether any package takes a file with this path from an archive."""
        takers = [one for one in self.family.packages if (one.artifact, one.archive) == (artifact, archive)]
        return lambda path: any(_takes(package, path) for package in takers)

    def build(
        self, packages: Iterable[Package], manifests: Mapping[str, Manifest], unpacked: Mapping[str, UnpackedArtifact]
    ) -> tuple[Built, ...]:
        """Return the tarball of each package, in the packages' order.

        Args:
            manifests: by package name.
            unpacked: by artifact name.

        Raises:
            PackageError: with what is wrong with each package.
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
                advice="Nothing was written. Correct CI's artifacts or flotilla.yml, then re-run.",
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
            content=source.content(package) if source else None,
            into=place,
            beside=self.beside,
        )
        # One folder each, because the tarballs of @acme/a-b and @acme-a/b have the same name.
        tarball = write_tarball(folder, self.scratch / "tarballs" / place.name)
        shutil.rmtree(place)
        budget = self.family.config.publish.package_size
        size = tarball.package.size
        if size > budget:
            raise PackageError(
                f"is {size} bytes packed, but publish.size-limit-mb in flotilla.yml allows {budget} bytes; the "
                "registry refuses packages that are too large"
            )
        return tarball, folder


def unused_executables(config: Config, built: Sequence[Built]) -> list[str]:
    """Return the patterns of `executables` that match nothing, in words; the script they mean would not run.

    Args:
        built: every package of the family, because a pattern may be meant for one platform only.
    """
    specs = (config.packages.platform, *config.packages.dev, config.packages.meta)
    return [
        f"{dotted(spec.key)}.executables: {pattern} matches no file of any {spec.key[1]} package"
        for spec in filter(None, specs)
        for number, pattern in enumerate(spec.executables)
        if not any(
            matching(one.tarball.contents, one.package.executables[number])
            for one in built
            if one.package.key == spec.key
        )
    ]


def matching_files(folder: Path, pattern: str) -> list[str]:
    """Return the files below a folder that ci.archive or a pattern of release.assets matches, sorted.

    Raises:
        ArtifactError: its braces expand to too many patterns.
    """
    try:
        return sorted(glob.glob(pattern, root_dir=folder, flags=FLAGS))
    except Exception as error:  # wcmatch does not export its own for too many braces
        raise ArtifactError(f"the pattern {printable(pattern)} is invalid: {printable(str(error))}") from error


def _archive_fault(files: Path, patterns: Iterable[str]) -> str | None:
    """Return which patterns match no archive among an artifact's files, or several; None if each matches one."""
    counts = {pattern: len(matching_files(files, pattern)) for pattern in patterns}
    wrong = [f"{pattern} matches {count} files" for pattern, count in counts.items() if count != 1]
    if not wrong:
        return None
    return f"`archive` in flotilla.yml must match one of its files: {', '.join(wrong)}; it has {_names(files)}"


def _names(folder: Path) -> str:
    names = sorted(printable(path.relative_to(folder).as_posix()) for path in folder.rglob("*"))
    return ", ".join([*names[:MOST_NAMED], *(["…"] if names[MOST_NAMED:] else [])]) or "nothing"


def _takes(package: Package, path: str) -> bool:
    """Return whether a package takes a file with this path."""
    root = f"{package.root}/" if package.root and package.root != "." else ""
    below = path.removeprefix(root)
    if not path.startswith(root):
        return False
    return not package.sources or any(matching([below], pattern) for pattern in package.sources)


def gather(
    job: JobContext[Inputs], run: WorkflowRun, artifacts: Sequence[Artifact], needs: Sequence[Need]
) -> dict[str, UnpackedArtifact]:
    """Download, check and unpack the run's artifacts; return them by name.

    Args:
        needs: what is taken from them.

    Raises:
        ArtifactError: one is missing, altered, hostile or broken; all of them at once.
    """
    downloads = job.github.artifacts.download(artifacts, job.scratch / DOWNLOADS)
    unpacked: dict[str, UnpackedArtifact] = {}
    faults: list[Fault] = []
    for download in downloads:
        name = download.artifact.name
        try:
            unpacked[name] = _unpack(job, download, [need for need in needs if need.artifact == name])
        except FlotillaError as failure:
            faults += [Fault(text=f"artifact {name}: {fault.text}") for fault in failure.faults]
    if faults:
        raise ArtifactError(faults, advice=f"Check what CI uploaded in {run.url}. Nothing was written.")
    return unpacked


def build(
    job: JobContext[Inputs],
    packages: Iterable[Package],
    manifests: Mapping[str, Manifest],
    unpacked: Mapping[str, UnpackedArtifact],
) -> tuple[Built, ...]:
    """Return the tarball of each package, in the packages' order; see PackageBuilder.build."""
    built = _builder(job).build(packages, manifests, unpacked)
    for warning in (warning for one in built for warning in one.warnings):
        job.runner.warning(warning, title="Binaries not fully checked")
    for notice in (notice for one in built for notice in one.notices):
        job.runner.notice(notice, title="Package contents")
    return built


def build_in_turn(
    job: JobContext[Inputs],
    packages: Sequence[Package],
    manifests: Mapping[str, Manifest],
    *,
    run: WorkflowRun,
    artifacts: Sequence[Artifact],
    check: Callable[[Mapping[str, UnpackedArtifact]], None],
) -> tuple[Built, ...]:
    """Return the tarball of each package, in the packages' order, with one platform's artifacts on disk at a time.

    Args:
        artifacts: the run's artifacts from which the packages take files.
        check: called with the artifacts of each platform before its packages are built.

    Raises:
        FlotillaError: with what is wrong with the artifacts and packages of all platforms.
    """
    built: list[Built] = []
    failures: list[FlotillaError] = []
    for group in _groups(packages):
        needs = job.family.needs_of(group)
        taken = {need.artifact for need in needs}
        try:
            unpacked = gather(job, run, [one for one in artifacts if one.name in taken], needs)
            check(unpacked)
            built += build(job, group, manifests, unpacked)
        except (ArtifactError, ConflictError, PackageError) as failure:
            failures.append(failure)
        for name in FOLDERS:
            shutil.rmtree(job.scratch / name, ignore_errors=True)
    if failures:
        faults = dict.fromkeys(fault for failure in failures for fault in failure.faults)
        advice = " ".join(dict.fromkeys(failure.advice for failure in failures))
        raise type(failures[0])([*faults], advice=advice)
    order = [package.name for package in packages]
    return tuple(sorted(built, key=lambda one: order.index(one.package.name)))


def _groups(packages: Sequence[Package]) -> list[list[Package]]:
    """Return the packages by platform; platforms that share an artifact form one group, so it is unpacked once."""
    groups: list[list[Package]] = []
    for package in packages:
        shares = (one for one in groups if any(_together(package, other) for other in one))
        if (group := next(shares, None)) is None:
            groups.append([package])
        else:
            group.append(package)
    return groups


def _together(one: Package, other: Package) -> bool:
    return one.artifact == other.artifact or (one.platform is not None and one.platform == other.platform)


def _builder(job: JobContext[Inputs]) -> PackageBuilder:
    beside = (job.variables.workspace / OUTPUT_FOLDER,)
    return PackageBuilder(family=job.family, root=job.root, scratch=job.scratch, beside=beside)


def _unpack(job: JobContext[Inputs], download: Download, needs: Sequence[Need]) -> UnpackedArtifact:
    artifact = download.artifact
    if not download.digest_checked:
        job.runner.line(f"{artifact.name}: GitHub recorded no digest; the downloaded bytes have {download.digest}")
    files, builder = job.scratch / ARTIFACTS / str(artifact.id), _builder(job)
    if download.raw:
        _put(download, files, download.name)
    else:
        extract(download.path, files, limits=job.family.config.limits)
        if builder.is_archive(artifact.name, files, needs):
            shutil.rmtree(files)
            _put(download, files, artifact.name)
        else:
            download.path.unlink()
    return builder.unpack(artifact, download.digest, files, needs)


def _put(download: Download, folder: Path, name: str) -> None:
    folder.mkdir(parents=True)
    download.path.rename(folder / name)
