"""Read COFF and its descendants: Windows' PE images and objects, and AIX's XCOFF."""

from __future__ import annotations

import struct
from collections.abc import Iterator

import pefile  # type: ignore[import-untyped] # it carries no types

from flotilla.packing.binaries import Binary, UnreadableError, Window

MAGIC = b"MZ"
HEAD = 1 << 16  # all headers stand in it; pefile would map the file, and look through it
CPUS = {  # Windows' machine words
    0x014C: "ia32",
    0x8664: "x64",
    0xAA64: "arm64",
    0xA641: "arm64ec",
    0x01C0: "arm",
    0x01C4: "arm",
}
EFI_SUBSYSTEMS = range(10, 14)  # firmware: not for Windows
DOTNET = 14  # the data directory that only a .NET assembly has

OBJECT = struct.Struct("<HHIIIHH")  # machine, sections, time, symbols, number of symbols, optional header, flags
SECTION_SIZE = 40
XCOFF = {  # AIX's magic: (cpu, header, section header); big-endian. Source: IBM's "XCOFF Object File Format"
    b"\x01\xdf": ("ppc", struct.Struct(">2xHIIiHH"), struct.Struct(">8s8xII16x")),
    b"\x01\xf7": ("ppc64", struct.Struct(">2xHIQHHi"), struct.Struct(">8s16xQQ32x")),
}
F_EXEC, F_SHROBJ = 0x0002, 0x2000

ANONYMOUS = b"\0\0\xff\xff"  # import objects, and objects with more than 65 279 sections


def read_pe(window: Window, member: str | None) -> Binary | None:
    """Return the image; None if it is not Windows machine code (DOS, firmware, portable .NET).

    Raises:
        Exception: any that pefile raises on a damaged file.
    """
    head = window.head(HEAD)
    if not claims_pe(head):
        return None
    image = pefile.PE(data=head, fast_load=True)
    machine = image.FILE_HEADER.Machine
    directories = image.OPTIONAL_HEADER.DATA_DIRECTORY
    portable = machine == pefile.MACHINE_TYPE["IMAGE_FILE_MACHINE_I386"] and (
        len(directories) > DOTNET and directories[DOTNET].VirtualAddress != 0
    )
    if portable or image.OPTIONAL_HEADER.Subsystem in EFI_SUBSYSTEMS:
        return None
    _refuse_truncated(image, window)
    return Binary(member=member, format="PE", os="win32", cpus=(_cpu(machine),), executable=image.is_exe())


def _refuse_truncated(image: pefile.PE, window: Window) -> None:
    end = max((part.PointerToRawData + part.SizeOfRawData for part in image.sections), default=0)
    if end > window.size or len(image.sections) < image.FILE_HEADER.NumberOfSections:
        raise UnreadableError("it is truncated")


def claims_pe(head: bytes) -> bool:
    """Return whether the DOS header points to a PE header; the two letters MZ alone say little."""
    start = int.from_bytes(head[60:64], "little")
    return len(head) >= 64 and head[start : start + 4] == b"PE\0\0"  # noqa: PLR2004 - the DOS header's size


def read_coff(window: Window, member: str | None) -> Binary | None:
    """Return the object, recognised by its machine word; None if the bytes are not a COFF object."""
    head = window.head(OBJECT.size)
    if len(head) < OBJECT.size:
        return None
    if head.startswith(ANONYMOUS):
        machine = int.from_bytes(head[6:8], "little")
    else:
        machine, sections, _, symbols, _, optional, _ = OBJECT.unpack(head)
        if optional or OBJECT.size + sections * SECTION_SIZE > window.size or symbols > window.size:
            return None
    if machine not in CPUS:
        return None
    return Binary(member=member, format="PE", os="win32", cpus=(_cpu(machine),))


def read_xcoff(window: Window, member: str | None) -> Binary | None:
    """Return AIX's program, library or object; None if only the magic's two bytes match.

    Raises:
        UnreadableError: it is truncated.
    """
    cpu, header, section = XCOFF[window.head(2)]
    head = window.head(header.size)
    if len(head) < header.size:
        return None
    fields = header.unpack(head)
    count, (optional, flags) = fields[0], fields[3:5] if cpu == "ppc64" else fields[4:6]
    window.seek(header.size + optional)
    listed = window.read(count * section.size)
    if not listed.startswith(b"."):  # the first section's name: .text, in all that AIX's linker writes
        return None
    if len(listed) < count * section.size or max(map(sum, _extents(section, listed))) > window.size:
        raise UnreadableError("it is truncated")
    executable = bool(flags & F_EXEC) and not flags & F_SHROBJ
    return Binary(member=member, format="XCOFF", os="aix", cpus=(cpu,), executable=executable)


def _extents(section: struct.Struct, listed: bytes) -> Iterator[tuple[int, int]]:
    """Yield the offset and size of each section that has bytes in the file."""
    for _, size, offset in section.iter_unpack(listed):
        yield (offset, size) if offset else (0, 0)


def _cpu(machine: int) -> str:
    return CPUS.get(machine, f"machine {machine:#06x}")
