"""The second origin: signed downloads, and nobody's token."""

from __future__ import annotations

import re

from aiohttp import web

from flotilla.rehearsal.content import sha256
from flotilla.rehearsal.hub import HUB, Hub, Signed

# The type that upload-artifact gives a raw artifact by its name; any other is octets (@actions/artifact lib/internal).
RAW_TYPES = {".gz": "application/gzip", ".zip": "application/zip", ".json": "application/json", ".txt": "text/plain"}


async def get_blob(request: web.Request) -> web.Response:
    """What a signed URL stands for, or the part of it that was asked for."""
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
    """The content, or the one range of it that the request names (RFC 9110, section 14)."""
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
