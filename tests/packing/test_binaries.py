"""What binaries are for: on zig's output for every platform, and on what only looks like a binary."""

from __future__ import annotations

import struct
from dataclasses import replace
from pathlib import Path

import pytest
from tests.packing.conftest import TARGETS, Zig, upx_program

from flotilla.family import Platform
from flotilla.packing import Binary, UnreadableError, binary_faults, identify
from flotilla.packing.platform_check import binary_warnings, inspect, platform_faults

PLATFORMS = {
    "darwin-arm64": Platform(name="darwin-arm64", os=("darwin",), cpu=("arm64",), build="darwin-arm64"),
    "darwin-x64": Platform(name="darwin-x64", os=("darwin",), cpu=("x64",), build="darwin-x64"),
    "linux-arm64": Platform(name="linux-arm64", os=("linux",), cpu=("arm64",), libc=("glibc",), build="linux-arm64"),
    "linux-x64": Platform(name="linux-x64", os=("linux",), cpu=("x64",), libc=("glibc",), build="linux-x64"),
    "linux-x64-musl": Platform(name="linux-x64-musl", os=("linux",), cpu=("x64",), libc=("musl",), build="musl"),
    "win32-x64": Platform(name="win32-x64", os=("win32",), cpu=("x64",), build="win32-x64"),
    "win32-arm64": Platform(name="win32-arm64", os=("win32",), cpu=("arm64",), build="win32-arm64"),
}


def on(os: str, *cpu: str, libc: tuple[str, ...] = ()) -> Platform:
    return Platform(name=f"{os}-{cpu[-1]}", os=(os,), cpu=cpu, libc=libc, build="b")


UNIVERSAL = Platform(name="darwin-universal", os=("darwin",), cpu=("arm64", "x64"), build="universal")
FORMATS = {"darwin": "Mach-O", "linux": "ELF", "win32": "PE"}


def put(root: Path, **files: Path | bytes) -> Path:
    root.mkdir(exist_ok=True)
    for name, content in files.items():
        data = content if isinstance(content, bytes) else content.read_bytes()
        (root / name.replace("__", ".")).write_bytes(data)
    return root


def universal(*parts: tuple[int, bytes]) -> bytes:
    """A universal file of these (cpu type, content) parts."""
    head, body = struct.pack(">II", 0xCAFEBABE, len(parts)), b""
    start = len(head) + 20 * len(parts)
    for cpu, data in parts:
        head += struct.pack(">IIIII", cpu, 0, start + len(body), len(data), 0)
        body += data
    return head + body


ARM64, X64, IA32 = 0x0100000C, 0x01000007, 7


@pytest.mark.parametrize("platform", sorted(TARGETS))
@pytest.mark.parametrize("form", ["object_of", "static", "shared"])
def test_zig_output_is_known_for_its_platform(zig: Zig, platform: str, form: str) -> None:
    found = identify(getattr(zig, form)(platform))
    wanted = PLATFORMS[platform]
    assert {binary.cpus for binary in found} == {wanted.cpu}
    assert {binary.format for binary in found} == {FORMATS[wanted.os[0]]}
    assert {binary.os for binary in found} <= {*wanted.os, None}
    assert not any(binary.executable for binary in found)
    assert len(found) == (2 if form == "static" else 1)


@pytest.mark.parametrize("platform", sorted(TARGETS))
def test_objects_of_a_static_library_keep_their_long_names(zig: Zig, platform: str) -> None:
    names = {binary.member for binary in identify(zig.static(platform))}
    assert names == {f"{platform}.o", f"{platform}-an-object-of-a-rather-long-name.o"}


@pytest.mark.parametrize("built", sorted(TARGETS))
@pytest.mark.parametrize("form", ["static", "shared"])
def test_a_binary_is_refused_by_every_platform_of_another_os_or_cpu(
    zig: Zig, tmp_path: Path, built: str, form: str
) -> None:
    root = put(tmp_path / "package", binary=getattr(zig, form)(built))
    for platform in PLATFORMS.values():
        same = (platform.os, platform.cpu) == (PLATFORMS[built].os, PLATFORMS[built].cpu)
        assert (binary_faults(root, platform) == []) == same, platform.name


def test_a_fault_names_file_object_and_both_platforms(zig: Zig, tmp_path: Path) -> None:
    root = put(tmp_path / "p", libacme__a=zig.static("linux-arm64"), libacme__dylib=zig.shared("darwin-x64"))
    wanted = ", and the package is for darwin arm64"
    assert binary_faults(root, PLATFORMS["darwin-arm64"]) == [
        f"libacme.a holds linux-arm64.o (and 1 more like it), which is ELF for arm64{wanted}",
        f"libacme.dylib is Mach-O for darwin x64{wanted}",
    ]


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
    assert fault.startswith(f"libacme.so is ELF for linux x64 {words}, and the package is for linux x64 ")


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


@pytest.mark.parametrize("os", ["freebsd", "netbsd", "openbsd", "sunos", "haiku", "aix", "win32", "darwin"])
def test_a_static_program_without_a_mark_is_for_linux_alone(zig: Zig, tmp_path: Path, os: str) -> None:
    program = put(tmp_path / "program", acme=zig.program("linux-x64-musl"))
    assert binary_faults(program, PLATFORMS["linux-x64"]) == []
    assert binary_faults(program, PLATFORMS["linux-x64-musl"]) == []
    assert len(binary_faults(program, on(os, "x64"))) == 1


@pytest.mark.parametrize("os", ["freebsd", "netbsd", "openbsd", "sunos", "haiku"])
def test_an_object_without_a_mark_is_for_any_os_that_has_elf(zig: Zig, tmp_path: Path, os: str) -> None:
    objects = put(tmp_path / "objects", acme__a=zig.static("linux-x64"))
    assert binary_faults(objects, on(os, "x64")) == []
    assert len(binary_faults(objects, on("aix", "x64"))) == 1


def xcoff(cpu: str, *, flags: int = 0x0002) -> bytes:
    """AIX's: the header, one section's header and sixteen bytes of code."""
    if cpu == "ppc":
        head = struct.pack(">HHIIiHH", 0x01DF, 1, 0, 0, 0, 0, flags)
        return head + struct.pack(">8sIIIIIIHHI", b".text", 0, 0, 16, 60, 0, 0, 0, 0, 0x20) + bytes(16)
    head = struct.pack(">HHIQHHi", 0x01F7, 1, 0, 0, 0, flags, 0)
    return head + struct.pack(">8sQQQQQQIIII", b".text", 0, 0, 16, 96, 0, 0, 0, 0, 0x20, 0) + bytes(16)


@pytest.mark.parametrize("cpu", ["ppc", "ppc64"])
def test_xcoff_is_for_aix(tmp_path: Path, cpu: str) -> None:
    root = put(tmp_path / "package", acme=xcoff(cpu))
    assert identify(root / "acme") == (Binary(format="XCOFF", os="aix", cpus=(cpu,), executable=True),)
    assert binary_faults(root, on("aix", cpu)) == []
    assert len(binary_faults(root, on("linux", cpu))) == 1
    assert len(binary_faults(root, on("aix", "arm64"))) == 1


def test_a_shared_object_of_aix_is_no_program(tmp_path: Path) -> None:
    assert not identify(put(tmp_path / "p", acme__node=xcoff("ppc64", flags=0x2002)) / "acme.node")[0].executable


@pytest.mark.parametrize("cpu", ["ppc", "ppc64"])
def test_a_truncated_xcoff_is_refused_or_nothing_at_all(tmp_path: Path, cpu: str) -> None:
    whole = xcoff(cpu)
    for cut in range(2, len(whole)):
        assert binary_faults(put(tmp_path / "package", acme__node=whole[:cut]), on("aix", cpu)), cut


@pytest.mark.parametrize("data", [b"\x01\xdf", b"\x01\xf7" + bytes(200), b"\x01\xdf" + bytes(range(200))])
def test_two_bytes_do_not_make_a_file_aixs(tmp_path: Path, data: bytes) -> None:
    assert identify(put(tmp_path / "package", data=data) / "data") == ()


@pytest.mark.parametrize("kind", [2, 3])
def test_a_packed_program_is_a_program(tmp_path: Path, kind: int) -> None:
    (found,) = identify(put(tmp_path / "package", acme=upx_program(kind=kind)) / "acme")
    assert (found.executable, found.packed, found.cpus, found.libc) == (True, True, ("x64",), None)


def test_a_program_without_headers_for_the_loader_is_a_program(tmp_path: Path) -> None:
    (found,) = identify(put(tmp_path / "package", acme=upx_program(mark=b"ACME")) / "acme")
    assert (found.executable, found.packed) == (True, False)


def test_a_packed_program_does_not_pass_for_any_libc_without_a_word(zig: Zig, tmp_path: Path) -> None:
    root = put(tmp_path / "package", acme=upx_program(), static=zig.program("linux-x64-musl"))
    files = {file.name: inspect(file) for file in root.iterdir()}
    for libc in ("musl", "glibc"):
        platform = on("linux", "x64", libc=(libc,))
        assert platform_faults(files, platform) == []
        (warning,) = binary_warnings(files, platform)
        assert warning.startswith("acme ")
        assert libc in warning
        assert binary_warnings(files, replace(platform, binaries="unchecked")) == []
    assert binary_warnings(files, on("linux", "x64")) == []


def test_none_refuses_a_package_that_holds_a_binary(zig: Zig, tmp_path: Path) -> None:
    platform = replace(on("android", "arm"), binaries="none")
    root = put(tmp_path / "package", acme__js=b"module.exports = 1\n", acme__wasm=b"\0asm\1\0\0\0")
    assert binary_faults(root, platform) == []
    put(root, acme__node=zig.shared("linux-x64"))
    (fault,) = binary_faults(root, platform)
    assert fault.startswith("acme.node is ELF for x64")
    assert "binaries: none" in fault


def test_unchecked_refuses_nothing(zig: Zig, tmp_path: Path) -> None:
    platform = replace(PLATFORMS["win32-arm64"], binaries="unchecked")
    root = put(tmp_path / "package", acme__exe=zig.shared("win32-x64"), empty__node=b"")
    assert binary_faults(root, platform) == []
    assert len(binary_faults(root, PLATFORMS["win32-arm64"])) == 2


def test_wasm32_beside_another_cpu_switches_no_check_off(zig: Zig, tmp_path: Path) -> None:
    both = on("linux", "wasm32", "x64")
    (fault,) = binary_faults(put(tmp_path / "none", acme__wasm=b"\0asm\1\0\0\0"), both)
    assert fault.startswith("there is no binary for ")
    assert len(binary_faults(put(tmp_path / "other", acme__node=zig.shared("linux-arm64")), both)) == 1
    assert binary_faults(put(tmp_path / "right", acme__node=zig.shared("linux-x64")), both) == []


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


def test_a_newer_glibc_than_the_floor_is_refused(zig: Zig, tmp_path: Path) -> None:
    library = zig.needing("linux-x64", ("libc.so.6", "GLIBC_2.34"))
    assert identify(library)[0].glibc_needed == "2.34"
    root = put(tmp_path / "package", libacme__so=library)

    def floor(version: str) -> Platform:
        return Platform(name="linux-x64", os=("linux",), cpu=("x64",), build="b", libc=("glibc",), glibc=version)

    assert binary_faults(root, floor("2.34")) == []
    assert binary_faults(root, floor("2.100")) == []
    assert binary_faults(root, floor("2.28")) == [
        "libacme.so is ELF for linux x64 glibc and needs glibc 2.34, newer than the 2.28 that linux-x64 may ask for"
    ]


def test_a_glibc_version_that_the_count_of_versions_hides_is_seen(zig: Zig, tmp_path: Path) -> None:
    """The loader goes from one to the next and does not count them; DT_VERNEEDNUM may say what it likes."""
    library = bytearray(zig.needing("linux-x64", ("libc.so.6", "GLIBC_2.34")).read_bytes())
    tag = struct.pack("<QQ", 0x6FFFFFFF, 1)
    assert library.count(tag) == 1
    path = tmp_path / "libacme.so"
    path.write_bytes(library.replace(tag, struct.pack("<QQ", 0x6FFFFFFF, 0)))
    assert identify(path)[0].glibc_needed == "2.34"


def test_a_universal_binary_must_cover_every_cpu_of_the_platform(zig: Zig, tmp_path: Path) -> None:
    arm64, x64 = (zig.shared(f"darwin-{cpu}").read_bytes() for cpu in ("arm64", "x64"))
    both = put(tmp_path / "both", acme__node=universal((ARM64, arm64), (X64, x64)))
    assert identify(both / "acme.node")[0].cpus == ("arm64", "x64")
    assert binary_faults(both, UNIVERSAL) == []
    assert binary_faults(both, PLATFORMS["darwin-arm64"]) == []
    one = put(tmp_path / "one", acme__node=universal((ARM64, arm64)))
    assert binary_faults(one, UNIVERSAL) == ["there is no binary for x64 in it"]
    lacking = put(tmp_path / "lacking", acme__node=universal((ARM64, arm64), (IA32, x64[:4] + b"\7\0\0\0" + x64[8:])))
    (fault,) = binary_faults(lacking, UNIVERSAL)
    assert fault == "acme.node is Mach-O for darwin arm64+ia32, and the package is for darwin arm64+x64"
    apart = put(tmp_path / "apart", arm64__node=arm64, x64__node=x64)
    assert binary_faults(apart, UNIVERSAL) == []


def test_a_universal_static_library_counts_by_its_objects(zig: Zig, tmp_path: Path) -> None:
    parts = [(cpu, zig.static(f"darwin-{name}").read_bytes()) for cpu, name in ((ARM64, "arm64"), (X64, "x64"))]
    root = put(tmp_path / "package", libacme__a=universal(*parts))
    assert binary_faults(root, UNIVERSAL) == []
    assert len(binary_faults(root, PLATFORMS["linux-x64"])) == 1


def test_a_universal_binary_that_lies_about_its_parts_is_refused(zig: Zig, tmp_path: Path) -> None:
    path = tmp_path / "lying.node"
    path.write_bytes(universal((ARM64, zig.shared("darwin-x64").read_bytes())))
    with pytest.raises(UnreadableError, match="for another cpu than the file says"):
        identify(path)


def test_a_universal_binary_with_a_part_that_is_no_binary_is_refused(zig: Zig, tmp_path: Path) -> None:
    path = tmp_path / "half.node"
    path.write_bytes(universal((X64, zig.shared("darwin-x64").read_bytes()), (ARM64, bytes(4096))))
    with pytest.raises(UnreadableError, match="a part of it holds no binary"):
        identify(path)


def test_a_package_without_any_binary_is_refused_unless_it_is_for_wasm(tmp_path: Path) -> None:
    root = put(tmp_path / "package", run__sh=b"#!/bin/sh\n", acme__wasm=b"\0asm\1\0\0\0", LICENSE=b"MIT")
    (fault,) = binary_faults(root, PLATFORMS["linux-x64"])
    assert fault.startswith("there is no binary for linux-x64 in it")
    wasm = Platform(name="wasm32", os=(), cpu=("wasm32",), build="wasm32")
    assert binary_faults(root, wasm) == []


def test_native_binaries_have_no_place_in_a_package_for_wasm(zig: Zig, tmp_path: Path) -> None:
    wasm = Platform(name="wasm32", os=(), cpu=("wasm32",), build="wasm32")
    assert len(binary_faults(put(tmp_path / "p", acme__node=zig.shared("linux-x64")), wasm)) == 1


@pytest.mark.parametrize("name", ["acme.node", "lib.so", "lib.so.1.2", "lib.dylib", "a.dll", "A.EXE", "lib.a"])
def test_an_empty_file_where_a_binary_is_expected_is_refused(zig: Zig, tmp_path: Path, name: str) -> None:
    root = put(tmp_path / "package", good=zig.shared("linux-x64"))
    (root / name).write_bytes(b"")
    assert binary_faults(root, PLATFORMS["linux-x64"]) == [f"{name} is empty"]


def test_a_page_saved_as_a_library_is_refused(zig: Zig, tmp_path: Path) -> None:
    root = put(tmp_path / "package", good=zig.shared("linux-x64"), bad__node=b"version https://git-lfs.example/v1\n")
    assert binary_faults(root, PLATFORMS["linux-x64"]) == [
        'bad.node is named like a binary, but begins with "version https://git-lfs."'
    ]


def test_scripts_wasm_data_and_linker_scripts_are_left_alone(zig: Zig, tmp_path: Path) -> None:
    root = put(
        tmp_path / "package",
        libacme__so=zig.shared("linux-x64"),
        libc__so=b"/* GNU ld script */ INPUT ( libc.so.6 )",
        empty__a=b"!<arch>\n",
        Main__class=bytes.fromhex("cafebabe00000041") + bytes(100),
        notes=b"MZ is how this text begins",
        program__o=b"not an object",
        nothing=b"",
        portable__dll=portable_assembly(),
        filter__bpf__o=b"\x7fELF\x02\x01\x01"
        + bytes(9)
        + struct.pack("<HHIQQQIHHHHHH", 1, 247, 1, 0, 0, 0, 0, 64, *[0] * 5),
    )
    assert binary_faults(root, PLATFORMS["linux-x64"]) == []


def portable_assembly() -> bytes:
    """A .NET assembly for any cpu: it calls itself an i386 image."""
    dos = b"MZ".ljust(60, b"\0") + struct.pack("<I", 64)
    file_header = struct.pack("<HHIIIHH", 0x14C, 0, 0, 0, 0, 224, 0x2102)
    directories = b"".join(struct.pack("<II", *((0x2008, 72) if number == 14 else (0, 0))) for number in range(16))
    optional = (struct.pack("<HBB", 0x10B, 0, 0).ljust(68, b"\0") + struct.pack("<H", 3)).ljust(92, b"\0")
    return dos + b"PE\0\0" + file_header + optional + struct.pack("<I", 16) + directories


def test_a_thin_archive_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "lib.a"
    path.write_bytes(b"!<thin>\n" + b"/               0           0     0     644     4         `\n....")
    with pytest.raises(UnreadableError, match="thin archive"):
        identify(path)


@pytest.mark.parametrize("platform", sorted(TARGETS))
@pytest.mark.parametrize("form", ["static", "shared"])
def test_a_truncated_binary_is_refused_wherever_it_was_cut(zig: Zig, tmp_path: Path, platform: str, form: str) -> None:
    whole = getattr(zig, form)(platform).read_bytes()
    suffix = {"static": "a", "shared": "node"}[form]
    for cut in range(0, len(whole) - 1, max(1, len(whole) // 40)):
        root = put(tmp_path / "package", **{f"libacme__{suffix}": whole[:cut]})
        faults = binary_faults(root, PLATFORMS[platform])
        assert faults, cut
        assert all(fault.startswith(("libacme.", "there is no binary")) for fault in faults), faults


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
    """Offset and size of each loaded segment of a 64-bit ELF file."""
    (start,), (size, count) = struct.unpack_from("<Q", elf, 32), struct.unpack_from("<HH", elf, 54)
    headers = [struct.unpack_from("<IIQQQQ", elf, start + size * index) for index in range(count)]
    return [(offset, length) for kind, _, offset, _, _, length in headers if kind == 1]


@pytest.mark.parametrize(
    "data",
    [
        b"\x7fELF",
        b"\x7fELF\x02\x01\x01" + b"\xff" * 57,
        b"\xcf\xfa\xed\xfe" + b"\xff" * 60,
        struct.pack("<IIIIIIII", 0xFEEDFACF, X64, 3, 6, 1 << 31, 1 << 21, 0, 0) + struct.pack("<II", 1, 0) * (1 << 18),
        universal((ARM64, b""), (X64, b"")),
        struct.pack(">II", 0xCAFEBABE, 2) + struct.pack(">IIIII", ARM64, 0, 0, 1 << 30, 0),
        struct.pack(">II", 0xCAFEBABE, 1) + struct.pack(">IIIII", ARM64, 0, 0, 28, 0),
        b"!<arch>\n" + b"a/              0           0     0     644     -68       `\n",
        b"!<arch>\n" + b"#1/99999999     0           0     0     644     999999999 `\n",
        b"!<arch>\n" + b"/7              0           0     0     644     1         `\n.",
        b"MZ".ljust(60, b"\0") + struct.pack("<I", 64) + b"PE\0\0" + b"\xff" * 300,
    ],
)
def test_headers_that_lie_or_loop_become_a_fault(tmp_path: Path, data: bytes) -> None:
    root = put(tmp_path / "package", libacme__so=data)
    (fault,) = binary_faults(root, PLATFORMS["darwin-arm64"])
    assert fault.startswith("libacme.so ")


def test_headers_that_are_read_again_and_again_end_in_a_fault(tmp_path: Path) -> None:
    sections = 50_000  # each claims to be all of the 4 MB that describe them: 200 GB to read, and to keep
    size = 72 + 80 * sections
    head = struct.pack("<IIIIIIII", 0xFEEDFACF, ARM64, 0, 6, 1, size, 0, 0)
    segment = struct.pack("<II16sQQQQIIII", 0x19, size, b"", 0, 0, 0, 0, 7, 7, sections, 0)
    section = struct.pack("<16s16sQQIIIIIIII", b"", b"", 0, size, 0, 0, 0, 0, 0, 0, 0, 0)
    root = put(tmp_path / "package", acme__node=head + segment + section * sections)
    assert binary_faults(root, PLATFORMS["darwin-arm64"]) == [
        "acme.node cannot be read as Mach-O: its headers lead the reader in circles"
    ]


def test_a_file_name_cannot_forge_a_line(tmp_path: Path) -> None:
    root = put(tmp_path / "package")
    (root / "a\n::error::x.node").write_bytes(b"")
    assert binary_faults(root, PLATFORMS["linux-x64"])[0] == "a\\n::error::x.node is empty"
