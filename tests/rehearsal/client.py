"""A client for the simulated servers: requests, without redirects, a token where it is given."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

import requests

SECONDS = 10


class Client:
    """Speaks to one origin.

    Args:
        origin: what every path is put behind.
        token: sent with each request, unless empty.
    """

    def __init__(self, origin: str, *, token: str = "") -> None:
        self.origin = origin.rstrip("/")
        self._session = requests.Session()
        self._session.trust_env = False
        if token:
            self._session.headers["Authorization"] = f"Bearer {token}"

    def send(
        self,
        method: str,
        path: str,
        *,
        body: object = None,
        data: bytes | None = None,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> requests.Response:
        """Return one request; `path` may be a whole URL."""
        url = path if path.startswith("http") else f"{self.origin}{path}"
        return self._session.request(
            method, url, json=body, data=data, params=query, headers=headers, timeout=SECONDS, allow_redirects=False
        )

    def get(self, path: str, **more: Any) -> requests.Response:
        return self.send("GET", path, **more)

    def post(self, path: str, **more: Any) -> requests.Response:
        return self.send("POST", path, **more)

    def put(self, path: str, **more: Any) -> requests.Response:
        return self.send("PUT", path, **more)

    def close(self) -> None:
        self._session.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        self.close()
