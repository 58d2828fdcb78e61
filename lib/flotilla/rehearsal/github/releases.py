"""The simulated GitHub's releases and their assets; uploads go to an origin of their own."""

from __future__ import annotations

import re
import unicodedata

from aiohttp import web

from flotilla.rehearsal.github.actions import REPOSITORY
from flotilla.rehearsal.github.call import Call, Refusal, Route, invalid, not_found, reply
from flotilla.rehearsal.github.git import required, resolve
from flotilla.rehearsal.github.records import GitObject, StoredAsset, StoredRelease
from flotilla.rehearsal.github.repository import Json
from flotilla.rehearsal.github.state import now


async def create_release(call: Call) -> web.Response:
    """Answer repos/create-release."""
    call.need("contents")
    body = await call.body()
    tag = required(body, "tag_name")
    _refuse_target(call, tag, body)
    release = StoredRelease(
        id=call.state.new_id(),
        tag=tag,
        target=str(body.get("target_commitish") or call.state.default_branch),
        name=body.get("name"),
        body=body.get("body") or ("" if not body.get("generate_release_notes") else notes(call, tag)),
        draft=bool(body.get("draft", False)),
        prerelease=bool(body.get("prerelease", False)),
        immutable=False,
        created_at=now(),
        published_at=None,
    )
    if not release.draft:
        _publish(call, release, body)
    call.state.releases.append(release)
    return reply(call.replies.release(release), 201)


async def update_release(call: Call) -> web.Response:
    """Answer repos/update-release."""
    call.need("contents")
    release, body = find(call), await call.body()
    tag = str(body.get("tag_name") or release.tag)
    if release.immutable and tag != release.tag:
        raise invalid("Release", "tag_name", "custom", "tag_name cannot be changed on an immutable release")
    if tag != release.tag or "target_commitish" in body:
        _refuse_target(call, tag, body)
    publishing = release.draft and body.get("draft") is False
    if publishing:
        _refuse_tag(call, release, tag)
    release.tag = tag
    release.target = str(body.get("target_commitish") or release.target)
    release.name = body.get("name", release.name)
    release.body = body.get("body", release.body)
    release.prerelease = bool(body.get("prerelease", release.prerelease))
    if publishing:
        _publish(call, release, body)
    elif not release.draft and "make_latest" in body:
        _make_latest(call, release, body["make_latest"])
    return reply(call.replies.release(release))


async def delete_release(call: Call) -> web.Response:
    """Answer repos/delete-release; the tag of an immutable one is burnt."""
    call.need("contents")
    release = find(call)
    call.state.releases.remove(release)
    if release.immutable:
        call.state.burnt_tags.add(release.tag)
    return web.Response(status=204)


async def get_release(call: Call) -> web.Response:
    """Answer repos/get-release."""
    return reply(call.replies.release(find(call)))


async def get_release_by_tag(call: Call) -> web.Response:
    """Answer repos/get-release-by-tag: published ones only."""
    wanted = call.part("tag")
    for release in call.state.releases:
        if release.tag == wanted and not release.draft:
            return reply(call.replies.release(release))
    raise not_found()


async def get_latest_release(call: Call) -> web.Response:
    """Answer repos/get-latest-release."""
    for release in call.state.releases:
        if release.id == call.state.latest:
            return reply(call.replies.release(release))
    raise not_found()


async def list_releases(call: Call) -> web.Response:
    """Answer repos/list-releases: drafts too, for who may push."""
    may_push = call.state.permissions.get("contents") == "write"
    shown = [release for release in reversed(call.state.releases) if may_push or not release.draft]
    return call.page([call.replies.release(release) for release in shown])


async def generate_notes(call: Call) -> web.Response:
    """Answer repos/generate-release-notes; stores nothing."""
    call.need("contents")
    body = await call.body()
    tag = required(body, "tag_name")
    if f"refs/tags/{tag}" not in call.state.refs and not body.get("target_commitish"):
        raise invalid("Release", "target_commitish", "missing_field")
    return reply({"name": tag, "body": notes(call, tag, since=str(body.get("previous_tag_name") or ""))})


def notes(call: Call, tag: str, *, since: str = "") -> str:
    """Return generated release notes."""
    path = f"compare/{since}...{tag}" if since else f"commits/{tag}"
    return f"**Full Changelog**: {call.replies.page}/{path}"


def find(call: Call, name: str = "id") -> StoredRelease:
    """Return the release of the path, a draft only for those who may push; 404 if there is none."""
    wanted = call.id(name)
    for release in call.state.releases:
        if release.id == wanted and (not release.draft or call.state.permissions.get("contents") == "write"):
            return release
    raise not_found()


def _refuse_target(call: Call, tag: str, body: Json) -> None:
    target = body.get("target_commitish")
    if f"refs/tags/{tag}" in call.state.refs or not target:
        return
    commit = resolve(call.state, str(target))
    if commit is None:
        raise invalid("Release", "target_commitish", "invalid")
    if commit in call.state.workflow_changes:
        headers = {"x-accepted-github-permissions": "contents=write,workflows=write"}
        raise Refusal(403, "Resource not accessible by integration", headers=headers)


def _refuse_tag(call: Call, release: StoredRelease, tag: str) -> None:
    if any(other.tag == tag and not other.draft for other in call.state.releases if other is not release):
        raise invalid("Release", "tag_name", "already_exists")
    if tag in call.state.burnt_tags:
        raise invalid("Release", "tag_name", "custom", "tag_name was used by an immutable release")


def _publish(call: Call, release: StoredRelease, body: Json) -> None:
    _refuse_tag(call, release, release.tag)
    commit = resolve(call.state, release.target) or call.state.head
    call.state.refs.setdefault(f"refs/tags/{release.tag}", GitObject(sha=commit, type="commit"))
    release.draft = False
    release.published_at = now()
    release.immutable = call.state.immutable_releases
    _make_latest(call, release, body.get("make_latest", "true"))


def _make_latest(call: Call, release: StoredRelease, wanted: object) -> None:
    if str(wanted).lower() != "false" and not release.prerelease:
        call.state.latest = release.id


async def upload_asset(call: Call) -> web.Response:
    """Answer repos/upload-release-asset; what is cut on its way stays as an empty `starter`."""
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
    asset.content = await call.request.read()
    asset.state = "uploaded"
    return reply(call.replies.asset(release, asset), 201)


async def list_assets(call: Call) -> web.Response:
    """Answer repos/list-release-assets."""
    release = find(call)
    return call.page([call.replies.asset(release, asset) for asset in release.assets])


async def get_asset(call: Call) -> web.Response:
    """Answer repos/get-release-asset; its bytes, from the blob origin, for who asks for octets."""
    release, asset = _asset(call)
    if "application/octet-stream" in call.request.headers.get("accept", ""):
        return web.Response(status=302, headers={"Location": call.hub.sign("assets", asset.id)})
    return reply(call.replies.asset(release, asset))


async def update_asset(call: Call) -> web.Response:
    """Answer repos/update-release-asset."""
    call.need("contents")
    release, asset = _asset(call)
    _refuse_immutable(release)
    body = await call.body()
    asset.name = sanitised(str(body.get("name") or asset.name))
    asset.label = str(body.get("label") or asset.label)
    return reply(call.replies.asset(release, asset))


async def delete_asset(call: Call) -> web.Response:
    """Answer repos/delete-release-asset."""
    call.need("contents")
    release, asset = _asset(call)
    _refuse_immutable(release)
    release.assets.remove(asset)
    return web.Response(status=204)


def sanitised(name: str) -> str:
    """Return a file's name as GitHub stores it (cli/cli, pkg/cmd/release/shared/upload.go mimics the same)."""
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


RELEASES = f"{REPOSITORY}/releases"
ROUTES: tuple[Route, ...] = (
    ("POST", RELEASES, create_release),
    ("GET", RELEASES, list_releases),
    ("POST", f"{RELEASES}/generate-notes", generate_notes),
    ("GET", f"{RELEASES}/latest", get_latest_release),
    ("GET", f"{RELEASES}/tags/{{tag:.+}}", get_release_by_tag),
    ("GET", f"{RELEASES}/{{id}}", get_release),
    ("PATCH", f"{RELEASES}/{{id}}", update_release),
    ("DELETE", f"{RELEASES}/{{id}}", delete_release),
)
ASSET_ROUTES: tuple[Route, ...] = (
    ("GET", f"{RELEASES}/{{id}}/assets", list_assets),
    ("GET", f"{RELEASES}/assets/{{id}}", get_asset),
    ("PATCH", f"{RELEASES}/assets/{{id}}", update_asset),
    ("DELETE", f"{RELEASES}/assets/{{id}}", delete_asset),
)
UPLOADS: tuple[Route, ...] = (("POST", f"{RELEASES}/{{id}}/assets", upload_asset),)
