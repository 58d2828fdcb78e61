"""Platform words: npm's own, the endings that are understood, and libc."""

from __future__ import annotations

import pytest

from flotilla.family import Platform, parse_config
from flotilla.family.platforms import CPU, OS, read_name


def platforms(*items: str) -> tuple[Platform, ...]:
    text = (
        f"schema: 1\nfamily: tool\nci: {{workflow: ci.yml, artifact: '{{build}}'}}\nplatforms: [{', '.join(items)}]\n"
    )
    return parse_config(text).platforms


@pytest.mark.parametrize(
    ("name", "os", "cpu", "libc"),
    [
        ("linux-x64", ("linux",), ("x64",), ()),
        ("linux-x64-gnu", ("linux",), ("x64",), ("glibc",)),
        ("linux-x64-glibc", ("linux",), ("x64",), ("glibc",)),
        ("linux-arm64-musl", ("linux",), ("arm64",), ("musl",)),
        ("linux-arm-gnueabihf", ("linux",), ("arm",), ("glibc",)),
        ("linux-arm-musleabihf", ("linux",), ("arm",), ("musl",)),
        ("win32-x64", ("win32",), ("x64",), ()),
        ("win32-ia32-msvc", ("win32",), ("ia32",), ()),
        ("android-arm-eabi", ("android",), ("arm",), ()),
        ("freebsd-riscv64", ("freebsd",), ("riscv64",), ()),
        ("wasm32-wasi", (), ("wasm32",), ()),
    ],
)
def test_a_name_in_npms_words_says_os_cpu_and_libc(
    name: str, os: tuple[str, ...], cpu: tuple[str, ...], libc: tuple[str, ...]
) -> None:
    assert platforms(name) == (Platform(name=name, os=os, cpu=cpu, libc=libc, build=name),)


def test_another_familys_names_are_taken_with_os_cpu_and_libc_beside_them() -> None:
    (platform,) = platforms("{name: linuxmusl-arm64v8, os: linux, cpu: arm64, libc: musl}")
    assert platform == Platform(
        name="linuxmusl-arm64v8", os=("linux",), cpu=("arm64",), libc=("musl",), build="linuxmusl-arm64v8"
    )


def test_a_universal_binary_lists_its_cpus() -> None:
    (platform,) = platforms("{name: darwin-universal, os: darwin, cpu: [arm64, x64]}")
    assert (platform.os, platform.cpu) == (("darwin",), ("arm64", "x64"))


def test_plain_linux_beside_musl_of_the_same_cpu_is_glibc() -> None:
    by_name = {p.name: p.libc for p in platforms("linux-x64", "linux-arm64", "linux-x64-musl", "darwin-x64")}
    assert by_name == {"linux-x64": ("glibc",), "linux-arm64": (), "linux-x64-musl": ("musl",), "darwin-x64": ()}


def test_a_glibc_floor_makes_a_platform_glibc() -> None:
    (platform,) = platforms('{name: linux-x64, glibc: "2.28"}')
    assert (platform.libc, platform.glibc) == (("glibc",), "2.28")


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("windows-x64", "win32-x64"),
        ("win64", "win32-x64"),
        ("macos-aarch64", "darwin-arm64"),
        ("linux-amd64", "linux-x64"),
        ("linux-x86_64", "linux-x64"),
        ("linux_x86_64", "linux-x64"),
        ("linux-x86-64", "linux-x64"),
        ("linuxmusl-x64", "linux-x64-musl"),
        ("darwn-x64", "darwin-x64"),
        ("linux-i686", "linux-ia32"),
    ],
)
def test_a_platform_in_other_words_is_translated(name: str, meant: str) -> None:
    words, faults = read_name(name)
    assert words is None
    assert f"In npm's words: {meant}." in faults[0]


@pytest.mark.parametrize("os", OS)
@pytest.mark.parametrize("cpu", CPU)
def test_every_word_of_npms_is_understood(os: str, cpu: str) -> None:
    words, faults = read_name(f"{os}-{cpu}")
    assert words is not None
    assert (words.os, words.cpu, faults) == ((os,), (cpu,), [])
