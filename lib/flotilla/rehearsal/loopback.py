"""Web applications on loopback ports of their own, all served by one background thread."""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any, Self, TypeVar

from aiohttp import web
from aiohttp.typedefs import Middleware

T = TypeVar("T")

# Given a server's name, makes the middleware before all of its handlers: where requests can be watched, or broken.
MiddlewareFor = Callable[[str], Middleware]

HOST = "127.0.0.1"
LARGEST_BODY = 2 * 1024**3


class Serving(AbstractContextManager["Serving"]):
    """An asyncio loop in a thread; what it serves ends with the context."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="rehearsal", daemon=True)
        self._closers: list[Callable[[], Awaitable[None]]] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        self.wait(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def wait(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Return the coroutine's result, once the background thread has run it."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    def serve(self, application: web.Application, *, tls: ssl.SSLContext | None = None) -> str:
        """Serve an application on a free loopback port.

        Returns:
            Its origin, without a slash at the end.
        """
        port = self.wait(self._start(application, tls))
        return f"{'https' if tls else 'http'}://{HOST}:{port}"

    def at_end(self, closer: Callable[[], Awaitable[None]]) -> None:
        """Close something in the loop, before the loop ends."""
        self._closers.append(closer)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()

    async def _start(self, application: web.Application, tls: ssl.SSLContext | None) -> int:
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, HOST, 0, ssl_context=tls)
        await site.start()
        self.at_end(runner.cleanup)
        return int(runner.addresses[0][1])

    async def _close(self) -> None:
        for closer in reversed(self._closers):
            await closer()
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await self._loop.shutdown_asyncgens()
