"""The real verdaccio as the registry's backend."""

from __future__ import annotations

import io
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import unquote, urlsplit

import aiohttp
from yarl import URL

from flotilla.rehearsal.loopback import Serving
from flotilla.rehearsal.node import NodeProcess
from flotilla.rehearsal.registry.front import FIRST_ERROR, Answer, split_name
from flotilla.rehearsal.registry.publication import Publication
from flotilla.rehearsal.registry.upstream import Upstream


class VerdaccioBackend:
    """A verdaccio of its own, its storage in a folder that the caller gives and removes.

    Args:
        modules: the node_modules folder that holds verdaccio.
        storage: an empty folder.
        serving: the loop in which it is asked.
        upstream: where packages that are not the family's are read; by default none is.
    """

    def __init__(self, modules: Path, storage: Path, serving: Serving, upstream: Upstream | None = None) -> None:
        self.storage = storage
        self.upstream = upstream or Upstream()
        self.unread: dict[str, int] = {}  # status by name
        self._process = NodeProcess(
            "registry/verdaccio.mjs",
            str(modules),
            str(storage),
            environment={**self.upstream.environment, "FLOTILLA_UPSTREAM": self.upstream.settings()},
        )
        self._session = serving.wait(_session())
        serving.at_end(self._session.close)

    async def read(self, path: str, *, accept: str, host: str) -> Answer:
        """Answer a GET as verdaccio does."""
        answer = await self._ask("GET", path, headers={"Accept": accept or "*/*", "Host": host})
        name, _rest = split_name(unquote(urlsplit(path).path).strip("/"))
        # Below "-" are the registry's own pages, such as its keys; no package has that name.
        if name not in {*self.upstream.own, "-"} and answer.status >= FIRST_ERROR:
            self.unread[name] = answer.status
        return answer

    async def store(self, publication: Publication) -> Answer:
        """Publish to verdaccio."""
        return await self._ask("PUT", f"/{publication.name.replace('/', '%2f')}", body=publication.stored)

    async def tag(self, name: str, tag: str, version: str | None) -> Answer:
        """Set a dist-tag, or remove it."""
        path = f"/-/package/{name.replace('/', '%2f')}/dist-tags/{tag}"
        if version is None:
            return await self._ask("DELETE", path)
        return await self._ask("PUT", path, body=f'"{version}"'.encode())

    async def _ask(
        self, method: str, path: str, *, headers: dict[str, str] | None = None, body: bytes | None = None
    ) -> Answer:
        known = {"Accept-Encoding": "identity", "Content-Type": "application/json"}
        url = URL(f"{self._process.origin}{path}", encoded=True)
        async with self._session.request(
            method, url, headers={**known, **(headers or {})}, data=body and io.BytesIO(body)
        ) as answer:
            return Answer(
                status=answer.status, body=await answer.read(), content_type=answer.headers.get("Content-Type", "")
            )

    def close(self) -> None:
        """End verdaccio."""
        self._process.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        self.close()


async def _session() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=600))
