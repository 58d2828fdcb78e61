"""Tars whose headers lie, loop or fill the memory."""

from __future__ import annotations

import tarfile

import pytest
from tests.packing.conftest import COMPRESS, Archives, Attack, Entry

SYMLINK, HARDLINK = tarfile.SYMTYPE, tarfile.LNKTYPE


@pytest.mark.parametrize("kind", [tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE, b"Z"])
def test_extract_rejects_devices_and_fifos_in_a_tar(archives: Archives, refused: Attack, kind: bytes) -> None:
    refused(archives.tar(Entry("odd", kind=kind)), "device|fifo|neither a file, a folder nor a link|filter")


def test_extract_rejects_a_sparse_file_that_fills_the_disk(archives: Archives, refused: Attack) -> None:
    refused(archives.sparse("disk", 1 << 50, b"0\n"), "unpacks to more than 4 MiB")


@pytest.mark.parametrize(
    "sparse_map", [b"2\n100\n5\n0\n5\n", b"1\n0\n900\n", b"1\n5\n-3\n", b"9999999\n1\n1\n", b"x\n"]
)
def test_extract_rejects_a_wild_sparse_map(archives: Archives, refused: Attack, sparse_map: bytes) -> None:
    refused(archives.sparse("disk", 200, sparse_map), "impossible map|damaged|truncated|not a tar archive")


def test_extract_rejects_headers_that_fill_the_memory(archives: Archives, refused: Attack) -> None:
    info = tarfile.TarInfo("a")
    info.pax_headers = {"comment": "x" * (2 << 20)}
    refused(archives.raw(COMPRESS["tar.gz"](info.tobuf(tarfile.PAX_FORMAT) + bytes(1024))), "MiB of headers")


def test_extract_rejects_headers_nested_without_end(archives: Archives, refused: Attack) -> None:
    header = tarfile.TarInfo.create_pax_global_header({"comment": "x"})
    end = archives.tar_bytes([Entry("a", b"a")])
    refused(archives.raw(COMPRESS["tar.gz"](header * 1000 + end)), "damaged|not a tar archive")


def test_extract_rejects_a_damaged_header_in_the_middle(archives: Archives, refused: Attack) -> None:
    data = bytearray(archives.tar_bytes([Entry("a", b"a"), Entry("b", b"b")]))
    data[1024] ^= 1  # the second member's name: its checksum is wrong now
    refused(archives.raw(bytes(data)), "a header is damaged")


def test_extract_rejects_a_second_archive_behind_the_first(archives: Archives, refused: Attack) -> None:
    data = archives.tar_bytes([Entry("a", b"a")]) + archives.tar_bytes([Entry("b", b"b")])
    refused(archives.raw(COMPRESS["tar.gz"](data)), "data after its end")
