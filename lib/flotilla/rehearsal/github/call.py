"""What every handler of the simulated GitHub works with: the state, the origins, one call, its refusals."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from flotilla.rehearsal.github.replies import Replies
from flotilla.rehearsal.github.repository import Json, Origins
from flotilla.rehearsal.github.state import GitHubState

DOCS = "https://docs.github.com/rest"
PER_PAGE = 30
LARGEST_PAGE = 100


class Refusal(Exception):  # noqa: N818 - an answer, not an error of ours
    """An answer of GitHub that is not a success."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        errors: Sequence[Mapping[str, str]] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.errors = errors
        self.headers = dict(headers or {})

    def response(self) -> web.Response:
        """Return it in GitHub's form."""
        words: Json = {"message": str(self), "documentation_url": DOCS, "status": str(self.status)}
        if self.errors:
            words["errors"] = list(self.errors)
        return web.json_response(words, status=self.status, headers=self.headers)


def not_found() -> Refusal:
    """Return what GitHub says of what is not there, or not to be seen."""
    return Refusal(404, "Not Found")


def invalid(resource: str, field_name: str, code: str, message: str = "") -> Refusal:
    """Return GitHub's 422 with one fault of one field."""
    fault = {"resource": resource, "field": field_name, "code": code}
    return Refusal(422, "Validation Failed", errors=[{**fault, "message": message} if message else fault])


@dataclass(kw_only=True)
class Signed:
    """A signed URL: what it serves, until when, and how often still."""

    kind: str
    id: int
    expires: float
    reads_left: int | None


@dataclass(kw_only=True)
class Hub:
    """The simulated GitHub behind its origins.

    Args:
        clock: epoch seconds.
        answers: numbers the answers.
    """

    state: GitHubState
    origins: Origins
    clock: Callable[[], float] = time.time
    signed: dict[str, Signed] = field(default_factory=dict)
    answers: Iterator[int] = field(default_factory=itertools.count)

    def sign(self, kind: str, id_: int, *, suffix: str = "") -> str:
        """Return a URL at the blob origin that serves one thing for a while."""
        signature = f"s{len(self.signed) + 1}"
        expires = self.clock() + self.state.blob_seconds
        self.signed[signature] = Signed(kind=kind, id=id_, expires=expires, reads_left=self.state.blob_reads)
        return f"{self.origins.blobs}/{kind}/{id_}{suffix}?sig={signature}"


HUB = web.AppKey("hub", Hub)


@dataclass(frozen=True, kw_only=True)
class Call:
    """One request to the API, with what it may see."""

    request: web.Request
    hub: Hub

    @property
    def state(self) -> GitHubState:
        """Return what GitHub knows."""
        return self.hub.state

    @property
    def replies(self) -> Replies:
        """Return what renders the state."""
        return Replies(state=self.state, origins=self.hub.origins)

    def part(self, name: str) -> str:
        """Return a part of the path."""
        return str(self.request.match_info[name])

    def id(self, name: str = "id") -> int:
        """Return a part of the path that is an id; 404 if it is not one."""
        if not self.part(name).isdigit():
            raise not_found()
        return int(self.part(name))

    async def body(self) -> Json:
        """Return the JSON object sent; 400 if it is not one."""
        try:
            document = json.loads(await self.request.read() or b"{}")
        except ValueError:
            raise Refusal(400, "Problems parsing JSON") from None
        if not isinstance(document, dict):
            raise Refusal(400, "Body should be a JSON object")
        return document

    def need(self, permission: str, level: str = "write") -> None:
        """Raise a 403 unless the token has this permission."""
        if self.hub.state.permissions.get(permission) not in {level, "write"}:
            headers = {"x-accepted-github-permissions": f"{permission}={level}"}
            raise Refusal(403, "Resource not accessible by integration", headers=headers)

    def page(self, items: Sequence[Json], *, key: str | None = None) -> web.Response:
        """Return one page of a list, with Link headers; under a key beside total_count, or bare."""
        size = min(LARGEST_PAGE, self._number("per_page", PER_PAGE))
        page = self._number("page", 1)
        last = max(1, -(-len(items) // size))
        chosen = list(items[(page - 1) * size : page * size])
        links = {"first": 1, "prev": page - 1} if page > 1 else {}
        links |= {"next": page + 1, "last": last} if page < last else {}
        headers = {"Link": ", ".join(f'<{self._at(n)}>; rel="{rel}"' for rel, n in links.items())} if links else {}
        return web.json_response({"total_count": len(items), key: chosen} if key else chosen, headers=headers)

    def _number(self, name: str, default: int) -> int:
        given = self.request.query.get(name, "")
        return int(given) if given.isdigit() and int(given) > 0 else default

    def _at(self, page: int) -> str:
        return f"{self.hub.origins.api}{self.request.rel_url.update_query(page=str(page))}"


ApiHandler = Callable[[Call], Awaitable[web.Response]]
Route = tuple[str, str, ApiHandler]


def reply(document: Any, status: int = 200) -> web.Response:
    """Return a JSON answer."""
    return web.json_response(document, status=status)
