"""Archives that would write outside their folder, fill the disk, or show one content to us and another to others."""

from __future__ import annotations

import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.packing.conftest import COMPRESS, Archives, Entry

from flotilla.errors import ArchiveError
from flotilla.family import Limits
from flotilla.packing import extract

SYMLINK, HARDLINK = tarfile.SYMTYPE, tarfile.LNKTYPE

Attack = Callable[[Path, str], None]


@pytest.fixture
def refused(tmp_path: Path, limits: Limits) -> Attack:
    """Extracts an archive, and sees it refused with these words and without a trace."""

    def refuse(archive: Path, words: str) -> None:
        out = tmp_path / "area/out"
        (tmp_path / "canary").write_text("canary")
        out.parent.mkdir(exist_ok=True)
        before = set(tmp_path.rglob("*"))
        with pytest.raises(ArchiveError, match=words):
            extract(archive, out, limits=limits)
        assert [path for path in tmp_path.rglob("*") if path not in before] == []
        assert (tmp_path / "canary").read_text() == "canary"

    return refuse


@pytest.mark.parametrize("form", ["tar.gz", "zip"])
@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("/etc/passwd", "absolute path"),
        ("../canary", r'"\.\." in its path'),
        ("a/../../canary", r'"\.\." in its path'),
        ("a/../b", r'"\.\." in its path'),
        ("a\\..\\canary", "backslash"),
        ("C:/canary", "absolute path"),
        ("c:canary", "absolute path"),
        ("a\nb", "control characters"),
        ("a\x1b[2Jb", "control characters"),
        ("a\u202etxt.exe", "control characters"),
        ("a" * 256, "longer than 255 bytes"),
        ("/".join(["abcdefghi"] * 105), "deeper than 100"),
        ("/".join(["a" * 200] * 6), "longer than 1024 bytes"),
    ],
)
def test_extract_rejects_a_hostile_name(archives: Archives, refused: Attack, name: str, words: str, form: str) -> None:
    made = archives.zip(Entry(name, b"x")) if form == "zip" else archives.tar(Entry(name, b"x"))
    refused(made, words)


def test_extract_rejects_a_name_that_is_not_utf8(archives: Archives, refused: Attack) -> None:
    data = archives.tar_bytes([Entry("n@me", b"x")]).replace(b"n@me", b"n\xffme")
    header = tarfile.TarInfo.frombuf(archives.tar_bytes([Entry("n@me", b"x")])[:512], "utf-8", "strict")
    header.name = "n\udcffme"
    data = header.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape") + data[512:]
    refused(archives.raw(COMPRESS["tar.gz"](data)), "not UTF-8")


def test_extract_rejects_a_zip_name_with_a_nul(archives: Archives, refused: Attack) -> None:
    data = archives.zip(Entry("evil.so#.txt", b"x")).read_bytes().replace(b"evil.so#", b"evil.so\0")
    refused(archives.raw(data, "made.zip"), "control characters")


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("/etc/passwd", "no plain relative path"),
        ("..\\canary", "no plain relative path"),
        ("C:/canary", "no plain relative path"),
        ("../canary", "filter|leads out"),
        ("../out/a", "filter|leads out"),
        ("b/../../out/a", "filter|leads out|points at nothing"),
        ("missing", "points at nothing"),
        ("link", "in a circle|points at nothing"),
    ],
)
def test_extract_rejects_a_symlink_out_of_the_folder_or_to_nothing(
    archives: Archives, refused: Attack, target: str, words: str
) -> None:
    link = Entry("link", kind=SYMLINK, target=target)
    refused(archives.tar(Entry("a", b"a"), link), f"{words}|filter")
    refused(archives.zip(Entry("a", b"a"), Entry("link", target.encode(), stat.S_IFLNK | 0o777)), words)


def test_extract_rejects_a_symlink_that_leaves_through_another(archives: Archives, refused: Attack) -> None:
    aside = Entry("a/aside", b"../c", stat.S_IFLNK | 0o777)
    out = Entry("a/out", b"aside/../../canary", stat.S_IFLNK | 0o777)  # by its letters alone, it would stay inside
    refused(archives.zip(Entry("a/b", b"b"), Entry("c/d", b"d"), aside, out), "leads out of the folder")


def test_extract_rejects_links_in_a_circle(archives: Archives, refused: Attack) -> None:
    ring = [Entry("a", kind=SYMLINK, target="b"), Entry("b", kind=SYMLINK, target="a")]
    refused(archives.tar(*ring), "leads in a circle")


def test_extract_rejects_a_folder_link_into_itself(archives: Archives, refused: Attack) -> None:
    refused(archives.tar(Entry("a/b", b"b"), Entry("a/again", kind=SYMLINK, target="../a")), "leads into itself")
    crossed = [Entry("a/to-b", kind=SYMLINK, target="../b"), Entry("b/to-a", kind=SYMLINK, target="../a")]
    refused(archives.tar(Entry("a/x", b"x"), Entry("b/y", b"y"), *crossed), "leads into itself|more than 200 files")


@pytest.mark.parametrize("target", ["/etc/passwd", "../canary", "a/../../canary", "missing"])
def test_extract_rejects_a_hardlink_out_of_the_folder(archives: Archives, refused: Attack, target: str) -> None:
    refused(
        archives.tar(Entry("a", b"a"), Entry("link", kind=HARDLINK, target=target)), "filter|points at nothing|path"
    )


def test_extract_rejects_a_write_through_a_symlinked_folder(archives: Archives, refused: Attack) -> None:
    refused(archives.tar(Entry("a/b", b"b"), Entry("l", kind=SYMLINK, target="a"), Entry("l/c", b"c")), "is no folder")
    linked = Entry("l", b"a", stat.S_IFLNK | 0o777)
    refused(archives.zip(Entry("a/b", b"b"), linked, Entry("l/c", b"c")), "is no folder")


def test_extract_rejects_a_link_that_replaces_a_folder(archives: Archives, refused: Attack) -> None:
    refused(archives.tar(Entry("a/b", b"b"), Entry("a", kind=SYMLINK, target="c"), Entry("c/d", b"d")), "in it twice")


def test_extract_rejects_a_file_below_a_file(archives: Archives, refused: Attack) -> None:
    refused(archives.tar(Entry("a", b"a"), Entry("a/b", b"b")), "is no folder")


@pytest.mark.parametrize("kind", [tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE, b"Z"])
def test_extract_rejects_devices_and_fifos_in_a_tar(archives: Archives, refused: Attack, kind: bytes) -> None:
    refused(archives.tar(Entry("odd", kind=kind)), "device|fifo|neither file, folder nor link|filter")


@pytest.mark.parametrize("form", [stat.S_IFCHR, stat.S_IFBLK, stat.S_IFIFO, stat.S_IFSOCK])
def test_extract_rejects_devices_and_fifos_in_a_zip(archives: Archives, refused: Attack, form: int) -> None:
    refused(archives.zip(Entry("odd", mode=form | 0o644)), "device, fifo or socket")


@pytest.mark.parametrize("form", ["tar.gz", "zip"])
@pytest.mark.parametrize(
    ("first", "second", "words"),
    [
        ("a/b", "a/b", "in it twice"),
        ("a/b", "./a//b", "in it twice"),
        ("lib/Acme.h", "lib/acme.h", "one and the same"),
        ("Lib/a", "lib/b", "one and the same"),
        ("caf\u00e9", "cafe\u0301", "one and the same"),
        ("stra\u00dfe", "STRASSE", "one and the same"),
        ("lib/acme.dll", "lib/acme.dll.", "one and the same"),
        ("lib/acme.dll", "lib/Acme.dll ", "one and the same"),
        ("lib/acme.dll", "lib./acme.dll", "one and the same"),
    ],
)
def test_extract_rejects_names_that_are_one_and_the_same(
    archives: Archives, refused: Attack, first: str, second: str, words: str, form: str
) -> None:
    entries = [Entry(first, b"1"), Entry(second, b"2")]
    refused(archives.zip(*entries) if form == "zip" else archives.tar(*entries), words)


@pytest.mark.parametrize("form", ["tar.gz", "zip"])
def test_extract_drops_setuid_and_write_bits(archives: Archives, tmp_path: Path, limits: Limits, form: str) -> None:
    entry = Entry("run", b"x", 0o106777 if form == "zip" else 0o6777)
    extract(archives.zip(entry) if form == "zip" else archives.tar(entry), tmp_path / "out", limits=limits)
    assert stat.S_IMODE((tmp_path / "out/run").stat().st_mode) == 0o755


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


def test_extract_rejects_a_sparse_file_that_fills_the_disk(archives: Archives, refused: Attack) -> None:
    refused(archives.sparse("disk", 1 << 50, b"0\n"), "unpacks to more than 4 MiB")


@pytest.mark.parametrize(
    "sparse_map", [b"2\n100\n5\n0\n5\n", b"1\n0\n900\n", b"1\n5\n-3\n", b"9999999\n1\n1\n", b"x\n"]
)
def test_extract_rejects_a_wild_sparse_map(archives: Archives, refused: Attack, sparse_map: bytes) -> None:
    refused(archives.sparse("disk", 200, sparse_map), "impossible map|damaged|truncated|no tar archive")


def test_extract_rejects_headers_that_fill_the_memory(archives: Archives, refused: Attack) -> None:
    info = tarfile.TarInfo("a")
    info.pax_headers = {"comment": "x" * (2 << 20)}
    refused(archives.raw(COMPRESS["tar.gz"](info.tobuf(tarfile.PAX_FORMAT) + bytes(1024))), "MiB of headers")


def test_extract_rejects_headers_nested_without_end(archives: Archives, refused: Attack) -> None:
    header = tarfile.TarInfo.create_pax_global_header({"comment": "x"})
    end = archives.tar_bytes([Entry("a", b"a")])
    refused(archives.raw(COMPRESS["tar.gz"](header * 1000 + end)), "damaged|no tar archive")


@pytest.mark.parametrize("form", sorted(COMPRESS))
def test_extract_rejects_a_truncated_archive_wherever_it_was_cut(
    archives: Archives, refused: Attack, form: str
) -> None:
    whole = archives.tar(Entry("a", bytes(range(256)) * 20), Entry("b", b"b" * 700), form=form).read_bytes()
    end = len(whole) - 10240 + 9 * 512 if form == "tar" else len(whole)
    for cut in {*range(1, end, max(1, end // 25)), *range(512, end, 512)}:
        refused(archives.raw(whole[:cut]), "truncated|damaged|no tar archive|end-of-archive|is no zip|middle")


def test_extract_rejects_a_damaged_header_in_the_middle(archives: Archives, refused: Attack) -> None:
    data = bytearray(archives.tar_bytes([Entry("a", b"a"), Entry("b", b"b")]))
    data[1024] ^= 1  # the second member's name: its checksum is wrong now
    refused(archives.raw(bytes(data)), "a header is damaged")


def test_extract_rejects_data_after_the_compressed_stream(archives: Archives, refused: Attack) -> None:
    for form in ("tar.gz", "tar.bz2", "tar.xz", "tar.zst"):
        whole = archives.tar(Entry("a", b"a"), form=form).read_bytes()
        refused(archives.raw(whole + b"PK\x03\x04 and more"), "damaged")


def test_extract_rejects_a_second_archive_behind_the_first(archives: Archives, refused: Attack) -> None:
    data = archives.tar_bytes([Entry("a", b"a")]) + archives.tar_bytes([Entry("b", b"b")])
    refused(archives.raw(COMPRESS["tar.gz"](data)), "data after its end")


def test_extract_rejects_a_window_that_fills_the_memory(archives: Archives, refused: Attack) -> None:
    frame = bytes.fromhex("28b52ffd") + bytes([0x00, 0xA8]) + b"\x01\x00\x00"  # a window of 2 GiB, an empty last block
    refused(archives.raw(frame), "too much memory")
    stream = bytearray(COMPRESS["tar.xz"](archives.tar_bytes([Entry("a", b"a")])))
    block = 12  # where the stream's header ends
    size = (stream[block] + 1) * 4
    stream[stream.index(b"\x21\x01", block) + 2] = 40  # a dictionary of 4 GiB
    struct.pack_into("<I", stream, block + size - 4, zlib.crc32(stream[block : block + size - 4]))
    refused(archives.raw(bytes(stream)), "Memory usage limit exceeded")


def test_extract_rejects_what_is_no_archive(archives: Archives, refused: Attack) -> None:
    refused(archives.raw(b""), "it is empty")
    refused(archives.raw(b"7z\xbc\xaf\x27\x1c" * 100), "no zip, tar, tar.gz, tar.bz2, tar.xz or tar.zst")
    refused(archives.raw(b"BZh91AY" * 100), "damaged")
    refused(archives.raw(b"PK\x05\x06" + bytes(18)), "no zip, tar")
    refused(archives.raw(COMPRESS["tar.gz"](b"hello")), "no tar archive")
    refused(archives.raw(COMPRESS["tar.gz"](bytes(10240))), "nothing in it")


def test_extract_rejects_data_behind_a_zip(archives: Archives, refused: Attack) -> None:
    refused(archives.raw(archives.zip(Entry("a", b"a")).read_bytes() + b"more", "made.zip"), "data after its end")


def test_extract_rejects_a_zip_behind_another(archives: Archives, refused: Attack) -> None:
    first = archives.zip(Entry("a", b"a")).read_bytes()
    second = archives.zip(Entry("b", b"b")).read_bytes()
    refused(archives.raw(first + second, "made.zip"), "does not begin with its first member")


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
    refused(archives.named_zip(b"a", one, local_extra=other), "described in two ways")
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
    refused(archives.raw(bytes(data), "made.zip"), "described in two ways")


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
