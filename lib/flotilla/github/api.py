"""GitHub's REST API: where it is, which addresses may see the token, and one call, tried again if it may go through."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from http import HTTPStatus
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeVar, cast

from requests.utils import parse_header_links

from flotilla.documents import Document, documents, parse_json
from flotilla.errors import FlotillaError, GitHubError, InputError
from flotilla.github.models import unusable
from flotilla.http import Answer, Http, Origin, Request, Unsure, transient
from flotilla.retry import RetryPolicy, TransientError
from flotilla.text import one_line, quoted, sentence

REPOSITORY = re.compile(r"(?!\.{1,2}/)[A-Za-z0-9_.-]+/(?!\.{1,2}$)[A-Za-z0-9_.-]+")
TOKEN = re.compile(r"[\x21-\x7e]+")


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """One repository at one GitHub, and the token for it.

    Args:
        api_url: "https://api.github.com", or a GitHub Enterprise's.
        repository: "owner/name".

    Raises:
        InputError: one of them is malformed; the error never shows the token.
    """

    api_url: str
    repository: str
    token: str = field(repr=False)

    def __post_init__(self) -> None:
        faults = [*self._address_faults(), *self._token_faults()]
        if faults:
            raise InputError(faults)

    @property
    def base(self) -> str:
        """Return the API's URL without a slash at its end."""
        return self.api_url.rstrip("/")

    @property
    def root(self) -> str:
        """Return the path that this repository's calls begin with."""
        return f"/repos/{self.repository}"

    @property
    def origin(self) -> Origin:
        """Return the origin of the API."""
        origin = Origin.of(self.api_url)
        assert origin is not None  # noqa: S101 - __post_init__ refused anything else
        return origin

    @property
    def credential(self) -> str:
        """Return the Authorization header's value, for the API and its upload host only."""
        return f"Bearer {self.token}"

    def is_api(self, url: str) -> bool:
        """Return whether the URL is of the API's own origin."""
        return Origin.of(url) == self.origin

    def takes_uploads(self, url: str) -> bool:
        """Return whether the URL is on GitHub's upload host (uploads.* beside api.*), or on the API's own host.

        github.com and ghe.com have the former, Enterprise Server has the latter.
        """
        api, upload = self.origin, Origin.of(url)
        if upload is None or upload.scheme != api.scheme:
            return False
        sibling = f"uploads.{api.host.removeprefix('api.')}" if api.host.startswith("api.") else None
        return upload.host == api.host or (upload.host == sibling and upload.port == api.port)

    def _address_faults(self) -> list[str]:
        faults = []
        if Origin.of(self.api_url) is None:
            faults.append(f"{self.api_url!r} is not the URL of a GitHub API.")
        if not REPOSITORY.fullmatch(self.repository):
            faults.append(f"expected a repository as owner/name, got {self.repository!r}.")
        return faults

    def _token_faults(self) -> list[str]:
        if not self.token:
            how = "set the input github-token (default: ${{ github.token }}), or GITHUB_TOKEN locally."
            return [f"The token for GitHub is missing; {how}"]
        if not TOKEN.fullmatch(self.token):
            return ["The token for GitHub contains a space, a line break or another character that no token has."]
        return []


if TYPE_CHECKING:
    from github.Requester import Requester

T = TypeVar("T")

ACCEPT = "application/vnd.github+json"
API_VERSION = "2022-11-28"
LARGEST = 32 * 2**20
PAGE = 100
MOST_PAGES = 1000
# https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api: "wait for at least one minute"
SECONDARY_WAIT = 60.0
LIMIT_TEXT = re.compile(
    r"secondary rate limit|rate limit exceeded|abuse detection|retry your request again later", re.IGNORECASE
)

# Otherwise Python prints PyGithub's warnings past the job's log, where no secret would be hidden.
logging.getLogger("github").addHandler(logging.NullHandler())


@dataclass(frozen=True, kw_only=True)
class Call:
    """One REST call.

    Args:
        what: the call in plain words, for the log and errors ("create tag v1.0.0").
        path: below the API's URL, or a whole URL of the API's own origin.
        answers: statuses that the caller handles itself (404, 422).
        hint: what else to check if it is refused for good.
    """

    what: str
    path: str
    verb: str = "GET"
    body: Mapping[str, object] | None = None
    params: Mapping[str, str] = field(default_factory=dict)
    answers: tuple[int, ...] = ()
    hint: str = ""


@dataclass(frozen=True, kw_only=True)
class Reply:
    """One answer: headers by their lower-case names, and the JSON document, None if there is none."""

    status: int
    headers: Mapping[str, str]
    document: object

    @property
    def message(self) -> str:
        """Return GitHub's own words, on one line and not too long."""
        return one_line(_message(self.document))


class Calls:
    """REST calls to one repository's GitHub.

    PyGithub makes the request; its connections, redirects, retries, pauses and lazy objects stay off.
    """

    def __init__(self, endpoint: Endpoint, http: Http) -> None:
        self.endpoint = endpoint
        self.policy: RetryPolicy = http.policy
        self.http = http
        requester_class()  # here, where no other thread imports anything

    def ask(self, call: Call) -> Reply:
        """Return the answer; retry transient failures.

        Raises:
            GitHubError: GitHub refused for good, or its answer cannot be read.
            DeadlineError: no try succeeded in time.
        """
        return self.policy.retry(lambda: self.once(call), what=call.what)

    def once(self, call: Call) -> Reply:
        """Return the answer to one try; raise TransientError (or Unsure) if another may succeed."""
        reply = self._reply(call)
        if reply.status < HTTPStatus.MULTIPLE_CHOICES or reply.status in call.answers:
            return reply
        raise self.refused(reply, call)

    def refused(self, reply: Reply, call: Call) -> TransientError | FlotillaError:
        """Return the error for a refusal of this call."""
        return refusal(reply, what=call.what, now=self.policy.clock.now(), hint=call.hint)

    def document(self, call: Call) -> Document:
        """Return the JSON object that a call answers with."""
        return Document.of(self.ask(call).document, call.what, unusable)

    def find(self, call: Call) -> Document | None:
        """Return the JSON object that a call answers with; None for 404."""
        reply = self.ask(replace(call, answers=(*call.answers, HTTPStatus.NOT_FOUND)))
        return None if reply.status == HTTPStatus.NOT_FOUND else Document.of(reply.document, call.what, unusable)

    def listed(self, call: Call, *, key: str | None = None) -> tuple[Document, ...]:
        """Return all items of all pages, each id once.

        Args:
            key: the field of each page that holds the list; None if the page is the list.
        """
        found = self.find_listed(call, key=key)
        if found is None:
            raise self.refused(Reply(status=HTTPStatus.NOT_FOUND, headers={}, document=None), call)
        return found

    def find_listed(self, call: Call, *, key: str | None = None) -> tuple[Document, ...] | None:
        """Do as `listed`; return None for 404."""
        page = replace(call, params={**call.params, "per_page": str(PAGE)}, answers=(HTTPStatus.NOT_FOUND,))
        found: dict[int, Document] = {}
        for _ in range(MOST_PAGES):
            reply = self.ask(page)
            if reply.status == HTTPStatus.NOT_FOUND:
                return None
            items = (
                Document.of(reply.document, call.what, unusable).inners(key)
                if key
                else documents(reply.document, call.what, unusable)
            )
            found.update((item.number("id"), item) for item in items)
            following = self._next_page(reply, call)
            if following is None:
                return tuple(found.values())
            page = replace(page, path=following, params={})
        raise unusable(call.what, f"the list has more than {MOST_PAGES} pages")

    def write(self, send: Callable[[], T], settled: Callable[[], T | None], *, what: str, looks: int = 1) -> T:
        """Write; after a lost answer, check whether the write took effect before sending it again.

        Args:
            send: one try (built on `once`).
            settled: the write's result as GitHub shows it; None if GitHub shows none.
            looks: how many checks, with waits between, must find nothing before the write is sent again; more than
                one if GitHub's list may lag behind.
        """
        unseen = looks

        def attempt() -> T:
            nonlocal unseen
            if unseen < looks:
                found = settled()
                if found is not None:
                    return found
                unseen += 1
                if unseen < looks:
                    raise TransientError("GitHub does not show the result yet")
            try:
                return send()
            except Unsure:
                unseen = 0
                raise

        return self.policy.retry(attempt, what=what)

    def _reply(self, call: Call) -> Reply:
        connection = _Connection(call, self.endpoint, self.http)
        try:
            status, headers, text = self._requester().requestJson(
                call.verb,
                call.path,
                parameters=dict(call.params),
                headers={"Accept": ACCEPT},
                input=None if call.body is None else dict(call.body),
                cnx=cast("Any", connection),
            )
        except (ValueError, RuntimeError) as error:  # PyGithub's words for odd headers
            raise unusable(call.what, one_line(str(error))) from None
        return Reply(status=status, headers=headers, document=parsed(text, status, call.what))

    def _requester(self) -> Requester:
        return requester_class()(
            auth=None,
            base_url=self.endpoint.base,
            timeout=0,
            user_agent="flotilla",
            per_page=PAGE,
            verify=True,
            retry=None,
            pool_size=None,
            lazy=True,
            api_version=API_VERSION,
        )

    def _next_page(self, reply: Reply, call: Call) -> str | None:
        links = parse_header_links(reply.headers.get("link", ""))
        following = next((link.get("url") for link in links if link.get("rel") == "next"), None)
        if following is not None and not self.endpoint.is_api(following):
            raise unusable(call.what, "its next page is not at GitHub's API")
        return following


@cache
def requester_class() -> type[Requester]:
    """Return PyGithub's Requester, without the rest of PyGithub.

    `import github` runs the package's `__init__`, which imports 150 models and two cryptography libraries, and takes
    half as long as everything else that a job imports. Requester needs none of them, so it is imported below an empty
    package, of which nothing stays where another import would find it.
    """
    ours, package = "github", ModuleType("github")
    before = {name: module for name, module in sys.modules.items() if name.partition(".")[0] == ours}
    spec = find_spec(ours)
    package.__path__ = list(spec.submodule_search_locations or ()) if spec else []
    for name in before:
        del sys.modules[name]
    sys.modules[ours] = package
    try:
        return cast("type[Requester]", import_module("github.Requester").Requester)
    finally:
        for name in [name for name in sys.modules if name.partition(".")[0] == ours]:
            del sys.modules[name]
        sys.modules.update(before)


class _Connection:
    """Stand in for PyGithub's connection, and send one call through flotilla's HTTP."""

    def __init__(self, call: Call, endpoint: Endpoint, http: Http) -> None:
        self._call = call
        self._endpoint = endpoint
        self._http = http

    def request(self, verb: str, url: str, body: str | None, headers: Mapping[str, str], _stream: object) -> None:
        """Send it."""
        asked = Request(
            what=self._call.what,
            url=f"{self._endpoint.origin}{url}",
            method=verb,
            headers=headers,
            credential=self._endpoint.credential,
            body=None if body is None else body.encode(),
            follow=False,
        )
        answer = self._http.read(asked, limit=LARGEST)
        if answer.status == HTTPStatus.ACCEPTED and verb == "GET":
            raise TransientError("GitHub is still preparing the answer")  # PyGithub would ask again forever
        self._answer = answer

    def getresponse(self) -> _Response:
        """Return the answer."""
        return _Response(self._answer)


class _Response:
    """An answer as PyGithub reads it."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self.status = answer.status

    def getheaders(self) -> list[tuple[str, str]]:
        """Return the headers without Location: PyGithub would follow it, and drop the query."""
        return [(name, value) for name, value in self._answer.headers.items() if name != "location"]

    def read(self) -> str:
        """Return the body."""
        return self._answer.body.decode(errors="replace")


def parsed(text: str, status: int, what: str) -> object:
    """Return the JSON of an answer, None if it has none; raise Unsure if it was cut short."""
    if not text:
        return None
    try:
        document = parse_json(text)
    except ValueError:
        if status >= HTTPStatus.MULTIPLE_CHOICES:  # the status says enough; a proxy's error page is not JSON
            return None
        if text.lstrip()[:1] in "{[":
            raise Unsure("GitHub's answer was cut short") from None
        raise GitHubError(
            f"The answer to {what} is not from GitHub: expected JSON, got {quoted(text[:60])}.",
            advice="Check GITHUB_API_URL, and whether a proxy in between answered.",
        ) from None
    return document


def refusal(reply: Reply, *, what: str, now: float, hint: str = "") -> TransientError | FlotillaError:
    """Return the error for an answer that is a refusal.

    Args:
        what: the call in plain words ("create tag v1.0.0").
        now: seconds since the epoch; the time until a rate limit's reset counts from here.
        hint: what else to check if the call was refused for good.
    """
    said = f"HTTP {reply.status}" + (f", {reply.message}" if reply.message else "")
    failure = transient(reply.status, reply.headers, who="GitHub", said=said, now=now)
    limited = reply.status in {HTTPStatus.FORBIDDEN, HTTPStatus.TOO_MANY_REQUESTS}
    if limited and (failure is not None or LIMIT_TEXT.search(reply.message)):
        after = None if failure is None else failure.after
        return TransientError(f"GitHub's rate limit ({said})", after=SECONDARY_WAIT if after is None else after)
    if failure is not None:
        return failure
    return GitHubError(f"{sentence(what)}: GitHub refused ({said}).", advice=f"{_advice(reply)} {hint}".strip())


def permissions_asked(reply: Reply) -> str:
    """Return the permissions in x-accepted-github-permissions as a workflow writes them; empty if there are none."""
    named = reply.headers.get("x-accepted-github-permissions", "")
    choices = [", ".join(_pairs(choice)) for choice in named.split(";")]
    return " or ".join(choice for choice in choices if choice)


def _pairs(choice: str) -> list[str]:
    found = (pair.strip().partition("=") for pair in choice.split(","))
    return [f"{one_line(name)}: {one_line(level)}" for name, _, level in found if name and level]


def _advice(reply: Reply) -> str:
    match reply.status:
        case 401:
            return "The token is wrong, expired or revoked; check the input github-token."
        case 403:
            asked = permissions_asked(reply)
            given = f"the permission `{asked}`" if asked else "a permission"
            return f"The token lacks {given}; add it to the job's `permissions:`."
        case 404:
            return "It does not exist, or the token cannot see it; check the repository and the job's `permissions:`."
        case 301 | 302 | 307 | 308:
            return "The repository was renamed or moved; release under its new name."
        case _:
            return ""


def _message(document: object) -> str:
    if not isinstance(document, Mapping):
        return ""
    message = document.get("message")
    errors = document.get("errors")
    details = [_detail(error) for error in errors] if isinstance(errors, list) else []
    return "; ".join(part for part in [message if isinstance(message, str) else "", *details] if part)


def _detail(error: object) -> str:
    if isinstance(error, str):
        return error
    if not isinstance(error, Mapping):
        return ""
    words = [error.get(key) for key in ("resource", "field", "code", "message")]
    return " ".join(word for word in words if isinstance(word, str))
