"""Explain npm's answers: one table from error code and text to the cause, what flotilla does, and the next step.

Pure: no input or output.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from urllib.parse import urlsplit

from flotilla.npm.cli import NpmAnswer, Observed


class Kind(Enum):
    """What flotilla does after an answer."""

    RETRY = "the registry stored nothing: retry"
    READ_BACK = "the outcome is unknown: ask the registry, then retry"
    THERE = "the registry says that it has the version: compare the content"
    STAGED = "the registry says that the version is staged"
    DENIED = "the id-token was refused and nothing was stored: use the token if there is one, else stop"
    REFUSE = "another try would get the same answer: stop"


@dataclass(frozen=True, kw_only=True)
class Cause:
    """An answer in plain words."""

    words: str
    kind: Kind
    step: str


@dataclass(frozen=True, kw_only=True)
class Context:
    """What the text of a cause mentions.

    Args:
        name: the package's name.
        trusted: trusted publishing is used, not a token.
        id_token: the job may ask for id-tokens.
        claims: what npm compares, in words.
        staged: `npm stage publish` was run.
        access: the access that the package should have, public or restricted.
        trust: the command that sets up trusted publishing.
    """

    name: str
    registry: str
    trusted: bool
    id_token: bool = True
    claims: str = ""
    staged: bool = False
    access: str = "public"
    trust: str = ""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One row of the table; code and text are patterns, and the first row that matches counts."""

    code: str = ".*"
    text: str = ""
    kind: Kind
    words: str
    step: str = ""
    when: Callable[[NpmAnswer, Context], bool] = lambda _answer, _context: True

    def fits(self, answer: NpmAnswer, context: Context) -> bool:
        """Return whether this row matches the answer."""
        return bool(
            re.fullmatch(self.code, "KILLED" if answer.exit_status is None else answer.code)
            and re.search(self.text, answer.text, re.IGNORECASE)
            and self.when(answer, context)
        )


def explain(answer: NpmAnswer, context: Context) -> Cause:
    """Return the cause of a failed publish, what flotilla does about it, and the next step.

    Args:
        answer: npm's answer; it did not succeed.
        context: what the text mentions.
    """
    row = next(row for row in TABLE if row.fits(answer, context))
    names = {
        "name": context.name,
        "host": next(
            (each.host for each in reversed(answer.observed) if each.failed), urlsplit(context.registry).hostname
        ),
        "registry": context.registry,
        "claims": context.claims,
        "trust": context.trust,
        "oidc": _oidc_words(answer),
        "said": answer.text or "nothing",
        "code": answer.code or "no code",
    }
    return Cause(words=row.words.format_map(names), kind=row.kind, step=row.step.format_map(names))


def id_token_may_pass(answer: NpmAnswer, _context: Context) -> bool:
    """Return whether fetching or exchanging the id-token failed only temporarily."""
    asked = [each for each in answer.observed if each.method == "GET" or "/oidc/token/exchange/" in each.path]
    cut = any(re.search(_CUT, line) for line in answer.oidc)
    return cut or (bool(asked) and (asked[-1].may_pass or _exchanged_and_cut(answer, asked[-1])))


def _exchanged_and_cut(answer: NpmAnswer, last: Observed) -> bool:
    """Return whether the registry granted the exchange, but its answer was cut off on the way."""
    granted = last.status is not None and last.status < 300  # noqa: PLR2004
    return granted and any("Failed token exchange request" in line for line in answer.oidc)


def _untrusted(answer: NpmAnswer, _context: Context) -> bool:
    last = answer.observed[-1].failed if answer.observed else ""
    return any(re.match(r".*_CERT_|.*_CERT$|CERT_|UNABLE_TO_", code) for code in (answer.code, last))


def _oidc_words(answer: NpmAnswer) -> str:
    lines = [line.removeprefix("oidc").strip() for line in answer.oidc]
    return "; ".join(lines) or "nothing about exchanging the id-token"


def _trusted(_answer: NpmAnswer, context: Context) -> bool:
    return context.trusted


def _no_id_token(_answer: NpmAnswer, context: Context) -> bool:
    return context.trusted and not context.id_token


def _staged(_answer: NpmAnswer, context: Context) -> bool:
    return context.staged


def _restricted(_answer: NpmAnswer, context: Context) -> bool:
    return context.access != "public"


def _package_not_found(answer: NpmAnswer, context: Context) -> bool:
    return context.trusted and any("package not found" in line for line in answer.oidc)


_COMPARES = "npm compared: {claims}. Each must match the package's trusted publisher on the registry exactly."
_SET_UP = "Compare these with the package's settings on the registry, or set trusted publishing up: {trust}"
_NEW_VERSION = "Release under a new version number."
_CUT = (
    r"ECONNRESET|ETIMEDOUT|EAI_AGAIN|socket hang up|timeout|[Ii]nvalid (json )?response body|aborted|[Pp]remature close"
)
_NETWORK = (
    "ECONNRESET|ECONNREFUSED|ECONNABORTED|ETIMEDOUT|ENOTFOUND|EAI_AGAIN|EAI_FAIL|EPIPE|ENETUNREACH|EHOSTUNREACH"
    "|ENETDOWN|ERR_SOCKET_TIMEOUT|ERR_STREAM_PREMATURE_CLOSE|EIDLETIMEOUT|ECONNECTIONTIMEOUT|ERESPONSETIMEOUT|ETRANSFERTIMEOUT"
    "|ERR_SOCKET_CLOSED|ERR_SSL.*|EPROTO"
)

# Sources: npm: lib/utils/error-message.js, lib/commands/publish.js, npm-registry-fetch/lib/errors.js,
# libnpmpublish/lib/publish.js, @sigstore/sign/dist; the registries' texts from public issue threads.
TABLE: tuple[Row, ...] = (
    Row(code="KILLED", kind=Kind.READ_BACK, words="npm did not finish in time and was killed"),
    Row(
        kind=Kind.REFUSE,
        words="npm does not trust the certificate of the registry, sigstore or a proxy ({code})",
        step="Set NODE_EXTRA_CA_CERTS (npm) and REQUESTS_CA_BUNDLE (flotilla) to its certificate authority's file.",
        when=_untrusted,
    ),
    # Signing, before anything reaches the registry.
    Row(
        code="TLOG_.*",
        text=r"\(409\)",
        kind=Kind.RETRY,
        words="sigstore's transparency log already has this entry (409); the next try signs again",
    ),
    Row(
        code="(CA|TLOG|TSA)_.*",
        text=r"\(4(?!08|09|29)\d\d\)",
        kind=Kind.REFUSE,
        words="sigstore refused to sign for this job: {said}",
        step="Check that the job has `id-token: write`, or set provenance to false to publish without a statement.",
    ),
    Row(code="(CA|TLOG|TSA)_.*", kind=Kind.RETRY, words="sigstore was temporarily unable to sign: {said}"),
    Row(
        code="IDENTITY_TOKEN_READ_ERROR",
        kind=Kind.RETRY,
        words="GitHub was temporarily unable to issue an id-token for sigstore",
    ),
    Row(
        code="IDENTITY_TOKEN_PARSE_ERROR",
        kind=Kind.RETRY,
        words="GitHub was temporarily unable to issue an id-token for sigstore",
        when=id_token_may_pass,
    ),
    Row(
        code="IDENTITY_TOKEN_PARSE_ERROR",
        kind=Kind.REFUSE,
        words="GitHub does not issue an id-token for sigstore to this job",
        step="Add `permissions: id-token: write` to the job.",
    ),
    Row(
        code="EUSAGE",
        text="id-token",
        kind=Kind.REFUSE,
        words="provenance needs `permissions: id-token: write`, which this job does not have",
        step="Add `permissions: id-token: write` to the job (for a reusable workflow, also to the job that calls it).",
    ),
    Row(
        code="EUSAGE",
        text="new or private package",
        kind=Kind.REFUSE,
        words="provenance is only for public packages; this one is private, or new without `access: public`",
        step="In flotilla.yml, set publish.access to public, or publish.provenance to false.",
    ),
    Row(
        code="EUSAGE",
        text="provenance",
        kind=Kind.REFUSE,
        words="npm cannot create provenance here: {said}",
        step="Run on GitHub Actions, or set provenance to false.",
    ),
    # Signing in.
    Row(
        code="ENEEDAUTH",
        kind=Kind.RETRY,
        words="the registry was temporarily unable to exchange the id-token (npm says: {oidc})",
        when=lambda answer, context: context.trusted and id_token_may_pass(answer, context),
    ),
    Row(
        code="ENEEDAUTH",
        kind=Kind.REFUSE,
        words="trusted publishing needs `permissions: id-token: write`, which this job does not have",
        step="Add `permissions: id-token: write` to the job (for a reusable workflow, also to the job that calls it), "
        "or set npm-token.",
        when=_no_id_token,
    ),
    Row(
        code="ENEEDAUTH",
        kind=Kind.DENIED,
        words=(
            "trusted publishing is not set up for this package, or only for another workflow (npm says: {oidc}). "
            + _COMPARES
        ),
        step=_SET_UP,
        when=_package_not_found,
    ),
    Row(
        code="ENEEDAUTH",
        kind=Kind.DENIED,
        words="the registry refused the job's id-token (npm says: {oidc}). " + _COMPARES,
        step=_SET_UP,
        when=_trusted,
    ),
    Row(
        code="ENEEDAUTH",
        kind=Kind.REFUSE,
        words="npm found no credential for {registry}",
        step="Check that npm-token's secret is set, and that the registry's URL is right.",
    ),
    Row(
        code="EOTP",
        kind=Kind.REFUSE,
        words="the registry asks for a one-time password, which a job cannot enter",
        step="Use trusted publishing, a granular token with bypass 2FA, or `staged: true`.",
    ),
    Row(
        code="EAUTHIP",
        kind=Kind.REFUSE,
        words="the token must not be used from this runner's IP address",
        step="Remove the allowed IP ranges from the token's settings, or use trusted publishing.",
    ),
    Row(
        code="E401",
        kind=Kind.REFUSE,
        words="the registry does not accept the credential (E401): it expired, was revoked or is for another registry",
        step="Create a new token and store it in npm-token's secret. Nothing is wrong with the package.",
    ),
    # The version is there, or its number is taken.
    Row(
        text="previously staged",
        kind=Kind.STAGED,
        words="this version is already staged",
        step="Approve or reject it; to find it, run: npm stage list {name}",
    ),
    Row(
        code="(|E403|E409|E400|EPUBLISHCONFLICT)",
        text="publish over|previously published|already (present|exists|published)|existing version",
        kind=Kind.THERE,
        words="the registry says that it already has this version",
        step=_NEW_VERSION,
    ),
    Row(
        code="E409",
        text="save packument",
        kind=Kind.READ_BACK,
        words="the registry was still busy with the package (409, failed to save packument)",
    ),
    Row(code="E409", kind=Kind.READ_BACK, words="the registry answered 409: {said}"),
    # Rights.
    Row(
        code="E403",
        text="OIDC permission denied",
        kind=Kind.DENIED,
        words="the package's trusted publisher is not allowed to stage (403, OIDC permission denied)",
        step="Allow `npm stage publish` in the package's trusted publisher settings, or run: {trust}",
        when=_staged,
    ),
    Row(
        code="E403",
        text="OIDC permission denied",
        kind=Kind.DENIED,
        words="the package's trusted publisher is allowed to stage, but not to publish (403, OIDC permission denied)",
        step="Set `staged: true` and approve the versions, or allow `npm publish` in the trusted publisher's settings.",
    ),
    Row(
        code="E403",
        text="two-factor|2fa",
        kind=Kind.REFUSE,
        words="the package can only be published with two-factor authentication: {said}",
        step="Use trusted publishing, a granular token with bypass 2FA, or `staged: true`.",
    ),
    Row(
        code="E403",
        text="too similar",
        kind=Kind.REFUSE,
        words="the registry does not accept the new name: {said}",
        step="Publish the package under your own scope.",
    ),
    Row(
        code=".*",
        text="rate limit|too many requests",
        kind=Kind.RETRY,
        words="the registry's rate limit was reached (nothing is wrong with the credential)",
    ),
    Row(
        code="E429|E420",
        kind=Kind.RETRY,
        words="the registry's rate limit was reached (nothing is wrong with the credential)",
    ),
    Row(
        code="E403",
        kind=Kind.REFUSE,
        words="the credential is not allowed to publish this package (403): {said}",
        step="Give the token write access to the package and its scope, or add its owner as a maintainer.",
    ),
    Row(
        code="E404",
        kind=Kind.REFUSE,
        words="{registry} does not support staged publishing, or the credential cannot stage this package (404)",
        step="Set `staged: false`, or allow staging in the settings of the token or the trusted publisher.",
        when=_staged,
    ),
    Row(
        code="E404",
        kind=Kind.DENIED,
        words=(
            "the id-token was not exchanged, or not for this package; the registry answers 404 instead of 403 "
            "(npm says: {oidc}). " + _COMPARES
        ),
        step=_SET_UP,
        when=_trusted,
    ),
    Row(
        code="E404",
        kind=Kind.REFUSE,
        words="the token has expired or cannot publish this package (the registry answers 404 instead of 403)",
        step="Use a valid token with write access to the package and its scope. Nothing is wrong with the package.",
    ),
    Row(
        code="E402",
        kind=Kind.REFUSE,
        words="the registry took the package for a private one, which the owner's plan does not include (402)",
        step="Set publish.access to public in flotilla.yml.",
        when=_restricted,
    ),
    Row(
        code="E402",
        kind=Kind.REFUSE,
        words="the registry asks for payment, although the package is public (402): {said}",
        step="Check the plan and billing of the scope's owner, and that no package of this name is private.",
    ),
    # The package itself.
    Row(
        code="E413",
        kind=Kind.REFUSE,
        words="the package is too large for the registry (413)",
        step="Leave files out, strip the binaries, or split the package; publish.size-limit-mb checks this earlier.",
    ),
    Row(
        code="E415",
        text="too many files",
        kind=Kind.REFUSE,
        words="the package has more files than the registry accepts (415)",
        step="Narrow `files` in flotilla.yml.",
    ),
    Row(code="E415", kind=Kind.REFUSE, words="the registry does not accept this kind of upload (415): {said}"),
    Row(
        code="E422",
        text="repository information|repository.url",
        kind=Kind.REFUSE,
        words="the package's `repository` is not this workflow's, so the registry refused its provenance: {said}",
        step="Correct `repository` in the package's template (it is case-sensitive), or leave it out.",
    ),
    Row(
        code="E422",
        text="runner environment|self-hosted",
        kind=Kind.REFUSE,
        words="the registry accepts provenance only from GitHub-hosted runners",
        step="Publish on a GitHub-hosted runner, or set provenance to false and use npm-token.",
    ),
    Row(
        code="E422",
        text="private|visibility",
        kind=Kind.REFUSE,
        words="the registry accepts provenance only from public repositories: {said}",
        step="Set provenance to false.",
    ),
    Row(
        code="E422",
        text="provenance|sigstore",
        kind=Kind.REFUSE,
        words="the registry refused the provenance: {said}",
        step="Nothing was stored, and the version is still free. Correct the cause, or set provenance to false.",
    ),
    Row(code="E422", kind=Kind.REFUSE, words="the registry refused the package (422): {said}"),
    Row(
        code="ERR_STRING_TOO_LONG",
        kind=Kind.REFUSE,
        words="npm cannot send a package this large (its limit is about 384 MiB packed)",
        step="Leave files out, or split the package.",
    ),
    Row(
        code="EPRIVATE",
        kind=Kind.REFUSE,
        words='the package.json says "private": true',
        step="Remove it from the package's template.",
    ),
    Row(
        code="EPACKAGEEXTENSIONS",
        kind=Kind.REFUSE,
        words="npm refuses a package.json with packageExtensions",
        step="Remove it from the package's template.",
    ),
    Row(
        text="must specify a tag|implicitly apply",
        kind=Kind.REFUSE,
        words="npm requires a dist-tag: {said}",
        step="Set the input dist-tag.",
    ),
    # The surroundings.
    Row(
        code="ENOSPC|EROFS",
        kind=Kind.REFUSE,
        words="npm has no disk space to work in ({code})",
        step="Free disk space on the runner; npm unpacks the package into its temporary folder.",
    ),
    Row(code=r"E408|E5\d\d", kind=Kind.READ_BACK, words="the registry answered {code}"),
    Row(code="ECONNREFUSED", kind=Kind.READ_BACK, words="{host} refuses connections ({code})"),
    Row(code="ENOTFOUND", kind=Kind.READ_BACK, words="the host {host} was not found ({code})"),
    Row(code=_NETWORK, kind=Kind.READ_BACK, words="the connection failed ({code})"),
    Row(text="socket hang up|network|timed? ?out", kind=Kind.READ_BACK, words="the connection failed"),
    Row(code="", kind=Kind.READ_BACK, words="npm failed without an error code: {said}"),
    Row(
        kind=Kind.REFUSE,
        words="npm failed with {code}: {said}",
        step="Correct what npm reports, then re-run the job.",
    ),
)
