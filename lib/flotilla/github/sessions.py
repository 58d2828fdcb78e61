"""Connections for streamed transfers; the token is never kept in one, it is given request by request."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from http.cookiejar import DefaultCookiePolicy
from queue import Empty, SimpleQueue

import requests
from requests.auth import AuthBase


class NoAuth(AuthBase):
    """Leaves a request as it is; without it requests would send what a .netrc file holds for the host."""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        return request


class Unredirected(requests.Session):
    """Never looks at a redirect: requests would parse its target and read its body even when told not to follow."""

    def get_redirect_target(self, resp: requests.Response) -> str | None:  # noqa: ARG002 - requests' own name
        return None


class Sessions:
    """Sessions to borrow, one for each transfer that goes on, so that connections are used again."""

    def __init__(self) -> None:
        self._idle: SimpleQueue[requests.Session] = SimpleQueue()

    @contextmanager
    def borrow(self) -> Iterator[requests.Session]:
        """A session that nobody else uses meanwhile."""
        try:
            session = self._idle.get_nowait()
        except Empty:
            session = _session()
        try:
            yield session
        finally:
            self._idle.put(session)

    def close(self) -> None:
        """Close the idle connections."""
        while True:
            try:
                self._idle.get_nowait().close()
            except Empty:
                return


def _session() -> requests.Session:
    session = Unredirected()
    session.auth = NoAuth()
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    session.headers.update({"User-Agent": "flotilla", "Accept-Encoding": "identity"})
    return session
