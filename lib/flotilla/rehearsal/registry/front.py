"""What every handler of the throwaway registry works with: the state, the backend, and the way to a stored version."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from urllib.parse import unquote

from aiohttp import web

from flotilla.rehearsal.registry.backends import Answer, Backend
from flotilla.rehearsal.registry.provenance import check_provenance, subject_digest
from flotilla.rehearsal.registry.publication import Publication, read_publication
from flotilla.rehearsal.registry.rules import (
    authorise,
    authorise_person,
    check_document,
    check_free,
    take_turn,
)
from flotilla.rehearsal.registry.state import Accepted, Action, RegistryState

OK = 200
FIRST_ERROR = 400


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
        """The publication that a request holds, once every rule lets it pass."""
        name, now = name_of(request), self.clock()
        authorise(self.state, header=credential(request), name=name, action=action, now=now)
        take_turn(self.state, now=now)
        publication = read_publication(body, name=name)
        check_free(self.state, publication)
        check_document(self.state, publication)
        if self.state.provenance_rules:
            check_provenance(publication)
        return publication

    async def commit(self, publication: Publication, host: str) -> web.Response:
        """Store a publication and record it."""
        before = await self.backend.read(f"/{publication.name}", accept="", host=host)
        stored = await self.backend.store(publication)
        if stored.status < FIRST_ERROR:
            self.state.previous[publication.name] = json.loads(before.body) if before.status == OK else None
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
    """The Authorization header."""
    return request.headers.get("authorization", "")


def name_of(request: web.Request) -> str:
    """The package's name in the path."""
    return unquote(request.match_info["name"])


def sent(done: Answer) -> web.Response:
    """A backend's answer on the wire."""
    return web.Response(status=done.status, body=done.body, headers={"Content-Type": done.content_type})
