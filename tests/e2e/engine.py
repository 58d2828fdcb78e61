"""A Docker engine to test on: the one that runs, or one started for as long as the tests last."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

SECONDS_TO_START = 60


class NoEngineError(Exception):
    """There is no engine here, and none can be started; says why."""


@dataclass(frozen=True, kw_only=True)
class Docker:
    """An engine, spoken to by its own command.

    Args:
        program: the docker command's path.
    """

    program: str

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """One call, whatever came of it; what it said is all in stdout."""
        command = [self.program, *arguments]
        return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)

    def said(self, *arguments: str) -> str:
        """What a call printed.

        Raises:
            AssertionError: it failed; carries all that it said.
        """
        done = self.run(*arguments)
        assert done.returncode == 0, f"docker {' '.join(arguments)}\n{done.stdout}"
        return done.stdout

    def answers(self) -> bool:
        """Whether an engine is there."""
        return self.run("info").returncode == 0


@contextmanager
def running_engine(log: Path) -> Iterator[Docker]:
    """An engine, stopped at the end if it was started here.

    Raises:
        NoEngineError: there is none, and it cannot be had.
    """
    program, daemon = shutil.which("docker"), shutil.which("dockerd", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        raise NoEngineError("Docker is not installed (Debian, Ubuntu: apt-get install docker.io)")
    docker = Docker(program=program)
    if docker.answers():
        yield docker
    elif daemon is None or os.geteuid() != 0:
        raise NoEngineError("no Docker engine answers, and only root can start one, where dockerd is installed")
    else:
        with _started(docker, daemon, log):
            yield docker


@contextmanager
def _started(docker: Docker, daemon: str, log: Path) -> Iterator[None]:
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output, subprocess.Popen([daemon], stdout=output, stderr=output) as process:
        try:
            deadline = time.monotonic() + SECONDS_TO_START
            while not docker.answers():
                if process.poll() is not None or time.monotonic() > deadline:
                    raise NoEngineError(f"dockerd did not start:\n{log.read_text(errors='replace')[-2000:]}")
                time.sleep(0.2)
            yield
        finally:
            process.terminate()
            process.wait(timeout=SECONDS_TO_START)
