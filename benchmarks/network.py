"""A server behind a network: a relay on loopback that makes bytes late and slow, in a process of its own.

usage: python -m benchmarks.network SECONDS BYTES_A_SECOND PORT

A byte arrives half of SECONDS later in each direction, so an exchange takes SECONDS longer; a connection carries at
most BYTES_A_SECOND each way. Opening a connection costs nothing, which favours clients that open many.
The relay prints its port, and ends when its standard input is closed.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from aiohttp import web

from flotilla.rehearsal.loopback import HOST, Serving

ROOT = Path(__file__).parents[1]
CHUNK = 64 * 1024
IN_FLIGHT = 64  # chunks: more than fit into half a round trip


class FarServing(Serving):
    """Serves applications as Serving does, behind a network.

    Args:
        seconds: for an exchange; 0 for loopback as it is.
        rate: bytes a second.
    """

    def __init__(self, seconds: float, rate: float) -> None:
        super().__init__()
        self._shape = [str(seconds), str(rate)]
        self._far = seconds > 0
        self._relays: list[subprocess.Popen[str]] = []

    def serve(self, application: web.Application, **options: Any) -> str:
        """Serve an application on a free loopback port; return the relay's origin."""
        origin = super().serve(application, **options)
        if not self._far:
            return origin
        command = [sys.executable, "-m", "benchmarks.network", *self._shape, origin.rpartition(":")[2]]
        relay = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT, text=True)
        self._relays.append(relay)
        assert relay.stdout is not None  # noqa: S101 - a pipe was asked for
        return f"http://{HOST}:{relay.stdout.readline().strip()}"

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        """End the relays, then what was served."""
        for relay in self._relays:
            relay.communicate()
        super().__exit__(kind, error, trace)


async def _relay(seconds: float, rate: float, port: int) -> None:
    async def connected(client: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        server, forth = await asyncio.open_connection(HOST, port)
        await asyncio.gather(_carry(client, forth, seconds / 2, rate), _carry(server, back, seconds / 2, rate))

    listening = await asyncio.start_server(connected, HOST, 0)
    sys.stdout.write(f"{listening.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


async def _carry(source: asyncio.StreamReader, target: asyncio.StreamWriter, delay: float, rate: float) -> None:
    """Pass on what arrives, late and slow; then the end of it."""
    loop, on_the_way = asyncio.get_running_loop(), asyncio.Queue[tuple[float, bytes]](IN_FLIGHT)

    async def read() -> None:
        sent = 0.0
        data = b"-"
        while data:
            with suppress(ConnectionError):
                data = await source.read(CHUNK)
            sent = max(sent, loop.time()) + len(data) / rate
            await on_the_way.put((sent + delay, data))

    reading = asyncio.create_task(read())
    with suppress(ConnectionError):
        while True:
            due, data = await on_the_way.get()
            if (ahead := due - loop.time()) > 0:
                await asyncio.sleep(ahead)
            if not data:
                break
            target.write(data)
            await target.drain()
    reading.cancel()
    target.close()


if __name__ == "__main__":
    asyncio.run(_relay(float(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3])))
