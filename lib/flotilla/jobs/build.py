"""Turn a CI run's artifacts into tarballs: download, unpack, check and pack them in the scratch folder."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from wcmatch import glob

from flotilla.errors import ArtifactError, ConflictError, Fault, FlotillaError, PackageError, Place, Refusal, grouped
from flotilla.family import Archive, BuiltPackage, Config, Family, Manifest, Need, Package, PackedPackage
from flotilla.family.yaml import dotted
from flotilla.github import Artifact, Download, WorkflowRun
from flotilla.jobs.inputs import Inputs, JobContext
from flotilla.packing import (
    Contents,
    PackageFiles,
    extract,
    library_copies,
    matching,
    most_packed,
    package_files,
    sidecar_faults,
    write_tarball,
)
from flotilla.retry import CORES, StopFlag, gather
from flotilla.runner import OUTPUT_FOLDER
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
    """A package whose files are chosen and checked, with warnings about what could not be checked, and notices.

    Args:
        files: what goes into it.
        tarball: None until it is packed; a package that is only checked never is.
    """

    package: Package
    files: PackageFiles
    source: UnpackedArtifact | None
    tarball: PackedPackage | None = None
    warnings: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()

    @property
    def contents(self) -> Contents:
        """Return the files in it."""
        return self.files.contents

    @property
    def known(self) -> BuiltPackage:
        """Return it as it is compared with the registry, by its tarball if it is packed."""
        return self.tarball or self.files

    @property
    def packed(self) -> PackedPackage:
        """Return the packed package."""
        assert self.tarball is not None, f"{self.package.name} is not packed"  # noqa: S101 - a defect of ours
        return self.tarball


@dataclass(frozen=True, kw_only=True)
class PackageBuilder:
    """Builds a family's packages.

    Args:
        root: folder of flotilla.yml, to which templates are relative.
        scratch: a private folder; the caller removes it.
        beside: folders inside the repository that do not belong to it.
        stop: ends the work if the job is cancelled.
    """

    family: Family
    root: Path
    scratch: Path
    beside: tuple[Path, ...] = ()
    stop: StopFlag = field(default_factory=StopFlag)

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
            extract(file, contents[archive], strip_components=strip, limits=limits, wanted=wanted, stop=self.stop)
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
        """Return what goes into each package, checked and not packed, in the packages' order.

        Args:
            manifests: by package name.
            unpacked: by artifact name.

        Raises:
            PackageError: with what is wrong with each package.
        """
        return self._each(
            [(package.name, partial(self._built, package, manifests[package.name], unpacked)) for package in packages]
        )

    def pack(self, built: Sequence[Built]) -> tuple[Built, ...]:
        """Return the packages packed, in their order.

        Raises:
            PackageError: with what is wrong with each of them.
        """
        return self._each([(one.package.name, partial(self._packed, one)) for one in built])

    def _each(self, tasks: Sequence[tuple[str, Callable[[], Built]]]) -> tuple[Built, ...]:
        """Run a task for each package, as many at a time as there are cores; collect what is wrong.

        Raises:
            PackageError: the faults of all packages, those that several have said once.
        """
        done = gather([partial(_kept, task) for _, task in tasks], stop=self.stop, workers=CORES)
        faults: list[tuple[str, str, Place | None]] = []
        for (name, _), each in zip(tasks, done, strict=True):
            if isinstance(each, PackageError):
                faults += [(name, fault.text.removeprefix(f"{name}: "), fault.place) for fault in each.faults]
        if faults:
            places = {why: place for _, why, place in reversed(faults)}
            refusals = grouped((Refusal(of=name, why=why) for name, why, _ in faults), of=len(tasks))
            raise PackageError(
                [Fault(text=str(each), place=places[each.why]) for each in refusals],
                advice="Nothing was written. Correct CI's artifacts or flotilla.yml, then re-run.",
            )
        return tuple(each for each in done if isinstance(each, Built))

    def _built(self, package: Package, manifest: Manifest, unpacked: Mapping[str, UnpackedArtifact]) -> Built:
        source = unpacked[package.artifact] if package.artifact else None
        files = package_files(
            package,
            manifest,
            template=self.root / package.template if package.template else None,
            content=source.content(package) if source else None,
            stop=self.stop,
            beside=self.beside,
        )
        of = f"{package.name}: "
        built = Built(
            package=package,
            files=files,
            source=source,
            warnings=tuple(of + warning for warning in files.warnings),
            notices=tuple(of + notice for notice in (*files.notices, *library_copies(files.contents))),
        )
        if most_packed(files.contents) > self.family.config.publish.package_size:
            self._packed(built).packed.path.unlink()  # only the tarball shows whether it is too large
        return built

    def _packed(self, built: Built) -> Built:
        # One folder each, because the tarballs of @acme/a-b and @acme-a/b have the same name.
        folder = self.scratch / "tarballs" / built.package.name.replace("/", "+")
        tarball = write_tarball(built.files, folder, stop=self.stop)
        budget = self.family.config.publish.package_size
        if tarball.size > budget:
            raise PackageError(
                f"is {tarball.size} bytes packed, but publish.size-limit-mb in flotilla.yml allows {budget} bytes; the "
                "registry refuses packages that are too large"
            )
        return replace(built, tarball=tarball)


def _kept(task: Callable[[], Built]) -> Built | PackageError:
    try:
        return task()
    except PackageError as failure:
        return failure


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
            matching(one.contents, one.package.executables[number]) for one in built if one.package.key == spec.key
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


def take_artifacts(
    job: JobContext[Inputs], run: WorkflowRun, artifacts: Sequence[Artifact], needs: Sequence[Need]
) -> dict[str, UnpackedArtifact]:
    """Download, check and unpack the run's artifacts; return them by name. One is unpacked while others arrive.

    Args:
        needs: what is taken from them.

    Raises:
        ArtifactError: one is missing, altered, hostile or broken; all of them at once.
    """
    unpacking = threading.Semaphore(CORES)

    def take(artifact: Artifact) -> UnpackedArtifact | list[Fault]:
        (download,) = job.github.artifacts.download([artifact], job.scratch / DOWNLOADS)
        with unpacking:
            job.policy.stop.check()
            try:
                return _unpack(job, download, [need for need in needs if need.artifact == artifact.name])
            except FlotillaError as failure:
                return [Fault(text=f"artifact {artifact.name}: {fault.text}") for fault in failure.faults]

    taken = gather([partial(take, artifact) for artifact in artifacts], stop=job.policy.stop)
    if faults := [fault for each in taken if isinstance(each, list) for fault in each]:
        raise ArtifactError(faults, advice=f"Check what CI uploaded in {run.url}. Nothing was written.")
    return {each.artifact.name: each for each in taken if isinstance(each, UnpackedArtifact)}


def build(
    job: JobContext[Inputs],
    packages: Iterable[Package],
    manifests: Mapping[str, Manifest],
    unpacked: Mapping[str, UnpackedArtifact],
) -> tuple[Built, ...]:
    """Return what goes into each package, in the packages' order; see PackageBuilder.build."""
    built = _builder(job).build(packages, manifests, unpacked)
    for warning in (warning for one in built for warning in one.warnings):
        job.runner.warning(warning, title="Binaries not fully checked")
    for notice in (notice for one in built for notice in one.notices):
        job.runner.notice(notice, title="Package contents")
    return built


def pack(job: JobContext[Inputs], built: Sequence[Built]) -> tuple[Built, ...]:
    """Return the packages packed, in their order; see PackageBuilder.pack."""
    return _builder(job).pack(built)


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
            unpacked = take_artifacts(job, run, [one for one in artifacts if one.name in taken], needs)
            check(unpacked)
            for one in unpacked.values():
                if None not in one.contents:  # what was unpacked from its archives is all that is needed now
                    shutil.rmtree(one.files)
            built += pack(job, build(job, group, manifests, unpacked))
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
    return PackageBuilder(family=job.family, root=job.root, scratch=job.scratch, beside=beside, stop=job.policy.stop)


def _unpack(job: JobContext[Inputs], download: Download, needs: Sequence[Need]) -> UnpackedArtifact:
    artifact = download.artifact
    if not download.digest_checked:
        job.runner.line(f"{artifact.name}: GitHub recorded no digest; the downloaded bytes have {download.digest}")
    files, builder = job.scratch / ARTIFACTS / str(artifact.id), _builder(job)
    if download.raw:
        _put(download, files, download.name)
    else:
        extract(download.path, files, limits=job.family.config.limits, stop=job.policy.stop)
        if builder.is_archive(artifact.name, files, needs):
            shutil.rmtree(files)
            _put(download, files, artifact.name)
        else:
            download.path.unlink()
    return builder.unpack(artifact, download.digest, files, needs)


def _put(download: Download, folder: Path, name: str) -> None:
    folder.mkdir(parents=True)
    download.path.rename(folder / name)
