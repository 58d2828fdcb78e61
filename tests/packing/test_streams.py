"""Archives that fill the disk, the memory or the hours, and streams that end too early or too late."""

from __future__ import annotations

import struct
import tarfile
import zlib

import pytest
from tests.packing.conftest import COMPRESS, Archives, Attack, Entry

SYMLINK, HARDLINK = tarfile.SYMTYPE, tarfile.LNKTYPE


@pytest.mark.parametrize("form", [*COMPRESS, "zip"])
def test_extract_rejects_more_bytes_than_the_limit(archives: Archives, refused: Attack, form: str) -> None:
    entries = [Entry(f"{number}", bytes(1 << 20)) for number in range(5)]
    refused(
        archives.zip(*entries) if form == "zip" else archives.tar(*entries, form=form), "unpacks to more than 4 MiB"
    )


@pytest.mark.parametrize("form", ["tar.gz", "tar.bz2", "tar.xz", "tar.zst", "zip"])
def test_extract_rejects_a_ratio_that_only_a_bomb_has(
    archives: Archives, refused: Attack, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    monkeypatch.setattr("flotilla.packing.streams.HARMLESS", 1 << 20)
    entry = Entry("zeros", bytes(3 << 20))
    refused(archives.zip(entry) if form == "zip" else archives.tar(entry, form=form), "200 times its own size")


@pytest.mark.parametrize("form", ["tar.gz", "zip"])
def test_extract_rejects_more_files_than_the_limit(archives: Archives, refused: Attack, form: str) -> None:
    entries = [Entry(f"{number}") for number in range(201)]
    refused(archives.zip(*entries) if form == "zip" else archives.tar(*entries), "more than 200 files")


def test_extract_counts_folders_that_are_only_implied(archives: Archives, refused: Attack) -> None:
    refused(archives.tar(*(Entry(f"{number}/" + "d/" * 90 + "f") for number in range(4))), "more than 200 files")


def test_extract_counts_the_copies_of_links(archives: Archives, refused: Attack) -> None:
    copies = [Entry(f"copy{number}", kind=SYMLINK, target="a") for number in range(5)]
    refused(archives.tar(Entry("a", bytes(range(256)) * 4096), *copies), "unpacks to more than 4 MiB")


def test_extract_rejects_folder_links_that_double_and_double(archives: Archives, refused: Attack) -> None:
    layers = [Entry(f"d{n}/{side}", kind=SYMLINK, target=f"../d{n - 1}") for n in range(1, 20) for side in "ab"]
    refused(archives.tar(Entry("d0/f", b"f"), *layers), "more than 200 files")


@pytest.mark.parametrize("form", sorted(COMPRESS))
def test_extract_rejects_a_truncated_archive_wherever_it_was_cut(
    archives: Archives, refused: Attack, form: str
) -> None:
    whole = archives.tar(Entry("a", bytes(range(256)) * 20), Entry("b", b"b" * 700), form=form).read_bytes()
    end = len(whole) - 10240 + 9 * 512 if form == "tar" else len(whole)
    for cut in {*range(1, end, max(1, end // 25)), *range(512, end, 512)}:
        refused(archives.raw(whole[:cut]), "truncated|damaged|not a tar archive|end-of-archive|is not a zip|middle")


def test_extract_rejects_data_after_the_compressed_stream(archives: Archives, refused: Attack) -> None:
    for form in ("tar.gz", "tar.bz2", "tar.xz", "tar.zst"):
        whole = archives.tar(Entry("a", b"a"), form=form).read_bytes()
        refused(archives.raw(whole + b"PK\x03\x04 and more"), "damaged")


def test_extract_rejects_a_window_that_fills_the_memory(archives: Archives, refused: Attack) -> None:
    frame = bytes.fromhex("28b52ffd") + bytes([0x00, 0xA8]) + b"\x01\x00\x00"  # a window of 2 GiB, an empty last block
    refused(archives.raw(frame), "too much memory")
    stream = bytearray(COMPRESS["tar.xz"](archives.tar_bytes([Entry("a", b"a")])))
    block = 12  # where the stream's header ends
    size = (stream[block] + 1) * 4
    stream[stream.index(b"\x21\x01", block) + 2] = 40  # a dictionary of 4 GiB
    struct.pack_into("<I", stream, block + size - 4, zlib.crc32(stream[block : block + size - 4]))
    refused(archives.raw(bytes(stream)), "Memory usage limit exceeded")


def test_extract_rejects_countless_streams_that_take_hours(
    archives: Archives, refused: Attack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each begins a decompressor and gives little that a limit would count: 100 MB of them took ten minutes."""
    monkeypatch.setattr("flotilla.packing.streams.STREAMS", 500)
    skipped = b"\x50\x2a\x4d\x18\0\0\0\0"  # zstd's skippable frame: eight bytes
    empty = {form: COMPRESS[form](b"") for form in ("tar.gz", "tar.bz2", "tar.xz")}
    for form, stream in {**empty, "tar.zst": skipped}.items():
        whole = COMPRESS[form](archives.tar_bytes([Entry("a", b"1")]))
        refused(archives.raw(whole + stream * 1000, f"made.{form}"), "more than 500 compressed streams")
