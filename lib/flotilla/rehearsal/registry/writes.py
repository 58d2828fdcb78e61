"""The registry's writes: publishing, dist-tags, and staging until a person approves (npm's lib/commands/stage)."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from flotilla.rehearsal.registry.front import Front, FrontRoute, answer, credential, name_of, sent
from flotilla.rehearsal.registry.publication import Publication, Refused, read_publication
from flotilla.rehearsal.registry.rules import authorise, bearer
from flotilla.rehearsal.registry.state import RegistryState, Staged

PER_PAGE = 100


UUID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"


async def publish(front: Front, request: web.Request) -> web.Response:
    """Take a version, or say why not."""
    body = await request.read()
    async with front.writing:
        publication = front.admitted(request, body, action="publish")
        return await front.commit(publication)


async def set_tag(front: Front, request: web.Request) -> web.Response:
    """Set a dist-tag, or remove it."""
    name, tag = name_of(request), request.match_info["tag"]
    authorise(front.state, header=credential(request), name=name, action="publish", now=front.clock())
    version = json.loads(await request.read()) if request.method == "PUT" else None
    if name not in front.state.published or version not in (None, *front.state.published[name]):
        raise Refused(404, "Not found")
    async with front.writing:
        done = await front.backend.tag(name, tag, version)
        tags = front.state.tags[name]
        tags.pop(tag, None) if version is None else tags.update({tag: version})
        return sent(done)


async def stage(front: Front, request: web.Request) -> web.Response:
    """Keep a version until a person approves it."""
    if not front.state.staging:
        raise Refused(404, "Not found")
    body = await request.read()
    async with front.writing:
        publication = front.admitted(request, body, action="stage")
        actor = front.state.tokens[bearer(credential(request))].kind
        stage_id = _keep(front.state, publication, body=body, actor=actor, now=front.clock())
        return sent(answer({"stageId": stage_id}, 201))


async def list_stages(front: Front, request: web.Request) -> web.Response:
    """Return what is staged."""
    front.for_a_person(request)
    return web.json_response(_listing(front.state, request.query))


async def view_stage(front: Front, request: web.Request) -> web.Response:
    """Return one staged version."""
    front.for_a_person(request)
    return web.json_response(_view(_find(front.state, request.match_info["id"])))


async def download_stage(front: Front, request: web.Request) -> web.Response:
    """Return a staged version's tarball."""
    front.for_a_person(request)
    publication = _publication_of(_find(front.state, request.match_info["id"]))
    return web.Response(body=publication.tarball, content_type="application/octet-stream")


async def approve_stage(front: Front, request: web.Request) -> web.Response:
    """Publish what was staged."""
    front.for_a_person(request)
    async with front.writing:
        staged = _find(front.state, request.match_info["id"])
        done = await front.commit(_publication_of(staged))
        del front.state.staged[staged.id]
        return done


async def reject_stage(front: Front, request: web.Request) -> web.Response:
    """Forget what was staged."""
    front.for_a_person(request)
    del front.state.staged[_find(front.state, request.match_info["id"]).id]
    return web.json_response({"ok": True})


def _keep(state: RegistryState, publication: Publication, *, body: bytes, actor: str, now: float) -> str:
    """Keep a publication until it is approved.

    Returns:
        Its stage id.
    """
    staged = Staged(
        id=str(uuid.uuid4()),
        name=publication.name,
        version=publication.version,
        tag=publication.tag,
        integrity=publication.integrity,
        shasum=publication.shasum,
        created_at=time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(now)),
        actor=actor,
        document=body,
    )
    state.staged[staged.id] = staged
    return staged.id


def _find(state: RegistryState, stage_id: str) -> Staged:
    """Return what is staged under an id.

    Raises:
        Refused: nothing is.
    """
    if stage_id not in state.staged:
        raise Refused(404, "Not found")
    return state.staged[stage_id]


def _publication_of(staged: Staged) -> Publication:
    """Return the publication as it was staged."""
    return read_publication(staged.document, name=staged.name)


def _view(staged: Staged) -> dict[str, Any]:
    """Return a staged version as npm shows it."""
    return {
        "id": staged.id,
        "packageName": staged.name,
        "version": staged.version,
        "tag": staged.tag,
        "createdAt": staged.created_at,
        "actor": staged.actor,
        "actorType": "user",
        "shasum": staged.shasum,
    }


def _listing(state: RegistryState, query: Mapping[str, str]) -> dict[str, Any]:
    """Return one page of what is staged, of one package or of all."""
    items = [_view(staged) for staged in state.staged.values() if query.get("package") in (None, staged.name)]
    page, size = int(query.get("page", 0)), int(query.get("perPage", PER_PAGE))
    return {"items": items[page * size : (page + 1) * size], "total": len(items)}


ROUTES: tuple[FrontRoute, ...] = (
    ("PUT", "/-/package/{name:.+}/dist-tags/{tag}", set_tag),
    ("DELETE", "/-/package/{name:.+}/dist-tags/{tag}", set_tag),
    ("POST", "/-/stage/package/{name:.+}", stage),
    ("GET", "/-/stage", list_stages),
    ("GET", f"/-/stage/{{id:{UUID}}}", view_stage),
    ("GET", f"/-/stage/{{id:{UUID}}}/tarball", download_stage),
    ("POST", f"/-/stage/{{id:{UUID}}}/approve", approve_stage),
    ("DELETE", f"/-/stage/{{id:{UUID}}}", reject_stage),
    ("PUT", "/{name:(?!-/).+}", publish),
)
