"""The throwaway npm registry: a front that does what the public registry does, and a backend that stores."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Callable
from urllib.parse import unquote, urlsplit

from aiohttp import web

from flotilla.rehearsal import registry_stage as staging
from flotilla.rehearsal.faults import FaultPlan
from flotilla.rehearsal.injection import STALE, Handler, fault_middleware
from flotilla.rehearsal.registry_backends import Answer, Backend, MemoryBackend, answer
from flotilla.rehearsal.registry_documents import Publication, Refused, read_publication
from flotilla.rehearsal.registry_oidc import exchange
from flotilla.rehearsal.registry_provenance import attestations, check_provenance, statement
from flotilla.rehearsal.registry_reads import read, response
from flotilla.rehearsal.registry_rules import (
    authorise,
    authorise_person,
    bearer,
    check_document,
    check_free,
    take_turn,
)
from flotilla.rehearsal.registry_state import Accepted, Action, RegistryState
from flotilla.rehearsal.serving import LARGEST_BODY, Serving

UUID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"


class RegistryServer:
    """A throwaway registry, served while `serving` lasts.

    Args:
        state: its tokens, rules and records; may be read and changed by the caller between requests.
        serving: where it is served.
        backend: what stores the packages; in memory by default, and then in the state.
        plan: numbers its requests and breaks some.
        clock: epoch seconds.
    """

    def __init__(
        self,
        state: RegistryState,
        serving: Serving,
        *,
        backend: Backend | None = None,
        plan: FaultPlan | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.state = state
        self.plan = plan or FaultPlan()
        self._serving = serving
        self._backend = backend or MemoryBackend(state)
        self._initial = state.saved()
        self._clock = clock
        self._writing = asyncio.Lock()
        self.url = f"{serving.serve(self._application())}/"

    def reset(self) -> None:
        """Be empty again, with the rules and tokens of the beginning."""
        self._serving.wait(self._backend.wipe())
        self.state.restore(self._initial)

    def restore(self, saved: RegistryState) -> None:
        """Be as the saved state was; what verdaccio stores cannot be."""
        if not isinstance(self._backend, MemoryBackend):
            raise TypeError("Only the memory backend can be restored; reset() empties verdaccio.")
        self.state.restore(saved)

    def _application(self) -> web.Application:
        application = web.Application(
            client_max_size=LARGEST_BODY,
            middlewares=[fault_middleware("registry", self.plan, label), _in_words],
        )
        routes: tuple[tuple[str, str, Handler], ...] = (
            ("POST", r"/-/npm/v1/oidc/token/exchange/package/{name:.+}", self._exchange),
            ("GET", r"/-/npm/v1/attestations/{spec:.+}", self._attestations),
            ("GET", r"/-/npm/v1/keys", self._keys),
            ("POST", r"/-/npm/v1/security/{tail:.+}", self._no_advisories),
            ("GET", r"/-/package/{name:.+}/visibility", self._visibility),
            ("PUT", r"/-/package/{name:.+}/dist-tags/{tag}", self._tag),
            ("DELETE", r"/-/package/{name:.+}/dist-tags/{tag}", self._tag),
            ("POST", r"/-/stage/package/{name:.+}", self._stage),
            ("GET", r"/-/stage", self._stage_list),
            ("GET", rf"/-/stage/{{id:{UUID}}}", self._stage_view),
            ("GET", rf"/-/stage/{{id:{UUID}}}/tarball", self._stage_tarball),
            ("POST", rf"/-/stage/{{id:{UUID}}}/approve", self._stage_approve),
            ("DELETE", rf"/-/stage/{{id:{UUID}}}", self._stage_reject),
            ("GET", r"/-/whoami", self._whoami),
            ("PUT", r"/{name:(?!-/).+}", self._publish),
            ("GET", r"/{tail:.*}", self._read),
        )
        for method, path, handler in routes:
            application.router.add_route(method, path, handler)
        return application

    async def _publish(self, request: web.Request) -> web.Response:
        body = await request.read()
        async with self._writing:
            publication = self._admitted(request, body, action="publish")
            return await self._commit(publication, request.host)

    async def _stage(self, request: web.Request) -> web.Response:
        if not self.state.staging:
            raise Refused(404, "Not found")
        body = await request.read()
        async with self._writing:
            publication = self._admitted(request, body, action="stage")
            actor = self.state.tokens[bearer(_credential(request))].kind
            stage_id = staging.stage(self.state, publication, body=body, actor=actor, now=self._clock())
            return _sent(answer({"stageId": stage_id}, 201))

    def _admitted(self, request: web.Request, body: bytes, *, action: Action) -> Publication:
        name, now = unquote(request.match_info["name"]), self._clock()
        authorise(self.state, header=_credential(request), name=name, action=action, now=now)
        take_turn(self.state, now=now)
        publication = read_publication(body, name=name)
        check_free(self.state, publication)
        check_document(self.state, publication)
        if self.state.provenance_rules:
            check_provenance(publication)
        return publication

    async def _commit(self, publication: Publication, host: str) -> web.Response:
        before = await self._backend.read(f"/{publication.name}", accept="", host=host)
        stored = await self._backend.store(publication)
        if stored.status < 400:  # noqa: PLR2004 - HTTP's own boundary
            self.state.previous[publication.name] = json.loads(before.body) if before.status == 200 else None  # noqa: PLR2004
            self._record(publication)
        return _sent(stored)

    def _record(self, publication: Publication) -> None:
        if publication.bundle is not None:
            self.state.bundles[publication.spec] = publication.bundle
        digest = statement(publication.bundle)["subject"][0]["digest"]["sha512"] if publication.bundle else None
        self.state.accept(
            Accepted(
                name=publication.name,
                version=publication.version,
                integrity=publication.integrity,
                tag=publication.tag,
                provenance=digest,
            )
        )

    async def _read(self, request: web.Request) -> web.Response:
        found = await read(self.state, self._backend, request, now=self._clock(), stale=bool(request.get(STALE)))
        return response(found, request)

    async def _exchange(self, request: web.Request) -> web.Response:
        audience = f"npm:{urlsplit(f'//{request.host}').hostname}"
        name, token = unquote(request.match_info["name"]), bearer(_credential(request))
        granted = exchange(self.state, name=name, id_token=token, audience=audience, now=self._clock())
        return web.json_response(granted, status=201)

    async def _visibility(self, request: web.Request) -> web.Response:
        if unquote(request.match_info["name"]) not in self.state.published:
            raise Refused(404, "Not found")
        return web.json_response({"public": True})

    async def _attestations(self, request: web.Request) -> web.Response:
        spec = unquote(request.match_info["spec"])
        if spec not in self.state.bundles:
            raise Refused(404, "Not found")
        name, _at, version = spec.rpartition("@")
        return web.json_response(attestations(name, version, self.state.bundles[spec]))

    async def _tag(self, request: web.Request) -> web.Response:
        name, tag = unquote(request.match_info["name"]), request.match_info["tag"]
        authorise(self.state, header=_credential(request), name=name, action="publish", now=self._clock())
        version = json.loads(await request.read()) if request.method == "PUT" else None
        if version not in (None, *self.state.published.get(name, {})):
            raise Refused(404, "Not found")
        async with self._writing:
            done = await self._backend.tag(name, tag, version)
            tags = self.state.tags[name]
            tags.pop(tag, None) if version is None else tags.update({tag: version})
            return _sent(done)

    async def _stage_list(self, request: web.Request) -> web.Response:
        self._for_a_person(request)
        return web.json_response(staging.listing(self.state, request.query))

    async def _stage_view(self, request: web.Request) -> web.Response:
        self._for_a_person(request)
        return web.json_response(staging.view(staging.find(self.state, request.match_info["id"])))

    async def _stage_tarball(self, request: web.Request) -> web.Response:
        self._for_a_person(request)
        publication = staging.publication_of(staging.find(self.state, request.match_info["id"]))
        return web.Response(body=publication.tarball, content_type="application/octet-stream")

    async def _stage_approve(self, request: web.Request) -> web.Response:
        self._for_a_person(request)
        async with self._writing:
            staged = staging.find(self.state, request.match_info["id"])
            done = await self._commit(staging.publication_of(staged), request.host)
            del self.state.staged[staged.id]
            return done

    async def _stage_reject(self, request: web.Request) -> web.Response:
        self._for_a_person(request)
        del self.state.staged[staging.find(self.state, request.match_info["id"]).id]
        return web.json_response({"ok": True})

    def _for_a_person(self, request: web.Request) -> None:
        authorise_person(self.state, header=_credential(request), now=self._clock())

    async def _keys(self, _request: web.Request) -> web.Response:
        return web.json_response({"keys": []})

    async def _no_advisories(self, _request: web.Request) -> web.Response:
        return web.json_response({})

    async def _whoami(self, request: web.Request) -> web.Response:
        self._for_a_person(request)
        return web.json_response({"username": "acme"})


def label(request: web.Request) -> str:
    """A request's path without what differs from run to run."""
    path = re.sub(UUID, "{id}", unquote(request.path))
    return f"{path}?write=true" if request.query.get("write") == "true" else path


@web.middleware
async def _in_words(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except Refused as refused:
        return web.json_response(refused.document, status=refused.status, headers=refused.headers)
    except (web.HTTPNotFound, web.HTTPMethodNotAllowed):
        return web.json_response({"error": "Not found"}, status=404)


def _credential(request: web.Request) -> str:
    return request.headers.get("authorization", "")


def _sent(done: Answer) -> web.Response:
    return web.Response(status=done.status, body=done.body, headers={"Content-Type": done.content_type})
