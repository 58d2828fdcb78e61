"""The throwaway npm registry: a front that does what the public registry does, and a backend that stores."""

from __future__ import annotations

import time
from collections.abc import Callable

from aiohttp import web
from aiohttp.typedefs import Handler

from flotilla.rehearsal.loopback import LARGEST_BODY, MiddlewareFor, Serving
from flotilla.rehearsal.registry import reads, writes
from flotilla.rehearsal.registry.front import Backend, Front, FrontHandler
from flotilla.rehearsal.registry.publication import Refused
from flotilla.rehearsal.registry.state import RegistryState

# The writes come first: the last of the reads matches every path.
ROUTES = (*writes.ROUTES, *reads.ROUTES)


class RegistryServer:
    """A throwaway registry, served while `serving` lasts.

    Args:
        state: its tokens, rules and records; may be read and changed by the caller between requests.
        serving: where it is served.
        backend: what stores the packages.
        middleware: stands before the handlers; see MiddlewareFor.
        clock: epoch seconds.
    """

    def __init__(
        self,
        state: RegistryState,
        serving: Serving,
        *,
        backend: Backend,
        middleware: MiddlewareFor | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.state = state
        self._front = Front(state=state, backend=backend, clock=clock)
        self.url = f"{serving.serve(self._application(middleware))}/"

    def _application(self, middleware: MiddlewareFor | None) -> web.Application:
        application = web.Application(
            client_max_size=LARGEST_BODY,
            middlewares=[*([middleware("registry")] if middleware else []), _in_words],
        )
        for method, path, handler in ROUTES:
            application.router.add_route(method, path, _handler(self._front, handler))
        return application


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
