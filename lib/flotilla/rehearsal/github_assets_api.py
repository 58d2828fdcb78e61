"""The simulated GitHub's release assets; uploads go to an origin of their own."""

from __future__ import annotations

import re
import unicodedata

from aiohttp import web

from flotilla.rehearsal.github_records import StoredAsset, StoredRelease
from flotilla.rehearsal.github_releases_api import RELEASES, find
from flotilla.rehearsal.github_state import now
from flotilla.rehearsal.hub import Call, Refusal, Route, invalid, not_found, reply
from flotilla.rehearsal.injection import STARTER


async def upload_asset(call: Call) -> web.Response:
    """repos/upload-release-asset; what is cut on its way stays as an empty `starter`."""
    call.need("contents")
    release, name = find(call), sanitised(call.request.query.get("name", ""))
    if not name:
        raise invalid("ReleaseAsset", "name", "missing_field")
    if "content-length" not in call.request.headers:
        raise Refusal(411, "Length Required")
    _refuse_immutable(release)
    if any(asset.name == name for asset in release.assets):
        raise invalid("ReleaseAsset", "name", "already_exists")
    asset = StoredAsset(
        id=call.state.new_id(),
        name=name,
        label=call.request.query.get("label", ""),
        content_type=call.request.headers.get("content-type", "application/octet-stream"),
        content=b"",
        state="starter",
        created_at=now(),
    )
    release.assets.append(asset)
    content = await call.request.read()
    if not call.request.get(STARTER):
        asset.content, asset.state = content, "uploaded"
    return reply(call.replies.asset(release, asset), 201)


async def list_assets(call: Call) -> web.Response:
    """repos/list-release-assets."""
    release = find(call)
    return call.page([call.replies.asset(release, asset) for asset in release.assets])


async def get_asset(call: Call) -> web.Response:
    """repos/get-release-asset; its bytes, from the blob origin, for who asks for octets."""
    release, asset = _asset(call)
    if "application/octet-stream" in call.request.headers.get("accept", ""):
        return web.Response(status=302, headers={"Location": call.hub.sign("assets", asset.id)})
    return reply(call.replies.asset(release, asset))


async def update_asset(call: Call) -> web.Response:
    """repos/update-release-asset."""
    call.need("contents")
    release, asset = _asset(call)
    _refuse_immutable(release)
    body = await call.body()
    asset.name = sanitised(str(body.get("name") or asset.name))
    asset.label = str(body.get("label") or asset.label)
    return reply(call.replies.asset(release, asset))


async def delete_asset(call: Call) -> web.Response:
    """repos/delete-release-asset."""
    call.need("contents")
    release, asset = _asset(call)
    _refuse_immutable(release)
    release.assets.remove(asset)
    return web.Response(status=204)


def sanitised(name: str) -> str:
    """A file's name as GitHub stores it (cli/cli, pkg/cmd/release/shared/upload.go mimics the same)."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    if plain.startswith("."):
        plain = f"default{plain}"
    plain = re.sub(r"\.{2,}", ".", re.sub(r"[^A-Za-z0-9\-_+@]+", ".", plain)).strip(".")
    return f"default.{plain}" if plain != name and "." not in plain else plain


def _asset(call: Call) -> tuple[StoredRelease, StoredAsset]:
    wanted = call.id()
    for release in call.state.releases:
        for asset in release.assets:
            if asset.id == wanted:
                return release, asset
    raise not_found()


def _refuse_immutable(release: StoredRelease) -> None:
    if release.immutable:
        raise Refusal(422, "Cannot change the assets of an immutable release.")


ROUTES: tuple[Route, ...] = (
    ("GET", f"{RELEASES}/{{id}}/assets", list_assets),
    ("GET", f"{RELEASES}/assets/{{id}}", get_asset),
    ("PATCH", f"{RELEASES}/assets/{{id}}", update_asset),
    ("DELETE", f"{RELEASES}/assets/{{id}}", delete_asset),
)
UPLOADS: tuple[Route, ...] = (("POST", f"{RELEASES}/{{id}}/assets", upload_asset),)
