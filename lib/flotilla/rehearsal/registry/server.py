"""The throwaway npm registry: a front that does what the public registry does, and a backend that stores."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from urllib.parse import unquote

from aiohttp import web

from flotilla.rehearsal.faults import FaultPlan
from flotilla.rehearsal.injection import Handler, fault_middleware
from flotilla.rehearsal.loopback import LARGEST_BODY, Serving
from flotilla.rehearsal.registry import reads, writes
from flotilla.rehearsal.registry.backends import Backend, MemoryBackend
from flotilla.rehearsal.registry.front import Front, FrontHandler
from flotilla.rehearsal.registry.publication import Refused
from flotilla.rehearsal.registry.state import RegistryState
from flotilla.rehearsal.registry.writes import UUID

# The writes come first: the last of the reads matches every path.
ROUTES = (*writes.ROUTES, *reads.ROUTES)


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
        self._initial = state.saved()
        self._front = Front(state=state, backend=backend or MemoryBackend(state), clock=clock)
        self.url = f"{serving.serve(self._application())}/"

    def reset(self) -> None:
        """Be empty again, with the rules and tokens of the beginning."""
        self._serving.wait(self._front.backend.wipe())
        self.state.restore(self._initial)

    def restore(self, saved: RegistryState) -> None:
        """Be as the saved state was; what verdaccio stores cannot be."""
        if not isinstance(self._front.backend, MemoryBackend):
            raise TypeError("Only the memory backend can be restored; reset() empties verdaccio.")
        self.state.restore(saved)

    def _application(self) -> web.Application:
        application = web.Application(
            client_max_size=LARGEST_BODY,
            middlewares=[fault_middleware("registry", self.plan, label), _in_words],
        )
        for method, path, handler in ROUTES:
            application.router.add_route(method, path, _handler(self._front, handler))
        return application


def label(request: web.Request) -> str:
    """A request's path without what differs from run to run."""
    path = re.sub(UUID, "{id}", unquote(request.path))
    return f"{path}?write=true" if request.query.get("write") == "true" else path


def _handler(front: Front, handler: FrontHandler) -> Handler:
    async def handle(request: web.Request) -> web.StreamResponse:
        return await handler(front, request)

    return handle


@web.middleware
async def _in_words(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except Refused as refused:
        return web.json_response(refused.document, status=refused.status, headers=refused.headers)
    except (web.HTTPNotFound, web.HTTPMethodNotAllowed):
        return web.json_response({"error": "Not found"}, status=404)
