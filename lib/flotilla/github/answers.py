"""What an answer of GitHub means: wait, look again, or stop and say why."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus

import requests

from flotilla.errors import FlotillaError, GitHubError
from flotilla.retry import TransientError, retry_after
from flotilla.text import one_line, sentence

# https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api: "wait for at least one minute"
SECONDARY_WAIT = 60.0
SECONDS = re.compile(r"[0-9]{1,10}")  # since the epoch; what is longer is no such number
LIMIT_TEXT = re.compile(
    r"secondary rate limit|rate limit exceeded|abuse detection|retry your request again later", re.IGNORECASE
)


class Unsure(TransientError):  # noqa: N818 - not an error yet
    """A failure that may pass, after which nobody knows whether the call took effect."""


@dataclass(frozen=True, kw_only=True)
class Reply:
    """One answer: headers by their lower-case names, and the JSON document, None where there is none."""

    status: int
    headers: Mapping[str, str]
    document: object

    @property
    def message(self) -> str:
        """GitHub's own words, on one line and not too long."""
        return one_line(_message(self.document))


def refusal(reply: Reply, *, what: str, now: float, hint: str = "") -> TransientError | FlotillaError:
    """The failure that an answer stands for.

    Args:
        what: the call in plain words ("create tag v1.0.0").
        now: seconds since the epoch, to count from to a reset.
        hint: what else to check where the call was refused for good.
    """
    said = f"HTTP {reply.status}" + (f", {reply.message}" if reply.message else "")
    limited = limit_wait(reply, now=now)
    if limited is not None:
        return TransientError(f"GitHub's rate limit ({said})", after=limited)
    if reply.status >= HTTPStatus.INTERNAL_SERVER_ERROR or reply.status == HTTPStatus.REQUEST_TIMEOUT:
        return Unsure(f"GitHub answers {said}", after=retry_after(reply.headers.get("retry-after"), now=now))
    return GitHubError(f"{sentence(what)}: GitHub refuses ({said}).", advice=f"{_advice(reply)} {hint}".strip())


def limit_wait(reply: Reply, *, now: float) -> float | None:
    """Seconds to wait where the answer is a primary or secondary rate limit; None where it is none."""
    if reply.status not in {HTTPStatus.FORBIDDEN, HTTPStatus.TOO_MANY_REQUESTS}:
        return None
    asked = retry_after(reply.headers.get("retry-after"), now=now)
    if asked is not None:
        return asked
    if reply.headers.get("x-ratelimit-remaining") == "0":
        return _until_reset(reply.headers.get("x-ratelimit-reset", ""), now=now)
    secondary = reply.status == HTTPStatus.TOO_MANY_REQUESTS or LIMIT_TEXT.search(reply.message)
    return SECONDARY_WAIT if secondary else None


def broken(error: Exception, *, host: str) -> TransientError | FlotillaError:
    """The failure that a broken connection stands for.

    The error's own text is left out: it can hold the query of a signed URL.
    """
    if isinstance(error, requests.exceptions.SSLError) and "CERTIFICATE_VERIFY_FAILED" in str(error):
        return GitHubError(
            f"The certificate of {host} is not one that this machine trusts.",
            advice="Give the runner your proxy's or GitHub Enterprise's authority (REQUESTS_CA_BUNDLE).",
        )
    if isinstance(error, requests.exceptions.InvalidURL | requests.exceptions.InvalidSchema):
        return GitHubError(f"An address that GitHub gave, on {host}, cannot be used.")
    if isinstance(error, requests.exceptions.Timeout) or "Timeout" in type(error).__name__:
        return Unsure(f"{host} did not answer in time")
    return Unsure(f"the connection to {host} broke")


def permissions_asked(reply: Reply) -> str:
    """What x-accepted-github-permissions names, as a workflow writes it; empty where it names nothing."""
    named = reply.headers.get("x-accepted-github-permissions", "")
    choices = [", ".join(_pairs(choice)) for choice in named.split(";")]
    return " or ".join(choice for choice in choices if choice)


def _pairs(choice: str) -> list[str]:
    found = (pair.strip().partition("=") for pair in choice.split(","))
    return [f"{one_line(name)}: {one_line(level)}" for name, _, level in found if name and level]


def _advice(reply: Reply) -> str:
    match reply.status:
        case 401:
            return "The token is wrong, expired or revoked: check github-token."
        case 403:
            asked = permissions_asked(reply)
            given = f"the permission `{asked}`" if asked else "the permission"
            return f"The token lacks {given}; add it to the job's `permissions:`."
        case 404:
            return "It is not there, or the token may not see it: check the repository and the job's `permissions:`."
        case 301 | 302 | 307 | 308:
            return "The repository was renamed or moved: release from its new name."
        case _:
            return ""


def _until_reset(reset: str, *, now: float) -> float:
    return max(1.0, float(reset) - now) if SECONDS.fullmatch(reset) else SECONDARY_WAIT


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
