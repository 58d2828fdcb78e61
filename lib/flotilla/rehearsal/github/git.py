"""The simulated GitHub's refs, tags and commits."""

from __future__ import annotations

import hashlib
import re

from aiohttp import web

from flotilla.rehearsal.github.actions import REPOSITORY
from flotilla.rehearsal.github.call import Call, Refusal, Route, not_found, reply
from flotilla.rehearsal.github.records import GitObject, TagObject
from flotilla.rehearsal.github.state import GitHubState

SHORTEST_SHA = 7


async def create_ref(call: Call) -> web.Response:
    """Answer git/create-ref."""
    call.need("contents")
    body = await call.body()
    name, sha = required(body, "ref"), required(body, "sha")
    if not re.fullmatch(r"refs/[^/]+/.+", name):
        raise Refusal(422, "Reference name must start with 'refs/' and contain at least two slashes.")
    if name in call.state.refs:
        raise Refusal(422, "Reference already exists")
    if name.removeprefix("refs/tags/") in call.state.burnt_tags:
        raise Refusal(422, "Repository rule violations found\n\nCannot create ref due to creations being restricted.")
    call.state.refs[name] = object_of(call.state, sha)
    return reply(call.replies.ref(name, call.state.refs[name]), 201)


async def update_ref(call: Call) -> web.Response:
    """Answer git/update-ref."""
    call.need("contents")
    name, body = f"refs/{call.part('ref')}", await call.body()
    if name not in call.state.refs:
        raise Refusal(422, "Reference does not exist")
    if _held(call.state, name):
        raise Refusal(422, "Cannot update this protected ref.")
    call.state.refs[name] = object_of(call.state, required(body, "sha"))
    return reply(call.replies.ref(name, call.state.refs[name]))


async def delete_ref(call: Call) -> web.Response:
    """Answer git/delete-ref."""
    call.need("contents")
    name = f"refs/{call.part('ref')}"
    if name not in call.state.refs:
        raise Refusal(422, "Reference does not exist")
    if _held(call.state, name):
        raise Refusal(422, "Cannot delete this protected ref.")
    del call.state.refs[name]
    return web.Response(status=204)


async def get_ref(call: Call) -> web.Response:
    """Answer git/get-ref: exactly this one."""
    name = f"refs/{call.part('ref')}"
    if name not in call.state.refs:
        raise not_found()
    return reply(call.replies.ref(name, call.state.refs[name]))


async def list_matching_refs(call: Call) -> web.Response:
    """Answer git/list-matching-refs: all that begin so."""
    prefix = f"refs/{call.part('ref')}"
    return call.page([call.replies.ref(n, t) for n, t in sorted(call.state.refs.items()) if n.startswith(prefix)])


async def create_tag(call: Call) -> web.Response:
    """Answer git/create-tag: the object; no ref yet."""
    call.need("contents")
    body = await call.body()
    target = object_of(call.state, required(body, "object"))
    sha = hashlib.sha1(repr(sorted(body.items())).encode(), usedforsecurity=False).hexdigest()
    tag = TagObject(sha=sha, tag=required(body, "tag"), message=required(body, "message"), target=target)
    call.state.tag_objects[sha] = tag
    return reply(call.replies.tag(tag), 201)


async def get_tag(call: Call) -> web.Response:
    """Answer git/get-tag."""
    tag = call.state.tag_objects.get(call.part("sha"))
    if tag is None:
        raise not_found()
    return reply(call.replies.tag(tag))


async def get_git_commit(call: Call) -> web.Response:
    """Answer git/get-commit."""
    if call.part("sha") not in call.state.commits:
        raise not_found()
    return reply(call.replies.git_commit(call.part("sha")))


async def get_commit(call: Call) -> web.Response:
    """Answer repos/get-commit: of a sha, the beginning of one, a branch or a tag."""
    wanted = call.part("ref")
    sha = resolve(call.state, wanted)
    if sha is None:
        raise Refusal(422, f"No commit found for SHA: {wanted}")
    return reply(call.replies.commit(sha))


async def compare(call: Call) -> web.Response:
    """Answer repos/compare-commits: how head stands to base, without commits and files."""
    base, dots, head = call.part("basehead").partition("...")
    ends = resolve(call.state, base), resolve(call.state, head)
    if not dots or None in ends:
        raise not_found()
    ours, theirs = (call.state.holds(str(one), str(other)) for one, other in (ends[::-1], ends))
    status = {(True, True): "identical", (True, False): "ahead", (False, True): "behind"}.get(
        (ours, theirs), "diverged"
    )
    return reply({"status": status, "commits": [], "files": []})


def resolve(state: GitHubState, wanted: str) -> str | None:
    """Return the commit that somebody means by a sha, a branch or a tag."""
    for ref in (wanted, f"refs/{wanted}", f"refs/heads/{wanted}", f"refs/tags/{wanted}"):
        if ref in state.refs:
            return state.dereferenced(state.refs[ref])
    if len(wanted) < SHORTEST_SHA:
        return None
    return next((sha for sha in state.commits if sha.startswith(wanted)), None)


def object_of(state: GitHubState, sha: str) -> GitObject:
    """Return the commit or tag object of this id; 422 if there is none."""
    if sha in state.tag_objects:
        return GitObject(sha=sha, type="tag")
    if sha in state.commits:
        return GitObject(sha=sha, type="commit")
    raise Refusal(422, "Object does not exist")


def required(body: dict[str, object], name: str) -> str:
    """Return a text that the request must have; 422 if it is missing."""
    value = body.get(name)
    if not isinstance(value, str) or not value:
        raise Refusal(422, f'Invalid request.\n\n"{name}" wasn\'t supplied.')
    return value


def _held(state: GitHubState, name: str) -> bool:
    return any(release.immutable and name == f"refs/tags/{release.tag}" for release in state.releases)


GIT = f"{REPOSITORY}/git"
ROUTES: tuple[Route, ...] = (
    ("POST", f"{GIT}/refs", create_ref),
    ("PATCH", f"{GIT}/refs/{{ref:.+}}", update_ref),
    ("DELETE", f"{GIT}/refs/{{ref:.+}}", delete_ref),
    ("GET", f"{GIT}/ref/{{ref:.+}}", get_ref),
    ("GET", f"{GIT}/matching-refs/{{ref:.*}}", list_matching_refs),
    ("POST", f"{GIT}/tags", create_tag),
    ("GET", f"{GIT}/tags/{{sha}}", get_tag),
    ("GET", f"{GIT}/commits/{{sha}}", get_git_commit),
    ("GET", f"{REPOSITORY}/commits/{{ref:.+}}", get_commit),
    ("GET", f"{REPOSITORY}/compare/{{basehead:.+}}", compare),
)
