"""Find and kill the processes below a process, through /proc."""

from __future__ import annotations

import ctypes
import os
import signal
from contextlib import suppress
from pathlib import Path

PR_SET_CHILD_SUBREAPER = 36
DEAD = ("Z", "X")


def adopt_orphans() -> None:
    """Become the parent of whatever this process' descendants leave behind (Linux, prctl(2))."""
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")


def descendants(root: int) -> list[int]:
    """Return every live process below one, itself not counted."""
    children: dict[int, list[int]] = {}
    for pid, parent in _parents():
        children.setdefault(parent, []).append(pid)
    found, ahead = [], [root]
    while ahead:
        below = children.get(ahead.pop(), [])
        found += below
        ahead += below
    return found


def children(root: int) -> list[int]:
    """Return every live process that one started itself."""
    return [pid for pid, parent in _parents() if parent == root]


def kill_below(root: int) -> None:
    """End by SIGKILL every process below one, and those that they start meanwhile."""
    while pids := descendants(root):
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def _parents() -> list[tuple[int, int]]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                # The name, in brackets, may hold anything; the state and the parent come behind its last bracket.
                state, parent = (
                    (entry / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[:2]
                )
                if state not in DEAD:
                    found.append((int(entry.name), int(parent)))
    return found
