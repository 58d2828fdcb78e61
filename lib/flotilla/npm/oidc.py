"""Get the job's id-token from GitHub, and read what it says about the job."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import urlencode

from flotilla.documents import parse_json
from flotilla.errors import GitHubError
from flotilla.http import Answer, Http, Request, transient
from flotilla.npm.packument import Json
from flotilla.npm.publish_command import ID_TOKEN_BEARER, ID_TOKEN_URL
from flotilla.retry import RetryPolicy
from flotilla.text import plain

LIMIT = 2**20
_ADVICE = (
    "Add `permissions: id-token: write` to the job (for a reusable workflow, also to the job that calls it), "
    "or set npm-token."
)
# Repositories created or renamed since July 2026 have numbers in the id-token's subject: repo:OWNER@1/NAME@2:...
_IMMUTABLE_SUBJECT = re.compile(r"repo:[^/]+@\d+/[^:]+@\d+")
_IMMUTABLE = " (the id-token's subject has immutable ids, which npm's exchange is known to refuse: npm/cli#9969)"


@dataclass(frozen=True, kw_only=True)
class Claims:
    """What npm compares with a package's trusted publisher.

    Args:
        repository: OWNER/NAME.
        workflow: file name of the calling workflow, as npm writes it: release.yml.
        environment: the job's deployment environment; None if it is unknown.
        subject: the id-token's sub; empty if it was not read.
    """

    repository: str
    workflow: str
    environment: str | None = None
    subject: str = ""

    def __str__(self) -> str:
        """Return the claims in words, for an error."""
        environment = {None: "unknown", "": "none"}.get(self.environment, self.environment)
        words = f"repository {self.repository}, workflow file {self.workflow}, environment {environment}"
        return words + (_IMMUTABLE if _IMMUTABLE_SUBJECT.match(self.subject) else "")


def claims_of_job(environment: Mapping[str, str]) -> Claims:
    """Return the claims as far as the job's variables show them."""
    return Claims(
        repository=environment.get("GITHUB_REPOSITORY", "unknown"),
        workflow=workflow_file(environment.get("GITHUB_WORKFLOW_REF", "")),
    )


def claims_of_token(token: str, job: Claims) -> Claims:
    """Return an id-token's claims, completed from the job's variables. npm checks the signature."""
    payload = _payload(token)

    def text(key: str) -> str:
        value = payload.get(key)
        return plain(value, longest=300) if isinstance(value, str) else ""

    if not payload:
        return job
    return Claims(
        repository=text("repository") or job.repository,
        workflow=workflow_file(text("workflow_ref")) if text("workflow_ref") else job.workflow,
        environment=text("environment"),
        subject=text("sub"),
    )


def workflow_file(reference: str) -> str:
    """Return the file name: release.yml from OWNER/NAME/.github/workflows/release.yml@refs/heads/main."""
    return reference.partition("@")[0].rpartition("/")[2] or "unknown"


class IdTokens:
    """GitHub's id-token service, as this job may use it.

    Args:
        environment: the job's variables, of which ACTIONS_ID_TOKEN_REQUEST_* are used.
        policy: how long to keep trying.
        keep_secret: masks each id-token before anything else is done with it.
    """

    def __init__(
        self,
        environment: Mapping[str, str],
        *,
        policy: RetryPolicy,
        keep_secret: Callable[[str], None] = lambda _token: None,
    ) -> None:
        self._keep_secret = keep_secret
        self._url = environment.get(ID_TOKEN_URL, "")
        self._bearer = environment.get(ID_TOKEN_BEARER, "")
        self._policy = policy
        self._http = Http(policy, error=GitHubError)

    @property
    def available(self) -> bool:
        """Return whether the job may ask for id-tokens at all."""
        return bool(self._url and self._bearer)

    def get(self, audience: str) -> str:
        """Return an id-token for an audience; it is valid for five minutes.

        Raises:
            GitHubError: the job lacks the permission, or GitHub refuses.
        """
        if not self.available:
            raise GitHubError("This job is not allowed to ask GitHub for an id-token.", advice=_ADVICE)
        what = f"ask GitHub for an id-token for {audience}"
        return self._policy.retry(lambda: self._ask(audience, what), what=what)

    def _ask(self, audience: str, what: str) -> str:
        separator = "&" if "?" in self._url else "?"
        request = Request(
            what=what,
            url=f"{self._url}{separator}{urlencode({'audience': audience})}",
            headers={"Accept": "application/json"},
            credential=f"Bearer {self._bearer}",
            follow=False,
        )
        answer = self._http.read(request, limit=LIMIT)
        if passing := transient(
            answer.status,
            answer.headers,
            who="GitHub's id-token service",
            said=str(answer.status),
            now=self._policy.clock.now(),
        ):
            raise passing
        value = _value(answer)
        if not value:
            raise GitHubError(f"{what}: GitHub answered {answer.status} without an id-token.", advice=_ADVICE)
        self._keep_secret(value)
        return value


def _value(answer: Answer) -> str:
    """Return the id-token in an answer; empty if it has none."""
    try:
        document = parse_json(answer.body) if answer.status == HTTPStatus.OK else None
    except ValueError:
        return ""
    value = document.get("value") if isinstance(document, dict) else None
    return value if isinstance(value, str) else ""


def _payload(token: str) -> Json:
    encoded = token.split(".")[1] if token.count(".") == 2 else ""  # noqa: PLR2004 - header, payload, signature
    try:
        payload = json.loads(base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)))
    except (ValueError, RecursionError, binascii.Error):
        return {}
    return payload if isinstance(payload, dict) else {}
