"""A clock that skips waits, shared by the jobs and the servers they talk to."""

from __future__ import annotations

import fcntl
import struct
import time
from pathlib import Path

OFFSET = struct.Struct("<d")


class LeapingClock:
    """The machine's clock and an offset, kept in a file that several processes share.

    A sleep moves the offset instead of waiting, and two sleeps at the same time overlap, as they would in reality. So
    an hour of waiting passes in a moment for the job, the registry's rate limit and every deadline.

    Args:
        file: holds the offset; made where it is not there.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        if not file.exists():
            file.write_bytes(OFFSET.pack(0.0))

    def now(self) -> float:
        """Return seconds since the epoch, and what was leapt over."""
        return time.time() + _offset(self._file.read_bytes())

    def sleep(self, seconds: float) -> None:
        """Jump so many seconds ahead."""
        wanted = self.now() + seconds
        with self._file.open("r+b", buffering=0) as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            offset = max(_offset(file.read(OFFSET.size)), wanted - time.time())
            file.seek(0)
            file.write(OFFSET.pack(offset))


def _offset(data: bytes) -> float:
    (offset,) = OFFSET.unpack(data)
    return float(offset)
