"""How much one archive may unpack to."""

from __future__ import annotations

from flotilla.errors import ArchiveError
from flotilla.family import Limits

MEBIBYTE = 1 << 20
HARMLESS = 64 * MEBIBYTE  # below this no ratio is a danger: 64 KiB of zeros already compress a thousandfold

BOMB_ADVICE = "If the archive is what it should be, raise `limits` in flotilla.yml; if not, find out who made it."


class Budget:
    """Counts what one archive unpacks to, and refuses what goes beyond; headers are never trusted for it.

    Args:
        size: bytes of the archive itself.
        limits: the family's.
    """

    def __init__(self, size: int, limits: Limits) -> None:
        allowed = limits.ratio * size
        self._by_ratio = allowed < limits.extracted_bytes
        self._limits = limits
        self._ceiling = min(max(HARMLESS, allowed), limits.extracted_bytes)
        self._inflated = 0
        self._written = 0
        self._members = 0
        self._placed = 0

    def inflate(self, count: int) -> None:
        """So many bytes came out of the decompressor."""
        self._inflated += count
        self._refuse_beyond(self._inflated)

    def write(self, count: int) -> None:
        """So many bytes go to the disk."""
        self._written += count
        self._refuse_beyond(self._written)

    def enter(self) -> None:
        """One more member of the archive."""
        self._members += 1
        self._refuse_more(self._members)

    def place(self) -> None:
        """One more file or folder on the disk."""
        self._placed += 1
        self._refuse_more(self._placed)

    def _refuse_more(self, count: int) -> None:
        if count > self._limits.files:
            raise ArchiveError(f"it holds more than {self._limits.files} files and folders.", advice=BOMB_ADVICE)

    @property
    def directory_size(self) -> int:
        """Bytes that the list of members may have, where a format keeps one."""
        return self._limits.files * 256 + MEBIBYTE

    def _refuse_beyond(self, count: int) -> None:
        if count <= self._ceiling:
            return
        shown = f"{self._ceiling // MEBIBYTE} MiB"
        why = f"{self._limits.ratio} times its own size" if self._by_ratio else "the limit of one archive"
        raise ArchiveError(f"it unpacks to more than {shown}, {why}.", advice=BOMB_ADVICE)
