"""Run jobs one at a time, each in a process that can be killed with everything that it started."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.world.processes import children, kill_below

ROOT = Path(__file__).parents[2]
HANGS = 180.0


class HangingError(Exception):
    """A job did not end, although waits are skipped."""


class JobHost(AbstractContextManager["JobHost"]):
    """One machine that runs jobs; see forkserver.

    Args:
        clock: the file of the jobs' clock.
    """

    def __init__(self, clock: Path) -> None:
        self._server = subprocess.Popen(
            [sys.executable, "-m", "tests.world.forkserver", str(clock)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=ROOT,
            encoding="utf-8",
        )
        self._killing = threading.Lock()
        self._answer()

    def run(
        self,
        argv: Sequence[str],
        *,
        environment: Mapping[str, str],
        folder: Path,
        log: Path,
        timeout: int | None = None,
    ) -> int:
        """Run a job; return its exit status, -9 if it was killed.

        Args:
            argv: what flotilla is given.
            environment: the job's whole environment.
            folder: where it starts.
            log: gets what it prints.
            timeout: seconds that it waits for an answer at the most; flotilla's own limits by default.

        Raises:
            HangingError: it does not end.
        """
        order = {
            "argv": list(argv),
            "environment": dict(environment),
            "folder": str(folder),
            "log": str(log),
            "timeout": timeout,
        }
        assert self._server.stdin is not None
        with self._killing:  # a kill that has not ended would end the next job, too
            self._server.stdin.write(json.dumps(order) + "\n")
            self._server.stdin.flush()
        started = time.monotonic()
        watch = threading.Timer(HANGS, self.kill)
        watch.start()
        try:
            status = self._answer()["status"]
        finally:
            watch.cancel()
        if time.monotonic() - started > HANGS:
            raise HangingError(f"{' '.join(argv)} did not end in {HANGS:.0f} s")
        return status

    def kill(self) -> None:
        """Kill the job and everything that it started, as when a container is killed."""
        with self._killing:
            kill_below(self._server.pid)

    def cancel(self) -> None:
        """Send the job the signal that GitHub's runner sends first when a workflow is cancelled."""
        for pid in children(self._server.pid):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGINT)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        self.kill()
        self._server.kill()
        self._server.communicate()

    def __enter__(self) -> Self:
        return self

    def _answer(self) -> dict[str, int]:
        assert self._server.stdout is not None
        line = self._server.stdout.readline()
        if not line:
            raise RuntimeError(f"the fork server ended: {self._server.wait()}")
        answer: dict[str, int] = json.loads(line)
        return answer
