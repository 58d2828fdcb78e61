"""Get the job's id-token from GitHub, read what it says, and ask the registry whether it exchanges it."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import urlencode, urljoin

from flotilla.documents import parse_json
from flotilla.errors import GitHubError, RegistryError
from flotilla.http import Answer, Http, Origin, Request, transient
from flotilla.npm.cli import ID_TOKEN_BEARER, ID_TOKEN_URL
from flotilla.npm.packument import Json
from flotilla.npm.registry import escaped
from flotilla.retry import RetryPolicy
from flotilla.text import one_line, plain, redact

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


# Of 4xx and 5xx, what says for good that the registry has no exchange: it does not know the path or the method.
_NO_EXCHANGE = frozenset({HTTPStatus.NOT_IMPLEMENTED, HTTPStatus.HTTP_VERSION_NOT_SUPPORTED})


@dataclass(frozen=True, kw_only=True)
class Exchange:
    """What came of an id-token at the registry, for one package.

    Args:
        refused: why the registry gives no token for it; empty if it does.
        claims: what npm compared, as far as it is known.
    """

    refused: str
    claims: Claims


class TokenExchange:
    """The registry's exchange of the job's id-token, asked as npm asks (npm: lib/utils/oidc.js).

    What it grants is not used and not kept: npm does its own exchange for each publish. This one tells beforehand
    whether that will be granted. A trusted publisher that may only stage is not told apart: its exchange is granted.

    Args:
        registry: its URL, at the root of its host.
        id_tokens: GitHub's service.
        job: the claims as far as the job's variables tell them.
        keep_secret: is given each token that is granted.
    """

    def __init__(
        self,
        registry: str,
        id_tokens: IdTokens,
        *,
        job: Claims,
        policy: RetryPolicy,
        keep_secret: Callable[[str], None] = lambda _token: None,
    ) -> None:
        self._registry = registry
        self._id_tokens = id_tokens
        self._job = job
        self._policy = policy
        self._keep_secret = keep_secret
        self._http = Http(policy, error=RegistryError)

    def ask(self, name: str) -> Exchange:
        """Return whether the registry exchanges the job's id-token for a token of this package.

        Raises:
            DeadlineError: GitHub or the registry did not answer, or not with yes or no, until the time was up.
        """
        at, claims = Origin.of(self._registry), self._job
        try:
            # One for each package, as npm does it: a registry need not take an id-token twice.
            id_token = self._id_tokens.get(f"npm:{at.host if at else ''}")
            claims = claims_of_token(id_token, self._job)
            what = f"exchange the id-token for {name}"
            refused = self._policy.retry(lambda: self._refusal(name, id_token, what), what=what)
        except (GitHubError, RegistryError) as failure:
            refused = " ".join(fault.text for fault in failure.faults).rstrip(".")
        return Exchange(refused=refused, claims=claims)

    def _refusal(self, name: str, id_token: str, what: str) -> str:
        request = Request(
            what=what,
            url=urljoin(self._registry, f"/-/npm/v1/oidc/token/exchange/package/{escaped(name)}"),
            method="POST",
            headers={"Accept": "application/json"},
            credential=f"Bearer {id_token}",
            body=b"",
            follow=False,
        )
        answer = self._http.read(request, limit=LIMIT)
        said = f"{answer.status}{_message(answer)}"
        passing = transient(answer.status, answer.headers, who="the registry", said=said, now=self._policy.clock.now())
        if passing and answer.status not in _NO_EXCHANGE:
            raise passing
        if answer.status not in {HTTPStatus.OK, HTTPStatus.CREATED}:
            return f"the registry does not exchange the job's id-token ({said})"
        token = _text_in(answer, "token")
        if not token:
            return f"the registry answered the exchange of the job's id-token with {answer.status} and without a token"
        self._keep_secret(token)
        return ""


def _message(answer: Answer) -> str:
    """Return the registry's words in an answer, after a colon; empty if there are none."""
    words = _text_in(answer, "message") or _text_in(answer, "error")
    return f": {one_line(redact(words), longest=200)}" if words else ""


def _text_in(answer: Answer, key: str) -> str:
    """Return a text in a JSON answer; empty if there is none."""
    try:
        document = parse_json(answer.body)
    except ValueError:
        return ""
    value = document.get(key) if isinstance(document, dict) else None
    return value if isinstance(value, str) else ""


def _value(answer: Answer) -> str:
    """Return the id-token in an answer; empty if there is none."""
    return _text_in(answer, "value") if answer.status == HTTPStatus.OK else ""


def _payload(token: str) -> Json:
    encoded = token.split(".")[1] if token.count(".") == 2 else ""  # noqa: PLR2004 - header, payload, signature
    try:
        payload = json.loads(base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)))
    except (ValueError, RecursionError, binascii.Error):
        return {}
    return payload if isinstance(payload, dict) else {}
