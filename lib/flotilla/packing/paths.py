"""Paths: valid names, patterns, the files in a folder, and the tree of an archive's members."""

from __future__ import annotations

import os
import re
import stat
import unicodedata
from collections import deque
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from wcmatch import glob

from flotilla.errors import ArchiveError, PackageError
from flotilla.text import printable, quoted

LONGEST_NAME = 255  # bytes of one name: the limit of ext4, APFS and NTFS alike
LONGEST_PATH = 1024  # bytes of a whole path: macOS's PATH_MAX
DEEPEST = 100  # folders in each other

DRIVE = re.compile(r"[A-Za-z]:")
GLOB = glob.GLOBSTAR | glob.DOTGLOB | glob.BRACE | glob.FORCEUNIX | glob.CASE
PATTERNS = 1000  # that braces may make of one
MOST_HOPS = 40  # links to follow for one path: Linux's own limit


def collision_key(name: str) -> str:
    """Return a key equal for names that are the same on macOS or Windows (case, Unicode form, final dots or spaces)."""
    folded = unicodedata.normalize("NFD", unicodedata.normalize("NFD", name).casefold())
    return folded.rstrip(". ") or folded


def name_fault(name: str) -> str | None:
    """Return why an archive's member must not have this name, None if it may; the text follows the name."""
    if not name:
        return "has no name"
    if not name.isprintable():
        return "contains control characters, or is not UTF-8"
    if "\\" in name:
        return "contains a backslash, which Windows takes for a folder separator"
    if name.startswith("/") or DRIVE.match(name):
        return "is an absolute path"
    if ".." in name.split("/"):
        return 'contains ".."'
    return _length_fault(name)


def _length_fault(name: str) -> str | None:
    parts = name.split("/")
    if len(parts) > DEEPEST:
        return f"is more than {DEEPEST} folders deep"
    if len(name.encode()) > LONGEST_PATH:
        return f"is longer than {LONGEST_PATH} bytes"
    if any(len(part.encode()) > LONGEST_NAME for part in parts):
        return f"has a part longer than {LONGEST_NAME} bytes"
    return None


def safe_parts(name: str) -> tuple[str, ...]:
    """Return the path's folders and name; () for the archive's own root.

    Raises:
        ArchiveError: a member must not have this name.
    """
    if fault := name_fault(name):
        raise ArchiveError(
            f"the member {quoted(name)} {fault}.",
            advice="Rename it in CI: flotilla accepts only plain relative paths.",
        )
    return tuple(part for part in name.split("/") if part not in ("", "."))


def files_below(root: Path) -> tuple[dict[str, Path], list[str]]:
    """Return the regular files below a folder by posix path, and a fault for each link or special file."""
    files, others = entries_below(root)
    return files, sorted(f"{printable(path)} is {what}" for path, what in others.items())


def entries_below(root: Path, *, without: Collection[Path] = ()) -> tuple[dict[str, Path], dict[str, str]]:
    """Return the regular files below a folder by their posix paths, and what else is there: links and special files.

    Args:
        without: folders that are not looked into.
    """
    files: dict[str, Path] = {}
    others: dict[str, str] = {}
    for folder, folders, names in os.walk(root, followlinks=False):
        folders[:] = [name for name in folders if Path(folder, name) not in without]
        for name in [*folders, *names]:
            path = Path(folder, name)
            form = path.lstat().st_mode
            shown = path.relative_to(root).as_posix()
            if stat.S_ISREG(form):
                files[shown] = path
            elif not stat.S_ISDIR(form):
                others[shown] = "a link, which npm does not pack" if stat.S_ISLNK(form) else "a device, fifo or socket"
    return dict(sorted(files.items())), others


def matching(paths: Iterable[str], pattern: str) -> set[str]:
    """Return the paths that a pattern matches; a folder's name matches everything below it, as in a manifest.

    Raises:
        PackageError: its braces expand to too many patterns.
    """
    bare = pattern.removeprefix("./").rstrip("/")
    try:
        matcher = glob.compile([bare, f"{bare}/**"], flags=GLOB, limit=PATTERNS)
    except Exception as error:  # wcmatch does not export its own for too many braces
        text = f'the pattern "{printable(pattern)}" expands to more than {PATTERNS} patterns.'
        raise PackageError(text, advice="Use fewer braces in it.") from error
    return {path for path in paths if matcher.match(path)}


Parts = tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class File:
    """A regular file that was written."""

    executable: bool


@dataclass(frozen=True, kw_only=True)
class Link:
    """A link: the folder from which its target counts (the root for a hard link), and the target."""

    base: Parts
    target: Parts


@dataclass(frozen=True, kw_only=True)
class Folder:
    """A folder; its children by their collision keys."""

    children: dict[str, tuple[str, Node]] = field(default_factory=dict)

    def child(self, name: str) -> Node | None:
        """Return the child with exactly this name."""
        spelled, node = self.children.get(collision_key(name), ("", None))
        return node if spelled == name else None


Node = File | Link | Folder


class DanglingLinkError(ArchiveError):
    """A link whose target is not in the archive; harmless if no package uses it."""


class Tree:
    """The tree of the members so far; refuses one that would replace, pass through, or collide with another."""

    def __init__(self) -> None:
        self._root = Folder()

    def add(self, parts: Parts, node: Node) -> list[Parts]:
        """Add a node, and return the new folders on the way to it, outermost first.

        Raises:
            ArchiveError: the path is taken, or leads through a file or a link.
        """
        folder, new = self._root, []
        for depth, name in enumerate(parts[:-1], start=1):
            below = self._place(folder, parts[:depth], Folder())
            if below is None:
                below = folder.child(name)
            else:
                new.append(parts[:depth])
            if not isinstance(below, Folder):
                raise _through(parts, parts[:depth])
            folder = below
        placed = self._place(folder, parts, node)
        if placed is None and not (isinstance(node, Folder) and isinstance(folder.child(parts[-1]), Folder)):
            raise ArchiveError(
                f"it contains the member {quoted('/'.join(parts))} twice.",
                advice="Pack each file once; do not append to the archive.",
            )
        return [*new, parts] if placed is not None and isinstance(node, Folder) else new

    def resolve(self, link: Link, *, name: str) -> tuple[Parts, File | Folder]:
        """Return the final target's path and node.

        Raises:
            DanglingLinkError: the link has no target in the archive.
            ArchiveError: the link leads out of the folder, or in a circle.
        """
        at: list[str] = list(link.base)
        queue = deque(link.target)
        hops = 0
        while queue:
            step = queue.popleft()
            if step == "..":
                if not at:
                    raise _link_fault(name, "leads out of the folder")
                at.pop()
                continue
            node = self.find((*at, step))
            if node is None:
                raise _dangling(name)
            if isinstance(node, Link):
                hops += 1
                if hops > MOST_HOPS:
                    raise _link_fault(name, "leads in a circle")
                at[:] = node.base
                queue.extendleft(reversed(node.target))
                continue
            at.append(step)
        found = self.find(tuple(at))
        if isinstance(found, Link) or found is None:
            raise _dangling(name)
        return tuple(at), found

    def find(self, parts: Parts) -> Node | None:
        """Return the node at exactly this path, without following links."""
        node: Node | None = self._root
        for name in parts:
            node = node.child(name) if isinstance(node, Folder) else None
        return node

    def links(self) -> Iterator[tuple[Parts, Link]]:
        """Return all links, in the order in which they were added."""
        stack: list[tuple[Parts, Folder]] = [((), self._root)]
        while stack:
            parts, folder = stack.pop()
            for name, node in folder.children.values():
                if isinstance(node, Link):
                    yield (*parts, name), node
                elif isinstance(node, Folder):
                    stack.append(((*parts, name), node))

    @property
    def empty(self) -> bool:
        """Return whether the tree is empty."""
        return not self._root.children

    def _place(self, folder: Folder, parts: Parts, node: Node) -> Node | None:
        """Add the node and return it; return None if exactly that name is taken."""
        spelled, placed = folder.children.setdefault(collision_key(parts[-1]), (parts[-1], node))
        if spelled != parts[-1]:
            raise ArchiveError(
                f"the members {quoted('/'.join(parts))} and {quoted('/'.join((*parts[:-1], spelled)))} are the same "
                "file on macOS and Windows.",
                advice="Rename one of them.",
            )
        return placed if placed is node else None


def _through(parts: Parts, way: Parts) -> ArchiveError:
    return ArchiveError(
        f"the member {quoted('/'.join(parts))} is below {quoted('/'.join(way))}, which is not a folder.",
        advice="Pack each file under its real path.",
    )


def _link_fault(name: str, why: str) -> ArchiveError:
    return ArchiveError(f"the link {quoted(name)} {why}.", advice="Pack the file itself, or a link inside the archive.")


def _dangling(name: str) -> DanglingLinkError:
    return DanglingLinkError(
        f"the link {quoted(name)} has no target in the archive.",
        advice="Pack the file itself, or a link inside the archive.",
    )
