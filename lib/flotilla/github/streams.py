"""GET something big from GitHub: the token goes to the API alone, redirects are followed by hand."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import urljoin, urlsplit

import requests
import urllib3

from flotilla.errors import ArtifactError, FlotillaError
from flotilla.github.answers import Reply, broken, refusal
from flotilla.github.document import unusable
from flotilla.github.endpoint import Endpoint
from flotilla.github.sessions import Sessions
from flotilla.retry import Clock, TransientError
from flotilla.text import sentence

CHUNK = 64 * 1024
TIMEOUTS = (30.0, 60.0)
MOST_REDIRECTS = 5
REDIRECTS = frozenset({301, 302, 303, 307, 308})
LONGEST_REFUSAL = 16 * 1024


@dataclass(frozen=True, kw_only=True)
class Source:
    """Something to stream.

    Args:
        what: the transfer in plain words ("download artifact x").
        path: below the API's URL.
        accept: the Accept header.
        size: bytes that GitHub says it has.
        digest: "sha256:…" that GitHub recorded, or None.
        permission: what the token needs for it ("actions: read").
    """

    what: str
    path: str
    accept: str
    size: int
    digest: str | None
    permission: str

    @property
    def limit(self) -> int:
        """More bytes than this are not taken: what was declared, and room for a zip that is made while it is sent."""
        return self.size + self.size // 8 + 1024 * 1024


class Streams:
    """Opens sources; its sessions for storage hosts never see the token."""

    def __init__(self, endpoint: Endpoint, clock: Clock) -> None:
        self.endpoint = endpoint
        self.clock = clock
        self._api = Sessions()
        self._storage = Sessions()

    @contextmanager
    def opened(self, source: Source, *, offset: int) -> Iterator[requests.Response]:
        """The answer that carries the bytes from offset on; 200 if the server starts from the beginning instead.

        Raises:
            TransientError: another try may go through, with a fresh address.
            FlotillaError: refused for good, or a redirect that must not be followed.
        """
        asked = {"Accept": source.accept} | ({"Range": f"bytes={offset}-"} if offset else {})
        url, pool, headers = self.endpoint.base + source.path, self._api, asked | self.endpoint.authorization
        for _ in range(MOST_REDIRECTS + 1):
            with pool.borrow() as session, self._got(session, url, headers) as response:
                if response.status_code not in REDIRECTS:
                    self._check(response, source, from_api=pool is self._api)
                    yield response
                    return
                url = self._target(url, response, source)
            pool, headers = self._storage, asked
        raise unusable(source.what, f"it redirects more than {MOST_REDIRECTS} times")

    def chunks(self, response: requests.Response) -> Iterator[bytes]:
        """The body as it was sent, undecoded; TransientError where the connection breaks."""
        try:
            # What is there, and not a whole chunk: a server that sends a byte a minute would never fill one.
            while chunk := response.raw.read1(CHUNK, decode_content=False):
                yield chunk
        except urllib3.exceptions.HTTPError as error:
            raise broken(error, host=_host(response.url)) from None

    def close(self) -> None:
        self._api.close()
        self._storage.close()

    @contextmanager
    def _got(self, session: requests.Session, url: str, headers: dict[str, str]) -> Iterator[requests.Response]:
        try:
            response = session.get(url, headers=headers, stream=True, allow_redirects=False, timeout=TIMEOUTS)
        except requests.RequestException as error:
            raise broken(error, host=_host(url)) from None
        with response:
            yield response

    def _target(self, url: str, response: requests.Response, source: Source) -> str:
        location = response.headers.get("Location", "")
        try:
            target = urljoin(url, location)
        except ValueError:
            target = ""
        if not location or not self.endpoint.may_redirect_to(target):
            raise unusable(source.what, "it redirects to an address that is not to be followed")
        return target

    def _check(self, response: requests.Response, source: Source, *, from_api: bool) -> None:
        if response.status_code in {HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT}:
            return
        if response.status_code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            raise RangeRefused("the server has fewer bytes than are here already")
        failure = _api_failure if from_api else _storage_failure
        raise failure(_reply(response), source, self.clock.now())


class RangeRefused(TransientError):  # noqa: N818 - not an error yet
    """What is here already cannot be the beginning of what the server has."""


def _api_failure(reply: Reply, source: Source, now: float) -> TransientError | FlotillaError:
    if reply.status == HTTPStatus.GONE:
        return ArtifactError(
            f"{sentence(source.what)}: it has expired.", advice="Re-run the CI workflow on this commit."
        )
    if reply.status == HTTPStatus.NOT_FOUND:
        return ArtifactError(
            f"{sentence(source.what)}: it is not there any more.",
            advice=f"Somebody deleted it, or the token lacks `{source.permission}`.",
        )
    return refusal(reply, what=source.what, now=now, hint=f"This needs `{source.permission}`.")


def _storage_failure(reply: Reply, source: Source, now: float) -> TransientError | FlotillaError:
    # A signed address lives a minute; storage hosts answer 403, 404 or 410 after that. The next try asks for a new one.
    if reply.status in {HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND, HTTPStatus.GONE, HTTPStatus.UNAUTHORIZED}:
        return TransientError(f"the storage host no longer takes the address (HTTP {reply.status})")
    return refusal(reply, what=source.what, now=now)


def _reply(response: requests.Response) -> Reply:
    """The refusal's own words, if it is JSON and not long."""
    document: object = None
    try:
        body = response.raw.read(LONGEST_REFUSAL, decode_content=True)
        document = json.loads(body)
    except (ValueError, urllib3.exceptions.HTTPError):
        pass
    headers = {name.lower(): value for name, value in response.headers.items()}
    return Reply(status=response.status_code, headers=headers, document=document)


def _host(url: str) -> str:
    return urlsplit(url).hostname or "the server"
