"""A server on loopback that does with each connection what the test says, byte by byte."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

Talk = Callable[[socket.socket, str], object]


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
