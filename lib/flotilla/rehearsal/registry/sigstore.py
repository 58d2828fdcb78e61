"""Fulcio and Rekor on loopback for an unmodified npm: a proxy that ends TLS itself, around @sigstore/mock."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import aiohttp
import trustme
from aiohttp import web

from flotilla.rehearsal.loopback import HOST, MiddlewareFor, Serving
from flotilla.rehearsal.node import NodeProcess

HOSTS = ("fulcio.sigstore.dev", "rekor.sigstore.dev")
ENTRIES = "/api/v1/log/entries"
CHUNK = 65536


@dataclass(kw_only=True)
class SigstoreState:
    """What was signed and logged, and what the next requests meet.

    Args:
        certificates: how many Fulcio issued.
        entries: how many Rekor logged; for good, as the real one does.
        conflicts: how many of the next log entries are answered 409.
        failures: how many of the next requests are answered 500.
    """

    certificates: int = 0
    entries: int = 0
    conflicts: int = 0
    failures: int = 0


class Sigstore:
    """Stands in for the public sigstore, for clients that are given its proxy and its CA.

    Args:
        modules: the node_modules folder that holds @sigstore/mock.
        folder: where the CA's certificate is written.
        serving: where it is served.
        middleware: stands before the handler; see MiddlewareFor.
    """

    def __init__(
        self, modules: Path, folder: Path, serving: Serving, *, middleware: MiddlewareFor | None = None
    ) -> None:
        self.state = SigstoreState()
        self.ca_file = folder / "sigstore-ca.pem"
        self._process = NodeProcess("registry/sigstore.mjs", str(modules))
        self._session = serving.wait(_session())
        serving.at_end(self._session.close)
        application = web.Application(middlewares=[middleware("sigstore")] if middleware else [])
        application.router.add_post("/{tail:.*}", self._post)
        self._tls_port = int(serving.serve(application, tls=self._certified()).rsplit(":", 1)[1])
        self._proxy = serving.wait(asyncio.start_server(self._connect, HOST, 0))
        serving.at_end(self._stop)
        self.proxy_url = f"http://{HOST}:{self._proxy.sockets[0].getsockname()[1]}"

    def variables(self) -> dict[str, str]:
        """Return what npm's environment needs to reach it."""
        return {
            "HTTPS_PROXY": self.proxy_url,
            "NO_PROXY": f"{HOST},localhost",
            "NODE_EXTRA_CA_CERTS": str(self.ca_file),
        }

    def close(self) -> None:
        """End the node process."""
        self._process.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        self.close()

    def _certified(self) -> ssl.SSLContext:
        authority = trustme.CA()
        authority.cert_pem.write_to_path(self.ca_file)
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        authority.issue_cert(*HOSTS).configure_cert(context)
        return context

    async def _post(self, request: web.Request) -> web.Response:
        body = await request.read()
        if self.state.failures > 0:
            self.state.failures -= 1
            return web.json_response({"code": 500, "message": "scripted 500"}, status=500)
        if request.path == ENTRIES and self.state.conflicts > 0:
            self.state.conflicts -= 1
            return _conflict()
        async with self._session.post(f"{self._process.origin}{request.path}", data=body) as answer:
            content = await answer.read()
            self._count(request.path, answer.status)
            return web.Response(status=answer.status, body=content, content_type="application/json")

    def _count(self, path: str, status: int) -> None:
        if status == 201:  # noqa: PLR2004 - created
            self.state.entries += path == ENTRIES
            self.state.certificates += path != ENTRIES

    async def _connect(self, client: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            method, target, *_rest = (await client.readuntil(b"\r\n\r\n")).decode("latin-1").split(" ")
            if method != "CONNECT" or target.split(":")[0] not in HOSTS:
                back.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            else:
                await self._tunnel(client, back)
        back.close()

    async def _tunnel(self, client: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        answers, requests = await asyncio.open_connection(HOST, self._tls_port)
        back.write(b"HTTP/1.1 200 OK\r\n\r\n")
        await asyncio.gather(_copy(client, requests), _copy(answers, back))

    async def _stop(self) -> None:
        self._proxy.close()


async def _copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await source.read(CHUNK):
            sink.write(data)
            await sink.drain()
    sink.close()


def _conflict() -> web.Response:
    words = "an equivalent entry already exists in the transparency log"
    headers = {"Location": f"{ENTRIES}/0"}
    return web.json_response({"code": 409, "message": words}, status=409, headers=headers)


async def _session() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60))
