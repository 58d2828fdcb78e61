"""Choose a package's files from its template and CI's artifact, and check everything; nothing is copied."""

from __future__ import annotations

import codecs
import hashlib
import json
import posixpath
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from flotilla.errors import PackageError
from flotilla.family.entry_points import launcher_files, missing_files, program_files
from flotilla.family.model import ROOT, BuiltPackage, Package, Platform
from flotilla.packing.choose_files import listed_files, root_files, taken_files, template_files, unlisted_files
from flotilla.packing.floors import Floors, floor_faults, floor_warnings, floors_of
from flotilla.packing.packlist import MANIFEST, builds_on_install
from flotilla.packing.paths import collision_key, matching, name_fault
from flotilla.packing.platform_check import Inspected, binary_warnings, inspect, platform_faults
from flotilla.packing.streams import CHUNK, EXECUTABLE, PLAIN
from flotilla.retry import StopFlag
from flotilla.text import printable

REFUSED = {
    ".npmrc": "may contain a token, and npm reads it; keep it out of packages",
    ".netrc": "may contain a password, and programs read it; keep it out of packages",
    "_netrc": "may contain a password, and programs read it; keep it out of packages",
    ".git-credentials": "may contain a password or a token for git; keep it out of packages",
    ".git": "belongs to a git repository, which a package cannot contain",
    "node_modules": "is in npm's folder for dependencies and would be lost",
}
SETTINGS = re.compile(r"\.env.*")
KEY_FILE = re.compile(r"id_(rsa|dsa|ecdsa|ed25519)(_sk)?|.+\.(p12|pfx|ppk)")
KEY_MARKS = (b"PRIVATE KEY", b"PuTTY-User-Key-File-")
# A line may end as in JSON. A program that reads keys contains only the first line, which does not make it a key.
KEY = re.compile(
    rb"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----(?:\\r|\\n|\s){1,20}"
    rb"(?:[A-Za-z-]{1,40}: [^\r\n\\]{1,200}(?:\\r|\\n|\s){1,20}){0,5}[A-Za-z0-9+/]{40}"
    rb"|PuTTY-User-Key-File-[0-9]{1,3}: [a-z0-9-]{1,40}(?:\\r|\\n|\s){1,20}Encryption: "
)
UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)  # what PowerShell's > writes
KEY_SPAN = 4096  # bytes in which a key's first lines lie
MOST_NAMES = 10  # of files in one message
ADVICE = "Fix the template, `files` in flotilla.yml, or what CI packs, then re-run the job. Nothing was written."


@dataclass(frozen=True, kw_only=True)
class FileEntry:
    """One file of a package.

    Args:
        mode: 0o755 if anybody may run it, otherwise 0o644; the other bits depend on the packer's umask.
        size: bytes.
        sha256: of the content, in hex.
    """

    mode: int
    size: int
    sha256: str


Contents = Mapping[str, FileEntry]
"""The files of a package by their paths below package/."""


@dataclass(frozen=True, kw_only=True)
class PackageFiles(BuiltPackage):
    """A package, ready to pack.

    Args:
        texts: its package.json and generated files by their paths.
        files: where its other files are, by their posix paths in the package.
        contents: each file's mode, size and digest by its path, package.json included.
        floors: what its binaries need of a machine; nothing for all but platform packages.
        warnings: what could not be checked, or should be looked at, a line each.
        notices: what was left out, a line each.
    """

    texts: Mapping[str, bytes]
    files: Mapping[str, Path]
    contents: Contents
    floors: Floors = field(default_factory=Floors)
    warnings: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()


def package_files(
    package: Package,
    manifest: Mapping[str, object],
    *,
    template: Path | None,
    content: Path | None,
    beside: Collection[Path] = (),
    stop: StopFlag | None = None,
) -> PackageFiles:
    """Return what goes into a package, each file read once: for its digest, and for a private key in it.

    Args:
        package: what to build.
        manifest: its rendered package.json, which replaces the template's.
        template: the folder with the template's files; None if the manifest is generated.
        content: the unpacked artifact, from which the package's patterns choose; None for a meta package.
        beside: folders inside the repository that do not belong to it, for a template that is the repository's root.
        stop: ends the reading if the job is cancelled.

    Raises:
        PackageError: the package must not be published; has all faults, each with the package's name.
    """
    written = _as_json(manifest)
    plan = _Plan.of(package, manifest, template, content, beside, stop or StopFlag())
    plan = plan.adding({path: text.encode() for path, text in launcher_files(package, manifest).items()})
    faults = [*plan.faults, *_faults(package, manifest, plan)]
    if written is None:
        faults.append(f"{MANIFEST} contains text that is not Unicode, or NaN, which is not JSON")
    if faults or written is None:
        raise PackageError([f"{package.name}: {fault}" for fault in faults], advice=ADVICE)
    modes = _modes(package, manifest, plan)
    texts = {**plan.generated, MANIFEST: written}
    contents = {path: _entry(text, modes.get(path, PLAIN)) for path, text in texts.items()}
    for path, looked in plan.looked.items():
        contents[path] = FileEntry(mode=modes[path], size=looked.size, sha256=looked.sha256)
    return PackageFiles(
        name=package.name,
        version=package.version,
        manifest=manifest,
        texts=texts,
        files=plan.files,
        contents=dict(sorted(contents.items())),
        floors=floors_of(plan.inspected, platform) if (platform := _checked(package)) else Floors(),
        warnings=_warnings(package, manifest, plan),
        notices=(*plan.notices, *_scripts_told(package, plan, modes, content)),
    )


@dataclass(frozen=True, kw_only=True)
class _Looked:
    """What a file holds."""

    size: int
    sha256: str
    private_key: bool


@dataclass(frozen=True, kw_only=True)
class _Plan:
    """Where each file of a package except its manifest comes from, what it is, and the faults so far."""

    files: Mapping[str, Path]
    inspected: Mapping[str, Inspected]
    looked: Mapping[str, _Looked]
    faults: tuple[str, ...]
    notices: tuple[str, ...]
    generated: Mapping[str, bytes] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        package: Package,
        manifest: Mapping[str, object],
        template: Path | None,
        content: Path | None,
        beside: Collection[Path],
        stop: StopFlag,
    ) -> _Plan:
        told: list[str] = []
        is_root = template is not None and package.template == ROOT
        if template is not None and is_root:
            ours, told = root_files(template, manifest, beside=beside)
            our_faults: list[str] = []
        else:
            ours, our_faults = template_files(template, manifest)
        built, built_faults = listed_files(content, "the artifact's ")
        chosen, unmatched = taken_files(built, package.files) if content else ({}, [])
        unlisted = sorted(unlisted_files({*ours, *chosen}, manifest, {}) & chosen.keys())
        contradictions, notices = _told(unlisted, chosen_by_pattern=bool(package.files))
        if notices:
            chosen = {path: file for path, file in chosen.items() if path not in unlisted}
        if is_root and (replaced := sorted({*ours} & {*chosen})):
            # What a build left there; in the job that publishes, only the artifact has it.
            told.append(f"taken from the artifact instead of the repository: {_names(replaced)}")
            ours = {path: file for path, file in ours.items() if path not in chosen}
        doubled = [
            f"both the template and the artifact contain {printable(path)}" for path in sorted({*ours} & {*chosen})
        ]
        if MANIFEST in chosen:
            doubled.append(f"the artifact contains a {MANIFEST}; leave it out of `files` or of the artifact")
        files = {**ours, **chosen}
        return cls(
            files=files,
            inspected={path: inspect(file) for path, file in files.items()},
            looked={path: _look_through(file, stop) for path, file in files.items()},
            faults=(*our_faults, *built_faults, *unmatched, *doubled, *contradictions),
            notices=(*told, *notices),
        )

    def adding(self, generated: Mapping[str, bytes]) -> _Plan:
        """Return the plan with files that no one else may bring."""
        doubled = [
            f"{printable(path)} is generated for packages.meta.launcher, and the template or the artifact has it, too"
            for path in sorted(generated.keys() & self.files.keys())
        ]
        return replace(self, generated=generated, faults=(*self.faults, *doubled))

    @property
    def paths(self) -> list[str]:
        """Return the paths of all files, generated ones too."""
        return [*self.files, *self.generated]


def _told(unlisted: list[str], *, chosen_by_pattern: bool) -> tuple[list[str], list[str]]:
    """Return the faults and notices for files of the artifact that the manifest's `files` does not name.

    If flotilla.yml chooses a file that the manifest drops, they contradict each other. If flotilla.yml chooses none,
    the manifest alone decides, as it does for npm.
    """
    if not unlisted:
        return [], []
    names = _names(unlisted)
    if not chosen_by_pattern:
        return [], [f"left out, as npm pack does, because `files` in {MANIFEST} does not name them: {names}"]
    fault = (
        f"flotilla.yml's `files` chooses {names}, which npm would drop because `files` in {MANIFEST} does not "
        "name them; add them there, or narrow `files` in flotilla.yml"
    )
    return [fault], []


def _names(paths: Sequence[str]) -> str:
    more = f" and {len(paths) - MOST_NAMES} more" if paths[MOST_NAMES:] else ""
    return ", ".join(map(printable, paths[:MOST_NAMES])) + more


def _faults(package: Package, manifest: Mapping[str, object], plan: _Plan) -> Iterator[str]:
    for path in plan.files:
        if why := name_fault(path):
            yield f"{printable(path)} {why}"
        if why := _refusal(path):
            yield f"{printable(path)} {why}"
        elif not plan.inspected[path].binaries and plan.looked[path].private_key:
            yield f"{printable(path)} contains a private key; keep it out of packages, and revoke it if published"
        if builds_on_install(path, manifest):
            yield (
                f"{printable(path)} makes npm run node-gyp when it installs the package; leave it out, or set "
                f'"gypfile": false in {MANIFEST}'
            )
    yield from _collisions([*plan.paths, MANIFEST])
    yield from (fault.removesuffix(".") for fault in missing_files(manifest, {*plan.paths, MANIFEST}))
    if not plan.files and not plan.faults and package.kind != "meta":
        yield f"it has no file except {MANIFEST}"
    elif platform := _checked(package):
        yield from platform_faults(plan.inspected, platform)
        yield from floor_faults(package.name, platform, manifest, plan.inspected)
        yield from _program_faults(package, program_files(package, manifest), plan)


def _checked(package: Package) -> Platform | None:
    """Return the platform that a package's binaries are checked for; None for a dev or meta package."""
    return package.platform if package.kind == "platform" else None


def _program_faults(package: Package, candidates: Sequence[str], plan: _Plan) -> Iterator[str]:
    if candidates and package.launcher and not any(path in plan.files for path in candidates):
        yield (
            f"packages.meta.launcher runs {package.launcher.bin}, and none of {', '.join(candidates)} is in it; place "
            "the program there with `files`, or name it in bin of the template's package.json"
        )


def _warnings(package: Package, manifest: Mapping[str, object], plan: _Plan) -> tuple[str, ...]:
    """Return what should be looked at: a library may contain a test key, which only its authors can tell."""
    keys = (
        f"{printable(path)} is a binary that contains a private key; check that the key is only for tests"
        for path, found in plan.inspected.items()
        if found.binaries and plan.looked[path].private_key
    )
    if (platform := _checked(package)) is None:
        return tuple(keys)
    doubts = floor_warnings(package.name, platform, manifest, plan.inspected)
    return (*binary_warnings(plan.inspected, platform), *doubts, *keys)


def _collisions(paths: list[str]) -> Iterator[str]:
    seen: dict[str, str] = {}
    for path in sorted(paths):
        other = seen.setdefault("/".join(map(collision_key, path.split("/"))), path)
        if other != path:
            yield f"{printable(other)} and {printable(path)} are the same file on macOS and Windows"


def _modes(package: Package, manifest: Mapping[str, object], plan: _Plan) -> dict[str, int]:
    """Return each mode: 0755 for programs, bins, executable sources and what the config names; 0644 for the rest."""
    named = {*_bins(manifest, plan.paths), *program_files(package, manifest)}
    named.update(*(matching(plan.paths, pattern) for pattern in package.executables))
    named.update(path for path, file in plan.files.items() if plan.inspected[path].executable or _own_bit(file))
    return {path: EXECUTABLE if path in named else PLAIN for path in plan.paths}


def _scripts_told(package: Package, plan: _Plan, modes: Mapping[str, int], content: Path | None) -> Iterator[str]:
    """Yield which of the artifact's scripts nobody could run; an artifact without an archive keeps no modes."""
    if package.kind != "platform" or content is None:
        return
    built = (path for path, file in plan.files.items() if modes[path] == PLAIN and file.is_relative_to(content))
    if scripts := [path for path in built if _is_script(plan.files[path])]:
        names = ", ".join(map(printable, scripts[:MOST_NAMES])) + (", …" if scripts[MOST_NAMES:] else "")
        yield f"begins with #! and has mode 0644; if users run it, name it in `executables` in flotilla.yml: {names}"


def _is_script(file: Path) -> bool:
    with file.open("rb") as source:
        return source.read(2) == b"#!"


def _own_bit(file: Path) -> bool:
    return bool(file.stat().st_mode & 0o100)


def _entry(text: bytes, mode: int) -> FileEntry:
    return FileEntry(mode=mode, size=len(text), sha256=hashlib.sha256(text).hexdigest())


def _as_json(manifest: Mapping[str, object]) -> bytes | None:
    """Return the manifest as npm would write it; None if it contains half a character, NaN or infinity."""
    try:
        return (json.dumps(manifest, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()
    except ValueError:
        return None


def _bins(manifest: Mapping[str, object], paths: Iterable[str]) -> set[str]:
    """Return the paths named by the manifest's bin, or inside its directories.bin."""
    named, folders = set(_files(manifest.get("bin"))), tuple(_folders(manifest.get("directories")))
    return {path for path in paths if path in named or path.startswith(folders)}


def _files(bin_: object) -> Iterator[str]:
    paths = bin_.values() if isinstance(bin_, Mapping) else (bin_,)
    return (posixpath.normpath(path) for path in paths if isinstance(path, str))


def _folders(directories: object) -> Iterator[str]:
    match directories:
        case {"bin": str() as folder}:
            yield f"{posixpath.normpath(folder)}/"


def _refusal(path: str) -> str | None:
    """Return why a package must not contain this file; None if it may."""
    parts = {part.casefold() for part in path.split("/")}  # for whom .NPMRC is .npmrc
    if why := next((why for name, why in REFUSED.items() if name in parts), None):
        return why
    if any(map(SETTINGS.fullmatch, parts)):
        return "may contain secrets, because programs read their environment from it; keep it out of packages"
    if any(map(KEY_FILE.fullmatch, parts)):
        return "is named like a private key; keep it out of packages, or rename it if it is not one"
    return None


def _look_through(file: Path, stop: StopFlag) -> _Looked:
    """Return a file's size and digest, and whether it contains a private key in PEM, OpenPGP's text form or PuTTY's."""
    digest, size, found, rest = hashlib.sha256(), 0, False, b""
    with file.open("rb") as source:
        wide = source.read(2) in UTF_16
        source.seek(0)
        while part := source.read(CHUNK):
            stop.check()
            digest.update(part)
            size += len(part)
            if not found:
                text = rest + (part.replace(b"\0", b"") if wide else part)
                found = any(mark in text for mark in KEY_MARKS) and KEY.search(text) is not None
                rest = text[-KEY_SPAN:]
    return _Looked(size=size, sha256=digest.hexdigest(), private_key=found)
