"""Builds a package's folder from its template and what CI built: all decided and refused first, then written."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from flotilla.errors import PackageError
from flotilla.family import Package, missing_files
from flotilla.packing.extraction import EXECUTABLE, PLAIN
from flotilla.packing.folder import MANIFEST, PackageFolder
from flotilla.packing.listing import files_below
from flotilla.packing.names import collision_key, name_fault
from flotilla.packing.npm_files import builds_on_install, left_out, refusal
from flotilla.packing.platform_check import Inspected, binary_warnings, inspect, platform_faults
from flotilla.packing.selection import bins, matching
from flotilla.text import printable

ADVICE = "Mend the template, `files` in flotilla.yml, or what CI packs, then run the job again: nothing was written."


def build_folder(
    package: Package, manifest: Mapping[str, object], *, template: Path | None, content: Path | None, into: Path
) -> PackageFolder:
    """Copies a package's files together and settles their modes.

    Args:
        package: what to build.
        manifest: its rendered package.json, which replaces the template's.
        template: the folder copied in, None where the manifest is generated.
        content: the unpacked artifact, of which the package's patterns choose; None for a meta package.
        into: a folder that is empty or not there yet.

    Raises:
        PackageError: the package is not fit to publish; all faults at once, each with the package's name.
    """
    written = _as_json(manifest)
    plan = _Plan.of(package, template, content)
    faults = [*plan.faults, *_faults(package, manifest, plan)]
    if written is None:
        faults.append(f"{MANIFEST} holds text that is no Unicode, or NaN, which is no JSON")
    if faults or written is None:
        raise PackageError([f"{package.name}: {fault}" for fault in faults], advice=ADVICE)
    modes = _modes(package, manifest, plan) | {MANIFEST: PLAIN}
    _write(plan.files, modes, written, into)
    return PackageFolder(
        path=into,
        name=package.name,
        version=package.version,
        modes=dict(sorted(modes.items())),
        warnings=_warnings(package, plan),
    )


@dataclass(frozen=True, kw_only=True)
class _Plan:
    """Where each file of a package comes from, but for its manifest, what it is, and what is wrong already."""

    files: Mapping[str, Path]
    inspected: Mapping[str, Inspected]
    faults: tuple[str, ...]

    @classmethod
    def of(cls, package: Package, template: Path | None, content: Path | None) -> _Plan:
        ours, our_faults = _listed(template, "the template's ")
        ours.pop(MANIFEST, None)
        built, built_faults = _listed(content, "the artifact's ")
        chosen, unmatched = _chosen(built, package.files) if content else ({}, [])
        doubled = [f"both the template and the artifact have {printable(path)}" for path in sorted({*ours} & {*chosen})]
        if MANIFEST in chosen:
            doubled.append(f"the artifact has a {MANIFEST}: leave it out of `files`, or of the artifact")
        files = {**ours, **chosen}
        return cls(
            files=files,
            inspected={path: inspect(file) for path, file in files.items()},
            faults=(*our_faults, *built_faults, *unmatched, *doubled),
        )


def _listed(root: Path | None, whose: str) -> tuple[dict[str, Path], list[str]]:
    if root is None:
        return {}, []
    if not root.is_dir():
        return {}, [f"{whose}folder {printable(root.name)} is not there"]
    files, faults = files_below(root)
    return {path: file for path, file in files.items() if not left_out(path)}, [f"{whose}{fault}" for fault in faults]


def _chosen(files: Mapping[str, Path], patterns: tuple[str, ...]) -> tuple[dict[str, Path], list[str]]:
    """The files that any pattern matches, and a fault for each pattern that matches none; no pattern takes all."""
    if not patterns:
        return dict(files), []
    matched = {pattern: matching(files, pattern) for pattern in patterns}
    faults = [
        f'`files` names "{pattern}", which nothing in the artifact matches'
        for pattern in patterns
        if not matched[pattern]
    ]
    return {path: files[path] for path in sorted(set().union(*matched.values()))}, faults


def _faults(package: Package, manifest: Mapping[str, object], plan: _Plan) -> Iterator[str]:
    for path in plan.files:
        if why := name_fault(path):
            yield f"{printable(path)} {why}"
        if why := refusal(path):
            yield f"{printable(path)} {why}"
        if builds_on_install(path, manifest):
            yield (
                f"{printable(path)} makes npm run node-gyp wherever it installs the package; leave it out, or set "
                f'"gypfile": false in {MANIFEST}'
            )
    yield from _collisions([*plan.files, MANIFEST])
    yield from (fault.removesuffix(".") for fault in missing_files(manifest, {*plan.files, MANIFEST}))
    if not plan.files and package.kind != "meta":
        yield f"there is nothing in it but {MANIFEST}"
    elif package.kind == "platform" and package.platform is not None:
        yield from platform_faults(plan.inspected, package.platform)


def _warnings(package: Package, plan: _Plan) -> tuple[str, ...]:
    if package.kind != "platform" or package.platform is None:
        return ()
    return tuple(binary_warnings(plan.inspected, package.platform))


def _collisions(paths: list[str]) -> Iterator[str]:
    seen: dict[str, str] = {}
    for path in sorted(paths):
        other = seen.setdefault("/".join(map(collision_key, path.split("/"))), path)
        if other != path:
            yield f"{printable(other)} and {printable(path)} are one and the same on macOS and Windows"


def _modes(package: Package, manifest: Mapping[str, object], plan: _Plan) -> dict[str, int]:
    """0755 for what its source could run, for programs, for the manifest's bins, and for what the config names."""
    named = bins(manifest, plan.files).union(*(matching(plan.files, pattern) for pattern in package.executables))
    return {
        path: EXECUTABLE if path in named or plan.inspected[path].executable or _own_bit(file) else PLAIN
        for path, file in plan.files.items()
    }


def _own_bit(file: Path) -> bool:
    return bool(file.stat().st_mode & 0o100)


def _as_json(manifest: Mapping[str, object]) -> bytes | None:
    """The manifest as npm would write it, None where it holds half a character, NaN or an infinite number."""
    try:
        return (json.dumps(manifest, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()
    except ValueError:
        return None


def _write(files: Mapping[str, Path], modes: Mapping[str, int], manifest: bytes, into: Path) -> None:
    into.mkdir(parents=True, exist_ok=True)
    if any(into.iterdir()):
        raise PackageError(f"the folder {into.name} for the package is not empty.", advice="Build into a new folder.")
    into.joinpath(MANIFEST).write_bytes(manifest)
    for path, file in files.items():
        target = into / path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, target)
    for path, mode in modes.items():
        into.joinpath(path).chmod(mode)
