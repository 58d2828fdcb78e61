"""flotilla check: check flotilla.yml, the templates and, given artifacts, the packages."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from difflib import get_close_matches
from pathlib import Path

from tabulate import tabulate

from flotilla.errors import ArtifactError, Fault, FlotillaError, InputError
from flotilla.family import Family, Manifest, nothing_to_use
from flotilla.github import Artifact
from flotilla.jobs.build import MOST_NAMED, Built, PackageBuilder, UnpackedArtifact, unused_executables
from flotilla.jobs.prepare import NOTHING_TO_USE, meta_doubts, own_notes, render_all
from flotilla.jobs.release_assets import release_assets
from flotilla.packing import extract, floors_told
from flotilla.runner import CHECKSUMS, OUTPUT_FOLDER
from flotilla.text import printable, quoted, shorten, size

FOLDER = "Give the folder with CI's artifacts, each in a sub-folder of its name: --artifacts DIR"
INSTALL_SCRIPTS = ("preinstall", "install", "postinstall")
LONGEST_LICENSE = 80


@dataclass(frozen=True, kw_only=True)
class Checked:
    """What a check found.

    Args:
        packages: how many the family has.
        doubts: what is surely not meant, a line each.
        built: the packages; empty without artifacts.
        assets: how many the release would have.
        artifacts: whether there were artifacts to build from.
    """

    packages: int
    doubts: Sequence[str]
    built: tuple[Built, ...] = ()
    assets: int = 0
    artifacts: bool = False


def check(
    family: Family, *, root: Path, repository_url: str, artifacts: Path | None, out: Path | None = None
) -> Checked:
    """Check a family as its release would.

    Args:
        artifacts: a folder with CI's artifacts, each a sub-folder or zip of its name; None checks only the templates.
        out: a folder for the packages' tarballs; None for none.

    Raises:
        FlotillaError: what the release would refuse.
    """
    manifests = render_all(family.packages, root=root, repository=repository_url, top=Path.cwd())
    if (
        "{" not in family.config.release.notes
    ):  # with a placeholder, each version has its own file, which may not exist yet
        own_notes(family, root, top=Path.cwd())
    doubts = [
        *workflow_doubts(family.config.ci.workflow, root),
        *manifest_doubts(manifests),
        *meta_doubts(family.packages, manifests, root=root),
    ]
    if artifacts is None:
        return Checked(packages=len(manifests), doubts=doubts)
    with tempfile.TemporaryDirectory(prefix="flotilla-check-") as scratch:
        beside = (artifacts.resolve(), Path.cwd() / OUTPUT_FOLDER)
        builder = PackageBuilder(family=family, root=root, scratch=Path(scratch), beside=beside)
        unpacked = _unpacked_artifacts(builder, artifacts)
        built = builder.pack(builder.build(family.packages, manifests, unpacked))
        assets = release_assets(family, unpacked)
        if out is not None:
            _write_tarballs(built, out)
    seen = (words for one in built for words in (*one.warnings, *one.notices))
    unusable = [
        f"{one.package.name}: {NOTHING_TO_USE}"
        for one in built
        if one.package.kind == "meta" and one.source and nothing_to_use(one.files.manifest, one.contents)
    ]
    doubts += [*unusable, *unused_executables(family.config, built), *seen]
    return Checked(packages=len(manifests), doubts=doubts, built=built, assets=len(assets), artifacts=True)


def check_text(checked: Checked, *, listing: bool = False) -> str:
    """Return the report of a check.

    Args:
        listing: show every file of each package, too.
    """
    said = f"flotilla.yml and the templates are valid: {checked.packages} packages."
    warnings = [f"Warning: {doubt}." for doubt in checked.doubts]
    if not checked.artifacts:
        more = "To build the packages and check their binaries as well, add --artifacts DIR."
        return "\n".join([said, *warnings, more])
    needs = floors_told({one.package.name: one.files.floors for one in checked.built})
    counted = f"{checked.assets} assets, and {CHECKSUMS} of them" if checked.assets else "no assets"
    parts = [
        said,
        _table(checked.built),
        _files(checked.built) if listing else "",
        "\n".join(needs),
        "\n".join([f"The release would have {counted}.", *warnings]),
    ]
    return "\n\n".join(filter(None, parts))


def check_json(checked: Checked, family: Family, *, listing: bool = False) -> str:
    """Return the same as JSON."""
    packages = [
        {
            "name": one.package.name,
            "version": one.package.version,
            "kind": one.package.kind,
            "files": [
                {"path": path, "size": entry.size, "mode": f"{entry.mode:04o}"}
                for path, entry in sorted(one.contents.items())
            ]
            if listing
            else len(one.contents),
            "size": one.packed.size,
            "integrity": one.packed.integrity,
            "floors": one.files.floors.as_json(),
        }
        for one in checked.built
    ]
    warnings = [*(str(warning) for warning in family.config.warnings), *checked.doubts]
    named = {"family": family.config.family, "version": family.version, "warnings": warnings}
    built = {"packages": packages, "assets": checked.assets} if checked.artifacts else {}
    return json.dumps({**named, **built}, indent=2)


def workflow_doubts(workflow: str, root: Path) -> list[str]:
    """Return that the workflow of ci.workflow is not in the repository's folder of workflows, if there is one.

    Args:
        root: the family's folder, in or below the repository's.
    """
    for top in (root, *root.parents):
        folder = top / ".github" / "workflows"
        if folder.is_dir():
            there = [file.name for file in folder.iterdir()]
            if workflow in there:
                return []
            near = get_close_matches(workflow, there, n=1)
            guess = f"; the nearest is {printable(near[0])}" if near else ""
            return [f"ci.workflow: .github/workflows/{workflow} does not exist{guess}"]
        if (top / ".git").exists():
            break
    return []


def manifest_doubts(manifests: Mapping[str, Manifest]) -> list[str]:
    """Return what npm would not do, or not understand, with these manifests, a line each."""
    names: dict[str, list[str]] = {}
    for name, manifest in manifests.items():
        for doubt in filter(None, (_scripts_doubt(manifest), _license_doubt(manifest.get("license")))):
            names.setdefault(doubt, []).append(name)
    return [f"{_listed(of)}: {doubt}" for doubt, of in names.items()]


def _scripts_doubt(manifest: Manifest) -> str:
    scripts = manifest.get("scripts")
    found = [name for name in INSTALL_SCRIPTS if isinstance(scripts, Mapping) and name in scripts]
    told = f"package.json has the script{'s' if found[1:] else ''} {', '.join(found)}"
    return f"{told}; npm 12 runs none that the user has not allowed" if found else ""


def _license_doubt(named: object) -> str:
    """Return why npm would not take this for a licence; its own two phrases are no SPDX expressions."""
    if named is None or named == "UNLICENSED" or (isinstance(named, str) and named.startswith("SEE LICENSE IN ")):
        return ""
    shown = shorten(quoted(named), LONGEST_LICENSE) if isinstance(named, str) else "an object or a list"
    known = "write one such as MIT or (MIT OR Apache-2.0), or SEE LICENSE IN FILE"
    if not isinstance(named, str):
        return f"license in package.json is {shown}; {known}"
    from packaging.licenses import (  # noqa: PLC0415 - only here, and not in the jobs
        InvalidLicenseExpression,
        canonicalize_license_expression,
    )

    try:
        meant = canonicalize_license_expression(named)
    except InvalidLicenseExpression:
        return f"license {shown} in package.json is not an SPDX expression; {known}"
    return "" if meant == named else f"license {shown} in package.json is written {meant} in SPDX"


def _listed(names: Sequence[str]) -> str:
    return ", ".join([*names[:MOST_NAMED], *(["…"] if names[MOST_NAMED:] else [])])


def _write_tarballs(built: Sequence[Built], out: Path) -> None:
    """Write the tarballs, named as npm pack names them.

    Raises:
        InputError: they cannot be written.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        for one in built:
            name = one.packed.name.removeprefix("@").replace("/", "-")
            shutil.copyfile(one.packed.path, out / f"{name}-{one.packed.version}.tgz")
    except OSError as failure:
        raise InputError(f"--out: {failure.filename} cannot be written: {failure.strerror}") from failure


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
