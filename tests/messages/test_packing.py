"""What is said of archives that are refused, and of binaries for another platform."""

from __future__ import annotations

import tarfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from tests.messages.conftest import Golden, Messages
from tests.messages.printed import refusal
from tests.packing.conftest import PLATFORMS, Archives, Entry, Zig, on, put, upx_program, xcoff

from flotilla.family import Limits, Platform
from flotilla.packing import binary_faults, extract
from flotilla.packing.floors import floor_faults, floor_warnings
from flotilla.packing.platform_check import binary_warnings, inspect

NAMES = ("/etc/passwd", "../x", "C:/x", "a\\b", "a\u202eb", "x" * 256, "/".join(["a"] * 105))
LINUX = on("linux", "x64", libc=("glibc",))


def hostile(archives: Archives) -> Iterator[tuple[str, Callable[[], Path]]]:
    for name in NAMES:
        yield f"a member is called {name[:40]!a}", partial(archives.tar, Entry(name, b"x"))
    link, hard = tarfile.SYMTYPE, tarfile.LNKTYPE
    yield "a link leads out", partial(archives.tar, Entry("a", kind=link, target="../../x"))
    yield "a hard link leads to nothing", partial(archives.tar, Entry("a", kind=hard, target="missing"))
    yield "a device", partial(archives.tar, Entry("a", kind=tarfile.CHRTYPE))
    yield "one name twice", partial(archives.tar, Entry("a", b"1"), Entry("a", b"2"))
    yield "names that differ in case", partial(archives.tar, Entry("A", b"1"), Entry("a", b"2"))
    yield "a file where a folder is", partial(archives.tar, Entry("a", b"1"), Entry("a/b", b"2"))
    yield "too many files", partial(archives.tar, *(Entry(str(number)) for number in range(300)))
    yield "too large", partial(archives.tar, Entry("a", bytes(5 << 20)), form="tar")
    yield "a bomb", partial(archives.tar, Entry("a", bytes(65 << 20)))
    yield "a zip of Windows PowerShell", partial(archives.zip, Entry("lib\\tool.dll", b"x"))
    yield "a zip's name in another encoding", partial(archives.named_zip, b"lib/\x84.txt")
    yield "a damaged tar.gz", lambda: archives.raw(b"\x1f\x8b" + b"x" * 100)
    yield "no archive at all", lambda: archives.raw(b"hello")
    yield "an empty file", lambda: archives.raw(b"")


def test_archives_that_are_refused(golden: Golden, archives: Archives, tmp_path: Path) -> None:
    small, large = Limits(extracted_bytes=4 << 20, files=200), Limits(ratio=200)

    def said() -> Messages:
        for number, (heading, made) in enumerate(hostile(archives)):
            archive = made()
            text = refusal(
                partial(extract, archive, tmp_path / str(number), limits=large if heading == "a bomb" else small)
            )
            yield heading, text.replace(str(tmp_path), "FOLDER")

    golden("archives", said())


def test_binaries_for_another_platform(golden: Golden, tmp_path: Path) -> None:
    cases: list[tuple[str, Platform, dict[str, Path | bytes]]] = [
        ("an aix library for linux", LINUX, {"tool__a": xcoff("ppc64")}),
        ("no binary at all", LINUX, {"readme__txt": b"x"}),
        ("an empty library", LINUX, {"tool__so": b""}),
        ("a page saved as a library", LINUX, {"tool__node": b"<!doctype html><title>404"}),
        ("a cut ELF file", LINUX, {"tool__so": b"\x7fELF\x02\x01\x01"}),
        ("a binary though none is expected", replace(LINUX, binaries="none"), {"tool__a": xcoff("ppc64")}),
        ("a packed program", LINUX, {"tool": upx_program()}),
    ]

    def said() -> Messages:
        for number, (heading, platform, files) in enumerate(cases):
            root = put(tmp_path / str(number), **files)
            inspected = {file.name: inspect(file) for file in sorted(root.iterdir())}
            yield heading, "\n".join([*binary_faults(root, platform), *binary_warnings(inspected, platform)])

    golden("binaries", said())


def test_binaries_that_no_users_machine_could_load(golden: Golden, zig: Zig, tmp_path: Path) -> None:
    mac, windows = PLATFORMS["darwin-arm64"], PLATFORMS["win32-x64"]
    signed = zig.shared("darwin-arm64").read_bytes()
    node_18: dict[str, object] = {"engines": {"node": ">=18"}}
    cases: list[tuple[str, Platform, Path | bytes, dict[str, object]]] = [
        ("a library from outside", LINUX, zig.linked("linux-x64", "libssl.so.1.1"), {}),
        ("a DLL from outside", windows, zig.linked("win32-x64", "libcrypto-3-x64.dll"), {}),
        ("a library by its path", mac, zig.linked("darwin-arm64", "/opt/homebrew/lib/libpng.dylib"), {}),
        ("a library that is by itself", LINUX, zig.linked("linux-x64", "libown.so.1"), {}),
        ("a RUNPATH", LINUX, zig.linked("linux-x64", "libc.so.6", "-Wl,-rpath,/home/builder/lib"), {}),
        ("a relative RUNPATH", LINUX, zig.linked("linux-x64", "libc.so.6", "-Wl,-rpath,lib"), {}),
        ("an rpath", mac, zig.linked("darwin-arm64", "/usr/lib/libz.dylib", "-Wl,-rpath,/Users/builder/lib"), {}),
        ("a loader", LINUX, zig.program("linux-x64", loader="/nix/store/abc/lib/ld-linux-x86-64.so.2"), {}),
        ("changed after signing", mac, signed[:16000] + b"x" + signed[16001:], {}),
        ("an old node", LINUX, zig.addon("linux-x64", "node_api_symbol_for"), node_18),
    ]

    def said() -> Messages:
        for number, (heading, platform, content, manifest) in enumerate(cases):
            root = put(tmp_path / str(number), tool__node=content)
            (root / "lib").mkdir()
            own = root / "lib/libown.so.1" if heading == "a library that is by itself" else root / "tool.node"
            own.write_bytes(own.read_bytes() if own.exists() else zig.shared("linux-x64").read_bytes())
            files = {file.relative_to(root).as_posix(): inspect(file) for file in (root / "tool.node", own)}
            told = [*floor_faults("@acme/tool-x", platform, manifest, files)]
            yield heading, "\n".join([*told, *floor_warnings("@acme/tool-x", platform, manifest, files)])

    golden("floors", said())


@pytest.fixture
def archives(tmp_path: Path) -> Archives:
    (tmp_path / "archives").mkdir()
    return Archives(tmp_path / "archives")


@pytest.fixture(scope="module")
def zig(tmp_path_factory: pytest.TempPathFactory) -> Zig:
    return Zig(tmp_path_factory.mktemp("zig"))
