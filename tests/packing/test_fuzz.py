"""Mutated archives and binaries: nothing outside the folder, no error but ours, bounded size.

FLOTILLA_FUZZ_EXAMPLES sets the number of inputs for each test; with it, each run draws other ones.
"""

from __future__ import annotations

import gzip
import lzma
import os
import stat
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.packing.conftest import ARM64, COMPRESS, PLATFORMS, X64, Archives, Entry, Zig, universal, xcoff

from flotilla.errors import ArchiveError
from flotilla.family import Limits
from flotilla.packing import extract, identify, read_contents
from flotilla.packing.binaries import UnreadableError
from flotilla.packing.floors import floors_of
from flotilla.packing.platform_check import Inspected

pytestmark = pytest.mark.fuzz

EXAMPLES = os.environ.get("FLOTILLA_FUZZ_EXAMPLES")
BUDGET = settings(
    max_examples=int(EXAMPLES or 40),
    derandomize=EXAMPLES is None,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)
LIMITS = Limits(extracted_bytes=1 << 20, files=100, ratio=200)

Mutation = Callable[[bytes], bytes]


def flipped(offset: int, value: int) -> Mutation:
    def mutate(data: bytes) -> bytes:
        at = offset % max(1, len(data))
        return data[:at] + bytes([value]) + data[at + 1 :]

    return mutate


def cut(offset: int) -> Mutation:
    return lambda data: data[: offset % max(1, len(data))]


def spliced(offset: int, size: int, to: int) -> Mutation:
    def mutate(data: bytes) -> bytes:
        at, into = offset % max(1, len(data)), to % max(1, len(data))
        return data[:into] + data[at : at + size] + data[into:]

    return mutate


def inserted(offset: int, new: bytes) -> Mutation:
    def mutate(data: bytes) -> bytes:
        at = offset % max(1, len(data))
        return data[:at] + new + data[at + len(new) :]

    return mutate


offsets = st.integers(0, 1 << 16)
words = st.sampled_from(
    [
        b"../",
        b"/etc",
        b"\0",
        b"\xff" * 8,
        b"\x80" + b"\xff" * 11,
        b"2",
        b"1",
        b"x",
        b"L",
        b"S",
        b"PK\x01\x02",
        b"PK\x03\x04",
    ]
)
mutations = st.lists(
    st.one_of(
        st.builds(flipped, offsets, st.integers(0, 255)),
        st.builds(cut, offsets),
        st.builds(spliced, offsets, st.sampled_from([1, 30, 512, 1024, 4096]), offsets),
        st.builds(inserted, offsets, words | st.binary(min_size=1, max_size=12)),
    ),
    min_size=1,
    max_size=6,
)


def mutated(data: bytes, changes: list[Mutation]) -> bytes:
    for change in changes:
        data = change(data)
    return data


def resealed(data: bytes) -> bytes:
    """Return a tar whose headers' checksums are right again, so that the changes get past the first look."""
    blocks = [data[at : at + 512] for at in range(0, len(data), 512)]
    return b"".join(_resealed(block) if block[257:262] == b"ustar" and len(block) == 512 else block for block in blocks)


def _resealed(block: bytes) -> bytes:
    total = sum(block[:148]) + sum(block[156:]) + 8 * ord(" ")
    return block[:148] + f"{total:06o}\0 ".encode() + block[156:]


def entries() -> list[Entry]:
    return [
        Entry("lib", mode=0o755, kind=b"5"),
        Entry("lib/libacme.so.1", bytes(range(256)) * 8, 0o755),
        Entry("lib/libacme.so", kind=b"2", target="libacme.so.1"),
        Entry("lib/hard", kind=b"1", target="lib/libacme.so.1"),
        Entry("x" * 120, b"a name that needs a header of its own"),
        Entry("caf\u00e9.txt", b"text" * 300),
    ]


def zip_entries() -> list[Entry]:
    return [
        Entry("lib/libacme.so.1", bytes(range(256)) * 8, 0o100755),
        Entry("lib/libacme.so", b"libacme.so.1", stat.S_IFLNK | 0o777),
        Entry("empty/", mode=0o40755),
        Entry("caf\u00e9.txt", b"text" * 300),
    ]


def attempt(archive: Path) -> None:
    """Extract, and look for harm."""
    with tempfile.TemporaryDirectory() as workspace:
        area = Path(workspace)
        (area / "canary").write_text("canary")
        try:
            extract(archive, area / "out", limits=LIMITS)
        except ArchiveError:
            assert [path.name for path in area.iterdir()] == ["canary"]
        else:
            assert {path.name for path in area.iterdir()} == {"canary", "out"}
            inspect_result(area / "out")
        assert (area / "canary").read_text() == "canary"


def inspect_result(out: Path) -> None:
    found = [path.lstat() for path in out.rglob("*")]
    assert all(stat.S_ISREG(info.st_mode) or stat.S_ISDIR(info.st_mode) for info in found)
    assert all(stat.S_IMODE(info.st_mode) in (0o755, 0o644) for info in found)
    assert all(info.st_nlink == 1 for info in found if stat.S_ISREG(info.st_mode))
    assert len(found) <= LIMITS.files
    assert sum(info.st_size for info in found if stat.S_ISREG(info.st_mode)) <= LIMITS.extracted_bytes


@pytest.mark.parametrize("form", sorted(COMPRESS))
@BUDGET
@given(inner=mutations)
def test_a_mutated_tar_does_no_harm(archives: Archives, form: str, inner: list[Mutation]) -> None:
    attempt(archives.raw(COMPRESS[form](resealed(mutated(archives.tar_bytes(entries()), inner))), "mutated"))


@pytest.mark.parametrize("form", ["tar.gz", "tar.bz2", "tar.xz", "tar.zst"])
@BUDGET
@given(outer=mutations)
def test_a_mutated_compressed_stream_does_no_harm(archives: Archives, form: str, outer: list[Mutation]) -> None:
    attempt(archives.raw(mutated(COMPRESS[form](archives.tar_bytes(entries())), outer), "mutated"))


@BUDGET
@given(changes=mutations)
def test_a_mutated_zip_does_no_harm(archives: Archives, changes: list[Mutation]) -> None:
    attempt(archives.raw(mutated(archives.zip(*zip_entries()).read_bytes(), changes), "mutated"))


@BUDGET
@given(inner=mutations)
def test_a_mutated_tarball_of_the_registry_is_read_or_refused(archives: Archives, inner: list[Mutation]) -> None:
    path = archives.raw(gzip.compress(resealed(mutated(archives.tar_bytes(entries()), inner))), "mutated")
    with suppress(ArchiveError):
        assert len(read_contents(path, limits=LIMITS)) <= LIMITS.files


@BUDGET
@given(
    data=st.binary(max_size=2000),
    head=st.sampled_from([b"", b"PK\x03\x04", b"\x1f\x8b\x08", b"\xfd7zXZ\0", lzma.compress(b"")]),
)
def test_bytes_that_only_begin_like_an_archive_do_no_harm(archives: Archives, head: bytes, data: bytes) -> None:
    attempt(archives.raw(head + data, "mutated"))


@pytest.mark.parametrize(
    "kind", ["elf", "elf addon", "macho", "universal", "pe", "xcoff", "elf archive", "macho archive", "coff archive"]
)
@BUDGET
@given(changes=mutations)
def test_a_mutated_binary_is_known_or_unreadable(
    zig: Zig, archives: Archives, kind: str, changes: list[Mutation]
) -> None:
    path = archives.raw(mutated(binary(zig, kind), changes), "mutated.node")
    with suppress(UnreadableError):
        for one in identify(path):
            assert floors_of({path.name: Inspected(binaries=(one,))}, PLATFORMS["linux-x64"]).as_json() is not None


def binary(zig: Zig, kind: str) -> bytes:
    if kind == "xcoff":
        return xcoff("ppc64")
    if kind == "universal":
        parts = ((ARM64, "darwin-arm64"), (X64, "darwin-x64"))
        return universal(*((cpu, zig.object_of(platform).read_bytes()) for cpu, platform in parts))
    made = {
        "elf": lambda: zig.needing("linux-x64", ("libc.so.6", "GLIBC_2.30")),
        "macho": lambda: zig.shared("darwin-arm64"),
        "elf addon": lambda: zig.addon("linux-x64", "napi_create_object", "node_api_symbol_for"),
        "pe": lambda: zig.addon("win32-x64", "napi_create_object", "node_api_symbol_for"),
        "elf archive": lambda: zig.static("linux-arm64"),
        "macho archive": lambda: zig.static("darwin-x64"),
        "coff archive": lambda: zig.static("win32-x64"),
    }
    return made[kind]().read_bytes()
