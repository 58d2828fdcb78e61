"""Read Mach-O binaries: thin ones, and the parts of universal ones."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from macholib import mach_o  # type: ignore[import-untyped] # it carries no types
from macholib.MachO import MachOHeader  # type: ignore[import-untyped]
from macholib.ptypes import sizeof  # type: ignore[import-untyped]

from flotilla.packing.binaries import Binary, UnreadableError, Window

MAGICS = {  # the file's first four bytes: macholib's (magic, header, endianness)
    b"\xfe\xed\xfa\xce": (mach_o.MH_MAGIC, mach_o.mach_header, ">"),
    b"\xce\xfa\xed\xfe": (mach_o.MH_CIGAM, mach_o.mach_header, "<"),
    b"\xfe\xed\xfa\xcf": (mach_o.MH_MAGIC_64, mach_o.mach_header_64, ">"),
    b"\xcf\xfa\xed\xfe": (mach_o.MH_CIGAM_64, mach_o.mach_header_64, "<"),
}
UNIVERSAL = {b"\xca\xfe\xba\xbe": mach_o.fat_arch, b"\xca\xfe\xba\xbf": mach_o.fat_arch64}
MOST_PARTS = 20  # Java's class files have the same magic, and a version from 45 on where the number of parts stands

CPUS = {7: "ia32", 0x01000007: "x64", 12: "arm", 0x0100000C: "arm64", 18: "ppc", 0x01000012: "ppc64"}
MACOS = 1
PLATFORMS = {MACOS: "darwin", 2: "ios", 3: "tvos", 4: "watchos", 6: "maccatalyst", 7: "ios simulator"}
PLATFORM_OF_MINIMUM = {
    mach_o.LC_VERSION_MIN_MACOSX: MACOS,
    mach_o.LC_VERSION_MIN_IPHONEOS: 2,
    mach_o.LC_VERSION_MIN_TVOS: 3,
    mach_o.LC_VERSION_MIN_WATCHOS: 4,
}
SEGMENTS = {mach_o.LC_SEGMENT, mach_o.LC_SEGMENT_64}
LONGEST_COMMANDS = 1 << 22
ANYWHERE = 1 << 62  # a size that no offset passes: sections outside the head read as empty


@dataclass(frozen=True, kw_only=True)
class Slice:
    """A part of a universal file, and the cpu that the file says it is for."""

    cpu: str
    window: Window


def slices(window: Window) -> list[Slice]:
    """Return the parts of a universal binary or library; none if the file is something else (a Java class).

    Raises:
        Exception: any that macholib raises on a damaged file.
    """
    window.seek(0)
    header = mach_o.fat_header.from_fileobj(window)
    if not 0 < header.nfat_arch < MOST_PARTS:
        return []
    shape = UNIVERSAL[window.head(4)]
    window.seek(8)
    parts = [shape.from_fileobj(window) for _ in range(header.nfat_arch)]
    return [Slice(cpu=_cpu(part), window=window.part(int(part.offset), int(part.size))) for part in parts]


def read_macho(window: Window, member: str | None) -> Binary:
    """Return the thin binary.

    Raises:
        Exception: any that macholib raises on a damaged file.
    """
    magic, shape, endian = MAGICS[window.head(4)]
    window.seek(0)
    sizes = shape.from_fileobj(window, _endian_=endian)
    if sizes.sizeofcmds > LONGEST_COMMANDS:
        raise UnreadableError("its load commands are implausibly large")
    # macholib reads whole sections, so it gets only the load commands.
    head = window.over(window.head(sizeof(shape) + int(sizes.sizeofcmds)))
    parsed = MachOHeader(None, head, 0, ANYWHERE, magic, shape, endian, True)  # noqa: FBT003 - macholib's own order
    _refuse_truncated(parsed, window)
    return Binary(
        member=member,
        format="Mach-O",
        os=_os(parsed),
        cpus=(_cpu(parsed.header),),
        executable=parsed.header.filetype == mach_o.MH_EXECUTE,
    )


def _cpu(header: Any) -> str:
    return CPUS.get(int(header.cputype), f"cpu type {int(header.cputype)}")


def _os(parsed: Any) -> str:
    platforms = set(_platforms(parsed))
    if MACOS in platforms or not platforms:
        return "darwin"
    return PLATFORMS.get(min(platforms), f"Apple platform {min(platforms)}")


def _platforms(parsed: Any) -> Iterator[int]:
    for load, command, _ in parsed.commands:
        if load.cmd == mach_o.LC_BUILD_VERSION:
            yield int(command.platform)
        elif load.cmd in PLATFORM_OF_MINIMUM:
            yield PLATFORM_OF_MINIMUM[load.cmd]


def _refuse_truncated(parsed: Any, window: Window) -> None:
    if parsed.header.filetype == mach_o.MH_DSYM:
        return  # describes segments of another file
    ends = [int(command.fileoff + command.filesize) for load, command, _ in parsed.commands if load.cmd in SEGMENTS]
    if max(ends, default=0) > window.size:
        raise UnreadableError("it is truncated")
