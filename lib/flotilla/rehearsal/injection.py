"""The fault plan carried out: what stands between the wire and a server's handlers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable

from aiohttp import web

from flotilla.rehearsal.faults import ANSWERED_AFTER, ANSWERED_INSTEAD, FaultPlan, Kind, Request, Server

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Labeller = Callable[[web.Request], str]

STALE = web.RequestKey("stale", bool)
STARTER = web.RequestKey("starter", bool)
TOLD_TO_WAIT = (Kind.TOO_MANY, Kind.SECONDARY_LIMIT, Kind.ERROR_503)
POLL_SECONDS = 0.02


def fault_middleware(server: Server, plan: FaultPlan, label: Labeller) -> Callable[..., Awaitable[web.StreamResponse]]:
    """The aiohttp middleware that numbers a server's requests and breaks those that the plan names."""

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        record = plan.arrive(
            server=server,
            method=request.method,
            path=request.path_qs,
            label=f"{server} {request.method} {label(request)}",
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


async def _meet(request: web.Request, handler: Handler, plan: FaultPlan, record: Request) -> web.StreamResponse:
    kind = record.fault
    if kind in ANSWERED_INSTEAD:
        return await _instead(request, handler, record, plan.retry_after(record))
    if kind in (Kind.RESET_BEFORE, Kind.KILL_BEFORE):
        return _cut(request, plan, kill=kind is Kind.KILL_BEFORE)
    request[STALE] = kind is Kind.STALE
    answer = await _handled(request, handler)
    if kind in ANSWERED_AFTER:
        return refusal(record.server, kind, plan.retry_after(record))
    if kind in (Kind.RESET_AFTER, Kind.KILL_AFTER):
        return _cut(request, plan, kill=kind is Kind.KILL_AFTER)
    if kind in (Kind.TRUNCATE, Kind.STALL):
        return await _half(request, answer, plan.stall_seconds if kind is Kind.STALL else 0.0)
    return answer


async def _handled(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except web.HTTPException as answer:
        return web.json_response({"message": answer.reason, "error": answer.reason}, status=answer.status)


async def _instead(
    request: web.Request, handler: Handler, record: Request, retry_after: int | None
) -> web.StreamResponse:
    # The body is read first: an answer in the middle of it would reach some clients as a reset.
    await request.read()
    if record.fault is Kind.STARTER:
        request[STARTER] = True
        await _handled(request, handler)
    assert record.fault is not None  # noqa: S101 - only a request with a fault is answered instead
    return refusal(record.server, record.fault, retry_after)


def refusal(server: Server, kind: Kind, retry_after: int | None) -> web.Response:
    """The answer of a server that does not do what it was asked, or does not say that it did."""
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


def without_secrets(request: Request) -> str:
    """A request as a line of a log."""
    return json.dumps({"n": request.n, "label": request.label, "status": request.status, "fault": request.fault})
