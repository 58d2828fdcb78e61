"""Read Mach-O binaries: thin ones, and the parts of universal ones."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from macholib import mach_o  # type: ignore[import-untyped] # it carries no types
from macholib.MachO import MachOHeader  # type: ignore[import-untyped]
from macholib.ptypes import sizeof  # type: ignore[import-untyped]

from flotilla.packing.binaries import (
    LARGEST_TABLE,
    LONGEST_NAME,
    Binary,
    Needs,
    UnreadableError,
    Window,
    newest,
    node_api_names,
)

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
LOADED = {mach_o.MH_EXECUTE, mach_o.MH_DYLIB, mach_o.MH_BUNDLE}
NEEDED = {mach_o.LC_LOAD_DYLIB, mach_o.LC_REEXPORT_DYLIB, mach_o.LC_LOAD_UPWARD_DYLIB}  # all but the weak ones
ARM64 = "arm64"

# Apple's code signatures: xnu's osfmk/kern/cs_blobs.h. All numbers are big-endian.
SUPER_BLOB, CODE_DIRECTORY = 0xFADE0CC0, 0xFADE0C02
BLOB_HEAD, BLOB_INDEX = struct.Struct(">III"), struct.Struct(">II")  # magic, length, count; type, offset
DIRECTORY = struct.Struct(">9I4BI")
CODE_LIMIT_64, SINCE_CODE_LIMIT_64 = 56, 0x20300  # where it stands, and the version that brought it
DIRECTORY_SLOTS = {0, *range(0x1000, 0x1006)}  # one for each kind of hash
MOST_BLOBS = 16
LARGEST_SIGNATURE = 1 << 26  # bytes: enough for the digests of a program of several gigabytes
LARGEST_PAGE = 16  # as a power of two; 0 stands for a single page
HASHES = {4: ("sha384", 48), 2: ("sha256", 32), 3: ("sha256", 20), 1: ("sha1", 20)}  # macOS takes the first it finds
SIGN = "sign it after its last change: codesign --force --sign - FILE"
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
    os, cpu = _os(parsed), _cpu(parsed.header)
    return Binary(
        member=member,
        format="Mach-O",
        os=os,
        cpus=(cpu,),
        executable=parsed.header.filetype == mach_o.MH_EXECUTE,
        needs=_needs(parsed, window, signed=(os, cpu) == ("darwin", ARM64)) if _is_loaded(parsed) else Needs(),
    )


def combined(parts: Iterable[Binary]) -> Needs:
    """Return what a universal binary needs, each part on its own machine; no arm64 ran on a macOS before 11."""
    parts = [*parts]
    needs = [part.needs for part in parts]
    versions = [
        (word, version)
        for part in parts
        for word, version in part.needs.versions
        if len(parts) == 1 or part.cpus != (ARM64,) or version != "11.0"
    ]
    return Needs(
        libraries=tuple(sorted({name for each in needs for name in each.libraries})),
        search=tuple(dict.fromkeys(folder for each in needs for folder in each.search)),
        versions=newest(versions),
        node_api=tuple(sorted({name for each in needs for name in each.node_api or ()})),
        signature=next((each.signature for each in needs if each.signature), None),
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


def _is_loaded(parsed: Any) -> bool:
    return parsed.header.filetype in LOADED


def _needs(parsed: Any, window: Window, *, signed: bool) -> Needs:
    commands = [(load.cmd, command, data) for load, command, data in parsed.commands]
    found = {kind: command for kind, command, _ in commands}
    minimums = [_minimum(kind, command) for kind, command, _ in commands]
    return Needs(
        libraries=tuple(sorted({_path(*each) for each in commands if each[0] in NEEDED})),
        search=tuple(dict.fromkeys(_path(*each) for each in commands if each[0] == mach_o.LC_RPATH)),
        versions=newest(("macos", version) for version in minimums if version),
        node_api=_node_api(parsed, found, window),
        signature=_signature_fault(found, window) if signed else None,
    )


def _path(kind: int, command: Any, data: bytes) -> str:
    """Return the path at the end of a load command, which says where in the command it begins."""
    start = int(command.path if kind == mach_o.LC_RPATH else command.name) - sizeof(mach_o.load_command)
    return data[start - sizeof(type(command)) :].partition(b"\0")[0].decode(errors="replace")


def _minimum(kind: int, command: Any) -> str | None:
    """Return the oldest macOS that a load command allows: "11.0"."""
    if kind == mach_o.LC_BUILD_VERSION and int(command.platform) == MACOS:
        packed = int(command.minos)
    elif kind == mach_o.LC_VERSION_MIN_MACOSX:
        packed = int(command.version)
    else:
        return None
    patch = f".{packed & 0xFF}" if packed & 0xFF else ""
    return f"{packed >> 16}.{packed >> 8 & 0xFF}{patch}"


def _node_api(parsed: Any, found: Mapping[int, Any], window: Window) -> tuple[str, ...] | None:
    """Return the functions of Node-API among its undefined symbols; None for more symbols than are read."""
    table, ranges = found.get(mach_o.LC_SYMTAB), found.get(mach_o.LC_DYSYMTAB)
    if table is None or ranges is None or parsed.header.filetype == mach_o.MH_EXECUTE:
        return ()
    wide = parsed.MH_MAGIC in {mach_o.MH_MAGIC_64, mach_o.MH_CIGAM_64}
    entry = struct.Struct(parsed.endian + ("IBBHQ" if wide else "IBBHI"))
    count, size = int(ranges.nundefsym), int(table.strsize)
    if max(count * entry.size, size) > LARGEST_TABLE:
        return None
    window.seek(int(table.symoff) + int(ranges.iundefsym) * entry.size)
    listed = window.read(count * entry.size)
    window.seek(int(table.stroff))
    text = window.read(size)
    whole = listed[: len(listed) - len(listed) % entry.size]
    starts = (one[0] + 1 for one in entry.iter_unpack(whole))  # behind the underscore that C's names get
    return node_api_names(text[start : start + LONGEST_NAME] for start in starts)


def _signature_fault(found: Mapping[int, Any], window: Window) -> str | None:
    """Return why macOS would not load the binary, which it does only if the signature holds for each of its pages.

    A signature of a certificate and one without (ad hoc) are the same here: whose it is, is not checked.
    """
    command = found.get(mach_o.LC_CODE_SIGNATURE)
    if command is None:
        return f"has no code signature, and macOS ends it at once on arm64; {SIGN}"
    start, size = int(command.dataoff), int(command.datasize)
    blob = window.part(start, min(size, LARGEST_SIGNATURE)) if start + size <= window.size else None
    directory = _directory(blob.read()) if blob else None
    if directory is None:
        return f"has a code signature that cannot be read; {SIGN}"
    if directory.limit != start or directory.limit > len(directory.pages) * directory.page:
        return f"has a code signature that does not cover all of it; {SIGN}"
    digests = window.page_digests(directory.limit, directory.page, directory.algorithm)
    for number, (wanted, digest) in enumerate(zip(directory.pages, digests, strict=False)):
        if digest[: len(wanted)] != wanted:
            where = f"{number * directory.page:#x}"
            return f"was changed after it was signed (the page at {where} has another digest); {SIGN}"
    return None


@dataclass(frozen=True, kw_only=True)
class _Directory:
    """A CodeDirectory: the digests of the pages up to a limit."""

    algorithm: str
    page: int
    limit: int
    pages: tuple[bytes, ...]


def _directory(blob: bytes) -> _Directory | None:
    """Return the best CodeDirectory of a signature; None if there is none that can be read."""
    try:
        magic, _, count = BLOB_HEAD.unpack_from(blob)
        if magic != SUPER_BLOB or count > MOST_BLOBS:
            return None
        places = [BLOB_INDEX.unpack_from(blob, BLOB_HEAD.size + number * BLOB_INDEX.size) for number in range(count)]
        read = dict(_read_directory(blob, at) for slot, at in places if slot in DIRECTORY_SLOTS)
    except struct.error:
        return None
    return next((read[kind] for kind in HASHES if kind in read), None)


def _read_directory(blob: bytes, at: int) -> tuple[int, _Directory | None]:
    """Return the kind of its hashes, and the directory at an offset; None if a part of it is missing or unknown.

    Raises:
        struct.error: the offset is outside.
    """
    magic, length, version, _, hashes, _, _, slots, limit, width, kind, _, page, _ = DIRECTORY.unpack_from(blob, at)
    if version >= SINCE_CODE_LIMIT_64:
        limit = struct.unpack_from(">Q", blob, at + CODE_LIMIT_64)[0] or limit
    algorithm, size = HASHES.get(kind, ("", 0))
    body = blob[at : at + length]
    digests = body[hashes : hashes + slots * width]
    if magic != CODE_DIRECTORY or width != size or len(digests) < slots * width or page > LARGEST_PAGE:
        return kind, None
    pages = tuple(digests[start : start + width] for start in range(0, len(digests), width or 1))
    return kind, _Directory(algorithm=algorithm, page=1 << page if page else max(limit, 1), limit=limit, pages=pages)
