"""Read ELF binaries: only what the loader reads."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from typing import Any, cast

from elftools.common.utils import parse_cstring_from_stream, struct_parse
from elftools.elf.dynamic import DynamicSegment
from elftools.elf.elffile import ELFFile
from elftools.elf.segments import InterpSegment, NoteSegment

from flotilla.packing.binaries import (
    GLIBC_LIBRARY,
    LARGEST_TABLE,
    LONGEST_NAME,
    Binary,
    Needs,
    UnreadableError,
    Window,
    newest,
    node_api_names,
)

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
BARE_LIBC = "libc.so"  # musl's where it was built from source, and bionic's
BIONIC = {"libm.so", "libdl.so", "liblog.so"}  # which musl has inside its libc.so

GLIBC_VERSION = re.compile(r"^GLIBC_(\d+(?:\.\d+)+)$")
CXX_LIBRARY = "libstdc++.so."
CXX_VERSION = re.compile(r"^(GLIBCXX|CXXABI)_(\d+(?:\.\d+)+)$")
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
    executable = _executable(elf, dynamic, interpreter)
    return Binary(
        member=member,
        format="ELF",
        os=os,
        cpus=(_cpu(elf),),
        libc=libc,
        executable=executable,
        packed=libc is None and dynamic is None and UPX in window.head(UPX_HEAD),
        needs=Needs(
            libraries=tuple(sorted(needed)),
            search=_search(dynamic) if dynamic else (),
            interpreter=interpreter,
            versions=newest(_versions(elf, dynamic, glibc=libc == "glibc")) if dynamic else (),
            node_api=_node_api(elf, dynamic) if dynamic and not executable else (),
        ),
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


def _search(dynamic: DynamicSegment) -> tuple[str, ...]:
    """Return the folders that the loader looks in for its libraries; a RUNPATH replaces an RPATH."""
    paths = {tag.entry.d_tag: cast("Any", tag) for tag in dynamic.iter_tags()}
    if (runpath := paths.get("DT_RUNPATH")) is not None:
        text = runpath.runpath
    elif (rpath := paths.get("DT_RPATH")) is not None:
        text = rpath.rpath
    else:
        text = ""
    return tuple(text.split(":")) if text else ()


def _versions(elf: ELFFile, dynamic: DynamicSegment, *, glibc: bool) -> Iterator[tuple[str, str]]:
    """Yield the versions of glibc and of libstdc++ that it needs."""
    for library, name in _verneed(elf, dynamic):
        if glibc and GLIBC_LIBRARY.search(library):
            if name in GLIBC_OF_ABI:
                yield "glibc", GLIBC_OF_ABI[name]
            elif match := GLIBC_VERSION.match(name):
                yield "glibc", match[1]
        elif library.startswith(CXX_LIBRARY) and (match := CXX_VERSION.match(name)):
            yield match[1].lower(), match[2]


def _verneed(elf: ELFFile, dynamic: DynamicSegment) -> Iterator[tuple[str, str]]:
    """Yield the libraries and their versions, found as the loader does: from the dynamic tags, not from section names.

    Each entry points to the next; the loader ignores their number (glibc: elf/dl-version.c).
    """
    _, start = dynamic.get_table_offset("DT_VERNEED")
    _, names = dynamic.get_table_offset("DT_STRTAB")
    if start is None or names is None:
        return
    while True:
        library = struct_parse(elf.structs.Elf_Verneed, elf.stream, start)
        file = _text(elf, names + library["vn_file"])
        at = start + library["vn_aux"]
        while True:
            version = struct_parse(elf.structs.Elf_Vernaux, elf.stream, at)
            yield file, _text(elf, names + version["vna_name"])
            if not version["vna_next"]:
                break
            at += version["vna_next"]
        if not library["vn_next"]:
            return
        start += library["vn_next"]


def _node_api(elf: ELFFile, dynamic: DynamicSegment) -> tuple[str, ...] | None:
    """Return the functions of Node-API among its undefined symbols; None for more symbols than are read."""
    _, symbols = dynamic.get_table_offset("DT_SYMTAB")
    _, names = dynamic.get_table_offset("DT_STRTAB")
    size = next((tag["d_val"] for tag in dynamic.iter_tags("DT_STRSZ")), 0)
    count = _symbol_count(elf, dynamic)
    if symbols is None or names is None or not count:
        return ()
    # name, value and size of a symbol stand in another order in 32 bits: only name and section are read
    entry = struct.Struct(_endian(elf) + ("IBBHQQ" if elf.elfclass == 64 else "IIIBBH"))  # noqa: PLR2004 - bits
    if max(count * entry.size, size) > LARGEST_TABLE:
        return None
    elf.stream.seek(names)
    text = elf.stream.read(size)
    elf.stream.seek(symbols)
    listed = elf.stream.read(count * entry.size)
    section = 3 if elf.elfclass == 64 else 5  # noqa: PLR2004 - bits
    whole = listed[: len(listed) - len(listed) % entry.size]
    starts = (one[0] for one in entry.iter_unpack(whole) if not one[section])
    return node_api_names(text[start : start + LONGEST_NAME] for start in starts)


def _symbol_count(elf: ELFFile, dynamic: DynamicSegment) -> int:
    """Return the number of dynamic symbols, which only the hash tables tell; more than are read for a huge one."""
    word = struct.Struct(_endian(elf) + "I")
    _, table = dynamic.get_table_offset("DT_GNU_HASH")
    if table is None:
        _, table = dynamic.get_table_offset("DT_HASH")
        if table is None or (elf["e_machine"] == "EM_S390" and elf.elfclass == 64):  # noqa: PLR2004 - wider words
            return 0
        elf.stream.seek(table + word.size)
        return int(word.unpack(elf.stream.read(word.size))[0])
    elf.stream.seek(table)
    buckets, first, bloom, _ = struct.unpack(_endian(elf) + "4I", elf.stream.read(16))
    if max(buckets * word.size, bloom * elf.elfclass // 8) > LARGEST_TABLE:
        return LARGEST_TABLE
    chains = table + 16 + bloom * elf.elfclass // 8 + buckets * word.size
    elf.stream.seek(chains - buckets * word.size)
    last = max((one[0] for one in word.iter_unpack(elf.stream.read(buckets * word.size))), default=0)
    if last < first:
        return int(first)  # symbols that are only needed are not in the table
    elf.stream.seek(chains + (last - first) * word.size)
    while (hashed := elf.stream.read(word.size)) and not word.unpack(hashed)[0] & 1:
        last += 1
    return int(last) + 1


def _endian(elf: ELFFile) -> str:
    return "<" if elf.little_endian else ">"


def _text(elf: ELFFile, offset: int) -> str:
    return (parse_cstring_from_stream(elf.stream, offset) or b"").decode(errors="replace")
