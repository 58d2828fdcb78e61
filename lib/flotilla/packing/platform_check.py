"""Recognise binaries, and check that a package's binaries are for its platform."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar, cast

from flotilla.family.model import Platform
from flotilla.family.platforms import OS
from flotilla.packing.binaries import Binary, UnreadableError, Window, version_key
from flotilla.packing.paths import files_below
from flotilla.text import printable

ARCHIVE = b"!<arch>\n"
THIN_ARCHIVE = b"!<thin>\n"
OBJECT_SUFFIXES = frozenset({".o", ".obj"})  # COFF has no magic: a file of its own is only looked at with these

UNREADABLE = "cannot be read as"

BINARY_NAME = re.compile(r"\.(node|dylib|dll|exe|a|so(\.\d+)*)$", re.IGNORECASE)
LINKER_SCRIPT = re.compile(rb"\b(INPUT|GROUP|OUTPUT_FORMAT)\s*\(")  # text that Linux's linkers take for a library
HEAD = 4096
VERSION_WORDS = {"glibc": "glibc", "glibcxx": "GLIBCXX", "cxxabi": "CXXABI", "macos": "macOS"}
WASM = "wasm32"
LINUX_KERNEL = {"linux", "android", "openharmony"}
RUNS_TOO = {"aix": "os400", "win32": "cygwin"}  # whose binaries they run, too
NO_ELF = {"aix", "cygwin", "darwin", "ios", "os400", "win32"}

T = TypeVar("T")
Reader = Callable[[Window, str | None], Binary | None]


@dataclass(frozen=True, kw_only=True)
class Inspected:
    """What a file is.

    Args:
        binaries: what identify found.
        fault: why it fits no platform; None if it may.
    """

    binaries: tuple[Binary, ...] = ()
    fault: str | None = None

    @property
    def executable(self) -> bool:
        """Return whether the file is a program."""
        return any(binary.executable for binary in self.binaries)


def inspect(path: Path) -> Inspected:
    """Return what a file is; the file is not trusted."""
    try:
        binaries = identify(path)
    except UnreadableError as error:
        return Inspected(fault=str(error))
    if binaries or not BINARY_NAME.search(path.name):
        return Inspected(binaries=binaries)
    with path.open("rb") as file:
        head = file.read(HEAD)
    return Inspected(fault=_not_a_binary(head))


def _not_a_binary(head: bytes) -> str | None:
    """Return why a file that is named like a binary, but has no known format, cannot be right."""
    if not head:
        return "is empty"
    from flotilla.packing import elf, pe  # noqa: PLC0415

    if LINKER_SCRIPT.search(head) or head.startswith((ARCHIVE, elf.MAGIC)) or pe.claims_pe(head):
        return None
    return f'is named like a binary but begins with "{printable(head[:24].decode(errors="replace"))}"'


def binary_faults(root: Path, platform: Platform) -> list[str]:
    """Return what is wrong with the binaries below a folder, a line per file, sorted by path; empty if nothing is.

    Args:
        root: the folder; only its regular files are checked.
        platform: what they must run on.
    """
    files, _ = files_below(root)
    return platform_faults({path: inspect(file) for path, file in files.items()}, platform)


def platform_faults(inspected: Mapping[str, Inspected], platform: Platform) -> list[str]:
    """Return the same for files that were already inspected."""
    if platform.binaries == "unchecked":
        return []
    faults = [
        f"{printable(path)} {why}" for path in sorted(inspected) for why in _file_faults(inspected[path], platform)
    ]
    found = [binary for file in inspected.values() for binary in file.binaries]
    real = _real_cpus(platform)
    if faults or platform.binaries == "none" or (platform.cpu and not real):
        return faults
    if not found:
        what = f"it contains no binary for {platform.name}: no ELF, Mach-O, PE or XCOFF file"
        return [f"{what}; if the platform needs none, set `binaries: none` in flotilla.yml"]
    return [f"it contains no binary for {cpu}" for cpu in real if all(cpu not in binary.cpus for binary in found)]


def binary_warnings(inspected: Mapping[str, Inspected], platform: Platform) -> list[str]:
    """Return what could not be checked, a line per file, sorted by path."""
    if platform.binaries != "check" or not platform.libc:
        return []
    return [
        f"{printable(path)} is packed (UPX), so flotilla cannot read its libc; {platform.name} needs "
        f"{' or '.join(platform.libc)}. If it was built for that, `binaries: unchecked` silences this warning"
        for path in sorted(inspected)
        if any(binary.packed for binary in inspected[path].binaries)
    ]


def _real_cpus(platform: Platform) -> tuple[str, ...]:
    """Return the cpus that have their own machine code; wasm32 runs on any."""
    return tuple(cpu for cpu in platform.cpu if cpu != WASM)


def _file_faults(file: Inspected, platform: Platform) -> Iterator[str]:
    if file.fault is not None:
        yield file.fault
        return
    wrong = [(binary, why) for binary in file.binaries if (why := _mismatch(binary, platform)) is not None]
    if not wrong:
        return
    binary, why = wrong[0]
    more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
    yield f"{f'contains {binary.member}{more}, which is' if binary.member else 'is'} {why}"


def _mismatch(binary: Binary, platform: Platform) -> str | None:
    if platform.binaries == "none":
        return f"{binary}, but {platform.name} has `binaries: none` in flotilla.yml"
    if not (_runs_on(binary, platform) and _covers(binary, platform) and _links_to(binary, platform)):
        return f"{binary}, but the package is for {_words(platform)}"
    floors = {"glibc": platform.glibc, "glibcxx": platform.glibcxx, "macos": platform.macos}
    for key, needed in binary.needs.versions:
        if (floor := floors.get(key)) and version_key(needed) > version_key(floor):
            what = f"{VERSION_WORDS[key]} {needed}"
            return f"{binary} and needs {what}, but {platform.name} allows {floor} at most (platforms[].{key})"
    return None


def _runs_on(binary: Binary, platform: Platform) -> bool:
    """Return whether it is for the os. A program that names none is for Linux; an object may be for any."""
    if not platform.os:
        return True
    if binary.os is None:
        return not set(platform.os) <= (NO_ELF if not binary.executable else set(OS) - LINUX_KERNEL)
    return binary.os in platform.os or RUNS_TOO.get(binary.os) in platform.os


def _covers(binary: Binary, platform: Platform) -> bool:
    """Return whether it runs on the platform's cpus: a universal binary on all of them, a thin one on one."""
    if len(binary.cpus) > 1:
        return set(_real_cpus(platform)) <= set(binary.cpus)
    return binary.cpus[0] in platform.cpu or not platform.cpu


def _links_to(binary: Binary, platform: Platform) -> bool:
    return binary.libc is None or not platform.libc or binary.libc in platform.libc


def _words(platform: Platform) -> str:
    return " ".join(filter(None, ("+".join(platform.os), "+".join(platform.cpu), "+".join(platform.libc))))


def identify(path: Path) -> tuple[Binary, ...]:
    """Return a file's binaries: itself for a binary, each object for a static library, () for anything else.

    Args:
        path: a regular file, not trusted.

    Raises:
        UnreadableError: it begins like a binary but is not a valid one; the text does not name the file.
    """
    with path.open("rb") as file:
        window = Window.whole(file)
        coff = path.suffix.lower() in OBJECT_SUFFIXES
        return tuple(_identify(window, coff=coff))


def _identify(window: Window, *, coff: bool) -> Iterator[Binary]:
    from flotilla.packing import macho  # noqa: PLC0415

    if window.head(4) in macho.UNIVERSAL:
        yield from _attempt("a universal Mach-O", lambda: list(_universal(window)))
    else:
        yield from _thin(window, coff=coff)


def _thin(window: Window, *, coff: bool) -> Iterator[Binary]:
    magic = window.head(len(ARCHIVE))
    if magic == THIN_ARCHIVE:
        raise UnreadableError("it is a thin archive, which refers to its objects instead of containing them")
    if magic == ARCHIVE:
        yield from _attempt("an ar archive", lambda: list(_objects(window)))
    else:
        yield from _single(window, None, coff=coff)


def _single(window: Window, member: str | None, *, coff: bool) -> Iterator[Binary]:
    what, reader = _reader(window.head(4), coff=coff)
    if reader is not None and (found := _attempt(what, partial(reader, window, member))) is not None:
        yield found


def _reader(head: bytes, *, coff: bool) -> tuple[str, Reader | None]:
    # Here, as above and below: the libraries that read binaries are a tenth of what a job imports at its start.
    from flotilla.packing import elf, macho, pe  # noqa: PLC0415

    if head == elf.MAGIC:
        return "ELF", elf.read_elf
    if head in macho.MAGICS:
        return "Mach-O", macho.read_macho
    if head.startswith(pe.MAGIC):
        return "PE", pe.read_pe
    if head[:2] in pe.XCOFF:
        return "XCOFF", pe.read_xcoff
    return ("COFF", pe.read_coff) if coff else ("", None)


def _objects(window: Window) -> Iterator[Binary]:
    import arpy  # type: ignore[import-untyped]  # noqa: PLC0415 - it carries no types

    window.seek(0)
    for data in arpy.Archive(fileobj=cast("Any", window)):
        header = data.header
        member = printable(header.name.rstrip(b"\0").decode(errors="replace"))
        yield from _single(window.part(header.file_offset, header.size), member, coff=True)


def _universal(window: Window) -> Iterator[Binary]:
    """Yield one binary for all parts of the file."""
    from flotilla.packing import macho  # noqa: PLC0415

    parts = macho.slices(window)
    held = [(part, list(_thin(part.window, coff=False))) for part in parts]
    if not all(binaries for _, binaries in held):
        raise UnreadableError("a part of it is not a binary")
    found = [(part, binary) for part, binaries in held for binary in binaries]
    if any(binary.cpus != (part.cpu,) for part, binary in found):
        raise UnreadableError("a part of it is for a different cpu than the file says")
    if found:
        yield Binary(
            format="Mach-O",
            os=next((binary.os for _, binary in found if binary.os != "darwin"), "darwin"),
            cpus=tuple(part.cpu for part in parts),
            executable=all(binary.executable for _, binary in found),
            needs=macho.combined(binary for _, binary in found),
        )


def _attempt(what: str, read: Callable[[], T]) -> T:
    try:
        return read()
    except UnreadableError as error:
        text = str(error)
        raise error if text.startswith(UNREADABLE) else UnreadableError(f"{UNREADABLE} {what}: {text}") from error
    except Exception as error:  # the formats' libraries raise whatever a damaged file leads them to
        reason = printable(str(error)) or type(error).__name__
        raise UnreadableError(f"{UNREADABLE} {what} ({reason})") from error
