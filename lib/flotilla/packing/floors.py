"""Floors: the oldest system that a package's binaries run on; and what would keep them from being loaded anywhere."""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from importlib import resources
from typing import Any

from flotilla.family.model import Platform
from flotilla.packing.binaries import GLIBC_LIBRARY, Binary, Needs, newest, version_key
from flotilla.packing.platform_check import VERSION_WORDS, Inspected
from flotilla.text import printable

ADDON = ".node"
LONGEST_TOLD = 200  # characters of a library's name
UNKNOWN, EXPERIMENTAL = "unknown", "experimental"

# What each C runtime of Windows is called. The last two come with Visual C++, not with Windows.
CRTS = (
    ("ucrt", re.compile(r"^(ucrtbase|api-ms-win-crt-.+)\.dll$")),
    ("msvcrt", re.compile(r"^msvcrt\.dll$")),
    ("vcruntime140", re.compile(r"^(vcruntime|msvcp|concrt|vcomp|vccorlib)140(_\w*[^d\W])?\.dll$")),
    ("msvcr", re.compile(r"^msvc[rp]\d+\.dll$")),
)
WINDOWS_SETS = re.compile(r"^(api|ext)-ms-win-.+\.dll$")  # names that Windows maps to DLLs of its own
NODE = {"node.exe", "node.dll", "libnode.dll"}
MUSL = re.compile(r"^(ld-musl-.+\.so\.1|libc\.musl-.+\.so\.1)$")
SYSTEM_FOLDER = re.compile(r"^/((usr/(local/|pkg/|X11R[67]/)?)?lib(32|64|x32|exec)?|system|vendor|apex)(/|$)")
APPLE_FOLDER = re.compile(r"^/(usr/lib|System)(/|$)")
ORIGIN = re.compile(r"^(\$ORIGIN|\$\{ORIGIN\}|@loader_path|@executable_path)(?=/|$)")
RPATH = "@rpath/"
DEPENDENCIES = ("dependencies", "optionalDependencies", "peerDependencies")
OLDEST = re.compile(
    r"^\s*(?:>=|\^|~|=)?\s*v?(\d+)(?:\.(?:x|\*|(\d+)))?(?:\.(?:x|\*|(\d+)))?(?=\s|$)"
)  # of a range of npm's
OTHERWISE = "or list it in platforms[].libraries if users must install it"


@dataclass(frozen=True, kw_only=True)
class _Kind:
    """What errors say of a format: the system that loads it, and how its libraries are found."""

    system: str
    find: str
    rename: str = ""


KINDS = {
    "ELF": _Kind(
        system="Linux", find="link with RUNPATH $ORIGIN", rename="give it a soname (-Wl,-soname) and link again"
    ),
    "Mach-O": _Kind(
        system="macOS",
        find="set an rpath that begins with @loader_path",
        rename="add it to the package, name it @loader_path/… (install_name_tool -change) and sign again",
    ),
    "PE": _Kind(system="Windows", find="place it beside the binary"),
}


@dataclass(frozen=True, kw_only=True)
class Floors:
    """What a package's binaries need of a machine.

    Args:
        versions: the newest that they need of glibc, glibcxx, cxxabi and macos, by these words.
        musl: whether they need musl.
        crt: the C runtimes of Windows that they load.
        node_api: the level of Node-API; "unknown" if an addon looks its functions up at run time, empty for no addon.
        libraries: the libraries that they load from outside the package.
    """

    versions: tuple[tuple[str, str], ...] = ()
    musl: bool = False
    crt: tuple[str, ...] = ()
    node_api: str = ""
    libraries: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Return them on a line, without the libraries; empty if a machine needs nothing."""
        words = [
            f"{VERSION_WORDS[word]} {version}"
            for word, version in sorted(self.versions, key=lambda one: [*VERSION_WORDS].index(one[0]))
        ]
        words += ["musl"] if self.musl else []
        words += self.crt
        return ", ".join([*words, *([f"Node-API {self.node_api}"] if self.node_api else [])])

    def as_json(self) -> dict[str, object]:
        """Return them as the ledger has them; what nothing is needed of is left out."""
        told = {
            **dict(self.versions),
            "musl": self.musl,
            "crt": list(self.crt),
            "node-api": self.node_api,
            "libraries": list(self.libraries),
        }
        return {word: value for word, value in told.items() if value}

    @property
    def too_new_for(self) -> tuple[str, ...]:
        """Return the common images and systems with their libc on which they do not run."""
        musl = self.musl and "glibc" not in dict(self.versions)
        return tuple(
            image["name"]
            for image in _data()["images"]["have"]
            if ("musl" in image) == musl
            and any(version_key(version) > version_key(image[word]) for word, version in self.versions if word in image)
        )


def highest(floors: Iterable[Floors]) -> Floors:
    """Return the floors of a family, which are those of its highest member."""
    floors = [*floors]
    levels = {one.node_api for one in floors if one.node_api}
    return Floors(
        versions=newest(version for one in floors for version in one.versions),
        musl=any(one.musl for one in floors),
        crt=tuple(sorted({crt for one in floors for crt in one.crt})),
        node_api=max(levels, key=_level_key, default=""),
        libraries=tuple(sorted({name for one in floors for name in one.libraries})),
    )


def floors_told(floors: Mapping[str, Floors]) -> list[str]:
    """Return what packages need of a machine, a line for each need, and what the family needs of all machines.

    Args:
        floors: by the package's name.
    """
    names: dict[str, list[str]] = {}
    for name, each in floors.items():
        names.setdefault(str(each), []).append(name)
    lines = [f"needs {text}: {', '.join(those)}" for text, those in names.items() if text]
    family = highest(floors.values())
    if lines and (missing := family.too_new_for):
        lines.append(f"the family does not run on {', '.join(missing)}")
    return lines if len(lines) < 2 else [*lines, f"the family needs {family}"]  # noqa: PLR2004 - of one is said already


def risen(before: Mapping[str, object], now: Floors) -> list[str]:
    """Return which floors are higher than those that a ledger has of the same package."""
    found = [
        f"{VERSION_WORDS[word]} {version}, but only {old}"
        for word, version in now.versions
        if isinstance(old := before.get(word), str) and version_key(version) > version_key(old)
    ]
    old = before.get("node-api")
    if isinstance(old, str) and old.isdigit() and _level_key(now.node_api) > _level_key(old):
        found.append(f"Node-API {now.node_api}, but only {old}")
    return found


def _level_key(level: str) -> int:
    return int(level) if level.isdigit() else 1000 if level == EXPERIMENTAL else 0


@cache
def _data() -> Any:
    return json.loads(resources.files("flotilla.packing").joinpath("systems.json").read_text(encoding="utf-8"))


@cache
def _levels() -> Mapping[str, str]:
    """Return the level of each function of Node-API."""
    return {name: level for level, names in _data()["node-api"]["functions"].items() for name in names}


def floors_of(inspected: Mapping[str, Inspected], platform: Platform) -> Floors:
    """Return what the binaries of a package need; nothing is known of those that flotilla.yml leaves unchecked."""
    if platform.binaries != "check":
        return Floors()
    found = [(path, binary) for path, file in inspected.items() for binary in file.binaries if not binary.member]
    inside = {posixpath.basename(path).lower() for path in inspected}
    libraries = {
        name for _, one in found for name in one.needs.libraries if posixpath.basename(name).lower() not in inside
    }
    needs = [one.needs for _, one in found]
    return Floors(
        versions=newest(version for each in needs for version in each.versions),
        musl=any(one.libc == "musl" for _, one in found),
        crt=tuple(word for word, crt in CRTS if any(crt.match(name.lower()) for name in libraries)),
        node_api=max((_node_api(path, one.needs) for path, one in found), key=_level_key, default=""),
        libraries=tuple(sorted(printable(name)[:LONGEST_TOLD] for name in libraries if name)),
    )


def _node_api(path: str, needs: Needs) -> str:
    """Return the level of Node-API that a file needs; empty for a file that is no addon."""
    if not needs.node_api:
        return UNKNOWN if path.endswith(ADDON) else ""
    return max((_levels().get(name, EXPERIMENTAL) for name in needs.node_api), key=_level_key)


@dataclass(frozen=True, kw_only=True)
class _Inside:
    """A package as a loader sees it once it is installed.

    Args:
        paths: of its files by their names in lower case.
        dependencies: the packages that npm installs beside it.
    """

    name: str
    platform: Platform
    paths: Mapping[str, tuple[str, ...]]
    dependencies: frozenset[str]

    def reaches(self, place: str) -> bool:
        """Return whether a path lies in a package that this one depends on."""
        return any(place.startswith(f"node_modules/{name}/") for name in self.dependencies)


def floor_faults(
    name: str, platform: Platform, manifest: Mapping[str, object], inspected: Mapping[str, Inspected]
) -> list[str]:
    """Return what would keep a package's binaries from being loaded on a user's machine, a line each, sorted by path.

    Args:
        name: the package's.
        manifest: its package.json, which names the packages that it depends on.
    """
    if platform.binaries != "check":
        return []
    inside = _inside(name, platform, manifest, inspected)
    return [
        f"{printable(path)} {why}"
        for path in sorted(inspected)
        for binary in inspected[path].binaries
        for why in _faults(path, binary, inside)
    ]


def floor_warnings(
    name: str, platform: Platform, manifest: Mapping[str, object], inspected: Mapping[str, Inspected]
) -> list[str]:
    """Return what may keep them from being loaded, a line each, sorted by path."""
    if platform.binaries != "check":
        return []
    inside = _inside(name, platform, manifest, inspected)
    found = [(path, binary) for path in sorted(inspected) for binary in inspected[path].binaries]
    lost = [f"{printable(path)} {why}" for path, binary in found for why in _unreached(path, binary, inside)]
    return [*lost, *_engines(manifest, floors_of(inspected, platform).node_api)]


def _inside(
    name: str, platform: Platform, manifest: Mapping[str, object], inspected: Mapping[str, Inspected]
) -> _Inside:
    paths: dict[str, list[str]] = {}
    for path in inspected:
        paths.setdefault(posixpath.basename(path).lower(), []).append(path)
    listed = (manifest.get(key) for key in DEPENDENCIES)
    return _Inside(
        name=name,
        platform=platform,
        paths={name: tuple(each) for name, each in paths.items()},
        dependencies=frozenset(name for each in listed if isinstance(each, Mapping) for name in each),
    )


def _faults(path: str, binary: Binary, inside: _Inside) -> Iterator[str]:
    needs, apple = binary.needs, binary.format == "Mach-O"
    if needs.signature:
        yield needs.signature
    if needs.interpreter and not SYSTEM_FOLDER.match(posixpath.normpath(needs.interpreter)):
        yield (
            f"is started by {printable(needs.interpreter)}, which only the machine that built it has; link it with the "
            "system's loader (-Wl,--dynamic-linker, or patchelf --set-interpreter)"
        )
    for folder in needs.search:
        yield from _folder_faults(folder, apple=apple)
    for library in needs.libraries:
        if why := _library_fault(library, path, binary, inside):
            yield why


def _folder_faults(folder: str, *, apple: bool) -> Iterator[str]:
    """Yield why a loader must not look in a folder."""
    if ORIGIN.match(folder) or (folder.startswith("$") and not apple):
        return
    what, where = ("the rpath", "@loader_path") if apple else ("the RUNPATH", "$ORIGIN")
    remove = "install_name_tool -delete_rpath, then sign it again" if apple else "patchelf --remove-rpath"
    if not folder.startswith("/"):
        yield (
            f'has {what} "{printable(folder)}", which is looked up in the folder that its user happens to be in; link '
            f"with one that begins with {where}, or remove it ({remove})"
        )
    elif not (APPLE_FOLDER if apple else SYSTEM_FOLDER).match(posixpath.normpath(folder)):
        yield (
            f"has {what} {printable(folder)}, a folder of the machine that built it; link with one that begins with "
            f"{where}, or remove it ({remove})"
        )


def _library_fault(library: str, path: str, binary: Binary, inside: _Inside) -> str | None:
    """Return why a library that a binary needs is not found; None if it is, or if nobody knows the system's own."""
    kind = KINDS.get(binary.format)
    known = binary.format != "ELF" or (binary.os in {None, "linux"} and inside.platform.os == ("linux",))
    if kind is None or not known or _is_found(library, path, binary, inside):
        return None
    if _is_path(library, binary):
        absolute = library.startswith("/")
        what = "a path of the machine that built it" if absolute else "a path from the folder that its user is in"
        return f"needs {printable(library)}, {what}; {kind.rename}, {OTHERWISE}"
    return (
        f"needs {printable(library)}, which is not part of {kind.system}, of this package, or of one that it depends "
        f"on and looks in; add it to the package and {kind.find}, link it statically, {OTHERWISE}"
    )


def _is_found(library: str, path: str, binary: Binary, inside: _Inside) -> bool:
    """Return whether a library is the system's, the users', in the package, or where it looks in a dependency."""
    name = posixpath.basename(library)
    if any(fnmatchcase(name, pattern) for pattern in inside.platform.libraries):
        return True
    if _is_path(library, binary):
        system = APPLE_FOLDER if binary.format == "Mach-O" else SYSTEM_FOLDER
        return system.match(posixpath.normpath(library)) is not None
    if _is_system(name, binary) or name.lower() in inside.paths:
        return True
    places = _places(library, path, binary.needs, inside)
    return any(APPLE_FOLDER.match(place) if place.startswith("/") else inside.reaches(place) for place in places)


def _is_path(library: str, binary: Binary) -> bool:
    """Return whether a loader takes a library's name for a path, from the root or from the user's own folder."""
    if binary.format == "Mach-O":
        return not library.startswith("@")
    return binary.format == "ELF" and "/" in library and not ORIGIN.match(library)


def _is_system(name: str, binary: Binary) -> bool:
    """Return whether every machine that runs node on such a system has a library, by its name alone."""
    match binary.format:
        case "PE":
            dll = name.lower()
            listed = dll in NODE or dll.removesuffix(".dll") in _system("win32")
            return listed or any(names.match(dll) for names in (WINDOWS_SETS, *(crt for _, crt in CRTS)))
        case "ELF":
            glibc = GLIBC_LIBRARY.search(name) is not None or name in _system("glibc")
            musl = MUSL.match(name) is not None or name in _system("musl")
            return (glibc and binary.libc != "musl") or (musl and binary.libc != "glibc")
        case _:
            return False


@cache
def _system(word: str) -> frozenset[str]:
    return frozenset(_data()["libraries"][word]["names"])


def _places(library: str, path: str, needs: Needs, inside: _Inside) -> Iterator[str]:
    """Yield the paths at which a loader looks for a library, from above node_modules or absolute."""
    here = posixpath.join("node_modules", inside.name, posixpath.dirname(path))
    name = library.removeprefix(RPATH)
    for folder in [""] if ORIGIN.match(library) else needs.search:
        place = posixpath.join(folder, name)
        own = ORIGIN.match(place)
        yield posixpath.normpath(f"{here}/{place[own.end() :]}" if own else place)


def _unreached(path: str, binary: Binary, inside: _Inside) -> Iterator[str]:
    """Yield the libraries that the package has in a folder that the binary does not look in."""
    if binary.format not in {"ELF", "Mach-O"}:
        return
    for library in binary.needs.libraries:
        name = posixpath.basename(library)
        there = inside.paths.get(name.lower(), ())
        looked = set(_places(library, path, binary.needs, inside))
        if (
            there
            and not _is_system(name, binary)
            and looked.isdisjoint(f"node_modules/{inside.name}/{at}" for at in there)
        ):
            yield (
                f"needs {printable(library)}, which is in the package as {printable(there[0])}, but it does not look "
                f"there; unless something loads that first, {KINDS[binary.format].find}"
            )


def _engines(manifest: Mapping[str, object], level: str) -> Iterator[str]:
    """Yield that engines.node lets in a node without the level of Node-API; a range too odd to read is let pass."""
    engines = manifest.get("engines")
    range_ = engines.get("node") if isinstance(engines, Mapping) else None
    since = [version_key(version) for version in _data()["node-api"]["since"].get(level, ())]
    if not isinstance(range_, str) or not since:
        return
    oldest = [
        match and tuple(int(part or 0) for part in match.groups()) for match in map(OLDEST.match, range_.split("||"))
    ]
    for node in oldest if all(oldest) else ():
        if node and node < since[-1] and not any(node[0] == has[0] and node >= has for has in since):
            yield (
                f"engines.node allows node {'.'.join(map(str, node))}, which does not have Node-API {level}, the level "
                f"that an addon needs; node has it from {', '.join('.'.join(map(str, has)) for has in since)} on"
            )
            return
