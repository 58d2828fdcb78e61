"""What comes out of an archive that is in order, and that nothing is left of one that is not."""

from __future__ import annotations

import os
import stat
import struct
import tarfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.packing.conftest import COMPRESS, Archives, Attack, Entry

from flotilla.errors import ArchiveError
from flotilla.family import Limits
from flotilla.packing import extract

SYMLINK, HARDLINK = tarfile.SYMTYPE, tarfile.LNKTYPE


def tree(root: Path) -> dict[str, bytes]:
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("form", sorted(COMPRESS))
def test_extract_reads_every_tar_by_its_content(archives: Archives, tmp_path: Path, limits: Limits, form: str) -> None:
    archive = archives.tar(Entry("lib/a.so", b"a" * 3000), Entry("bin/run", b"#!/bin/sh\n", 0o775), form=form)
    misnamed = archive.rename(archive.with_name("artifact.bin"))
    extract(misnamed, tmp_path / "out", limits=limits)
    assert tree(tmp_path / "out") == {"lib/a.so": b"a" * 3000, "bin/run": b"#!/bin/sh\n"}
    assert mode(tmp_path / "out/bin/run") == 0o755
    assert mode(tmp_path / "out/lib/a.so") == 0o644


def test_extract_reads_a_zip_with_its_modes(archives: Archives, tmp_path: Path, limits: Limits) -> None:
    archive = archives.zip(
        Entry("lib/a.so", b"a" * 3000), Entry("bin/", mode=0o40755), Entry("bin/run", b"x", 0o100755)
    )
    extract(archive, tmp_path / "out", limits=limits)
    assert tree(tmp_path / "out") == {"lib/a.so": b"a" * 3000, "bin/run": b"x"}
    assert mode(tmp_path / "out/bin/run") == 0o755
    assert mode(tmp_path / "out/lib/a.so") == 0o644


def test_extract_reads_several_compressed_streams_in_a_row(archives: Archives, tmp_path: Path, limits: Limits) -> None:
    data = archives.tar_bytes([Entry("a", b"a" * 5000)])
    for form, compress in COMPRESS.items():
        if form != "tar":
            path = archives.raw(compress(data[:700]) + compress(b"") + compress(data[700:]))
            extract(path, tmp_path / form, limits=limits)
            assert tree(tmp_path / form) == {"a": b"a" * 5000}


def test_extract_reads_a_sparse_file_as_it_was(archives: Archives, tmp_path: Path, limits: Limits) -> None:
    sparse = Entry("disk").info()
    sparse.pax_headers = {
        "GNU.sparse.major": "1",
        "GNU.sparse.minor": "0",
        "GNU.sparse.name": "disk",
        "GNU.sparse.realsize": "200",
    }
    head = b"3\n0\n4\n100\n4\n200\n0\n".ljust(512, b"\0") + b"headtail"
    sparse.size = len(head)
    data = sparse.tobuf(tarfile.PAX_FORMAT) + head.ljust(1024, b"\0") + bytes(1024)
    extract(archives.raw(COMPRESS["tar.gz"](data)), tmp_path / "out", limits=limits)
    assert tree(tmp_path / "out") == {"disk": b"head" + bytes(96) + b"tail" + bytes(96)}


def old_sparse(name: str, real_size: int, *runs: tuple[int, bytes]) -> bytes:
    """Return a sparse file as GNU tar wrote it first: four slots for runs in the header, the unused ones zero."""
    data = b"".join(content for _, content in runs)
    info = tarfile.TarInfo(name)
    info.size, info.type = len(data), tarfile.GNUTYPE_SPARSE
    head = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    slots = b"".join(b"%011o\0%011o\0" % (offset, len(content)) for offset, content in runs)
    head[386 : 386 + 96] = slots.ljust(96, b"\0")
    head[483:495] = b"%011o\0" % real_size
    head[148:156] = b" " * 8
    head[148:156] = b"%06o\0 " % sum(head)
    return bytes(head) + data + bytes(-len(data) % 512) + bytes(1024)


def test_extract_reads_a_sparse_file_whose_header_has_unused_slots(
    archives: Archives, tmp_path: Path, limits: Limits
) -> None:
    archive = archives.raw(old_sparse("disk", 200, (100, b"data"), (150, b"more")), "made.tar")
    extract(archive, tmp_path / "out", limits=limits)
    assert tree(tmp_path / "out") == {"disk": bytes(100) + b"data" + bytes(46) + b"more" + bytes(46)}


def unicode_field(written: bytes, name: bytes) -> bytes:
    """Return Info-ZIP's field for a name in UTF-8, besides the one in the header."""
    return struct.pack("<HHBL", 0x7075, 5 + len(name), 1, zlib.crc32(written)) + name


UTF8 = "lib/\u00e4\u20ac.txt".encode()
NAMES = {
    "UTF-8 with the flag": (UTF8, b"", 0x800),
    "UTF-8 without the flag": (UTF8, b"", 0),
    "the field beside a name in another encoding": (b"lib/\x84?.txt", unicode_field(b"lib/\x84?.txt", UTF8), 0),
    "the field beside ASCII": (b"lib/#U00e4#U20ac.txt", unicode_field(b"lib/#U00e4#U20ac.txt", UTF8), 0),
    "the field of a name that was changed since": (UTF8, unicode_field(b"lib/old.txt", b"lib/other.txt"), 0),
}


@pytest.mark.parametrize(("written", "extra", "flags"), NAMES.values(), ids=NAMES)
def test_a_name_in_a_zip_is_what_the_packer_called_it(
    archives: Archives, tmp_path: Path, limits: Limits, written: bytes, extra: bytes, flags: int
) -> None:
    extract(archives.named_zip(written, extra, flags=flags), tmp_path / "out", limits=limits)
    assert tree(tmp_path / "out") == {UTF8.decode(): b"x"}


@pytest.mark.parametrize("form", ["tar.gz", "zip"])
def test_a_link_to_nothing_is_left_out_if_no_package_takes_it(
    archives: Archives, tmp_path: Path, limits: Limits, form: str
) -> None:
    kept, link = Entry("lib/a.so", b"a"), Entry("src/old", kind=SYMLINK, target="gone")
    inside = Entry("copy", kind=SYMLINK, target="src")
    if form == "zip":
        link, inside = (Entry(one.name, one.target.encode(), stat.S_IFLNK | 0o777) for one in (link, inside))
    archive = archives.zip(kept, link, inside) if form == "zip" else archives.tar(kept, link, inside)
    extract(archive, tmp_path / "out", limits=limits, wanted=lambda path: path.startswith("lib/"))
    assert tree(tmp_path / "out") == {"lib/a.so": b"a"}
    with pytest.raises(ArchiveError, match="src/old"):
        extract(archive, tmp_path / "again", limits=limits, wanted=lambda path: path.startswith("src/"))


def test_strip_components_drops_leading_folders_and_what_lies_in_them(
    archives: Archives, tmp_path: Path, limits: Limits
) -> None:
    archive = archives.tar(
        Entry("./top", kind=tarfile.DIRTYPE),
        Entry("top/lib/a", b"a"),
        Entry("top/b", b"b"),
        Entry("README", b"dropped"),
        Entry("top/c", kind=HARDLINK, target="top/b"),
    )
    extract(archive, tmp_path / "out", strip_components=1, limits=limits)
    assert tree(tmp_path / "out") == {"lib/a": b"a", "b": b"b", "c": b"b"}


def test_links_inside_the_archive_become_copies(archives: Archives, tmp_path: Path, limits: Limits) -> None:
    archive = archives.tar(
        Entry("lib/libacme.so", kind=SYMLINK, target="libacme.so.1"),
        Entry("lib/libacme.so.1", kind=SYMLINK, target="./../real/libacme.so.1.2"),
        Entry("real/libacme.so.1.2", b"library", 0o755),
        Entry("Acme.framework/Versions/A/Acme", b"framework"),
        Entry("Acme.framework/Versions/Current", kind=SYMLINK, target="A"),
        Entry("Acme.framework/Acme", kind=SYMLINK, target="Versions/Current/Acme"),
        Entry("hard", kind=HARDLINK, target="real/libacme.so.1.2"),
    )
    extract(archive, tmp_path / "out", limits=limits)
    assert tree(tmp_path / "out") == {
        "lib/libacme.so": b"library",
        "lib/libacme.so.1": b"library",
        "real/libacme.so.1.2": b"library",
        "hard": b"library",
        "Acme.framework/Versions/A/Acme": b"framework",
        "Acme.framework/Versions/Current/Acme": b"framework",
        "Acme.framework/Acme": b"framework",
    }
    assert not any(path.is_symlink() for path in (tmp_path / "out").rglob("*"))
    assert mode(tmp_path / "out/lib/libacme.so") == 0o755


def test_a_symlink_in_a_zip_becomes_a_copy(archives: Archives, tmp_path: Path, limits: Limits) -> None:
    archive = archives.zip(Entry("lib/a.so.1", b"a"), Entry("lib/a.so", b"a.so.1", stat.S_IFLNK | 0o777))
    extract(archive, tmp_path / "out", limits=limits)
    assert tree(tmp_path / "out") == {"lib/a.so.1": b"a", "lib/a.so": b"a"}
    assert not (tmp_path / "out/lib/a.so").is_symlink()


def test_extract_fills_an_empty_folder_and_refuses_a_full_one(
    archives: Archives, tmp_path: Path, limits: Limits
) -> None:
    archive = archives.tar(Entry("a", b"a"))
    (tmp_path / "out").mkdir()
    extract(archive, tmp_path / "out", limits=limits)
    with pytest.raises(ArchiveError, match="the folder out is not empty"):
        extract(archive, tmp_path / "out", limits=limits)
    assert tree(tmp_path / "out") == {"a": b"a"}


def test_nothing_is_left_of_an_archive_that_is_refused_at_its_end(
    archives: Archives, tmp_path: Path, limits: Limits
) -> None:
    archive = archives.tar(Entry("a", b"a"), Entry("../b", b"b"))
    with pytest.raises(ArchiveError):
        extract(archive, tmp_path / "new/out", limits=limits)
    assert list((tmp_path / "new").iterdir()) == []


def test_an_archive_error_names_the_archive_the_member_and_what_to_do(
    archives: Archives, tmp_path: Path, limits: Limits
) -> None:
    with pytest.raises(ArchiveError) as caught:
        extract(archives.tar(Entry("../b", b"b")), tmp_path / "out", limits=limits)
    assert str(caught.value).startswith('made.tar.gz: the member "../b" ')
    assert caught.value.advice


def test_a_strip_that_leaves_nothing_is_an_error(archives: Archives, tmp_path: Path, limits: Limits) -> None:
    with pytest.raises(ArchiveError, match=r"strip-components: 1"):
        extract(archives.tar(Entry("a", b"a")), tmp_path / "out", strip_components=1, limits=limits)


@pytest.mark.parametrize("put", [os.link, os.symlink])
def test_what_somebody_puts_in_a_file_s_place_meanwhile_is_not_written_through(
    archives: Archives,
    tmp_path: Path,
    limits: Limits,
    monkeypatch: pytest.MonkeyPatch,
    put: Callable[[Path, Path], None],
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_bytes(b"canary")
    opened = os.open

    def late(path: Path, *given: int, **named: int) -> int:
        if Path(path).name == "a.txt":
            put(elsewhere, path)
        return opened(path, *given, **named)

    monkeypatch.setattr(os, "open", late)
    with pytest.raises(ArchiveError, match="File exists"):
        extract(archives.tar(Entry("a.txt", b"a")), tmp_path / "out", limits=limits)
    assert elsewhere.read_bytes() == b"canary"


@pytest.mark.parametrize("form", ["tar.gz", "zip"])
def test_extract_drops_setuid_and_write_bits(archives: Archives, tmp_path: Path, limits: Limits, form: str) -> None:
    entry = Entry("run", b"x", 0o106777 if form == "zip" else 0o6777)
    extract(archives.zip(entry) if form == "zip" else archives.tar(entry), tmp_path / "out", limits=limits)
    assert stat.S_IMODE((tmp_path / "out/run").stat().st_mode) == 0o755


def test_extract_rejects_what_is_no_archive(archives: Archives, refused: Attack) -> None:
    refused(archives.raw(b""), "it is empty")
    refused(archives.raw(b"7z\xbc\xaf\x27\x1c" * 100), "not a zip, tar, tar.gz, tar.bz2, tar.xz or tar.zst")
    refused(archives.raw(b"BZh91AY" * 100), "damaged")
    refused(archives.raw(b"PK\x05\x06" + bytes(18)), "not a zip, tar")
    refused(archives.raw(COMPRESS["tar.gz"](b"hello")), "not a tar archive")
    refused(archives.raw(COMPRESS["tar.gz"](bytes(10240))), "no files")
