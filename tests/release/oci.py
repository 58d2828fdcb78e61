"""A registry for images in memory: as much of the OCI distribution spec as the release asks for."""

from __future__ import annotations

import base64
import json
import uuid
from dataclasses import dataclass, field

from aiohttp import web
from tests.release.programs import digest_of

from flotilla.rehearsal.loopback import Serving


@dataclass
class MemoryRegistry:
    """One registry; any repository name."""

    token: str = ""
    blobs: dict[str, bytes] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    uploads: dict[str, bytes] = field(default_factory=dict)
    origin: str = ""

    def serve(self, serving: Serving) -> str:
        """Serve it; return host:port."""
        application = web.Application()
        name = "/v2/{name:.+}"
        application.router.add_get("/token", self._token)
        application.router.add_get(name + "/manifests/{reference}", self._manifest)
        application.router.add_put(name + "/manifests/{reference}", self._put_manifest)
        application.router.add_get(name + "/blobs/{digest}", self._blob)
        application.router.add_post(name + "/blobs/uploads/", self._begin)
        application.router.add_put("/upload/{id}", self._finish)
        self.origin = serving.serve(application)
        return self.origin.removeprefix("http://")

    def _refused(self, request: web.Request) -> web.Response | None:
        if not self.token or request.headers.get("Authorization") == "Bearer exchanged":
            return None
        challenge = f'Bearer realm="{self.origin}/token",service="images"'
        return web.Response(status=401, headers={"WWW-Authenticate": challenge})

    async def _token(self, request: web.Request) -> web.Response:
        _, _, given = request.headers["Authorization"].partition(" ")
        password = base64.b64decode(given).decode().partition(":")[2]
        return web.json_response({"token": "exchanged" if password == self.token else "nobody"})

    async def _manifest(self, request: web.Request) -> web.Response:
        if refused := self._refused(request):
            return refused
        reference = request.match_info["reference"]
        content = self.blobs.get(self.tags.get(reference, reference))
        if content is None:
            return web.json_response({"errors": [{"code": "MANIFEST_UNKNOWN"}]}, status=404)
        return web.Response(body=content, content_type=json.loads(content)["mediaType"])

    async def _put_manifest(self, request: web.Request) -> web.Response:
        if refused := self._refused(request):
            return refused
        content = await request.read()
        self.tags[request.match_info["reference"]] = digest_of(content)
        self.blobs[digest_of(content)] = content
        return web.Response(status=201)

    async def _blob(self, request: web.Request) -> web.Response:
        content = self.blobs.get(request.match_info["digest"])
        return web.Response(status=404) if content is None else web.Response(body=content)

    async def _begin(self, _: web.Request) -> web.Response:
        return web.Response(status=202, headers={"Location": f"{self.origin}/upload/{uuid.uuid4()}?state=1"})

    async def _finish(self, request: web.Request) -> web.Response:
        content = await request.read()
        assert digest_of(content) == request.query["digest"]
        self.blobs[digest_of(content)] = content
        return web.Response(status=201)
