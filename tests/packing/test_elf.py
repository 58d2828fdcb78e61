"""ELF: the os and libc that a binary is for, by what its loader would look at."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from tests.packing.conftest import PLATFORMS, Zig, on, put, upx_program

from flotilla.packing import binary_faults, identify
from flotilla.packing.binaries import Binary, UnreadableError


@pytest.mark.parametrize(
    ("libc", "words"), [("libc.so.6", "glibc"), ("libc.musl-x86_64.so.1", "musl"), ("libc.so", "musl")]
)
def test_the_libc_is_told_by_what_the_binary_loads(zig: Zig, tmp_path: Path, libc: str, words: str) -> None:
    version = "GLIBC_2.30" if words == "glibc" else "ACME_1"
    library = zig.needing("linux-x64", (libc, version))
    assert identify(library)[0].libc == words
    root = put(tmp_path / "package", libacme__so=library)
    right, wrong = ("linux-x64", "linux-x64-musl") if words == "glibc" else ("linux-x64-musl", "linux-x64")
    assert binary_faults(root, PLATFORMS[right]) == []
    (fault,) = binary_faults(root, PLATFORMS[wrong])
    assert fault.startswith(f"libacme.so is ELF for linux x64 {words}, but the package is for linux x64 ")


LIBGCC = ("libgcc_s.so.1", "GLIBC_2.0")  # what gcc's crtbegin leaves in every library of C++


@pytest.mark.parametrize("libc", ["libc.musl-aarch64.so.1", "libc.so"])
def test_a_musl_binary_that_gcc_built_is_no_glibc_binary(zig: Zig, tmp_path: Path, libc: str) -> None:
    library = zig.needing("linux-arm64", (libc, "ACME_1"), LIBGCC)
    assert identify(library)[0].libc == "musl"
    assert identify(library)[0].glibc_needed is None
    root = put(tmp_path / "package", libacme__so=library)
    assert binary_faults(root, on("linux", "arm64", libc=("musl",))) == []
    assert len(binary_faults(root, on("linux", "arm64", libc=("glibc",)))) == 1


def test_libgccs_version_names_are_no_glibc_that_a_floor_refuses(zig: Zig) -> None:
    library = zig.needing("linux-x64", ("libc.so.6", "GLIBC_2.17"), ("libgcc_s.so.1", "GLIBC_2.99"))
    assert (identify(library)[0].libc, identify(library)[0].glibc_needed) == ("glibc", "2.17")


@pytest.mark.parametrize(
    "library", ["libm.so.6", "libpthread.so.0", "libdl.so.2", "librt.so.1", "ld-linux-x86-64.so.2"]
)
def test_each_of_glibcs_libraries_means_glibc(zig: Zig, library: str) -> None:
    (found,) = identify(zig.needing("linux-x64", (library, "GLIBC_2.3")))
    assert (found.libc, found.glibc_needed) == ("glibc", "2.3")


def test_a_library_of_openharmony_is_not_linux_musl(zig: Zig, tmp_path: Path) -> None:
    note = (
        "struct note { unsigned name, size, type; char text[8]; unsigned value; };\n"
        '__attribute__((section(".note.ohos.ident"), used, aligned(4))) '
        'static const struct note mark = {5, 4, 1, "OHOS", 12};\n'
    )
    library = zig.needing("linux-arm64", ("libc.so", "ACME_1"), extra=note)
    assert [(found.os, found.libc) for found in identify(library)] == [("openharmony", None)]
    root = put(tmp_path / "package", acme__node=library)
    assert binary_faults(root, on("openharmony", "arm64")) == []
    assert len(binary_faults(root, on("linux", "arm64", libc=("musl",)))) == 1


@pytest.mark.parametrize("loader", ["/lib/amd64/ld.so.1", "/usr/lib/amd64/ld.so.1", "/lib/64/ld.so.1", "/lib/ld.so.1"])
def test_a_program_of_solaris_is_told_by_its_loader(zig: Zig, tmp_path: Path, loader: str) -> None:
    program = zig.program("linux-x64", loader=loader)
    assert [(found.os, found.libc, found.executable) for found in identify(program)] == [("sunos", None, True)]
    root = put(tmp_path / "package", acme=program)
    assert binary_faults(root, on("sunos", "x64")) == []
    assert len(binary_faults(root, PLATFORMS["linux-x64-musl"])) == 1


@pytest.mark.parametrize("kind", [2, 3])
def test_a_packed_program_is_a_program(tmp_path: Path, kind: int) -> None:
    (found,) = identify(put(tmp_path / "package", acme=upx_program(kind=kind)) / "acme")
    assert (found.executable, found.packed, found.cpus, found.libc) == (True, True, ("x64",), None)


def test_a_program_without_headers_for_the_loader_is_a_program(tmp_path: Path) -> None:
    (found,) = identify(put(tmp_path / "package", acme=upx_program(mark=b"ACME")) / "acme")
    assert (found.executable, found.packed) == (True, False)


def test_the_libc_is_told_by_the_loader_of_a_program(zig: Zig) -> None:
    for loader, libc in (("/lib/ld-musl-x86_64.so.1", "musl"), ("/lib64/ld-linux-x86-64.so.2", "glibc")):
        found = identify(zig.program("linux-x64", loader=loader))
        assert found == (Binary(format="ELF", os="linux", cpus=("x64",), libc=libc, executable=True),)


def test_android_is_not_linux(zig: Zig, tmp_path: Path) -> None:
    program = zig.program("linux-x64", loader="/system/bin/linker64")
    assert identify(program)[0].os == "android"
    assert len(binary_faults(put(tmp_path / "p", run=program), PLATFORMS["linux-x64"])) == 1


def test_freebsd_is_told_by_the_header(zig: Zig, tmp_path: Path) -> None:
    data = bytearray(zig.shared("linux-x64").read_bytes())
    data[7] = 9
    root = put(tmp_path / "package", libacme__so=bytes(data))
    assert identify(root / "libacme.so")[0].os == "freebsd"
    assert len(binary_faults(root, PLATFORMS["linux-x64"])) == 1


def test_a_static_program_is_executable_and_of_no_libc(zig: Zig) -> None:
    found = identify(zig.program("linux-x64-musl"))
    assert found == (Binary(format="ELF", os=None, cpus=("x64",), executable=True),)


def test_a_glibc_version_that_the_count_of_versions_hides_is_seen(zig: Zig, tmp_path: Path) -> None:
    """The loader goes from one to the next and does not count them; DT_VERNEEDNUM may say what it likes."""
    library = bytearray(zig.needing("linux-x64", ("libc.so.6", "GLIBC_2.34")).read_bytes())
    tag = struct.pack("<QQ", 0x6FFFFFFF, 1)
    assert library.count(tag) == 1
    path = tmp_path / "libacme.so"
    path.write_bytes(library.replace(tag, struct.pack("<QQ", 0x6FFFFFFF, 0)))
    assert identify(path)[0].glibc_needed == "2.34"


def test_a_truncated_elf_without_section_headers_is_refused_wherever_it_was_cut(zig: Zig, tmp_path: Path) -> None:
    """A file need not have them, and patchelf moves them to the front: their place tells nothing of the end."""
    whole = bytearray(zig.shared("linux-x64").read_bytes())
    end = max(offset + size for offset, size in loaded(bytes(whole)))
    whole[40:48], whole[58:64] = bytes(8), bytes(6)
    path = tmp_path / "libacme.so"
    path.write_bytes(whole[:end])
    assert identify(path)[0].cpus == ("x64",)
    for cut in range(64, end, max(1, end // 40)):
        path.write_bytes(whole[:cut])
        with pytest.raises(UnreadableError):
            identify(path)


def loaded(elf: bytes) -> list[tuple[int, int]]:
    """Return offset and size of each loaded segment of a 64-bit ELF file."""
    (start,), (size, count) = struct.unpack_from("<Q", elf, 32), struct.unpack_from("<HH", elf, 54)
    headers = [struct.unpack_from("<IIQQQQ", elf, start + size * index) for index in range(count)]
    return [(offset, length) for kind, _, offset, _, _, length in headers if kind == 1]
