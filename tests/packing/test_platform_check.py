"""Whether binaries are for their platform, and what flotilla.yml says to that."""

from __future__ import annotations

import struct
from dataclasses import replace
from pathlib import Path

import pytest
from tests.packing.conftest import ARM64, IA32, PLATFORMS, TARGETS, UNIVERSAL, X64, Zig, on, put, universal, upx_program

from flotilla.family import Platform
from flotilla.packing import binary_faults, identify
from flotilla.packing.platform_check import binary_warnings, inspect, platform_faults


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
    wanted = ", but the package is for darwin arm64"
    assert binary_faults(root, PLATFORMS["darwin-arm64"]) == [
        f"libacme.a contains linux-arm64.o (and 1 more), which is ELF for arm64{wanted}",
        f"libacme.dylib is Mach-O for darwin x64{wanted}",
    ]


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
    assert fault.startswith("it contains no binary for ")
    assert len(binary_faults(put(tmp_path / "other", acme__node=zig.shared("linux-arm64")), both)) == 1
    assert binary_faults(put(tmp_path / "right", acme__node=zig.shared("linux-x64")), both) == []


def test_a_newer_glibc_than_the_floor_is_refused(zig: Zig, tmp_path: Path) -> None:
    library = zig.needing("linux-x64", ("libc.so.6", "GLIBC_2.34"))
    assert identify(library)[0].glibc_needed == "2.34"
    root = put(tmp_path / "package", libacme__so=library)

    def floor(version: str) -> Platform:
        return Platform(name="linux-x64", os=("linux",), cpu=("x64",), build="b", libc=("glibc",), glibc=version)

    assert binary_faults(root, floor("2.34")) == []
    assert binary_faults(root, floor("2.100")) == []
    (fault,) = binary_faults(root, floor("2.28"))
    assert fault.startswith("libacme.so is ELF for linux x64 glibc and needs glibc 2.34, ")
    assert " 2.28 " in fault


def test_a_universal_binary_must_cover_every_cpu_of_the_platform(zig: Zig, tmp_path: Path) -> None:
    arm64, x64 = (zig.shared(f"darwin-{cpu}").read_bytes() for cpu in ("arm64", "x64"))
    both = put(tmp_path / "both", acme__node=universal((ARM64, arm64), (X64, x64)))
    assert identify(both / "acme.node")[0].cpus == ("arm64", "x64")
    assert binary_faults(both, UNIVERSAL) == []
    assert binary_faults(both, PLATFORMS["darwin-arm64"]) == []
    one = put(tmp_path / "one", acme__node=universal((ARM64, arm64)))
    assert binary_faults(one, UNIVERSAL) == ["it contains no binary for x64"]
    lacking = put(tmp_path / "lacking", acme__node=universal((ARM64, arm64), (IA32, x64[:4] + b"\7\0\0\0" + x64[8:])))
    (fault,) = binary_faults(lacking, UNIVERSAL)
    assert fault == "acme.node is Mach-O for darwin arm64+ia32, but the package is for darwin arm64+x64"
    apart = put(tmp_path / "apart", arm64__node=arm64, x64__node=x64)
    assert binary_faults(apart, UNIVERSAL) == []


def test_a_package_without_any_binary_is_refused_unless_it_is_for_wasm(tmp_path: Path) -> None:
    root = put(tmp_path / "package", run__sh=b"#!/bin/sh\n", acme__wasm=b"\0asm\1\0\0\0", LICENSE=b"MIT")
    (fault,) = binary_faults(root, PLATFORMS["linux-x64"])
    assert fault.startswith("it contains no binary for linux-x64")
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
        'bad.node is named like a binary but begins with "version https://git-lfs."'
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
    """Return a .NET assembly for any cpu: it calls itself an i386 image."""
    dos = b"MZ".ljust(60, b"\0") + struct.pack("<I", 64)
    file_header = struct.pack("<HHIIIHH", 0x14C, 0, 0, 0, 0, 224, 0x2102)
    directories = b"".join(struct.pack("<II", *((0x2008, 72) if number == 14 else (0, 0))) for number in range(16))
    optional = (struct.pack("<HBB", 0x10B, 0, 0).ljust(68, b"\0") + struct.pack("<H", 3)).ljust(92, b"\0")
    return dos + b"PE\0\0" + file_header + optional + struct.pack("<I", 16) + directories


def test_a_file_name_cannot_forge_a_line(tmp_path: Path) -> None:
    root = put(tmp_path / "package")
    (root / "a\n::error::x.node").write_bytes(b"")
    assert binary_faults(root, PLATFORMS["linux-x64"])[0] == "a\\n::error::x.node is empty"
