"""The GitHub Release: a draft with notes and attestations first, published once the tag exists."""

from __future__ import annotations

import hashlib
import json
import urllib.parse
from typing import Any

from scripts.release.http import Answer, call
from scripts.release.image import attestations
from scripts.release.repository import check_commit, remote_tags
from scripts.release.settings import ReleaseError, Settings
from scripts.release.versions import Version, is_latest

PAGE = 100
PAGES = 20


def draft(settings: Settings) -> None:
    """Create the draft of the release with its notes and the image's attestations, or verify it.

    Raises:
        ReleaseError: if several drafts carry the tag.
    """
    notes = f"{check_commit(settings)}\n\nImage: `{settings.pinned}`\n"
    wanted = {
        "tag_name": settings.tag,
        "name": settings.tag,
        "body": notes,
        "prerelease": bool(Version.parse(settings.version).prerelease),
    }
    found = find(settings)
    if found is None:
        found = _api(settings, "POST", "/releases", {**wanted, "draft": True}).json()
        settings.say(f"created draft release {settings.tag}")
    elif not found["draft"]:
        settings.say(f"release {settings.tag} is already published")
        return
    elif {key: found[key] for key in wanted} != wanted:
        _api(settings, "PATCH", f"/releases/{found['id']}", wanted)
        settings.say(f"updated draft release {settings.tag}")
    else:
        settings.say(f"draft release {settings.tag} is already there")
    _attach(settings, found, f"flotilla-{settings.version}.intoto.jsonl", attestations(settings))


def publish(settings: Settings) -> None:
    """Publish the draft, or verify that it is published.

    Raises:
        ReleaseError: if there is no draft, or no tag.
    """
    tags, found = remote_tags(settings), find(settings)
    if settings.tag not in tags:
        raise ReleaseError(f"tag {settings.tag} does not exist; run the step `tag` first")
    if found is None:
        raise ReleaseError(f"release {settings.tag} has no draft; run the step `draft` first")
    if not found["draft"]:
        settings.say(f"release {settings.tag} is already published")
        return
    latest = "true" if is_latest(settings.version, tags) else "false"
    change = {"draft": False, "tag_name": settings.tag, "make_latest": latest}
    _api(settings, "PATCH", f"/releases/{found['id']}", change)
    if (now := find(settings)) is None or now["draft"]:
        raise ReleaseError(f"GitHub accepted that release {settings.tag} is published, and shows a draft; run it again")
    settings.say(f"published release {settings.tag}, {'the latest' if latest == 'true' else 'not the latest'}")


def find(settings: Settings) -> dict[str, Any] | None:
    """Return the release of the version's tag, drafts included.

    Raises:
        ReleaseError: if there are several.
    """
    found: list[dict[str, Any]] = []
    for page in range(1, PAGES + 1):
        listed = _api(settings, "GET", f"/releases?per_page={PAGE}&page={page}").json()
        found += [one for one in listed if one["tag_name"] == settings.tag]
        if len(listed) < PAGE:
            break
    if len(found) > 1:
        ids = ", ".join(str(one["id"]) for one in found)
        raise ReleaseError(
            f"{len(found)} releases have the tag {settings.tag} (ids {ids}); delete the drafts among them"
        )
    return found[0] if found else None


def _attach(settings: Settings, release: dict[str, Any], name: str, content: bytes) -> None:
    """Upload an asset; one that differs, or that a broken upload left, is replaced: it is still a draft's."""
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    for asset in release.get("assets", []):
        if asset["name"] != name:
            continue
        if asset["state"] == "uploaded" and asset.get("digest") == digest:
            settings.say(f"asset {name} is already there")
            return
        _api(settings, "DELETE", f"/releases/assets/{asset['id']}")
    address = release["upload_url"].partition("{")[0]
    url = f"{address}?{urllib.parse.urlencode({'name': name})}"
    call("POST", url, headers={**_headers(settings), "Content-Type": "application/jsonl"}, body=content)
    settings.say(f"uploaded asset {name}")


def _api(settings: Settings, method: str, path: str, document: dict[str, Any] | None = None) -> Answer:
    api = settings.environment.get("GITHUB_API_URL", "https://api.github.com")
    body = None if document is None else json.dumps(document).encode()
    accepted = (204, 404) if method == "DELETE" else (200, 201)
    url = f"{api}/repos/{settings.repository}{path}"
    return call(method, url, headers=_headers(settings), body=body, accepted=accepted)


def _headers(settings: Settings) -> dict[str, str]:
    return {
        "Accept": "application/vnd.github+json",
        "Authorization": f"Bearer {settings.token}",
        "Content-Type": "application/json",
        "User-Agent": "flotilla-release",
        "X-GitHub-Api-Version": "2022-11-28",
    }
