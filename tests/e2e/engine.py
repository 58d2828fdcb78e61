"""A Docker engine to test on: the one that runs, or one started for as long as the tests last."""

from __future__ import annotations

import gc
import os
import shutil
import subprocess
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

import docker
from docker import DockerClient
from docker.errors import DockerException

SECONDS_TO_START = 60
ANSWER_SECONDS = 600


class NoEngineError(Exception):
    """There is no engine here, and none can be started; says why."""


def connected() -> DockerClient | None:
    """Return a client of the engine that answers here; None if none does."""
    with warnings.catch_warnings():
        # docker leaves a socket open that could not connect (docker/transport/unixconn.py); it ends here, unwarned.
        warnings.simplefilter("ignore", ResourceWarning)
        client = _client()
        gc.collect()
    return client


def _client() -> DockerClient | None:
    client: DockerClient | None = None
    try:
        client = docker.from_env(timeout=ANSWER_SECONDS)
        client.ping()
    except DockerException:
        if client is not None:
            client.close()
        return None
    return client


def run_in(
    client: DockerClient,
    image: str,
    *command: str,
    entrypoint: str | None = None,
    environment: Mapping[str, str] | None = None,
    workspace: Path | None = None,
) -> tuple[int, str]:
    """Return a container run to its end, without a network: its exit status, and what it printed.

    Args:
        entrypoint: a program of the image in place of its own.
        workspace: a folder that is mounted, and is the working directory.
    """
    container = client.containers.run(
        image,
        list(command),
        detach=True,
        network_mode="none",
        entrypoint=entrypoint,
        environment=dict(environment or {}),
        volumes=[f"{workspace}:/workspace"] if workspace else None,
        working_dir="/workspace" if workspace else None,
    )
    try:
        return container.wait()["StatusCode"], container.logs().decode()
    finally:
        container.remove(force=True)


@contextmanager
def running_engine(log: Path) -> Iterator[DockerClient]:
    """Yield an engine, stopped at the end if it was started here.

    Raises:
        NoEngineError: there is none, and it cannot be had.
    """
    client, daemon = connected(), shutil.which("dockerd", path=f"{os.environ['PATH']}:/usr/sbin")
    if client is not None:
        with closing(client):
            yield client
    elif daemon is None:
        raise NoEngineError("no Docker engine is here (Debian, Ubuntu: apt-get install docker.io)")
    elif os.geteuid() != 0:
        raise NoEngineError("no Docker engine answers, and only root can start one")
    else:
        with _started(daemon, log) as started, closing(started):
            yield started


@contextmanager
def _started(daemon: str, log: Path) -> Iterator[DockerClient]:
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output, subprocess.Popen([daemon], stdout=output, stderr=output) as process:
        try:
            deadline = time.monotonic() + SECONDS_TO_START
            while (client := connected()) is None:
                if process.poll() is not None or time.monotonic() > deadline:
                    raise NoEngineError(f"dockerd did not start:\n{log.read_text(errors='replace')[-2000:]}")
                time.sleep(0.2)
            yield client
        finally:
            process.terminate()
            process.wait(timeout=SECONDS_TO_START)
