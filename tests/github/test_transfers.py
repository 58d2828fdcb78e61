from __future__ import annotations

import signal
import socket
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.world.sockets import talking

from flotilla.errors import ArtifactError, GitHubError
from flotilla.github import GitHub
from flotilla.github.assets import AssetPlan, WantedAsset
from flotilla.retry import WORKERS, Cancelled, RetryPolicy, StopFlag, gather

if TYPE_CHECKING:
    from tests.github.conftest import Maker

TOKEN = "ghs_canary0123456789"  # noqa: S105 - no secret, but a canary
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/zip\r\nContent-Length: 5000\r\n\r\n"


class Interrupting:
    """Answers a part, or nothing, and interrupts the test's thread once every worker is at it."""

    def __init__(self, answered: bytes) -> None:
        self._answered = answered
        self._count = 0
        self._lock = threading.Lock()

    def __call__(self, client: socket.socket, _asked: str) -> None:
        client.sendall(self._answered)
        with self._lock:
            self._count += 1
            if self._count == WORKERS:
                signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
        while client.recv(1 << 16):
            pass


def at_work() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "flotilla-worker"]


def client(url: str) -> GitHub:
    policy = RetryPolicy(deadline=2e9 * 2)
    return GitHub(api_url=url, token=TOKEN, repository="acme/ffmpeg", policy=policy)


def test_cancelling_cuts_downloads_and_begins_none_of_those_that_wait(make: Maker, tmp_path: Path) -> None:
    with talking(Interrupting(HEAD)) as server:
        with pytest.raises(KeyboardInterrupt):
            client(server.url.rstrip("/")).artifacts.download(
                [make.an_artifact(artifact_id=number, size_in_bytes=5000) for number in range(2 * WORKERS)], tmp_path
            )
        assert at_work() == []
        assert len(server.asked) == WORKERS


def test_cancelling_cuts_uploads_and_begins_none_of_those_that_wait(make: Maker, tmp_path: Path) -> None:
    with talking(Interrupting(b"")) as server:
        wanted = []
        for number in range(2 * WORKERS):
            path = tmp_path / f"{number}.tgz"
            path.write_bytes(b"x" * 5000)
            wanted.append(WantedAsset(name=path.name, size=5000, digest=f"sha256:{number}", path=path))
        release = make.a_release(upload_url=f"{server.url}upload{{?name,label}}")
        with pytest.raises(KeyboardInterrupt):
            client(server.url.rstrip("/")).assets.upload(release, AssetPlan(upload=tuple(wanted)))
        assert at_work() == []
        assert len(server.asked) == WORKERS


def test_a_flag_that_is_set_elsewhere_stops_tasks_that_wait() -> None:
    stop, ran = StopFlag(), list[int]()

    def task(number: int) -> None:
        ran.append(number)
        stop.set()

    with pytest.raises(Cancelled):
        gather([lambda: task(1), lambda: task(2)], stop=stop, workers=1)
    assert ran == [1]


def test_everything_that_failed_is_raised_together_and_the_rest_has_ended() -> None:
    ran: list[str] = []

    def refuse(kind: type[ArtifactError | GitHubError], text: str) -> None:
        raise kind(text)

    with pytest.raises(ArtifactError) as raised:
        gather(
            [
                lambda: refuse(ArtifactError, "a"),
                lambda: ran.append("ran"),
                lambda: refuse(GitHubError, "b"),
                lambda: refuse(GitHubError, "b"),
            ],
            stop=StopFlag(),
        )
    assert [fault.text for fault in raised.value.faults] == ["a", "b"]
    assert ran == ["ran"]
