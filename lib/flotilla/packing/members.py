"""One thing in an archive, whatever the archive's format."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

Kind = Literal["file", "folder", "symlink", "hardlink"]


def no_content() -> Iterator[bytes]:
    """The content of what has none."""
    return iter(())


@dataclass(frozen=True, kw_only=True)
class Member:
    """A member as its archive says it; nothing here is trusted yet.

    Args:
        name: the path, unchanged.
        kind: what it is; devices, fifos and the like never get this far.
        executable: whether its owner may run it.
        target: what a link points at, unchanged.
        content: gives the bytes in chunks; to be used before the next member is asked for.
    """

    name: str
    kind: Kind
    executable: bool = False
    target: str = ""
    content: Callable[[], Iterator[bytes]] = no_content
