"""HTTP with the standard library: the job that may write tags and images installs nothing."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from email.message import Message
from http import HTTPStatus
from http.client import HTTPException
from typing import Any

from scripts.release.settings import ReleaseError

ATTEMPTS = 4
SECONDS = 60
pause = time.sleep


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A server's answer; header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """Return the JSON of the body, None if there is none."""
        return json.loads(self.body) if self.body else None


class _Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        """Follow no redirect: the credential is for this address alone."""


OPENER = urllib.request.build_opener(_Stay)


def call(
    method: str,
    url: str,
    *,
    headers: Mapping[str, str],
    body: bytes | None = None,
    accepted: tuple[int, ...] = (200, 201, 204),
) -> Answer:
    """Return the answer of a request; a POST is sent once, because a lost answer may have created something.

    Raises:
        ReleaseError: if its status is not an accepted one, after all attempts if the server is at fault.
    """
    why = ""
    for attempt in range(1 if method == "POST" else ATTEMPTS):
        if attempt:
            pause(2.0**attempt)
        request = urllib.request.Request(url, data=body, headers=dict(headers), method=method)  # noqa: S310 - of the job
        try:
            with OPENER.open(request, timeout=SECONDS) as answer:
                found = Answer(status=answer.status, headers=_lower(answer.headers), body=answer.read())
        except urllib.error.HTTPError as refused:
            with refused:
                found = Answer(status=refused.code, headers=_lower(refused.headers), body=refused.read())
        except (OSError, HTTPException) as failure:
            why = str(failure)
            continue
        if found.status in accepted:
            return found
        why = f"HTTP {found.status}: {found.body[:300].decode(errors='replace')}"
        if found.status < HTTPStatus.INTERNAL_SERVER_ERROR and found.status != HTTPStatus.TOO_MANY_REQUESTS:
            break
    raise ReleaseError(f"{method} {url.partition('?')[0]} failed: {why}. Run the release again; it resumes.")


def _lower(headers: Message) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}
