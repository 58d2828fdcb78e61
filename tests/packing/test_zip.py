"""Zips that show one content to us and another to others, and what is in no order."""

from __future__ import annotations

import stat
import struct
import tarfile
import zipfile
import zlib

import pytest
from tests.packing.conftest import Archives, Attack, Entry

SYMLINK, HARDLINK = tarfile.SYMTYPE, tarfile.LNKTYPE


def test_extract_rejects_a_zip_name_with_a_nul(archives: Archives, refused: Attack) -> None:
    data = archives.zip(Entry("evil.so#.txt", b"x")).read_bytes().replace(b"evil.so#", b"evil.so\0")
    refused(archives.raw(data, "made.zip"), "control characters")


@pytest.mark.parametrize("form", [stat.S_IFCHR, stat.S_IFBLK, stat.S_IFIFO, stat.S_IFSOCK])
def test_extract_rejects_devices_and_fifos_in_a_zip(archives: Archives, refused: Attack, form: int) -> None:
    refused(archives.zip(Entry("odd", mode=form | 0o644)), "device, fifo or socket")


def test_extract_rejects_data_behind_a_zip(archives: Archives, refused: Attack) -> None:
    refused(archives.raw(archives.zip(Entry("a", b"a")).read_bytes() + b"more", "made.zip"), "data after its end")


def test_extract_rejects_a_zip_behind_another(archives: Archives, refused: Attack) -> None:
    first = archives.zip(Entry("a", b"a")).read_bytes()
    second = archives.zip(Entry("b", b"b")).read_bytes()
    refused(archives.raw(first + second, "made.zip"), "before its first member")


def test_extract_rejects_a_truncated_zip_wherever_it_was_cut(archives: Archives, refused: Attack) -> None:
    whole = archives.zip(Entry("a", bytes(range(256)) * 8), Entry("b", b"b" * 700)).read_bytes()
    for cut in range(4, len(whole), 31):
        refused(archives.raw(whole[:cut], "made.zip"), "directory cannot be read")


def test_extract_rejects_an_encrypted_zip(archives: Archives, refused: Attack) -> None:
    data = bytearray(archives.zip(Entry("a", b"a")).read_bytes())
    data[6] |= 1
    data[data.index(b"PK\x01\x02") + 8] |= 1
    refused(archives.raw(bytes(data), "made.zip"), "encrypted")


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_extract_rejects_a_rare_compression_method(archives: Archives, refused: Attack, method: int) -> None:
    refused(archives.zip(Entry("a", b"a"), method=method), 'compressed with method "(bzip2|LZMA)"')


def test_extract_rejects_a_zip_name_that_could_be_any(archives: Archives, refused: Attack) -> None:
    refused(archives.named_zip(b"lib/\x84.txt"), "encoding")


def field(written: bytes, name: bytes) -> bytes:
    return struct.pack("<HHBL", 0x7075, 5 + len(name), 1, zlib.crc32(written)) + name


def test_extract_rejects_a_zip_that_has_two_names_for_one_member(archives: Archives, refused: Attack) -> None:
    one, other = field(b"a", b"one"), field(b"a", b"other")
    refused(archives.named_zip(b"a", one, local_extra=other), "disagree")
    refused(archives.named_zip(b"a", one, flags=0x800), "two names")
    refused(archives.named_zip(b"a", one + other), "two names")
    refused(archives.named_zip(b"a", field(b"a", b"\xff")), "encoding|cannot be read")


@pytest.mark.parametrize("name", [b"../canary", b"/etc/passwd", b"a\0b"])
def test_extract_rejects_a_hostile_name_in_a_unicode_field(archives: Archives, refused: Attack, name: bytes) -> None:
    refused(archives.named_zip(b"harmless", field(b"harmless", name)), "path|control")


def test_a_zip_of_windows_powershell_is_refused_with_the_tool_and_the_way_out(
    archives: Archives, refused: Attack
) -> None:
    refused(archives.zip(Entry("lib\\acme.dll", b"x")), r"backslash(.|\n)*Compress-Archive(.|\n)*pwsh")


def test_extract_rejects_a_zip_whose_headers_name_different_files(archives: Archives, refused: Attack) -> None:
    data = archives.zip(Entry("safe.so", b"x")).read_bytes()
    refused(archives.raw(data.replace(b"safe.so", b"evil.so", 1), "made.zip"), "is damaged .*differ")


@pytest.mark.parametrize("field", [8, 14, 18, 22])
def test_extract_rejects_a_zip_whose_headers_describe_different_data(
    archives: Archives, refused: Attack, field: int
) -> None:
    data = bytearray(archives.zip(Entry("a", b"a" * 100)).read_bytes())
    data[field] ^= 9
    refused(archives.raw(bytes(data), "made.zip"), "disagree")


def test_extract_rejects_zip_members_that_overlap(archives: Archives, refused: Attack) -> None:
    data = bytearray(archives.zip(Entry("a", b"same"), Entry("b", b"same")).read_bytes())
    second = data.index(b"PK\x01\x02", data.index(b"PK\x01\x02") + 1)
    struct.pack_into("<L", data, second + 42, 0)  # where the second member starts: where the first does
    refused(archives.raw(bytes(data), "made.zip"), "overlap")


def test_extract_rejects_data_hidden_between_zip_members(archives: Archives, refused: Attack) -> None:
    data = archives.zip(Entry("a", b"a")).read_bytes()
    start = data.index(b"PK\x01\x02")
    end = bytearray(data[start:])
    at = end.index(b"PK\x05\x06")
    struct.pack_into("<L", end, at + 16, start + 100)
    refused(archives.raw(data[:start] + b"h" * 100 + bytes(end), "made.zip"), "other data between")


def test_extract_rejects_a_zip_member_that_is_damaged(archives: Archives, refused: Attack) -> None:
    data = archives.zip(Entry("a", b"content"), method=zipfile.ZIP_STORED).read_bytes()
    refused(archives.raw(data.replace(b"content", b"CONTENT"), "made.zip"), "is damaged .*CRC")


def test_extract_rejects_a_zip_directory_that_fills_the_memory(archives: Archives, refused: Attack) -> None:
    entries = [Entry(f"{number:0240}") for number in range(4000)]
    refused(archives.zip(*entries), "directory is far too large")
