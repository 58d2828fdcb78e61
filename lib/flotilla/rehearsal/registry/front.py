"""What every handler of the throwaway registry works with: the state, the backend, and the way to a stored version."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import unquote

from aiohttp import web

from flotilla.rehearsal.registry.provenance import check_provenance, subject_digest
from flotilla.rehearsal.registry.publication import Publication, read_publication, unpacked_size
from flotilla.rehearsal.registry.rules import (
    authorise,
    authorise_person,
    check_document,
    check_free,
    take_turn,
)
from flotilla.rehearsal.registry.state import Accepted, Action, RegistryState

FIRST_ERROR = 400
JSON_TYPE = "application/json; charset=utf-8"
INSTALL_TYPE = "application/vnd.npm.install-v1+json"


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a backend answers."""

    status: int
    body: bytes
    content_type: str = JSON_TYPE


class Backend(Protocol):
    """Stores what the front accepted, and serves it."""

    async def read(self, path: str, *, accept: str, host: str) -> Answer:
        """Answer a GET.

        Args:
            path: as the client sent it, query included.
            accept: the client's Accept header.
            host: the client's Host header, for the tarballs' addresses.
        """

    async def store(self, publication: Publication) -> Answer:
        """Store a version that is not there yet."""

    async def tag(self, name: str, tag: str, version: str | None) -> Answer:
        """Set a dist-tag, or remove it."""


@dataclass(kw_only=True)
class Front:
    """The registry between the wire and what stores its packages.

    Args:
        writing: held while the version index is read and written.
    """

    state: RegistryState
    backend: Backend
    clock: Callable[[], float]
    writing: asyncio.Lock = field(default_factory=asyncio.Lock)

    def admitted(self, request: web.Request, body: bytes, *, action: Action) -> Publication:
        """Return the publication that a request holds, once every rule lets it pass."""
        name, now = name_of(request), self.clock()
        authorise(self.state, header=credential(request), name=name, action=action, now=now)
        take_turn(self.state, now=now)
        publication = read_publication(body, name=name)
        check_free(self.state, publication)
        check_document(self.state, publication)
        if self.state.provenance_rules:
            check_provenance(publication)
        return publication

    async def commit(self, publication: Publication) -> web.Response:
        """Store a publication and record it."""
        stored = await self.backend.store(publication)
        if stored.status < FIRST_ERROR:
            self.state.unpacked[publication.spec] = await asyncio.to_thread(unpacked_size, publication.tarball)
            self._record(publication)
        return sent(stored)

    def for_a_person(self, request: web.Request) -> None:
        """Refuse who is a workflow, or nobody."""
        authorise_person(self.state, header=credential(request), now=self.clock())

    def _record(self, publication: Publication) -> None:
        if publication.bundle is not None:
            self.state.bundles[publication.spec] = publication.bundle
        self.state.accept(
            Accepted(
                name=publication.name,
                version=publication.version,
                integrity=publication.integrity,
                tag=publication.tag,
                provenance=subject_digest(publication.bundle) if publication.bundle else None,
            )
        )


FrontHandler = Callable[[Front, web.Request], Awaitable[web.Response]]
FrontRoute = tuple[str, str, FrontHandler]


def credential(request: web.Request) -> str:
    """Return the Authorization header."""
    return request.headers.get("authorization", "")


def name_of(request: web.Request) -> str:
    """Return the package's name in the path."""
    return unquote(request.match_info["name"])


def sent(done: Answer) -> web.Response:
    """Return a backend's answer on the wire."""
    return web.Response(status=done.status, body=done.body, headers={"Content-Type": done.content_type})


def answer(document: Mapping[str, Any], status: int = 200, content_type: str = JSON_TYPE) -> Answer:
    """Return a document as verdaccio prints it."""
    text = json.dumps(document, indent=2, ensure_ascii=False) + "\n"
    return Answer(status=status, body=text.encode(), content_type=content_type)


def split_name(path: str) -> tuple[str, str]:
    """Return a package's name, and what follows it ("" for nothing)."""
    parts = path.split("/")
    length = 2 if path.startswith("@") else 1
    return "/".join(parts[:length]), "/".join(parts[length:])
