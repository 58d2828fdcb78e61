"""What the registry's front makes of a backend's answers: attestations, entity tags, caches and stale ones."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

from aiohttp import web

from flotilla.rehearsal.registry_backends import INSTALL_TYPE, Answer, Backend, abbreviated, answer, split_name
from flotilla.rehearsal.registry_provenance import SLSA
from flotilla.rehearsal.registry_state import Cached, RegistryState

OK, NOT_MODIFIED = 200, 304


def is_plain_packument(path: str) -> bool:
    """Whether a cache may answer this: a packument, and not an explicitly fresh one."""
    parts = urlsplit(path)
    name, rest = split_name(unquote(parts.path).strip("/"))
    return not rest and not name.startswith("-") and "write=true" not in parts.query


async def read(state: RegistryState, backend: Backend, request: web.Request, *, now: float, stale: bool) -> Answer:
    """The answer to a GET, from the cache where the state says that there is one."""
    accept, plain = request.headers.get("accept", ""), is_plain_packument(request.raw_path)
    key = f"{urlsplit(request.raw_path).path} {INSTALL_TYPE in accept}"
    cached = state.cache.get(key) if plain else None
    if cached is not None and (cached.reads < state.cache_reads or now - cached.stored < state.cache_seconds):
        cached.reads += 1
        return Answer(status=cached.status, body=cached.body, content_type=cached.content_type)
    found = await backend.read(request.raw_path, accept=accept, host=request.host)
    if stale and plain:
        found = _previous(state, request.raw_path, accept, found)
    found = as_public(found, state.bundles, f"http://{request.host}")
    if plain and (state.cache_reads or state.cache_seconds):
        state.cache[key] = Cached(status=found.status, body=found.body, content_type=found.content_type, stored=now)
    return found


def _previous(state: RegistryState, path: str, accept: str, found: Answer) -> Answer:
    name = split_name(unquote(urlsplit(path).path).strip("/"))[0]
    if name not in state.previous:
        return found
    document = state.previous[name]
    if document is None:
        return answer({"error": "no such package available"}, 404)
    if INSTALL_TYPE in accept:
        return answer(abbreviated(document), content_type=f"{INSTALL_TYPE}; charset=utf-8")
    return answer(document)


def as_public(found: Answer, bundles: Mapping[str, Any], origin: str) -> Answer:
    """The answer as the public registry gives it.

    With dist.attestations for each version whose provenance was verified, and without `time` in the abbreviated form
    (npm/registry, docs/responses/package-metadata.md).
    """
    if found.status != OK or "json" not in found.content_type:
        return found
    document = json.loads(found.body)
    if INSTALL_TYPE in found.content_type:
        document.pop("time", None)
    manifests = document.get("versions") or {document.get("version"): document}
    for version, manifest in manifests.items():
        spec = f"{document.get('name')}@{version}"
        if spec in bundles:
            url = f"{origin}/-/npm/v1/attestations/{spec}"
            manifest["dist"]["attestations"] = {"url": url, "provenance": {"predicateType": SLSA}}
    return answer(document, found.status, found.content_type)


def response(found: Answer, request: web.Request) -> web.Response:
    """The answer on the wire; 304 where the client already has it."""
    tag = f'"{hashlib.sha256(found.body).hexdigest()[:32]}"'
    headers = {"Content-Type": found.content_type}
    if found.status == OK and "json" in found.content_type:
        headers["ETag"] = tag
        if request.headers.get("if-none-match") == tag:
            return web.Response(status=NOT_MODIFIED, headers={"ETag": tag})
    return web.Response(status=found.status, body=found.body, headers=headers)
