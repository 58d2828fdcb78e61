"""Servers on loopback that speak in bytes: what the test says to each connection, or an answer that drips for ever."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Self

Talk = Callable[[socket.socket, str], object]
BYTES = 200  # of a drip; then it gives up, so that a test that waits for more ends too


class Talker:
    """A server on loopback that does with each connection what the test says, and keeps what it was asked."""

    def __init__(self, talk: Talk) -> None:
        self._talk = talk
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        self.asked: list[str] = []
        self.host = f"127.0.0.1:{self._socket.getsockname()[1]}"
        self.url = f"http://{self.host}/"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._socket.accept()
                self._open.append(client)
                threading.Thread(target=self._one, args=[client], daemon=True).start()

    def _one(self, client: socket.socket) -> None:
        with client, suppress(OSError):
            asked = client.recv(1 << 16).decode()
            self.asked.append(asked)
            self._talk(client, asked)

    def close(self) -> None:
        for each in [self._socket, *self._open]:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()


@contextmanager
def talking(talk: Talk) -> Iterator[Talker]:
    talker = Talker(talk)
    try:
        yield talker
    finally:
        talker.close()


def saying(head: str, body: bytes = b"") -> Talk:
    whole = f"{head}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body
    return lambda client, _asked: client.sendall(whole)


class Trickle(Talker):
    """Answers every request with this head, then byte by byte; `sent` counts them."""

    def __init__(self, head: bytes) -> None:
        self._head = head
        self._ended = threading.Event()
        self.sent = 0
        super().__init__(self._drip)
        self.url = f"http://{self.host}"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self.close()

    def _drip(self, client: socket.socket, _asked: str) -> None:
        client.sendall(self._head)
        for _ in range(BYTES):
            if self._ended.wait(0.002):
                return
            client.sendall(b" ")
            self.sent += 1


class MinuteClock:
    """A clock that advances by a minute each time it is read."""

    def __init__(self) -> None:
        self.time = 0.0

    def now(self) -> float:
        self.time += 60
        return self.time

    def sleep(self, seconds: float) -> None:
        self.time += seconds
