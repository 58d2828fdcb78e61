"""The simulated GitHub: the REST API, the upload host, the blob host and the id-token service, each an origin."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from flotilla.rehearsal.github import actions, git, releases
from flotilla.rehearsal.github.call import HUB, ApiHandler, Call, Hub, Refusal, Route, Signed, not_found
from flotilla.rehearsal.github.id_tokens import get_id_token
from flotilla.rehearsal.github.records import sha256
from flotilla.rehearsal.github.repository import Origins
from flotilla.rehearsal.github.state import GitHubState
from flotilla.rehearsal.loopback import LARGEST_BODY, MiddlewareFor, Serving

# The type that upload-artifact gives a raw artifact by its name; any other is octets (@actions/artifact lib/internal).
RAW_TYPES = {".gz": "application/gzip", ".zip": "application/zip", ".json": "application/json", ".txt": "text/plain"}


RATE_LIMIT = 1000
API_ROUTES = (
    *actions.ROUTES,
    *git.ROUTES,
    *releases.ASSET_ROUTES,
    *releases.ROUTES,
)


class GitHubServer:
    """A simulated GitHub, served while `serving` lasts.

    Args:
        state: what it knows; may be read and changed by the caller between requests.
        serving: where it is served.
        middleware: stands before each server's handlers; see MiddlewareFor.
        clock: epoch seconds.
    """

    def __init__(
        self,
        state: GitHubState,
        serving: Serving,
        *,
        middleware: MiddlewareFor | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.state = state
        self._middleware = middleware
        # The origins are known only once each application listens.
        unknown = Origins(api="", uploads="", blobs="", id_tokens="")
        self._hub = Hub(state=state, origins=unknown, clock=clock)
        self.origins = Origins(
            api=serving.serve(self._api("github", API_ROUTES)),
            uploads=serving.serve(self._api("uploads", releases.UPLOADS)),
            blobs=serving.serve(self._plain("blobs", "/{kind}/{name}", get_blob)),
            id_tokens=serving.serve(self._plain("id-tokens", "/{tail:.*}", get_id_token)),
        )
        self._hub.origins = self.origins

    def restore(self, saved: GitHubState) -> None:
        """Restore the saved state; no signed URL outlives it."""
        self.state.restore(saved)
        self._hub.signed.clear()

    @property
    def id_token_url(self) -> str:
        """Return ACTIONS_ID_TOKEN_REQUEST_URL; clients append `&audience=`."""
        return f"{self.origins.id_tokens}/token?api-version=2.0"

    def _api(self, server: str, routes: Sequence[Route]) -> web.Application:
        application = web.Application(
            client_max_size=LARGEST_BODY,
            middlewares=[*self._before(server), _guard],
        )
        application[HUB] = self._hub
        for method, path, handler in routes:
            for verb in (method, "HEAD") if method == "GET" else (method,):  # gh asks for a release with HEAD
                application.router.add_route(verb, path, _handler(handler))
        return application

    def _before(self, server: str) -> list[Middleware]:
        return [self._middleware(server)] if self._middleware else []

    def _plain(self, server: str, path: str, handler: Handler) -> web.Application:
        application = web.Application(middlewares=self._before(server))
        application[HUB] = self._hub
        application.router.add_get(path, handler)
        return application


def _handler(handler: ApiHandler) -> Handler:
    async def handle(request: web.Request) -> web.StreamResponse:
        call = Call(request=request, hub=request.app[HUB])
        if call.part("owner") + "/" + call.part("repo") != call.hub.state.repository:
            raise not_found()
        return await handler(call)

    return handle


@web.middleware
async def _guard(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Check credentials and rate limits; answer every refusal in GitHub's form."""
    hub = request.app[HUB]
    try:
        _check_token(request, hub.state)
        _check_rate(hub.state)
        answer = await handler(request)
    except Refusal as refusal:
        answer = refusal.response()
    except web.HTTPNotFound:
        answer = not_found().response()
    answer.headers.update(_rate_headers(hub))
    return answer


def _check_token(request: web.Request, state: GitHubState) -> None:
    given = re.fullmatch(r"(?i:bearer|token) (.+)", request.headers.get("authorization", ""))
    if given is not None and given[1] != state.token:
        raise Refusal(401, "Bad credentials")
    if given is None and state.private:
        raise not_found()
    if given is None and request.method != "GET":
        raise Refusal(401, "Requires authentication")


def _check_rate(state: GitHubState) -> None:
    if state.rate_remaining is None:
        return
    if state.rate_remaining <= 0:
        raise Refusal(403, "API rate limit exceeded for installation ID 1.")
    state.rate_remaining -= 1


def _rate_headers(hub: Hub) -> dict[str, str]:
    remaining = RATE_LIMIT if hub.state.rate_remaining is None else hub.state.rate_remaining
    return {
        "x-ratelimit-limit": str(RATE_LIMIT),
        "x-ratelimit-remaining": str(remaining),
        "x-ratelimit-used": str(RATE_LIMIT - remaining),
        "x-ratelimit-reset": str(hub.state.rate_reset or int(hub.clock()) + 3600),
        "x-ratelimit-resource": "core",
        "x-github-api-version-selected": "2022-11-28",
        "x-github-request-id": f"REHEARSAL:{next(hub.answers)}",
    }


async def get_blob(request: web.Request) -> web.Response:
    """Return what a signed URL stands for, or the part of it that was asked for."""
    hub = request.app[HUB]
    if "authorization" in request.headers:
        return _xml(400, "InvalidAuthenticationInfo")
    signed = hub.signed.get(request.query.get("sig", ""))
    if signed is None or signed.expires < hub.clock() or signed.reads_left == 0:
        return _xml(403, "AuthenticationFailed")
    if signed.reads_left is not None:
        signed.reads_left -= 1
    content, headers = _content(hub, signed)
    return ranged(request, content, {**headers, "ETag": f'"{sha256(content)[-16:]}"', "Accept-Ranges": "bytes"})


def ranged(request: web.Request, content: bytes, headers: dict[str, str]) -> web.Response:
    """Return the content, or the one range of it that the request names (RFC 9110, section 14)."""
    asked = re.fullmatch(r"bytes=(\d+)-(\d*)", request.headers.get("range", ""))
    if asked is None or request.headers.get("if-range", headers["ETag"]) != headers["ETag"]:
        return web.Response(body=content, headers=headers)
    first, last = int(asked[1]), min(int(asked[2] or len(content)), len(content) - 1)
    if first > last:
        return web.Response(status=416, headers={**headers, "Content-Range": f"bytes */{len(content)}"})
    place = f"bytes {first}-{last}/{len(content)}"
    return web.Response(status=206, body=content[first : last + 1], headers={**headers, "Content-Range": place})


def _content(hub: Hub, signed: Signed) -> tuple[bytes, dict[str, str]]:
    if signed.kind == "assets":
        found = [a for release in hub.state.releases for a in release.assets if a.id == signed.id]
        return found[0].content, _headers(found[0].name, found[0].content_type)
    artifact = next(a for a in hub.state.artifacts if a.id == signed.id)
    if not artifact.raw:
        return artifact.content, _headers(f"{artifact.name}.zip", "application/zip")
    suffix = artifact.name[artifact.name.rfind(".") :] if "." in artifact.name else ""
    return artifact.content, _headers(artifact.name, RAW_TYPES.get(suffix, "application/octet-stream"))


def _headers(name: str, content_type: str) -> dict[str, str]:
    return {"Content-Type": content_type, "Content-Disposition": f'attachment; filename="{name}"'}


def _xml(status: int, code: str) -> web.Response:
    text = f'<?xml version="1.0" encoding="utf-8"?><Error><Code>{code}</Code></Error>'
    return web.Response(status=status, text=text, content_type="application/xml", headers={"x-ms-error-code": code})
