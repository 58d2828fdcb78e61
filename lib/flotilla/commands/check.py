"""flotilla check: check flotilla.yml, the templates and, given artifacts, the packages."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from tabulate import tabulate

from flotilla.errors import ArtifactError, Fault, FlotillaError, InputError
from flotilla.family import Family, nothing_to_use
from flotilla.github import Artifact
from flotilla.jobs.build import MOST_NAMED, Built, PackageBuilder, UnpackedArtifact, unused_executables
from flotilla.jobs.prepare import NOTHING_TO_USE, meta_doubts, own_notes, render_all
from flotilla.jobs.release_assets import release_assets
from flotilla.packing import extract, floors_told
from flotilla.runner import CHECKSUMS, OUTPUT_FOLDER
from flotilla.text import printable, size

FOLDER = "Give the folder with CI's artifacts, each in a sub-folder of its name: --artifacts DIR"


def check(family: Family, *, root: Path, repository_url: str, artifacts: Path | None, listing: bool = False) -> str:
    """Return a report of what was checked.

    Args:
        artifacts: a folder with CI's artifacts, each a sub-folder or zip of its name; None checks only the templates.
        listing: show every file of each package, too.

    Raises:
        FlotillaError: what the release would refuse.
    """
    manifests = render_all(family.packages, root=root, repository=repository_url, top=Path.cwd())
    if (
        "{" not in family.config.release.notes
    ):  # with a placeholder, each version has its own file, which may not exist yet
        own_notes(family, root, top=Path.cwd())
    said = f"flotilla.yml and the templates are valid: {len(manifests)} packages."
    doubts = meta_doubts(family.packages, manifests, root=root)
    if artifacts is None:
        if listing:
            raise InputError("--list shows the packages' files, so it needs CI's artifacts", advice=FOLDER)
        more = "To build the packages and check their binaries as well, add --artifacts DIR."
        return "\n".join([said, *(f"Warning: {doubt}." for doubt in doubts), more])
    with tempfile.TemporaryDirectory(prefix="flotilla-check-") as scratch:
        beside = (artifacts.resolve(), Path.cwd() / OUTPUT_FOLDER)
        builder = PackageBuilder(family=family, root=root, scratch=Path(scratch), beside=beside)
        unpacked = _unpacked_artifacts(builder, artifacts)
        built = builder.pack(builder.build(family.packages, manifests, unpacked))
        assets = release_assets(family, unpacked)
        seen = (words for one in built for words in (*one.warnings, *one.notices))
        unusable = [
            f"{one.package.name}: {NOTHING_TO_USE}"
            for one in built
            if one.package.kind == "meta" and one.source and nothing_to_use(one.files.manifest, one.contents)
        ]
        doubts = [*doubts, *unusable, *unused_executables(family.config, built), *seen]
        unused = "".join(f"\nWarning: {words}." for words in doubts)
        counted = f"{len(assets)} assets, and {CHECKSUMS} of them" if assets else "no assets"
        files = f"\n\n{_files(built)}" if listing else ""
        needs = "".join(f"{line}\n" for line in floors_told({one.package.name: one.files.floors for one in built}))
        needs += "\n" if needs else ""
        return f"{said}\n\n{_table(built)}{files}\n\n{needs}The release would have {counted}.{unused}"


def _unpacked_artifacts(builder: PackageBuilder, artifacts: Path) -> Mapping[str, UnpackedArtifact]:
    if not artifacts.is_dir():
        raise ArtifactError(f"{artifacts} is not a folder", advice=FOLDER)
    unpacked: dict[str, UnpackedArtifact] = {}
    faults: list[Fault] = []
    for number, name in enumerate(dict.fromkeys(need.artifact for need in builder.family.artifacts), start=1):
        try:
            unpacked[name] = _unpacked_artifact(builder, artifacts, name, number)
        except FlotillaError as failure:
            faults += [Fault(text=f"artifact {name}: {fault.text}") for fault in failure.faults]
    if faults:
        raise ArtifactError(faults, advice=named_as_in_ci(builder.family, artifacts))
    return unpacked


def named_as_in_ci(family: Family, artifacts: Path) -> str:
    """Return the advice for a folder of artifacts that does not match flotilla.yml."""
    names = sorted(printable(path.name) for path in artifacts.iterdir())
    held = ", ".join([*names[:MOST_NAMED], *(["…"] if names[MOST_NAMED:] else [])]) or "nothing"
    versioned = any("{version}" in (part or "") for part in (family.config.ci.artifact, family.config.ci.archive))
    assumed = (
        f" flotilla looked for those of version {family.version}; for another, add --version." if versioned else ""
    )
    return (
        f"Each artifact must be a folder, a zip or a file in {artifacts}, named as in CI (ci.artifact). The folder "
        f"contains {held}.{assumed}"
    )


def _unpacked_artifact(builder: PackageBuilder, artifacts: Path, name: str, number: int) -> UnpackedArtifact:
    """Return an artifact as CI would have uploaded it, from a folder, a zip or a raw file with its name."""
    folder, archive, raw = artifacts / name, artifacts / f"{name}.zip", artifacts / name
    files = builder.scratch / "artifacts" / str(number)
    if folder.is_dir():
        # Without modes, which upload-artifact's zip does not keep: `check` must build what the release will.
        try:
            shutil.copytree(folder, files, copy_function=shutil.copyfile)
        except shutil.Error as failure:
            names = ", ".join(Path(path).relative_to(folder).as_posix() for path, _, _ in failure.args[0])
            raise ArtifactError(f"{names} cannot be read: a dangling link, or not a plain file") from failure
    elif archive.is_file():
        extract(archive, files, limits=builder.family.config.limits)
    elif raw.is_file():
        files.mkdir(parents=True)
        shutil.copyfile(raw, files / name)
    else:
        raise ArtifactError("missing")
    artifact = Artifact(
        id=number, name=name, size=0, expired=False, digest=None, run_id=0, created_at=datetime.now(UTC)
    )
    needs = [need for need in builder.family.artifacts if need.artifact == name]
    return builder.unpack(artifact, "", files, needs)


def _table(built: tuple[Built, ...]) -> str:
    rows = [
        (one.package.name, len(one.contents), size(one.packed.size), one.packed.integrity[:25] + "…") for one in built
    ]
    return tabulate(rows, ("package", "files", "packed", "integrity"), disable_numparse=True)


def _files(built: tuple[Built, ...]) -> str:
    """Return every file of each package, with its size and mode."""
    return "\n\n".join(
        f"{one.package.name}:\n"
        + tabulate(
            [(printable(path), entry.size, f"{entry.mode:04o}") for path, entry in sorted(one.contents.items())],
            ("file", "bytes", "mode"),
            disable_numparse=True,
            colalign=("left", "right", "left"),
        )
        for one in built
    )
