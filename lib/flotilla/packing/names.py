"""What a path inside an archive or a package may be called."""

from __future__ import annotations

import re
import unicodedata

from flotilla.errors import ArchiveError
from flotilla.text import quoted

LONGEST_NAME = 255  # bytes of one name: the limit of ext4, APFS and NTFS alike
LONGEST_PATH = 1024  # bytes of a whole path: macOS's PATH_MAX
DEEPEST = 100  # folders in each other

DRIVE = re.compile(r"[A-Za-z]:")


def collision_key(name: str) -> str:
    """What two names share that macOS or Windows takes for one: case, Unicode's form, dots and blanks at the end."""
    folded = unicodedata.normalize("NFD", unicodedata.normalize("NFD", name).casefold())
    return folded.rstrip(". ") or folded


def name_fault(name: str) -> str | None:
    """Why no member of an archive may be called this, None where it may; ends a sentence that starts with the name."""
    if not name:
        return "has no name"
    if not name.isprintable():
        return "has control characters, or is not UTF-8"
    if "\\" in name:
        return "has a backslash, which Windows reads as a folder"
    if name.startswith("/") or DRIVE.match(name):
        return "is an absolute path"
    if ".." in name.split("/"):
        return 'has ".." in its path'
    return _length_fault(name)


def _length_fault(name: str) -> str | None:
    parts = name.split("/")
    if len(parts) > DEEPEST:
        return f"lies deeper than {DEEPEST} folders"
    if len(name.encode()) > LONGEST_PATH:
        return f"is longer than {LONGEST_PATH} bytes"
    if any(len(part.encode()) > LONGEST_NAME for part in parts):
        return f"has a part longer than {LONGEST_NAME} bytes"
    return None


def safe_parts(name: str) -> tuple[str, ...]:
    """The path's folders and name; () for the archive's own root.

    Raises:
        ArchiveError: no member may be called this.
    """
    if fault := name_fault(name):
        raise ArchiveError(
            f"the member {quoted(name)} {fault}.",
            advice="Rename it where CI packs it: flotilla takes plain relative paths only.",
        )
    return tuple(part for part in name.split("/") if part not in ("", "."))
