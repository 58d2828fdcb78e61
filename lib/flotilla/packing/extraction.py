"""Unpack an archive that may be hostile, within limits, and check the .sha256 files that CI put beside its files."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from flotilla.errors import ArchiveError
from flotilla.family.model import Limits
from flotilla.packing.paths import DRIVE, DanglingLinkError, File, Folder, Link, Parts, Tree, files_below, safe_parts
from flotilla.packing.read_tar import looks_like_tar, tar_members
from flotilla.packing.read_zip import zip_members
from flotilla.packing.streams import DAMAGED, EXECUTABLE, PLAIN, Budget, Member
from flotilla.retry import StopFlag
from flotilla.text import printable, quoted

FULL = (errno.ENOSPC, errno.EDQUOT)
HEAD = 512
COMPRESSED = {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ\0": "xz", b"\x28\xb5\x2f\xfd": "zstd"}
ZIP = b"PK\x03\x04"


def everything(_: str) -> bool:
    """Return True: every path is wanted."""
    return True


def extract(
    archive: Path,
    into: Path,
    *,
    strip_components: int = 0,
    limits: Limits,
    wanted: Callable[[str], bool] = everything,
    stop: StopFlag | None = None,
) -> None:
    """Unpack a zip, tar, tar.gz, tar.bz2, tar.xz or tar.zst, recognised by its content.

    Links inside the archive become copies of their targets, because npm drops links. Files get mode 0755 if their owner
    could run them, otherwise 0644; owners, times and other mode bits are dropped. An error leaves nothing behind.

    Args:
        archive: the file.
        into: a folder that is empty or does not exist yet.
        strip_components: leading folders to drop from each path; members with no more than these are left out.
        limits: the most bytes and files, and the largest ratio.
        wanted: whether a package uses this path; if none does, a dangling link there is left out.
        stop: ends the unpacking if the job is cancelled.

    Raises:
        ArchiveError: it is hostile, damaged, too large, or in none of these formats.
        OSError: the disk is full.
    """
    try:
        _refuse_full(into)
        into.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".unpacking-", dir=into.parent) as workspace:
            unpacked = Path(workspace, "content")
            unpacked.mkdir()
            _Unpacking(archive, unpacked, strip_components, limits, wanted, stop or StopFlag()).run()
            unpacked.replace(into)
    except ArchiveError as error:
        raise ArchiveError(
            [f"{printable(archive.name)}: {fault}" for fault in error.faults], advice=error.advice
        ) from error
    except OSError as error:
        if error.errno in FULL:
            raise  # no fault of the archive's
        raise ArchiveError(
            f"{printable(archive.name)}: unpacking it failed: {error.strerror or error}.",
            advice="Check disk space and permissions on this machine, then re-run the job.",
        ) from error


def _refuse_full(into: Path) -> None:
    if into.exists() and any(into.iterdir()):
        raise ArchiveError(f"the folder {into.name} is not empty.", advice="Unpack into a new folder.")


class _Unpacking:
    """Unpacks one archive."""

    def __init__(
        self,
        archive: Path,
        root: Path,
        strip_components: int,
        limits: Limits,
        wanted: Callable[[str], bool],
        stop: StopFlag,
    ) -> None:
        self._archive = archive
        self._root = root
        self._strip = strip_components
        self._budget = Budget(archive.stat().st_size, limits)
        self._tree = Tree()
        self._wanted = wanted
        self._stop = stop

    def run(self) -> None:
        with self._archive.open("rb") as source:
            for member in open_members(source, self._budget, into=self._root):
                self._take(member)
        for parts, link in list(self._tree.links()):
            self._copy_link(parts, link)
        if self._tree.empty:
            if not self._strip:
                raise ArchiveError("it has no files.", advice="Check what CI packed.")
            raise ArchiveError(
                f"strip-components: {self._strip} would drop every file, because none is that deep.",
                advice="If only some platforms' archives have a folder around their files, leave strip-components out, "
                'and choose the files with patterns such as "**/tool".',
            )

    def _take(self, member: Member) -> None:
        self._budget.enter()
        parts = safe_parts(member.name)[self._strip :]
        if not parts:
            return
        match member.kind:
            case "file":
                self._make_folders(self._tree.add(parts, File(executable=member.executable)))
                self._budget.place()
                self._write(parts, member.content(), executable=member.executable)
            case "folder":
                self._make_folders(self._tree.add(parts, Folder()))
            case "symlink":
                target = link_parts(member)
                self._make_folders(self._tree.add(parts, Link(base=parts[:-1], target=target)))
            case "hardlink":
                target = safe_parts(member.target)[self._strip :]
                self._make_folders(self._tree.add(parts, Link(base=(), target=target)))

    def _make_folders(self, folders: list[Parts]) -> None:
        for parts in folders:
            self._budget.place()
            self._root.joinpath(*parts).mkdir(mode=0o755)

    def _write(self, parts: Parts, content: Iterable[bytes], *, executable: bool) -> None:
        with self._create(parts, executable=executable) as file:
            for part in content:
                self._stop.check()
                self._budget.write(len(part))
                file.write(part)

    def _create(self, parts: Parts, *, executable: bool) -> BinaryIO:
        path = self._root.joinpath(*parts)
        # O_EXCL: never open what exists already, not even a link; see open(2).
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        os.fchmod(descriptor, EXECUTABLE if executable else PLAIN)
        return os.fdopen(descriptor, "wb")

    def _copy_link(self, parts: Parts, link: Link) -> None:
        if (found := self._resolve(link, parts, to=parts)) is not None:
            self._copy(*found, parts, inside=())

    def _resolve(self, link: Link, parts: Parts, *, to: Parts) -> tuple[Parts, File | Folder] | None:
        """Return a link's target; None if it has none, and nobody wants the link."""
        try:
            return self._tree.resolve(link, name="/".join(parts))
        except DanglingLinkError:
            if self._wanted("/".join(to)):
                raise
            return None

    def _copy(self, source: Parts, node: File | Folder, to: Parts, *, inside: tuple[Parts, ...]) -> None:
        """Copy a file, or a folder with everything below it; `inside` holds the folders being copied, to find loops."""
        self._budget.place()
        if isinstance(node, File):
            original = self._root.joinpath(*source)
            self._budget.write(original.stat().st_size)
            with original.open("rb") as content, self._create(to, executable=node.executable) as copy:
                shutil.copyfileobj(content, copy)
            return
        if source in inside or to[: len(source)] == source:
            raise ArchiveError(
                f"the link {quoted('/'.join(to))} points into itself.", advice="Pack the files themselves."
            )
        self._root.joinpath(*to).mkdir(mode=0o755)
        for name, child in node.children.values():
            below = (*source, name)
            if isinstance(child, Link):
                found = self._resolve(child, below, to=(*to, name))
                if found is None:
                    continue
                below, child = found  # noqa: PLW2901 - what it leads to
            self._copy(below, child, (*to, name), inside=(*inside, source))


def open_members(source: BinaryIO, budget: Budget, *, into: Path | None) -> Iterator[Member]:
    """Return the members of an archive of any format that flotilla reads.

    Raises:
        ArchiveError: it has none of these formats; while iterating, a member is wrong.
    """
    head = source.read(HEAD)
    source.seek(0)
    if head.startswith(ZIP):
        return zip_members(source, budget)
    compression = next((name for magic, name in COMPRESSED.items() if head.startswith(magic)), None)
    if compression or looks_like_tar(head):
        return tar_members(source, compression, budget, into=into)
    what = "it is empty" if not head else "it is not a zip, tar, tar.gz, tar.bz2, tar.xz or tar.zst"
    raise ArchiveError(f"{what}.", advice=DAMAGED if not head else "Pack it in CI in one of these formats.")


def link_parts(member: Member) -> Parts:
    """Return the parts of a symbolic link's target, including "..".

    Raises:
        ArchiveError: it is absolute, or contains characters that no path should have.
    """
    target = member.target
    if not target.isprintable() or not target or "\\" in target or target.startswith("/") or DRIVE.match(target):
        raise ArchiveError(
            f"the link {quoted(member.name)} points to {quoted(target)}, which is not a plain relative path.",
            advice="Pack the file itself, or a link inside the archive.",
        )
    return tuple(step for step in target.split("/") if step not in ("", "."))


SIDECAR = ".sha256"
LONGEST_SIDECAR = 1 << 20  # bytes of such a file
SUM_LINE = re.compile(r"\\?(?P<hash>[0-9a-fA-F]{64})(?: [ *](?P<name>.+))?")


def sidecar_faults(folder: Path) -> list[str]:
    """Return what is wrong with the .sha256 files below a folder, a line each, sorted; empty if nothing is.

    Each file holds one hash, for the file beside it, or sha256sum's lines of hash and name. Only the last part of a
    name counts, because CI may have run sha256sum in another folder.

    Args:
        folder: where to look.
    """
    files, _ = files_below(folder)
    sidecars = [path for path in files if path.endswith(SIDECAR)]
    return [f"{printable(path)} {fault}" for path in sidecars for fault in _sidecar_faults(files[path])]


def _sidecar_faults(sidecar: Path) -> Iterator[str]:
    for line in _sum_lines(sidecar):
        match = SUM_LINE.fullmatch(line)
        if match is None:
            yield "is not in sha256sum's format"
            return
        yield from _line_faults(sidecar, match["hash"].lower(), match["name"])


def _sum_lines(sidecar: Path) -> list[str]:
    with sidecar.open("rb") as file:
        text = file.read(LONGEST_SIDECAR).decode(errors="replace")
    return [line.strip() for line in text.splitlines() if line.strip()] or [""]


def _line_faults(sidecar: Path, expected: str, name: str | None) -> Iterator[str]:
    wanted = name.replace("\\", "/").rpartition("/")[2] if name else sidecar.name.removesuffix(SIDECAR)
    target = sidecar.with_name(wanted) if wanted not in ("", ".", "..") else None
    if target is None or target.is_symlink() or not target.is_file():
        yield f"names {printable(wanted)}, but there is no such file beside it"
        return
    with target.open("rb") as file:
        actual = hashlib.file_digest(file, "sha256").hexdigest()
    if actual != expected:
        yield f"expects the sha256 {expected[:12]}… for {printable(wanted)}, which has {actual[:12]}…"
