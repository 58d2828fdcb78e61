"""Reads Windows' binaries: PE images, and the COFF objects of static and import libraries."""

from __future__ import annotations

import struct

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
ANONYMOUS = b"\0\0\xff\xff"  # import objects, and objects with more than 65 279 sections


def read_pe(window: Window, member: str | None) -> Binary | None:
    """The image; None for one that is not for Windows' own processor: DOS, firmware, portable .NET.

    Raises:
        Exception: whatever pefile raises on a damaged file.
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
    """Whether more than the two letters MZ speaks for a PE image: the header that the file's first bytes lead to."""
    start = int.from_bytes(head[60:64], "little")
    return len(head) >= 64 and head[start : start + 4] == b"PE\0\0"  # noqa: PLR2004 - the DOS header's size


def read_coff(window: Window, member: str | None) -> Binary | None:
    """The object, by its machine word; None where the bytes are no COFF object at all."""
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


def _cpu(machine: int) -> str:
    return CPUS.get(machine, f"machine {machine:#06x}")
