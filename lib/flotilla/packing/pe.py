"""Read COFF and its descendants: Windows' PE images and objects, and AIX's XCOFF."""

from __future__ import annotations

import struct
from collections.abc import Iterator

import pefile  # type: ignore[import-untyped] # it carries no types

from flotilla.packing.binaries import LONGEST_NAME, Binary, Needs, UnreadableError, Window, node_api_names

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

IMPORTS, DELAYED = 1, 13  # the data directories that name other libraries
IMPORT = struct.Struct("<5I")  # names of its functions, time, forwarders, its name, where the addresses go
DELAYED_IMPORT = struct.Struct("<8I")  # flags, its name, handle, addresses, names of its functions, ...
MOST_IMPORTS = 4096
MOST_FUNCTIONS = 2000
LONGEST_DLL = 256
NODE = {"node.exe", "node.dll"}
PE32_PLUS = 0x20B

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
    libraries, node_api = _imports(image, window)
    return Binary(
        member=member,
        format="PE",
        os="win32",
        cpus=(_cpu(machine),),
        executable=image.is_exe(),
        needs=Needs(libraries=libraries, node_api=node_api),
    )


def _refuse_truncated(image: pefile.PE, window: Window) -> None:
    end = max((part.PointerToRawData + part.SizeOfRawData for part in image.sections), default=0)
    if end > window.size or len(image.sections) < image.FILE_HEADER.NumberOfSections:
        raise UnreadableError("it is truncated")


def _imports(image: pefile.PE, window: Window) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the libraries that it cannot start without, and the functions of Node-API that it takes from node.

    A library that is loaded on its first use is not needed to start.
    """
    now = [(name, functions) for functions, _, _, name, _ in _table(image, window, IMPORTS, IMPORT)]
    later = [(each[1], each[4]) for each in _table(image, window, DELAYED, DELAYED_IMPORT)]
    named = [(_name(image, window, name), functions) for name, functions in (*now, *later)]
    functions = [start for name, start in named if name.lower() in NODE]
    taken = (text for start in functions for text in _functions(image, window, start))
    return tuple(sorted({name for name, _ in named[: len(now)] if name})), node_api_names(taken)


def _table(image: pefile.PE, window: Window, number: int, entry: struct.Struct) -> Iterator[tuple[int, ...]]:
    """Yield the entries of a data directory, which ends in an entry of zeros."""
    directories = image.OPTIONAL_HEADER.DATA_DIRECTORY
    start = directories[number].VirtualAddress if len(directories) > number else 0
    for count in range(MOST_IMPORTS if start else 0):
        data = _at(image, window, start + count * entry.size, entry.size)
        if len(data) < entry.size or not any(data):
            return
        yield entry.unpack(data)


def _name(image: pefile.PE, window: Window, address: int) -> str:
    return _at(image, window, address, LONGEST_DLL).partition(b"\0")[0].decode(errors="replace")


def _functions(image: pefile.PE, window: Window, start: int) -> Iterator[bytes]:
    """Yield the names of the functions that are taken from one library; those taken by a number have none."""
    wide = image.OPTIONAL_HEADER.Magic == PE32_PLUS
    size = 8 if wide else 4
    listed = _at(image, window, start, size * MOST_FUNCTIONS)
    for (address,) in struct.iter_unpack("<Q" if wide else "<I", listed[: len(listed) - len(listed) % size]):
        if not address:
            return
        if not address >> (size * 8 - 1):
            yield _at(image, window, address + 2, LONGEST_NAME)  # behind a hint of two bytes


def _at(image: pefile.PE, window: Window, address: int, count: int) -> bytes:
    """Return the bytes at an address of the loaded image, as far as its section has them in the file."""
    for part in image.sections:
        into = address - part.VirtualAddress
        if 0 <= into < part.SizeOfRawData:
            window.seek(part.PointerToRawData + into)
            return window.read(min(count, part.SizeOfRawData - into))
    return b""


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
