"""A server that answers a byte at a time, and a clock for which each of them takes a minute."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from types import TracebackType
from typing import Self

BYTES = 200  # then it gives up, so that a test that waits for more ends too


class Trickle:
    """Answers every request on loopback with this head, then byte by byte."""

    def __init__(self, head: bytes) -> None:
        self._head = head
        self._ended = threading.Event()
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve)
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self.sent = 0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join()

    def _serve(self) -> None:
        with suppress(OSError):
            while not self._ended.is_set():
                client, _ = self._socket.accept()
                with client, suppress(OSError):
                    self._answer(client)

    def _answer(self, client: socket.socket) -> None:
        client.recv(1 << 16)
        client.sendall(self._head)
        for _ in range(BYTES):
            if self._ended.wait(0.002):
                return
            client.sendall(b" ")
            self.sent += 1


class MinuteClock:
    """A minute goes by with each look at it."""

    def __init__(self) -> None:
        self.time = 0.0

    def now(self) -> float:
        self.time += 60
        return self.time

    def sleep(self, seconds: float) -> None:
        self.time += seconds
