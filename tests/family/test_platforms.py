"""Platform words: npm's own, the endings that are understood, and libc."""

from __future__ import annotations

import pytest

from flotilla.errors import ConfigError, Place
from flotilla.family import Config, Platform, parse_config
from flotilla.family.platforms import CPU, OS, name_warnings, read_name


def config(*items: str) -> Config:
    listed = ", ".join(items)
    return parse_config(
        f"schema: 1\nfamily: tool\nci: {{workflow: c.yml, artifact: '{{build}}'}}\nplatforms: [{listed}]\n"
    )


def platforms(*items: str) -> tuple[Platform, ...]:
    return config(*items).platforms


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
    assert platforms(name) == (Platform(name=name, os=os, cpu=cpu, libc=libc, build=name, pin=bool(os)),)


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


@pytest.mark.parametrize(("name", "meant"), [("win64", "win32-x64"), ("linux_x86_64", "linux-x64"), ("macos", "")])
def test_a_name_that_is_not_os_and_cpu_is_refused(name: str, meant: str) -> None:
    words, faults = read_name(name)
    assert words is None
    assert meant in faults[0]


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("windows-x64", "win32-x64"),
        ("macos-aarch64", "darwin-arm64"),
        ("linux-amd64", "linux-x64"),
        ("linux-x86_64", "linux-x64"),
        ("linuxmusl-x64", "linux-x64-musl"),
        ("darwn-x64", "darwin-x64"),
        ("linux-i686", "linux-ia32"),
    ],
)
def test_a_word_that_node_lacks_is_warned_of_with_npms_own(name: str, meant: str) -> None:
    words, faults = read_name(name)
    assert words is not None
    assert (words.os, words.cpu, faults) == (*((word,) for word in name.split("-")), [])
    assert f"In npm's words: {meant}." in name_warnings(name, ("os", "cpu"))[0]


def test_a_warning_names_the_place_and_the_nearest_word() -> None:
    (warning,) = config("darwn-arm64").warnings
    assert (warning.place, "darwn" in warning.text) == (Place(file="flotilla.yml", line=4, column=13), True)
    assert 'did you mean "darwin"?' in warning.text


@pytest.mark.parametrize(
    ("item", "where", "word"),
    [
        ("{name: mine, os: plan9, cpu: x64}", 30, "plan9"),
        ("{name: mine, os: linux, cpu: [x64, sparc64]}", 42, "sparc64"),
        ("{name: linux-sparc64, os: linux}", 20, "sparc64"),
    ],
)
def test_a_word_of_os_or_cpu_that_node_lacks_is_warned_of(item: str, where: int, word: str) -> None:
    (warning,) = config(item).warnings
    assert warning.place is not None
    assert (warning.place.column, warning.text.count(f'"{word}"')) == (where, 1)


def test_a_familys_own_name_is_not_warned_of_if_os_and_cpu_stand_beside_it() -> None:
    parsed = config(
        "{name: linuxmusl-arm64v8, os: linux, cpu: arm64}", "{name: linux-arm64v8-musl, os: linux, cpu: arm}"
    )
    assert parsed.warnings == ()
    assert [platform.libc for platform in parsed.platforms] == [(), ()]


@pytest.mark.parametrize("name", ["linux-mips64el", "ios-arm64", "linux-x64-musl", "{name: wasm32, pin: true}"])
def test_a_word_that_node_has_is_not_warned_of(name: str) -> None:
    assert config(name).warnings == ()


def test_a_libc_that_npm_does_not_know_is_refused() -> None:
    with pytest.raises(ConfigError, match="musll"):
        config("{name: linux-x64, libc: musll}")


@pytest.mark.parametrize("binaries", ["check", "none", "unchecked"])
def test_binaries_says_how_they_are_checked(binaries: str) -> None:
    assert platforms(f"{{name: linux-x64, binaries: {binaries}}}")[0].binaries == binaries
    with pytest.raises(ConfigError, match="binaries"):
        config(f"{{name: linux-x64, binaries: {binaries}s}}")


@pytest.mark.parametrize("os", OS)
@pytest.mark.parametrize("cpu", CPU)
def test_every_word_of_npms_is_understood(os: str, cpu: str) -> None:
    words, faults = read_name(f"{os}-{cpu}")
    assert words is not None
    assert (words.os, words.cpu, faults) == ((os,), (cpu,), [])


def test_a_family_that_pins_no_platform_is_warned(small: str) -> None:
    (warning,) = parse_config(small.replace("[linux-x64, darwin-arm64]", "[wasm32-wasi]")).warnings
    assert str(warning).startswith("flotilla.yml:3:")
    assert "pin: true" in str(warning)
    assert parse_config(small.replace("darwin-arm64", "wasm32-wasi")).warnings == ()
