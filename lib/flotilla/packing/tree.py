"""The folder that an archive's members make, in memory: nothing is looked up on the disk that a member could change."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from flotilla.errors import ArchiveError
from flotilla.packing.names import collision_key
from flotilla.text import quoted

MOST_HOPS = 40  # links to follow for one path: Linux's own limit

Parts = tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class File:
    """A regular file that was written."""

    executable: bool


@dataclass(frozen=True, kw_only=True)
class Link:
    """A link: where its target is looked up from (the root for a hard link), and what it points at."""

    base: Parts
    target: Parts


@dataclass(frozen=True, kw_only=True)
class Folder:
    """A folder; its children by what a case-insensitive file system makes of their names."""

    children: dict[str, tuple[str, Node]] = field(default_factory=dict)

    def child(self, name: str) -> Node | None:
        """The child of exactly this name."""
        spelled, node = self.children.get(collision_key(name), ("", None))
        return node if spelled == name else None


Node = File | Link | Folder


class DanglingLinkError(ArchiveError):
    """A link points at nothing in the archive; it harms nobody who does not want it."""


class Tree:
    """What the members seen so far make; refuses a member that would replace, pass through, or collide with another."""

    def __init__(self) -> None:
        self._root = Folder()

    def add(self, parts: Parts, node: Node) -> list[Parts]:
        """Puts a node there, and gives the folders that are new on the way to it, outermost first.

        Raises:
            ArchiveError: something is there already, or the way leads through a file or a link.
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
                f"the member {quoted('/'.join(parts))} is in it twice.",
                advice="Pack each file once, without appending.",
            )
        return [*new, parts] if placed is not None and isinstance(node, Folder) else new

    def resolve(self, link: Link, *, name: str) -> tuple[Parts, File | Folder]:
        """Where a link leads in the end, and what is there.

        Raises:
            DanglingLinkError: nowhere.
            ArchiveError: out of the folder, or in a circle.
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
        """The node at exactly this path; links on the way are not followed."""
        node: Node | None = self._root
        for name in parts:
            node = node.child(name) if isinstance(node, Folder) else None
        return node

    def links(self) -> Iterator[tuple[Parts, Link]]:
        """All links, in the order in which they came into their folders."""
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
        """Whether there is nothing at all."""
        return not self._root.children

    def _place(self, folder: Folder, parts: Parts, node: Node) -> Node | None:
        """The node where the place was free, None where one of exactly that name has it."""
        spelled, placed = folder.children.setdefault(collision_key(parts[-1]), (parts[-1], node))
        if spelled != parts[-1]:
            raise ArchiveError(
                f"the members {quoted('/'.join(parts))} and {quoted('/'.join((*parts[:-1], spelled)))} are one and the "
                "same on macOS and Windows.",
                advice="Rename one of them.",
            )
        return placed if placed is node else None


def _through(parts: Parts, way: Parts) -> ArchiveError:
    return ArchiveError(
        f"the member {quoted('/'.join(parts))} lies below {quoted('/'.join(way))}, which is no folder.",
        advice="Pack the files at their own paths.",
    )


def _link_fault(name: str, why: str) -> ArchiveError:
    return ArchiveError(f"the link {quoted(name)} {why}.", advice="Pack the file itself, or a link inside the archive.")


def _dangling(name: str) -> DanglingLinkError:
    return DanglingLinkError(
        f"the link {quoted(name)} points at nothing in the archive.",
        advice="Pack the file itself, or a link inside the archive.",
    )
