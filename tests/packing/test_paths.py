"""Names, links and folders in an archive that would write outside their folder, or over each other."""

from __future__ import annotations

import stat
import tarfile

import pytest
from tests.packing.conftest import COMPRESS, Archives, Attack, Entry

SYMLINK, HARDLINK = tarfile.SYMTYPE, tarfile.LNKTYPE


@pytest.mark.parametrize("form", ["tar.gz", "zip"])
@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("/etc/passwd", "absolute path"),
        ("../canary", r'"\.\."'),
        ("a/../../canary", r'"\.\."'),
        ("a/../b", r'"\.\."'),
        ("a\\..\\canary", "backslash"),
        ("C:/canary", "absolute path"),
        ("c:canary", "absolute path"),
        ("a\nb", "control characters"),
        ("a\x1b[2Jb", "control characters"),
        ("a\u202etxt.exe", "control characters"),
        ("a" * 256, "longer than 255 bytes"),
        ("/".join(["abcdefghi"] * 105), "more than 100"),
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


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("/etc/passwd", "not a plain relative path|outside"),
        ("..\\canary", "not a plain relative path"),
        ("C:/canary", "not a plain relative path"),
        ("../canary", "outside|leads out"),
        ("../out/a", "outside|leads out"),
        ("b/../../out/a", "outside|leads out|has no target"),
        ("missing", "has no target"),
        ("link", "in a circle|has no target"),
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
    refused(archives.tar(Entry("a/b", b"b"), Entry("a/again", kind=SYMLINK, target="../a")), "into itself")
    crossed = [Entry("a/to-b", kind=SYMLINK, target="../b"), Entry("b/to-a", kind=SYMLINK, target="../a")]
    refused(archives.tar(Entry("a/x", b"x"), Entry("b/y", b"y"), *crossed), "into itself|more than 200 files")


@pytest.mark.parametrize("target", ["/etc/passwd", "../canary", "a/../../canary", "missing"])
def test_extract_rejects_a_hardlink_out_of_the_folder(archives: Archives, refused: Attack, target: str) -> None:
    refused(
        archives.tar(Entry("a", b"a"), Entry("link", kind=HARDLINK, target=target)), "filter|has no target|path|outside"
    )


def test_extract_rejects_a_write_through_a_symlinked_folder(archives: Archives, refused: Attack) -> None:
    refused(archives.tar(Entry("a/b", b"b"), Entry("l", kind=SYMLINK, target="a"), Entry("l/c", b"c")), "not a folder")
    linked = Entry("l", b"a", stat.S_IFLNK | 0o777)
    refused(archives.zip(Entry("a/b", b"b"), linked, Entry("l/c", b"c")), "not a folder")


def test_extract_rejects_a_link_that_replaces_a_folder(archives: Archives, refused: Attack) -> None:
    refused(archives.tar(Entry("a/b", b"b"), Entry("a", kind=SYMLINK, target="c"), Entry("c/d", b"d")), "twice")


def test_extract_rejects_a_file_below_a_file(archives: Archives, refused: Attack) -> None:
    refused(archives.tar(Entry("a", b"a"), Entry("a/b", b"b")), "not a folder")


@pytest.mark.parametrize("form", ["tar.gz", "zip"])
@pytest.mark.parametrize(
    ("first", "second", "words"),
    [
        ("a/b", "a/b", "twice"),
        ("a/b", "./a//b", "twice"),
        ("lib/Acme.h", "lib/acme.h", "the same file"),
        ("Lib/a", "lib/b", "the same file"),
        ("caf\u00e9", "cafe\u0301", "the same file"),
        ("stra\u00dfe", "STRASSE", "the same file"),
        ("lib/acme.dll", "lib/acme.dll.", "the same file"),
        ("lib/acme.dll", "lib/Acme.dll ", "the same file"),
        ("lib/acme.dll", "lib./acme.dll", "the same file"),
    ],
)
def test_extract_rejects_names_that_are_one_and_the_same(
    archives: Archives, refused: Attack, first: str, second: str, words: str, form: str
) -> None:
    entries = [Entry(first, b"1"), Entry(second, b"2")]
    refused(archives.zip(*entries) if form == "zip" else archives.tar(*entries), words)
