"""A forward proxy on loopback that makes each request wait and limits the bytes a second of each answer and body."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Self

import aiohttp
from aiohttp import web

from flotilla.rehearsal.loopback import LARGEST_BODY, Serving

CHUNK = 64 * 1024
HOP = frozenset({"connection", "keep-alive", "proxy-connection", "transfer-encoding", "te", "trailer", "upgrade"})


class Network(AbstractContextManager["Network"]):
    """The proxy, in a thread of its own.

    Args:
        delay: seconds that each request waits.
        rate: bytes a second of one transfer; 0 for no limit.
    """

    def __init__(self, *, delay: float, rate: float) -> None:
        self._delay = delay
        self._rate = rate
        self._serving = Serving()
        self.url = ""
        self.requests = 0

    def __enter__(self) -> Self:
        self._serving.__enter__()
        application = web.Application(client_max_size=LARGEST_BODY)
        application.router.add_route("*", "/{path:.*}", self._forward)
        self._session = self._serving.wait(self._client())
        self._serving.at_end(self._session.close)
        self.url = self._serving.serve(application)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        self._serving.__exit__(kind, error, trace)

    async def _client(self) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(auto_decompress=False, connector=aiohttp.TCPConnector(limit=0))

    async def _forward(self, request: web.Request) -> web.StreamResponse:
        self.requests += 1
        await asyncio.sleep(self._delay)
        headers = {name: value for name, value in request.headers.items() if name.lower() not in HOP}
        body = self._paced(request.content) if request.can_read_body else None
        sent = self._session.request(
            request.method, str(request.url), headers=headers, data=body, allow_redirects=False
        )
        async with sent as answer:
            given = {name: value for name, value in answer.headers.items() if name.lower() not in HOP}
            reply = web.StreamResponse(status=answer.status, headers=given)
            await reply.prepare(request)
            async for part in self._paced(answer.content):
                await reply.write(part)
            await reply.write_eof()
            return reply

    async def _paced(self, content: aiohttp.StreamReader) -> AsyncIterator[bytes]:
        """Yield the content, no faster than the rate."""
        loop = asyncio.get_running_loop()
        began, count = loop.time(), 0
        async for part in content.iter_chunked(CHUNK):
            yield part
            count += len(part)
            if self._rate and (ahead := began + count / self._rate - loop.time()) > 0:
                await asyncio.sleep(ahead)
