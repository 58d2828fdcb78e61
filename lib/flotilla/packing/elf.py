"""Read ELF binaries: only what the loader reads."""

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
OS_OF_NOTE = {
    "Android": "android",
    "FreeBSD": "freebsd",
    "NetBSD": "netbsd",
    "OpenBSD": "openbsd",
    "OHOS": "openharmony",  # beside musl's loader and libc, which openharmony has from Linux
}
OS_OF_ABI_TAG = {"ELF_NOTE_OS_LINUX": "linux", "ELF_NOTE_OS_FREEBSD": "freebsd", "ELF_NOTE_OS_SOLARIS2": "sunos"}
LOADERS = (  # (loader or needed library, os, libc); the first that matches decides
    (re.compile(r"^/system/bin/linker"), "android", None),
    (re.compile(r"^/libexec/ld-elf\.so|^libc\.so\.7$"), "freebsd", None),
    (re.compile(r"/libexec/ld\.elf_so$|^libc\.so\.12$"), "netbsd", None),
    (re.compile(r"/libexec/ld\.so$|^libc\.so\.\d{2,}\.\d+$"), "openbsd", None),
    (re.compile(r"^/usr/lib/ld\.so\.1$|^/(usr/)?lib/(32|64|amd64|i386)/ld\.so\.1$|^libc\.so\.1$"), "sunos", None),
    (re.compile(r"/runtime_loader$|^libroot\.so$"), "haiku", None),
    (re.compile(r"(^|/)ld-musl-|^libc\.musl-"), "linux", "musl"),
    (re.compile(r"/ld-linux|^/lib(64)?/ld(64)?\.so\.[12]$"), "linux", "glibc"),
)
# The libraries of glibc itself. Others have symbols of a version called GLIBC_…, too: gcc's libgcc_s on every libc.
GLIBC_LIBRARY = re.compile(
    r"^(ld-linux.*\.so\.\d+|ld(64)?\.so\.[12]|lib[cm]\.so\.6(\.1)?|libpthread\.so\.0|lib(dl|resolv)\.so\.2|"
    r"lib(rt|util|anl|mvec|BrokenLocale)\.so\.1)$"
)
BARE_LIBC = "libc.so"  # musl's where it was built from source, and bionic's
BIONIC = {"libm.so", "libdl.so", "liblog.so"}  # which musl has inside its libc.so

GLIBC_VERSION = re.compile(r"^GLIBC_(\d+(?:\.\d+)+)$")
GLIBC_OF_ABI = {"GLIBC_ABI_DT_RELR": "2.36"}  # a promise of the loader's, made since then

UPX = b"UPX!"  # behind the program headers of what it packed: https://github.com/upx/upx, src/p_lx_elf.cpp
UPX_HEAD = 4096

DF_1_PIE = 0x08000000


def read_elf(window: Window, member: str | None) -> Binary | None:
    """Return the binary; None for code that does not run on a machine's main processor.

    Raises:
        Exception: any that pyelftools raises on a damaged file.
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
    os, libc = _system(elf, interpreter, needed)
    versions = sorted(_glibc_versions(elf, dynamic), key=version_key) if dynamic and libc == "glibc" else []
    return Binary(
        member=member,
        format="ELF",
        os=os,
        cpus=(_cpu(elf),),
        libc=libc,
        glibc_needed=versions[-1] if versions else None,
        executable=_executable(elf, dynamic, interpreter),
        packed=libc is None and dynamic is None and UPX in window.head(UPX_HEAD),
    )


def _refuse_truncated(elf: ELFFile, window: Window) -> None:
    """Raise if the headers promise more bytes than the file has (most files end in their section headers)."""
    ends = [elf["e_shoff"] + elf["e_shnum"] * elf["e_shentsize"]]
    ends += [part["p_offset"] + part["p_filesz"] for part in elf.iter_segments() if part["p_type"] == "PT_LOAD"]
    if max(ends) > window.size:
        raise UnreadableError("it is truncated")


def _cpu(elf: ELFFile) -> str:
    machine = elf["e_machine"]
    known = CPUS.get((machine, elf.elfclass, elf.little_endian))
    return known or f"{str(machine).removeprefix('EM_').lower()} ({elf.elfclass} bit)"


def _system(elf: ELFFile, interpreter: str | None, needed: set[str]) -> tuple[str | None, str | None]:
    """Return the os and libc: from the notes and header, else from the loader, else from the needed libraries."""
    stated = next((os for os in _stated(elf) if os != "linux"), None)
    if stated is not None:
        return stated, None
    if interpreter == "/lib/ld.so.1" and elf["e_machine"] in {"EM_X86_64", "EM_386"}:  # Linux's on MIPS and PowerPC
        return "sunos", None
    for pattern, os, libc in LOADERS:
        if any(pattern.search(name) for name in (interpreter, *needed) if name):
            return os, libc
    if any(map(GLIBC_LIBRARY.search, needed)):
        return "linux", "glibc"
    if BARE_LIBC in needed:
        return ("android", None) if needed & BIONIC else ("linux", "musl")
    return next(_stated(elf), None), None


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
    if dynamic is None:  # no library can do without; a packed program has neither it nor a loader
        return elf["e_type"] == "ET_DYN" and bool(elf["e_entry"])
    flags = next((tag["d_val"] for tag in dynamic.iter_tags("DT_FLAGS_1")), 0)
    return elf["e_type"] == "ET_DYN" and (interpreter is not None or bool(flags & DF_1_PIE))


def _glibc_versions(elf: ELFFile, dynamic: DynamicSegment) -> Iterator[str]:
    """Yield the glibc versions that it needs, found as the loader does: from the dynamic tags, not from section names.

    Each entry points to the next; the loader ignores their number (glibc: elf/dl-version.c).
    """
    _, start = dynamic.get_table_offset("DT_VERNEED")
    _, names = dynamic.get_table_offset("DT_STRTAB")
    if start is None or names is None:
        return
    while True:
        library = struct_parse(elf.structs.Elf_Verneed, elf.stream, start)
        of_glibc = GLIBC_LIBRARY.search(_text(elf, names + library["vn_file"])) is not None
        at = start + library["vn_aux"]
        while True:
            version = struct_parse(elf.structs.Elf_Vernaux, elf.stream, at)
            name = _text(elf, names + version["vna_name"])
            if of_glibc and name in GLIBC_OF_ABI:
                yield GLIBC_OF_ABI[name]
            elif of_glibc and (match := GLIBC_VERSION.match(name)):
                yield match[1]
            if not version["vna_next"]:
                break
            at += version["vna_next"]
        if not library["vn_next"]:
            return
        start += library["vn_next"]


def _text(elf: ELFFile, offset: int) -> str:
    return (parse_cstring_from_stream(elf.stream, offset) or b"").decode(errors="replace")
