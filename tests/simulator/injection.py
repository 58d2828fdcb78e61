"""Carry out the fault plan, in middleware before a server's handlers."""

from __future__ import annotations

import asyncio
import re
from typing import cast
from urllib.parse import unquote

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware
from tests.simulator.faults import ANSWERED_AFTER, ANSWERED_INSTEAD, FaultPlan, Kind, Request, Server
from tests.simulator.memory import LAGGING

from flotilla.rehearsal.github.call import HUB
from flotilla.rehearsal.loopback import MiddlewareFor
from flotilla.rehearsal.registry.writes import UUID

TOLD_TO_WAIT = (Kind.TOO_MANY, Kind.SECONDARY_LIMIT, Kind.ERROR_503)
POLL_SECONDS = 0.02
CREATED = 201


def fault_middleware(plan: FaultPlan) -> MiddlewareFor:
    """Make the middlewares that number the servers' requests and break those that the plan names."""

    def of(name: str) -> Middleware:
        server = cast("Server", name)

        @web.middleware
        async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
            record = plan.arrive(
                server=server,
                method=request.method,
                path=request.path_qs,
                label=f"{server} {request.method} {label(server, request)}",
            )
            plan.on_request(record, "before")
            try:
                answer = await _meet(request, handler, plan, record)
            except ConnectionError:
                # The client went away in the middle of its request: nobody reads this answer.
                answer = web.Response(status=500)
            record.status = answer.status if not _is_cut(request) else None
            plan.on_request(record, "after")
            return answer

        return middleware

    return of


def label(server: Server, request: web.Request) -> str:
    """Return a request's label: its path without what differs between runs (ids, signatures, the repository's name)."""
    if server == "sigstore":
        return request.path
    if server == "registry":
        path = re.sub(UUID, "{id}", unquote(request.path))
        return f"{path}?write=true" if request.query.get("write") == "true" else path
    path = re.sub(r"^/repos/[^/]+/[^/]+", "", request.path) or "/"
    path = re.sub(r"/\d+(?=/|\.|$)", "/{id}", path)
    name = request.query.get("name") or request.query.get("audience")
    return f"{path}?{name}" if name else path


async def _meet(request: web.Request, handler: Handler, plan: FaultPlan, record: Request) -> web.StreamResponse:
    kind = record.fault
    if kind in ANSWERED_INSTEAD:
        return await _instead(request, handler, plan, record)
    if kind in (Kind.RESET_BEFORE, Kind.KILL_BEFORE):
        return _cut(request, plan, kill=kind is Kind.KILL_BEFORE)
    if kind is Kind.CANCEL:
        plan.cancel()
    answer = await (_late if kind is Kind.STALE else _handled)(request, handler, plan)
    if kind in ANSWERED_AFTER:
        return refusal(record.server, kind, plan.retry_after(record))
    if kind in (Kind.RESET_AFTER, Kind.KILL_AFTER):
        return _cut(request, plan, kill=kind is Kind.KILL_AFTER)
    if kind in (Kind.TRUNCATE, Kind.STALL, Kind.CANCEL):
        return await _half(request, answer, 0.0 if kind is Kind.TRUNCATE else plan.stall_seconds)
    return answer


async def _handled(request: web.Request, handler: Handler, plan: FaultPlan) -> web.StreamResponse:
    """Return the server's answer; keep GitHub's state from before each write that changes it."""
    hub = request.app.get(HUB) if request.method not in ("GET", "HEAD") else None
    before = hub.state.saved() if hub else None
    try:
        return await handler(request)
    except web.HTTPException as answer:
        return web.json_response({"message": answer.reason, "error": answer.reason}, status=answer.status)
    finally:
        if hub and before and hub.state != before:  # generated notes are POSTed too, and change nothing
            plan.before_last_write = before


async def _late(request: web.Request, handler: Handler, plan: FaultPlan) -> web.StreamResponse:
    """Return the answer of a server that has not seen the last write."""
    hub, token = request.app.get(HUB), LAGGING.set(True)
    now = hub.state if hub else None
    try:
        if hub and plan.before_last_write:
            hub.state = plan.before_last_write  # no read of the simulator lets another in between
        return await _handled(request, handler, plan)
    finally:
        LAGGING.reset(token)
        if hub and now:
            hub.state = now


async def _instead(request: web.Request, handler: Handler, plan: FaultPlan, record: Request) -> web.StreamResponse:
    # The body is read first: an answer in the middle of it would reach some clients as a reset.
    await request.read()
    if record.fault is Kind.STARTER:
        answer = await _handled(request, handler, plan)
        if answer.status == CREATED:
            _leave_a_starter(request)
    assert record.fault is not None
    return refusal(record.server, record.fault, plan.retry_after(record))


def _leave_a_starter(request: web.Request) -> None:
    """Take the upload's bytes away: GitHub keeps its name."""
    for release in request.app[HUB].state.releases:
        for asset in release.assets:
            if asset.name == request.query.get("name") and str(release.id) in request.path.split("/"):
                asset.content, asset.state = b"", "starter"


def refusal(server: Server, kind: Kind, retry_after: int | None) -> web.Response:
    """Return the answer of a server that refuses, or does not say that it succeeded."""
    status = {**ANSWERED_INSTEAD, **ANSWERED_AFTER}[kind]
    headers = {"Retry-After": str(retry_after)} if kind in TOLD_TO_WAIT and retry_after is not None else {}
    if server in ("github", "uploads"):
        return web.json_response(_github_words(kind, status), status=status, headers=headers)
    return web.json_response({"error": _registry_words(kind, status)}, status=status, headers=headers)


def _github_words(kind: Kind, status: int) -> dict[str, str]:
    if kind in (Kind.SECONDARY_LIMIT, Kind.TOO_MANY):
        return {
            "documentation_url": "https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api",
            "message": "You have exceeded a secondary rate limit. Please wait a few minutes before you try again.",
        }
    return {"message": "Server Error", "status": str(status)}


def _registry_words(kind: Kind, status: int) -> str:
    if kind in (Kind.CONFLICT, Kind.CONFLICT_AFTER):
        return (
            "Failed to save packument. A common cause is if you try to publish a new package "
            "before the previous package has been fully processed."
        )
    if kind is Kind.TOO_MANY:
        return "Could not publish, as user undefined: rate limited exceeded"
    return f"scripted {status}"


def _cut(request: web.Request, plan: FaultPlan, *, kill: bool) -> web.StreamResponse:
    if kill:
        plan.kill()
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=500)


def _is_cut(request: web.Request) -> bool:
    return request.transport is None or request.transport.is_closing()


async def _half(request: web.Request, answer: web.StreamResponse, stall_seconds: float) -> web.StreamResponse:
    body = answer.body if isinstance(answer, web.Response) else None
    if not isinstance(body, bytes | bytearray) or not body:
        await _wait_for_the_client(request, stall_seconds)
        return _cut_softly(request)
    part = web.StreamResponse(status=answer.status, headers=answer.headers)
    part.content_length = len(body)
    await part.prepare(request)
    await part.write(body[: len(body) // 2])
    await _wait_for_the_client(request, stall_seconds)
    _cut_softly(request)
    return part


def _cut_softly(request: web.Request) -> web.StreamResponse:
    # close, not abort: what was written still goes out.
    if request.transport is not None:
        request.transport.close()
    return web.Response(status=500)


async def _wait_for_the_client(request: web.Request, seconds: float) -> None:
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    while loop.time() < end and not _is_cut(request):  # noqa: ASYNC110 - a closing transport sets no event
        await asyncio.sleep(POLL_SECONDS)
