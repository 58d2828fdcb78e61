"""The simulated GitHub: the REST API, the upload host, the blob host and the id-token service, each an origin."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence

from aiohttp import web

from flotilla.rehearsal import (
    github_actions_api,
    github_assets_api,
    github_git_api,
    github_releases_api,
)
from flotilla.rehearsal.blobs import get_blob
from flotilla.rehearsal.faults import FaultPlan, Server
from flotilla.rehearsal.github_state import GitHubState
from flotilla.rehearsal.github_surroundings import Origins
from flotilla.rehearsal.hub import HUB, ApiHandler, Call, Hub, Refusal, Route, not_found
from flotilla.rehearsal.id_tokens import get_id_token
from flotilla.rehearsal.injection import Handler, fault_middleware
from flotilla.rehearsal.serving import LARGEST_BODY, Serving

RATE_LIMIT = 1000
API_ROUTES = (
    *github_actions_api.ROUTES,
    *github_git_api.ROUTES,
    *github_assets_api.ROUTES,
    *github_releases_api.ROUTES,
)


class GitHubServer:
    """A simulated GitHub, served while `serving` lasts.

    Args:
        state: what it knows; may be read and changed by the caller between requests.
        serving: where it is served.
        plan: numbers its requests and breaks some.
        clock: epoch seconds.
    """

    def __init__(
        self,
        state: GitHubState,
        serving: Serving,
        *,
        plan: FaultPlan | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.state = state
        self.plan = plan or FaultPlan()
        # The origins are known only once each application listens.
        unknown = Origins(api="", uploads="", blobs="", id_tokens="")
        self._hub = Hub(state=state, plan=self.plan, origins=unknown, previous=state.saved(), clock=clock)
        self.origins = Origins(
            api=serving.serve(self._api("github", API_ROUTES)),
            uploads=serving.serve(self._api("uploads", github_assets_api.UPLOADS)),
            blobs=serving.serve(self._plain("blobs", "/{kind}/{name}", get_blob)),
            id_tokens=serving.serve(self._plain("id-tokens", "/{tail:.*}", get_id_token)),
        )
        self._hub.origins = self.origins

    def restore(self, saved: GitHubState) -> None:
        """Be as the saved state was; nothing lags behind it, and no signed URL outlives it."""
        self.state.restore(saved)
        self._hub.previous = saved.saved()
        self._hub.signed.clear()

    @property
    def id_token_url(self) -> str:
        """ACTIONS_ID_TOKEN_REQUEST_URL; clients append `&audience=`."""
        return f"{self.origins.id_tokens}/token?api-version=2.0"

    def _api(self, server: Server, routes: Sequence[Route]) -> web.Application:
        application = web.Application(
            client_max_size=LARGEST_BODY,
            middlewares=[fault_middleware(server, self.plan, label), _guard, _remember],
        )
        application[HUB] = self._hub
        for method, path, handler in routes:
            application.router.add_route(method, path, _handler(handler))
        return application

    def _plain(self, server: Server, path: str, handler: Handler) -> web.Application:
        application = web.Application(middlewares=[fault_middleware(server, self.plan, label)])
        application[HUB] = self._hub
        application.router.add_get(path, handler)
        return application


def label(request: web.Request) -> str:
    """A request's path without what differs from run to run: ids, signatures, the repository's name."""
    path = re.sub(r"^/repos/[^/]+/[^/]+", "", request.path) or "/"
    path = re.sub(r"/\d+(?=/|\.|$)", "/{id}", path)
    name = request.query.get("name") or request.query.get("audience")
    return f"{path}?{name}" if name else path


def _handler(handler: ApiHandler) -> Handler:
    async def handle(request: web.Request) -> web.StreamResponse:
        call = Call(request=request, hub=request.app[HUB])
        if call.part("owner") + "/" + call.part("repo") != call.hub.state.repository:
            raise not_found()
        return await handler(call)

    return handle


@web.middleware
async def _guard(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Credentials and rate limits, and every refusal in GitHub's form."""
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


@web.middleware
async def _remember(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Keeps the state before each write that changed it: what a stale answer is made of."""
    if request.method in ("GET", "HEAD"):
        return await handler(request)
    hub = request.app[HUB]
    before = hub.state.saved()
    answer = await handler(request)
    if hub.state != before:  # generated notes are POSTed too, and change nothing
        hub.previous = before
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
        "x-github-request-id": f"REHEARSAL:{len(hub.plan.requests)}",
    }
