"""The tarball: its bytes, what npm reads from it, and what a registry's tarball may do to us."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import random
import shutil
import subprocess
import sys
import tarfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.packing.conftest import Archives, Entry

from flotilla.errors import ArchiveError, PackageError
from flotilla.family import Limits
from flotilla.packing import PackageFiles, contents_digest, differences, most_packed, read_contents, write_tarball
from flotilla.packing.package import FileEntry
from flotilla.packing.tarball import tarball_name


def entry(data: bytes, mode: int = 0o644) -> FileEntry:
    return FileEntry(mode=mode, size=len(data), sha256=hashlib.sha256(data).hexdigest())


@pytest.fixture
def made(tmp_path: Path) -> PackageFiles:
    return make_package(tmp_path / "package")


def make_package(path: Path, extra: dict[str, bytes] | None = None) -> PackageFiles:
    written = json.dumps({"name": "@acme/tool", "version": "1.0.0"}).encode()
    data = {"README.md": b"# tool\n", "bin/tool": b"\x7f" * 70_000, **(extra or {})}
    for name, content in data.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(content)
    return PackageFiles(
        name="@acme/tool",
        version="1.0.0",
        manifest={},
        texts={"package.json": written},
        files={name: path / name for name in data},
        contents={
            name: entry(content, 0o755 if name.startswith("bin/") else 0o644)
            for name, content in {"package.json": written, **data}.items()
        },
    )


def test_the_tarball_is_what_npm_pack_would_call_it(made: PackageFiles, tmp_path: Path) -> None:
    assert write_tarball(made, tmp_path / "new").path == tmp_path / "new/acme-tool-1.0.0.tgz"
    assert tarball_name("tool", "1.0.0-rc.1") == "tool-1.0.0-rc.1.tgz"


def test_two_tarballs_of_the_same_content_are_the_same_bytes(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    first = write_tarball(make_package(tmp_path / "one"), tmp_path / "a")
    other = make_package(tmp_path / "two")
    shuffled = replace(other, contents=dict(reversed(list(other.contents.items()))))
    (tmp_path / "two/README.md").chmod(0o600)
    second = write_tarball(shuffled, tmp_path / "b")
    assert first.path.read_bytes() == second.path.read_bytes()
    assert first.integrity == second.integrity


def test_a_file_that_changes_after_it_was_checked_is_not_packed(made: PackageFiles, tmp_path: Path) -> None:
    (tmp_path / "package/README.md").write_bytes(b"# tooL\n")
    with pytest.raises(PackageError, match=r"README\.md changed"):
        write_tarball(made, tmp_path)


@pytest.mark.parametrize("files", [1, 40])
def test_no_tarball_is_larger_than_its_files_at_their_worst(tmp_path: Path, files: int) -> None:
    noise = random.Random(files)  # noqa: S311 - content, no secret
    made = make_package(
        tmp_path / "package", {f"{'d' * 240}/{n}": noise.randbytes(300_000 // files) for n in range(files)}
    )
    size = write_tarball(made, tmp_path).size
    assert size < most_packed(made.contents) < size * 2 + 200_000


def test_the_digest_of_the_contents_tells_any_change_of_a_file_its_mode_or_its_path(made: PackageFiles) -> None:
    readme = made.contents["README.md"]
    others = [
        {**made.contents, "README.md": replace(readme, mode=0o755)},
        {**made.contents, "README.md": replace(readme, sha256="0" * 64)},
        {**made.contents, "README.md\n": readme},
        {path: each for path, each in made.contents.items() if path != "README.md"},
    ]
    assert len({contents_digest(each) for each in (made.contents, *others)}) == 5
    assert contents_digest(dict(reversed(list(made.contents.items())))) == contents_digest(made.contents)


def test_the_header_of_every_file_says_the_same_everywhere(made: PackageFiles, tmp_path: Path) -> None:
    path = write_tarball(made, tmp_path).path
    assert path.read_bytes()[:10] == bytes.fromhex("1f8b0800000000000003")
    with tarfile.open(path) as archive:
        infos = archive.getmembers()
    assert [info.name for info in infos] == ["package/package.json", "package/README.md", "package/bin/tool"]
    assert [info.mode for info in infos] == [0o644, 0o644, 0o755]
    assert {(info.mtime, info.uid, info.gid, info.uname, info.gname) for info in infos} == {(499162500, 0, 0, "", "")}
    assert not any(info.pax_headers for info in infos)


def test_a_name_that_ustar_cannot_hold_gets_a_pax_header_and_no_other_does(tmp_path: Path) -> None:
    split, long, accented = "a" * 90 + "/" + "b" * 90, "c" * 120, "caf\u00e9"
    made = make_package(tmp_path / "package", {split: b"1", long: b"2", accented: b"3"})
    tarball = write_tarball(made, tmp_path)
    with tarfile.open(tarball.path) as archive:
        with_pax = {info.name for info in archive.getmembers() if info.pax_headers}
    assert with_pax == {f"package/{long}", f"package/{accented}"}
    assert {split, long, accented} < set(made.contents)


def test_the_digests_and_sizes_are_those_of_the_file(made: PackageFiles, tmp_path: Path) -> None:
    tarball = write_tarball(made, tmp_path)
    data = tarball.path.read_bytes()
    assert tarball.integrity == "sha512-" + base64.b64encode(hashlib.sha512(data).digest()).decode()
    assert tarball.shasum == hashlib.sha1(data, usedforsecurity=False).hexdigest()
    assert tarball.size == len(data)
    assert len(gzip.decompress(data)) % 512 == 0


def test_contents_read_back_are_those_that_were_written(made: PackageFiles, tmp_path: Path, limits: Limits) -> None:
    tarball = write_tarball(made, tmp_path)
    assert read_contents(tarball.path, limits=limits) == made.contents
    assert made.contents["README.md"] == entry(b"# tool\n")


@pytest.mark.npm
def test_npm_reads_the_same_digests_and_files(made: PackageFiles, tmp_path: Path) -> None:
    npm = shutil.which("npm", path=str(Path(sys.executable).parent)) or shutil.which("npm")
    if npm is None:
        pytest.skip("no npm here")
    tarball = write_tarball(made, tmp_path)
    argv = [npm, "publish", "--dry-run", "--json", "--offline", "--ignore-scripts", f"./{tarball.path.name}"]
    environment = {"HOME": str(tmp_path), "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin"}
    done = subprocess.run(argv, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    answer = json.loads(done.stdout)
    report = answer.get("@acme/tool", answer)
    assert (report["integrity"], report["shasum"]) == (tarball.integrity, tarball.shasum)
    assert {file["path"]: file["mode"] for file in report["files"]} == {
        path: file.mode for path, file in made.contents.items()
    }


def test_contents_of_a_foreign_tarball_are_read_as_npm_would_install_them(archives: Archives, limits: Limits) -> None:
    path = archives.tar(
        Entry("some-repo-1234/package.json", b"{}", 0o664),
        Entry("some-repo-1234/bin/run", b"run", 0o777),
        Entry("some-repo-1234/link", kind=tarfile.SYMTYPE, target="/etc/passwd"),
        Entry("some-repo-1234/hard", kind=tarfile.LNKTYPE, target="some-repo-1234/bin/run"),
        Entry("some-repo-1234/folder", kind=tarfile.DIRTYPE),
        Entry("top-level", b"dropped"),
    )
    assert read_contents(path, limits=limits) == {"package.json": entry(b"{}"), "bin/run": entry(b"run", 0o755)}


def test_a_hostile_tarball_of_the_registry_is_refused(archives: Archives, limits: Limits) -> None:
    bomb = archives.tar(*(Entry(f"package/{number}", bytes(1 << 20)) for number in range(5)))
    with pytest.raises(ArchiveError, match=r"made\.tar\.gz: it unpacks to more than 4 MiB"):
        read_contents(bomb, limits=limits)
    cut = archives.raw(archives.tar(Entry("package/a", b"a" * 9000)).read_bytes()[:60])
    with pytest.raises(ArchiveError, match="truncated"):
        read_contents(cut, limits=limits)
    with pytest.raises(ArchiveError, match="headers that npm may read"):
        read_contents(archives.sparse("package/disk", 1 << 50, b"0\n"), limits=limits)
    fifo = archives.tar(Entry("package/pipe", kind=tarfile.FIFOTYPE))
    with pytest.raises(ArchiveError, match='member "package/pipe" is a fifo'):
        read_contents(fifo, limits=limits)
    many = archives.tar(*(Entry(f"package/{number}") for number in range(201)))
    with pytest.raises(ArchiveError, match="more than 200 files"):
        read_contents(many, limits=limits)


def test_a_tarball_of_the_registry_writes_nothing(archives: Archives, limits: Limits, tmp_path: Path) -> None:
    path = archives.tar(Entry("package/../../canary", b"x"), Entry("/etc/canary", b"x"))
    before = sorted(tmp_path.rglob("*"))
    read_contents(path, limits=limits)
    assert sorted(tmp_path.rglob("*")) == before


def test_differences_are_told_in_plain_words_sorted_by_path() -> None:
    ours = {"b": entry(b"12345"), "a": entry(b"1"), "run": entry(b"r", 0o755), "same": entry(b"s"), "z": entry(b"x")}
    theirs = {"b": entry(b"123"), "run": entry(b"r"), "same": entry(b"s"), "z": entry(b"y"), "new\n": entry(b"")}
    assert differences(ours, theirs) == (
        "a: only here",
        "b: 5 bytes here, 3 on the registry",
        "new\\n: only on the registry",
        "run: mode 755 here, 644 on the registry",
        "z: 1 bytes in both, but different content (sha256 2d711642b726… here, a1fce4363854… on the registry)",
    )
    assert differences(ours, ours) == ()


def test_packing_takes_the_same_memory_for_ten_times_the_bytes(tmp_path: Path) -> None:
    small, large = (_peak(tmp_path, megabytes) for megabytes in (4, 40))
    assert large < small + (6 << 10), (small, large)


def _peak(tmp_path: Path, megabytes: int) -> int:
    """Return the KiB that a process takes at its peak to pack so many MB, read them back and unpack them."""
    path = tmp_path / f"package{megabytes}"
    path.mkdir()
    with (path / "tool").open("wb") as file:
        file.truncate(megabytes << 20)
    script = (
        "import sys, resource, pathlib; from flotilla.packing import *; from flotilla.family import Limits, Package\n"
        "path = pathlib.Path(sys.argv[1])\n"
        "package = Package(kind='dev', name='t', version='1.0.0', platform=None, variant=None, artifact='a',"
        " template=None)\n"
        "files = package_files(package, {'name': 't', 'version': '1.0.0'}, template=None, content=path)\n"
        "tarball = write_tarball(files, path.with_suffix('.packed'))\n"
        "assert read_contents(tarball.path, limits=Limits()) == files.contents\n"
        "extract(tarball.path, path.with_suffix('.again'), limits=Limits())\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    )
    done = subprocess.run([sys.executable, "-c", script, str(path)], check=True, capture_output=True, text=True)
    return int(done.stdout)


def header(name: str, data: bytes = b"", **fields: Any) -> bytes:
    """Return one member's header and data in the plainest form, but for these fields."""
    info = tarfile.TarInfo(name)
    info.size = len(data)
    for field, value in fields.items():
        setattr(info, field, value)
    return info.tobuf(tarfile.USTAR_FORMAT) + padded(data)


def padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 512)


def edited(block: bytes, at: int, value: bytes) -> bytes:
    """Return a member with other bytes in its header, and the checksum made right."""
    head = bytearray(block[:512])
    head[at : at + len(value)] = value
    head[148:156] = b" " * 8
    head[148:156] = b"%06o\0 " % sum(head)
    return bytes(head) + block[512:]


def pax(*records: bytes, kind: bytes = tarfile.XHDTYPE) -> bytes:
    return header("PaxHeader", b"".join(records), type=kind)


AMBIGUOUS = {
    "a line of a pax value is a record to npm": pax(b"31 comment=a\n18 path=package/b\n") + header("package/a", b"1"),
    "a pax record whose length has a nought before it": pax(b"019 path=package/b\n") + header("package/a", b"1"),
    "a name of a sparse file that is none": pax(b"29 GNU.sparse.name=package/b\n") + header("package/a", b"1"),
    "a key that npm takes for a header's field": pax(b"10 type=5\n") + header("package/a", b"1"),
    "two pax headers": pax(b"18 path=package/b\n") + pax(b"18 path=package/c\n") + header("package/a", b"1"),
    "a long name before a pax one": header("@LongLink", b"package/c\0", type=b"L")
    + pax(b"18 path=package/b\n")
    + header("package/a", b"1"),
    "a size for all that follows": pax(b"10 size=0\n", kind=tarfile.XGLTYPE) + header("package/a"),
    "a prefix beside a pax path": pax(b"18 path=package/b\n") + edited(header("a", b"1"), 345, b"package"),
    "a prefix that the format does not have": edited(edited(header("a", b"1"), 257, bytes(8)), 345, b"package"),
    "a prefix that npm cuts": edited(header("a", b"1"), 345, b"p" * 20 + bytes(111) + b"x"),
    "a size that int reads and parseInt does not": edited(header("package/a", bytes(8)), 124, b"000000001_0\0"),
    "a name that goes on behind its end": edited(header("package/a", b"1"), 10, b"\nb"),
    "a hard link with members inside": header("package/a", header("package/b", b"1"), type=b"1", linkname="package/c"),
}


@pytest.mark.parametrize("member", AMBIGUOUS.values(), ids=AMBIGUOUS)
def test_a_tarball_that_npm_reads_otherwise_than_we_do_is_never_the_same_content(
    archives: Archives, limits: Limits, member: bytes
) -> None:
    path = archives.raw(gzip.compress(header("package/package.json", b"{}") + member + bytes(1024)))
    with pytest.raises(ArchiveError):
        read_contents(path, limits=limits)


@pytest.mark.parametrize(
    "member",
    [
        header("package/a", b"1"),
        edited(header("a", b"1"), 345, b"package"),
        pax(b"18 path=package/a\n") + header("package/other", b"1"),
        header("@LongLink", b"package/a\0", type=b"L") + header("package/other", b"1"),
    ],
)
def test_a_tarball_that_both_read_alike_is_read(archives: Archives, limits: Limits, member: bytes) -> None:
    assert read_contents(archives.raw(gzip.compress(member + bytes(1024))), limits=limits) == {"a": entry(b"1")}


def test_a_folder_before_the_package_s_own_is_what_npm_strips(archives: Archives, limits: Limits) -> None:
    """Of ./package/a npm strips the dot, and installs package/a: that is another content than ours."""
    assert read_contents(archives.tar(Entry("./package/a", b"1")), limits=limits) == {"package/a": entry(b"1")}
