"""An HTTP server on loopback for the tests that say themselves what it answers."""

from __future__ import annotations

import ssl
import threading
from contextlib import AbstractContextManager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self


class HttpServer(AbstractContextManager["HttpServer"]):
    """Gives each request to `serve`; says nothing of clients that hang up, since some are here to do that."""

    def __init__(self) -> None:
        owner = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = 64 * 1024  # headers and body in one packet, or each answer waits 40 ms for an acknowledgement

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
                pass

            def handle_one_request(self) -> None:
                try:
                    super().handle_one_request()
                except (ConnectionError, ssl.SSLError):
                    self.close_connection = True

            def do_CONNECT(self) -> None:
                owner.connect(self)

            def do_any(self) -> None:
                owner.serve(self)

            do_GET = do_PUT = do_POST = do_PATCH = do_DELETE = do_HEAD = do_any  # noqa: N815 - http.server's names

        self._handler = Handler
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self.origin = f"http://127.0.0.1:{self._http.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def serve(self, handler: BaseHTTPRequestHandler) -> None:
        """Answer one request."""
        raise NotImplementedError

    def connect(self, handler: BaseHTTPRequestHandler) -> None:
        """Answer a client that takes this for a proxy."""
        handler.send_error(501)


def body_of(handler: BaseHTTPRequestHandler) -> bytes:
    """Return a request's body, sent whole or in chunks."""
    if handler.headers.get("transfer-encoding") != "chunked":
        return handler.rfile.read(int(handler.headers.get("content-length") or 0))
    chunks = []
    while size := int(handler.rfile.readline(), 16):
        chunks.append(handler.rfile.read(size))
        handler.rfile.readline()
    handler.rfile.readline()
    return b"".join(chunks)
