"""Families whose binaries no user's machine could run: each is refused by file before anything is written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.layouts.artifacts import make
from tests.layouts.binaries import program
from tests.packing.conftest import Zig

from flotilla.commands.check import check, check_text
from flotilla.errors import PackageError
from flotilla.family import Family
from flotilla.jobs.inputs import read_config

Break = Callable[[Path, Path, Zig], None]


def declared(change: str, by: str) -> Break:
    def edit(repository: Path, _: Path, __: Zig) -> None:
        config = repository / "flotilla.yml"
        before = config.read_text(encoding="utf-8")
        assert change in before
        config.write_text(before.replace(change, by), encoding="utf-8")

    return edit


def replaced(file: str, made: Callable[[Zig], bytes]) -> Break:
    def put(_: Path, artifacts: Path, zig: Zig) -> None:
        assert (artifacts / file).is_file()
        (artifacts / file).write_bytes(made(zig))

    return put


LINUX = "bindings-x86_64-unknown-linux-gnu/yuv.linux-x64-gnu.node"
MAC = "bindings-aarch64-apple-darwin/yuv.darwin-arm64.node"
BROKEN: dict[str, tuple[str, Break, str]] = {
    "a glibc newer than the declared floor": (
        "napi-rs",
        declared("linux-x64-gnu, build", 'linux-x64-gnu, glibc: "2.2", build'),
        "yuv.linux-x64-gnu.node is ELF for linux x64 glibc and needs glibc 2.2.5, but linux-x64-gnu allows 2.2 at most",
    ),
    "a library outside": (
        "napi-rs",
        replaced(LINUX, lambda zig: zig.linked("linux-x64", "libssl.so.1.1").read_bytes()),
        "yuv.linux-x64-gnu.node needs libssl.so.1.1, which is not part of Linux, of this package, or of one that",
    ),
    "a RUNPATH of the builder's machine": (
        "napi-rs",
        replaced(LINUX, lambda zig: zig.linked("linux-x64", "libc.so.6", "-Wl,-rpath,/home/builder/lib").read_bytes()),
        "yuv.linux-x64-gnu.node has the RUNPATH /home/builder/lib, a folder of the machine that built it",
    ),
    "an install name of the builder's machine": (
        "napi-rs",
        replaced(MAC, lambda zig: zig.linked("darwin-arm64", "/opt/homebrew/lib/libpng.dylib").read_bytes()),
        "yuv.darwin-arm64.node needs /opt/homebrew/lib/libpng.dylib, a path of the machine that built it",
    ),
    "a broken macOS signature": (
        "napi-rs",
        replaced(MAC, lambda zig: flipped(zig.shared("darwin-arm64").read_bytes())),
        "yuv.darwin-arm64.node was changed after it was signed",
    ),
    "a musl package with a glibc loader": (
        "biome",
        replaced("cli-linux-x64-musl/lint-linux-x64-musl", lambda _: program("linux-x64")),
        "lint is ELF for linux x64 glibc, but the package is for linux x64 musl",
    ),
    "a launcher of another program": (
        "biome",
        declared("    template: packages/lint\n", "    launcher: {bin: other}\n"),
        "packages.meta.launcher runs other, and none of",
    ),
}


def flipped(data: bytes) -> bytes:
    """A bit of the last page that the signature covers is another."""
    at = data.rindex(bytes.fromhex("fade0cc0")) - 64
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


@pytest.fixture(scope="module")
def zig(tmp_path_factory: pytest.TempPathFactory) -> Zig:
    return Zig(tmp_path_factory.mktemp("zig"))


@pytest.mark.slow
@pytest.mark.parametrize("broken", sorted(BROKEN))
def test_a_broken_family_is_refused_by_file(zig: Zig, tmp_path: Path, broken: str) -> None:
    layout, spoil, words = BROKEN[broken]
    repository, artifacts = make(layout, tmp_path)
    spoil(repository, artifacts, zig)
    family = Family(read_config(repository, "flotilla.yml"), "1.2.3")
    with pytest.raises(PackageError) as refused:
        check(family, root=repository, repository_url="https://github.com/acme/family", artifacts=artifacts)
    (fault,) = [fault.text for fault in refused.value.faults if words in fault.text]
    assert fault.startswith("@acme/")
    assert "Nothing was written" in refused.value.advice


def test_a_program_that_lost_its_exec_bit_gets_it_back(tmp_path: Path) -> None:
    repository, artifacts = make("biome", tmp_path)
    (artifacts / "cli-linux-x64/lint-linux-x64").chmod(0o644)
    family = Family(read_config(repository, "flotilla.yml"), "1.2.3")
    url = "https://github.com/acme/family"
    told = check_text(check(family, root=repository, repository_url=url, artifacts=artifacts), listing=True)
    rows = [line.split() for line in told.partition("@acme/cli-linux-x64:")[2].splitlines()]
    assert next(row[-1] for row in rows if row and row[0] == "lint") == "0755"
