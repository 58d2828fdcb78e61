"""The registry's reads, and the token exchange."""

from __future__ import annotations

from urllib.parse import unquote, urlsplit

from aiohttp import web

from flotilla.rehearsal.injection import STALE
from flotilla.rehearsal.registry_documents import Refused
from flotilla.rehearsal.registry_front import Front, FrontRoute, credential, name_of
from flotilla.rehearsal.registry_oidc import exchange
from flotilla.rehearsal.registry_provenance import attestations
from flotilla.rehearsal.registry_reads import read, response
from flotilla.rehearsal.registry_rules import bearer


async def exchange_token(front: Front, request: web.Request) -> web.Response:
    """An id-token in, a token for one package out."""
    audience = f"npm:{urlsplit(f'//{request.host}').hostname}"
    token = bearer(credential(request))
    granted = exchange(front.state, name=name_of(request), id_token=token, audience=audience, now=front.clock())
    return web.json_response(granted, status=201)


async def get_visibility(front: Front, request: web.Request) -> web.Response:
    """Whether a package is public; all that exist here are."""
    if name_of(request) not in front.state.published:
        raise Refused(404, "Not found")
    return web.json_response({"public": True})


async def get_attestations(front: Front, request: web.Request) -> web.Response:
    """The attestations of one version."""
    spec = unquote(request.match_info["spec"])
    if spec not in front.state.bundles:
        raise Refused(404, "Not found")
    name, _at, version = spec.rpartition("@")
    return web.json_response(attestations(name, version, front.state.bundles[spec]))


async def get_keys(_front: Front, _request: web.Request) -> web.Response:
    """The registry's signing keys: it has none."""
    return web.json_response({"keys": []})


async def get_advisories(_front: Front, _request: web.Request) -> web.Response:
    """What `npm install` asks on its way: nothing is known to be vulnerable."""
    return web.json_response({})


async def whoami(front: Front, request: web.Request) -> web.Response:
    """Whose token this is."""
    front.for_a_person(request)
    return web.json_response({"username": "acme"})


async def get(front: Front, request: web.Request) -> web.Response:
    """A packument, a version, a tarball, dist-tags."""
    found = await read(front.state, front.backend, request, now=front.clock(), stale=bool(request.get(STALE)))
    return response(found, request)


ROUTES: tuple[FrontRoute, ...] = (
    ("POST", "/-/npm/v1/oidc/token/exchange/package/{name:.+}", exchange_token),
    ("GET", "/-/npm/v1/attestations/{spec:.+}", get_attestations),
    ("GET", "/-/npm/v1/keys", get_keys),
    ("POST", "/-/npm/v1/security/{tail:.+}", get_advisories),
    ("GET", "/-/package/{name:.+}/visibility", get_visibility),
    ("GET", "/-/whoami", whoami),
    ("GET", "/{tail:.*}", get),
)
