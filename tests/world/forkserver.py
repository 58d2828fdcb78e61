"""Starts jobs in milliseconds: a process that has flotilla imported and forks for each.

Reads one order a line (JSON: argv, environment, folder, log, timeout) and answers with the job's exit status. A job is
a process of its own, and runs flotilla's own `main` to its end; only the clock leaps.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import signal
import sys
import traceback
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from unittest.mock import patch

from tests.world.clock import LeapingClock
from tests.world.processes import adopt_orphans, kill_below

from flotilla import __main__ as flotilla

BROKEN = 99
# What flotilla imports only where it needs it; imported once here instead of by every job.
LATE_IMPORTS = ("encodings.cp437", "github")
# Seconds that a job waits for an answer, each cut short if the answer is to be waited for in vain.
TIMEOUTS = ("flotilla.http.CONNECT_SECONDS", "flotilla.http.SILENT_SECONDS", "flotilla.npm.runner.REQUEST_TIMEOUT")


def main() -> None:
    """Serve orders until standard input ends."""
    clock = LeapingClock(Path(sys.argv[1]))
    adopt_orphans()
    for name in LATE_IMPORTS:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()
    _say({"ready": os.getpid()})
    for line in sys.stdin:
        order = json.loads(line)
        pid = os.fork()
        if pid == 0:
            _job(order, clock)
        _say({"status": _ended(pid)})


def _job(order: dict[str, Any], clock: LeapingClock) -> None:
    status = BROKEN
    try:
        os.setsid()
        _redirect(order["log"])
        os.environ.clear()
        os.environ.update(order["environment"])
        os.chdir(order["folder"])
        with _surroundings(clock, order["timeout"]):
            status = flotilla.main(order["argv"])
        sys.stdout.flush()
    except BaseException:  # noqa: BLE001 - nothing may come back into the server's loop
        traceback.print_exc()
    finally:
        os._exit(status)


def _surroundings(clock: LeapingClock, timeout: int | None) -> ExitStack:
    """Return the leaping clock, with at most so many seconds for an answer that never comes."""
    stack = ExitStack()
    stack.enter_context(patch("flotilla.jobs.inputs.SystemClock", lambda _stop: clock))
    for name in TIMEOUTS if timeout else ():
        stack.enter_context(patch(name, timeout))
    return stack


def _redirect(log: str) -> None:
    for descriptor, (path, flags) in {
        0: (os.devnull, os.O_RDONLY),
        1: (log, os.O_WRONLY | os.O_CREAT | os.O_APPEND),
        2: (log, os.O_WRONLY | os.O_CREAT | os.O_APPEND),
    }.items():
        opened = os.open(path, flags, 0o600)
        os.dup2(opened, descriptor)
        os.close(opened)


def _ended(pid: int) -> int:
    """Return the job's exit status, negative for a signal; what it leaves running ends with it, as in a container."""
    _pid, status = os.waitpid(pid, 0)
    kill_below(os.getpid())
    try:
        while True:
            os.waitpid(-1, 0)
    except ChildProcessError:
        return os.waitstatus_to_exitcode(status)


def _say(answer: dict[str, int]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    main()
