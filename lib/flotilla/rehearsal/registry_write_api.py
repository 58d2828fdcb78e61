"""The registry's writes: publishing, dist-tags, staging."""

from __future__ import annotations

import json

from aiohttp import web

from flotilla.rehearsal import registry_stage as staging
from flotilla.rehearsal.registry_backends import answer
from flotilla.rehearsal.registry_documents import Refused
from flotilla.rehearsal.registry_front import Front, FrontRoute, credential, name_of, sent
from flotilla.rehearsal.registry_rules import authorise, bearer

UUID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"


async def publish(front: Front, request: web.Request) -> web.Response:
    """Take a version, or say why not."""
    body = await request.read()
    async with front.writing:
        publication = front.admitted(request, body, action="publish")
        return await front.commit(publication, request.host)


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
        stage_id = staging.stage(front.state, publication, body=body, actor=actor, now=front.clock())
        return sent(answer({"stageId": stage_id}, 201))


async def list_stages(front: Front, request: web.Request) -> web.Response:
    """What is staged."""
    front.for_a_person(request)
    return web.json_response(staging.listing(front.state, request.query))


async def view_stage(front: Front, request: web.Request) -> web.Response:
    """One staged version."""
    front.for_a_person(request)
    return web.json_response(staging.view(staging.find(front.state, request.match_info["id"])))


async def download_stage(front: Front, request: web.Request) -> web.Response:
    """A staged version's tarball."""
    front.for_a_person(request)
    publication = staging.publication_of(staging.find(front.state, request.match_info["id"]))
    return web.Response(body=publication.tarball, content_type="application/octet-stream")


async def approve_stage(front: Front, request: web.Request) -> web.Response:
    """Publish what was staged."""
    front.for_a_person(request)
    async with front.writing:
        staged = staging.find(front.state, request.match_info["id"])
        done = await front.commit(staging.publication_of(staged), request.host)
        del front.state.staged[staged.id]
        return done


async def reject_stage(front: Front, request: web.Request) -> web.Response:
    """Forget what was staged."""
    front.for_a_person(request)
    del front.state.staged[staging.find(front.state, request.match_info["id"]).id]
    return web.json_response({"ok": True})


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
