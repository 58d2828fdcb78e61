"""Reads ELF binaries: what the loader would look at."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, cast

from elftools.common.utils import parse_cstring_from_stream, struct_parse
from elftools.elf.dynamic import DynamicSegment
from elftools.elf.elffile import ELFFile
from elftools.elf.segments import InterpSegment, NoteSegment

from flotilla.packing.binaries import Binary, UnreadableError, Window, version_key

MAGIC = b"\x7fELF"

CPUS = {  # (machine, bits, little-endian) in the words of node's process.arch
    ("EM_X86_64", 64, True): "x64",
    ("EM_386", 32, True): "ia32",
    ("EM_AARCH64", 64, True): "arm64",
    ("EM_ARM", 32, True): "arm",
    ("EM_RISCV", 64, True): "riscv64",
    ("EM_LOONGARCH", 64, True): "loong64",
    ("EM_PPC", 32, False): "ppc",
    ("EM_PPC64", 64, False): "ppc64",
    ("EM_PPC64", 64, True): "ppc64",
    ("EM_S390", 64, False): "s390x",
    ("EM_S390", 32, False): "s390",
    ("EM_MIPS", 32, False): "mips",
    ("EM_MIPS", 32, True): "mipsel",
    ("EM_MIPS", 64, True): "mips64el",
}
FOREIGN = {
    "EM_BPF",
    "EM_CUDA",
    "EM_AMDGPU",
}  # code that a program carries for the kernel or a graphics card: data to us

OS_OF_ABI = {
    "ELFOSABI_LINUX": "linux",
    "ELFOSABI_FREEBSD": "freebsd",
    "ELFOSABI_NETBSD": "netbsd",
    "ELFOSABI_OPENBSD": "openbsd",
    "ELFOSABI_SOLARIS": "sunos",
}
OS_OF_NOTE = {"Android": "android", "FreeBSD": "freebsd", "NetBSD": "netbsd", "OpenBSD": "openbsd"}
OS_OF_ABI_TAG = {"ELF_NOTE_OS_LINUX": "linux", "ELF_NOTE_OS_FREEBSD": "freebsd", "ELF_NOTE_OS_SOLARIS2": "sunos"}
LOADERS = (  # (loader or needed library, os, libc)
    (re.compile(r"^/system/bin/linker"), "android", None),
    (re.compile(r"^/libexec/ld-elf\.so|^libc\.so\.7$"), "freebsd", None),
    (re.compile(r"(^|/)ld-musl-|^libc\.musl-"), "linux", "musl"),
    (re.compile(r"(^|/)ld-linux|^/lib(64)?/ld(64)?\.so\.[12]$|^libc\.so\.6$|^ld(64)?\.so\.[12]$"), "linux", "glibc"),
)
BIONIC = {"libm.so", "libdl.so", "liblog.so"}  # which musl has inside its libc.so

GLIBC_VERSION = re.compile(r"^GLIBC_(\d+(?:\.\d+)+)$")
GLIBC_OF_ABI = {"GLIBC_ABI_DT_RELR": "2.36"}  # a promise of the loader's, made since then

DF_1_PIE = 0x08000000


def read_elf(window: Window, member: str | None) -> Binary | None:
    """The binary; None for code that is not for this machine's processor at all.

    Raises:
        Exception: whatever pyelftools raises on a damaged file.
    """
    elf = ELFFile(cast("Any", window))
    if elf["e_machine"] in FOREIGN:
        return None
    _refuse_truncated(elf, window)
    dynamic = next((part for part in elf.iter_segments() if isinstance(part, DynamicSegment)), None)
    interpreter = next(
        (part.get_interp_name() for part in elf.iter_segments() if isinstance(part, InterpSegment)), None
    )
    needed = {cast("Any", tag).needed for tag in dynamic.iter_tags("DT_NEEDED")} if dynamic else set()
    os, libc = _system(elf, {interpreter, *needed} - {None})
    versions = sorted(_glibc_versions(elf, dynamic), key=version_key) if dynamic else []
    return Binary(
        member=member,
        format="ELF",
        os="linux" if versions else os,
        cpus=(_cpu(elf),),
        libc="glibc" if versions else libc,
        glibc_needed=versions[-1] if versions else None,
        executable=_executable(elf, dynamic, interpreter),
    )


def _refuse_truncated(elf: ELFFile, window: Window) -> None:
    """What the headers promise must be there; the section headers are last in most files, and missing in some."""
    ends = [elf["e_shoff"] + elf["e_shnum"] * elf["e_shentsize"]]
    ends += [part["p_offset"] + part["p_filesz"] for part in elf.iter_segments() if part["p_type"] == "PT_LOAD"]
    if max(ends) > window.size:
        raise UnreadableError("it is truncated")


def _cpu(elf: ELFFile) -> str:
    machine = elf["e_machine"]
    known = CPUS.get((machine, elf.elfclass, elf.little_endian))
    return known or f"{str(machine).removeprefix('EM_').lower()} ({elf.elfclass} bit)"


def _system(elf: ELFFile, names: set[str]) -> tuple[str | None, str | None]:
    """The os and libc, by the loader and libraries it asks for, then by its notes and header."""
    stated = next(_stated(elf), None)
    for pattern, os, libc in LOADERS:
        if any(pattern.search(name) for name in names):
            return (stated, None) if stated == "android" else (os, libc)
    if "libc.so" in names and stated in (None, "linux"):
        return ("android", None) if names & BIONIC else ("linux", "musl")
    return stated, None


def _stated(elf: ELFFile) -> Iterator[str]:
    for part in elf.iter_segments():
        if isinstance(part, NoteSegment):
            yield from filter(None, map(_os_of_note, part.iter_notes()))
    if os := OS_OF_ABI.get(elf["e_ident"]["EI_OSABI"]):
        yield os


def _os_of_note(note: Any) -> str | None:
    if note["n_name"] == "GNU" and note["n_type"] == "NT_GNU_ABI_TAG":
        return OS_OF_ABI_TAG.get(note["n_desc"]["abi_os"])
    return OS_OF_NOTE.get(note["n_name"])


def _executable(elf: ELFFile, dynamic: DynamicSegment | None, interpreter: str | None) -> bool:
    if elf["e_type"] == "ET_EXEC":
        return True
    flags = next((tag["d_val"] for tag in dynamic.iter_tags("DT_FLAGS_1")), 0) if dynamic else 0
    return elf["e_type"] == "ET_DYN" and (interpreter is not None or bool(flags & DF_1_PIE))


def _glibc_versions(elf: ELFFile, dynamic: DynamicSegment) -> Iterator[str]:
    """The glibc versions it asks for, found as the loader does: by the dynamic tags, not by section names.

    And by the links from one to the next: the loader does not look at the numbers of them (glibc: elf/dl-version.c).
    """
    _, start = dynamic.get_table_offset("DT_VERNEED")
    _, names = dynamic.get_table_offset("DT_STRTAB")
    if start is None or names is None:
        return
    while True:
        library = struct_parse(elf.structs.Elf_Verneed, elf.stream, start)
        at = start + library["vn_aux"]
        while True:
            version = struct_parse(elf.structs.Elf_Vernaux, elf.stream, at)
            name = (parse_cstring_from_stream(elf.stream, names + version["vna_name"]) or b"").decode(errors="replace")
            if name in GLIBC_OF_ABI:
                yield GLIBC_OF_ABI[name]
            elif match := GLIBC_VERSION.match(name):
                yield match[1]
            if not version["vna_next"]:
                break
            at += version["vna_next"]
        if not library["vn_next"]:
            return
        start += library["vn_next"]
