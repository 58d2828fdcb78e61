"""Send every REST call: through PyGithub, tried again if it may go through, refused in plain words."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from queue import Empty, SimpleQueue
from typing import TypeVar

import github
import requests
from github.Requester import Requester
from requests.utils import parse_header_links

from flotilla.errors import FlotillaError, GitHubError
from flotilla.github.answers import Reply, Unsure, broken, refusal
from flotilla.github.document import Document, documents, unusable
from flotilla.github.endpoint import Endpoint
from flotilla.retry import RetryPolicy, TransientError
from flotilla.text import one_line, quoted

T = TypeVar("T")

TIMEOUT = 60
PAGE = 100
MOST_PAGES = 1000
API_VERSION = "2022-11-28"


@dataclass(frozen=True, kw_only=True)
class Call:
    """One REST call.

    Args:
        what: it in plain words, for the log and errors ("create tag v1.0.0").
        path: below the API's URL, or a whole URL of the API's own origin.
        answers: refusals that are an answer to the caller (404, 422).
        hint: what else to check where it is refused for good.
    """

    what: str
    path: str
    verb: str = "GET"
    body: Mapping[str, object] | None = None
    params: Mapping[str, str] = field(default_factory=dict)
    answers: tuple[int, ...] = ()
    hint: str = ""


class Calls:
    """REST calls to one repository's GitHub.

    PyGithub carries the address, the token and the connection; its lazy objects, retries and pauses stay off.
    """

    def __init__(self, endpoint: Endpoint, policy: RetryPolicy) -> None:
        self.endpoint = endpoint
        self.policy = policy
        self._idle: SimpleQueue[github.Github] = SimpleQueue()

    def ask(self, call: Call) -> Reply:
        """The answer, tried again while a failure may pass.

        Raises:
            GitHubError: refused for good, or an answer that cannot be read.
            DeadlineError: nothing came through in time.
        """
        return self.policy.retry(lambda: self.once(call), what=call.what)

    def once(self, call: Call) -> Reply:
        """The answer to one try; TransientError (or Unsure) where another may go through."""
        reply = self._sent(call)
        if reply.status < HTTPStatus.MULTIPLE_CHOICES or reply.status in call.answers:
            return reply
        raise self.refused(reply, call)

    def refused(self, reply: Reply, call: Call) -> TransientError | FlotillaError:
        """What a refusal of this call means."""
        return refusal(reply, what=call.what, now=self.policy.clock.now(), hint=call.hint)

    def document(self, call: Call) -> Document:
        """The JSON object that a call answers with."""
        return Document.of(self.ask(call).document, call.what)

    def find(self, call: Call) -> Document | None:
        """The JSON object that a call answers with; None for 404."""
        reply = self.ask(replace(call, answers=(*call.answers, HTTPStatus.NOT_FOUND)))
        return None if reply.status == HTTPStatus.NOT_FOUND else Document.of(reply.document, call.what)

    def listed(self, call: Call, *, key: str | None = None) -> tuple[Document, ...]:
        """All items of all pages, each id once.

        Args:
            key: where in each page's object the list is; None where the page is the list.
        """
        found = self.find_listed(call, key=key)
        if found is None:
            raise self.refused(Reply(status=HTTPStatus.NOT_FOUND, headers={}, document=None), call)
        return found

    def find_listed(self, call: Call, *, key: str | None = None) -> tuple[Document, ...] | None:
        """As `listed`; None for 404."""
        page = replace(call, params={**call.params, "per_page": str(PAGE)}, answers=(HTTPStatus.NOT_FOUND,))
        found: dict[int, Document] = {}
        for _ in range(MOST_PAGES):
            reply = self.ask(page)
            if reply.status == HTTPStatus.NOT_FOUND:
                return None
            items = Document.of(reply.document, call.what).inners(key) if key else documents(reply.document, call.what)
            found.update((item.number("id"), item) for item in items)
            following = self._next_page(reply, call)
            if following is None:
                return tuple(found.values())
            page = replace(page, path=following, params={})
        raise unusable(call.what, f"the list has more than {MOST_PAGES} pages")

    def write(self, send: Callable[[], T], settled: Callable[[], T | None], *, what: str, looks: int = 1) -> T:
        """What a write answers, or after a lost answer what a look finds of it: nothing is sent twice unseen.

        Args:
            send: one try (built on `once`).
            settled: the write's result as GitHub shows it, None where it shows none.
            looks: how often, with waits between, that must show nothing before the write is sent again; more than
                one where GitHub's own list may be late.
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
                    raise TransientError("GitHub shows nothing of it yet")
            try:
                return send()
            except Unsure:
                unseen = 0
                raise

        return self.policy.retry(attempt, what=what)

    def close(self) -> None:
        """Close the idle connections."""
        while True:
            try:
                self._idle.get_nowait().close()
            except Empty:
                return

    def _sent(self, call: Call) -> Reply:
        try:
            with self._requester() as requester:
                status, headers, text = requester.requestJson(
                    call.verb,
                    call.path,
                    parameters=dict(call.params),
                    headers={"Accept": "application/vnd.github+json"},
                    input=None if call.body is None else dict(call.body),
                )
        except requests.RequestException as error:
            raise broken(error, host=self.endpoint.origin.host) from None
        except (ValueError, RuntimeError) as error:  # PyGithub's words for odd headers and for a redirect elsewhere
            raise unusable(call.what, one_line(str(error))) from None
        lowered = {name.lower(): str(value) for name, value in headers.items()}
        return Reply(status=status, headers=lowered, document=parsed(text, status, call.what))

    @contextmanager
    def _requester(self) -> Iterator[Requester]:
        """A PyGithub of this thread's own for one call: its connection object is not safe to share."""
        try:
            client = self._idle.get_nowait()
        except Empty:
            client = self._client()
        try:
            yield client.requester
        finally:
            self._idle.put(client)

    def _client(self) -> github.Github:
        return github.Github(
            auth=github.Auth.Token(self.endpoint.token),
            base_url=self.endpoint.base,
            timeout=TIMEOUT,
            user_agent="flotilla",
            retry=None,
            seconds_between_requests=0,
            seconds_between_writes=0,
            lazy=True,
            api_version=API_VERSION,
        )

    def _next_page(self, reply: Reply, call: Call) -> str | None:
        links = parse_header_links(reply.headers.get("link", ""))
        following = next((link.get("url") for link in links if link.get("rel") == "next"), None)
        if following is not None and not self.endpoint.is_api(following):
            raise unusable(call.what, "its next page is at another address than GitHub's API")
        return following


def parsed(text: str, status: int, what: str) -> object:
    """The JSON of an answer; None where it has none. Unsure where it was cut short."""
    if not text:
        return None
    try:
        document: object = json.loads(text)
    except (ValueError, RecursionError):
        if status >= HTTPStatus.MULTIPLE_CHOICES:  # the status says enough; a proxy's error page is no JSON
            return None
        if text.lstrip()[:1] in "{[":
            raise Unsure("GitHub's answer was cut short") from None
        raise GitHubError(
            f"The answer to {what} is not GitHub's: no JSON, but {quoted(text[:60])}.",
            advice="Check GITHUB_API_URL, and a proxy on the way.",
        ) from None
    return document
