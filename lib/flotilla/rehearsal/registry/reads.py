"""The registry's reads, and the token exchange: attestations, entity tags and caches."""

from __future__ import annotations

import hashlib
import json
from urllib.parse import unquote, urlsplit

from aiohttp import web

from flotilla.rehearsal.registry.front import (
    INSTALL_TYPE,
    Answer,
    Backend,
    Front,
    FrontRoute,
    answer,
    credential,
    name_of,
    split_name,
)
from flotilla.rehearsal.registry.provenance import SLSA, attestations
from flotilla.rehearsal.registry.publication import Refused
from flotilla.rehearsal.registry.rules import bearer, exchange
from flotilla.rehearsal.registry.state import Cached, RegistryState

OK, NOT_MODIFIED = 200, 304


def is_plain_packument(path: str) -> bool:
    """Return whether a cache may answer this: a packument, and not an explicitly fresh one."""
    parts = urlsplit(path)
    name, rest = split_name(unquote(parts.path).strip("/"))
    return not rest and not name.startswith("-") and "write=true" not in parts.query


async def _read(state: RegistryState, backend: Backend, request: web.Request, *, now: float) -> Answer:
    """Return the answer to a GET, from the cache if the state has one."""
    accept, plain = request.headers.get("accept", ""), is_plain_packument(request.raw_path)
    key = f"{urlsplit(request.raw_path).path} {INSTALL_TYPE in accept}"
    cached = state.cache.get(key) if plain else None
    if cached is not None and (cached.reads < state.cache_reads or now - cached.stored < state.cache_seconds):
        cached.reads += 1
        return Answer(status=cached.status, body=cached.body, content_type=cached.content_type)
    found = await backend.read(request.raw_path, accept=accept, host=request.host)
    found = as_public(found, state, f"http://{request.host}")
    if plain and (state.cache_reads or state.cache_seconds):
        state.cache[key] = Cached(status=found.status, body=found.body, content_type=found.content_type, stored=now)
    return found


def as_public(found: Answer, state: RegistryState, origin: str) -> Answer:
    """Return the answer as the public registry gives it.

    With dist.unpackedSize, with dist.attestations for each version whose provenance was verified, and without `time`
    in the abbreviated form (npm/registry, docs/responses/package-metadata.md).
    """
    if found.status != OK or "json" not in found.content_type:
        return found
    document = json.loads(found.body)
    if INSTALL_TYPE in found.content_type:
        document.pop("time", None)
    manifests = document.get("versions") or {document.get("version"): document}
    for version, manifest in manifests.items():
        spec = f"{document.get('name')}@{version}"
        if state.unpacked.get(spec):
            manifest["dist"]["unpackedSize"] = state.unpacked[spec]
        if spec in state.bundles:
            url = f"{origin}/-/npm/v1/attestations/{spec}"
            manifest["dist"]["attestations"] = {"url": url, "provenance": {"predicateType": SLSA}}
    return answer(document, found.status, found.content_type)


def _response(found: Answer, request: web.Request) -> web.Response:
    """Return the answer on the wire; 304 if the client already has it."""
    tag = f'"{hashlib.sha256(found.body).hexdigest()[:32]}"'
    headers = {"Content-Type": found.content_type}
    if found.status == OK and "json" in found.content_type:
        headers["ETag"] = tag
        if request.headers.get("if-none-match") == tag:
            return web.Response(status=NOT_MODIFIED, headers={"ETag": tag})
    return web.Response(status=found.status, body=found.body, headers=headers)


async def exchange_token(front: Front, request: web.Request) -> web.Response:
    """Exchange an id-token for a token of one package."""
    audience = f"npm:{urlsplit(f'//{request.host}').hostname}"
    token, name = bearer(credential(request)), name_of(request)
    if name in front.state.exchanges:
        status, body = front.state.exchanges[name]
        return web.Response(status=status, text=body, content_type="application/json")
    granted = exchange(front.state, name=name, id_token=token, audience=audience, now=front.clock())
    return web.json_response(granted, status=201)


async def get_visibility(front: Front, request: web.Request) -> web.Response:
    """Return whether a package is public; all that exist here are."""
    if name_of(request) not in front.state.published:
        raise Refused(404, "Not found")
    return web.json_response({"public": True})


async def get_attestations(front: Front, request: web.Request) -> web.Response:
    """Return the attestations of one version."""
    spec = unquote(request.match_info["spec"])
    if spec not in front.state.bundles:
        raise Refused(404, "Not found")
    name, _at, version = spec.rpartition("@")
    return web.json_response(attestations(name, version, front.state.bundles[spec]))


async def get_keys(_front: Front, _request: web.Request) -> web.Response:
    """Answer with the registry's signing keys: it has none."""
    return web.json_response({"keys": []})


async def get_advisories(_front: Front, _request: web.Request) -> web.Response:
    """Answer what `npm install` asks on its way: nothing is known to be vulnerable."""
    return web.json_response({})


async def whoami(front: Front, request: web.Request) -> web.Response:
    """Return whose token this is."""
    front.for_a_person(request)
    return web.json_response({"username": "acme"})


async def get(front: Front, request: web.Request) -> web.Response:
    """Answer with a packument, a version, a tarball or dist-tags."""
    found = await _read(front.state, front.backend, request, now=front.clock())
    return _response(found, request)


ROUTES: tuple[FrontRoute, ...] = (
    ("POST", "/-/npm/v1/oidc/token/exchange/package/{name:.+}", exchange_token),
    ("GET", "/-/npm/v1/attestations/{spec:.+}", get_attestations),
    ("GET", "/-/npm/v1/keys", get_keys),
    ("POST", "/-/npm/v1/security/{tail:.+}", get_advisories),
    ("GET", "/-/package/{name:.+}/visibility", get_visibility),
    ("GET", "/-/whoami", whoami),
    ("GET", "/{tail:.*}", get),
)
