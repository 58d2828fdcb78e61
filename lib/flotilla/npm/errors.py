"""What npm's answers mean: one table from code and text to the cause, what flotilla does, and the next step. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from urllib.parse import urlsplit

from flotilla.npm.output import NpmAnswer, Observed


class Kind(Enum):
    """What flotilla does about an answer."""

    RETRY = "nothing was kept: try again"
    READ_BACK = "the outcome is unknown: ask the registry, then try again"
    THERE = "the registry says that it has the version: ask it which content"
    STAGED = "the registry says that the version is staged"
    REFUSE = "the same again gets the same: stop"


@dataclass(frozen=True, kw_only=True)
class Cause:
    """An answer in plain words."""

    words: str
    kind: Kind
    step: str


@dataclass(frozen=True, kw_only=True)
class Context:
    """What the words of a cause name.

    Args:
        name: of the package.
        trusted: trusted publishing, not a token.
        id_token: the job may ask for id-tokens.
        claims: what npm compares, in words.
        staged: `npm stage publish`.
        access: that the package is to have, public or restricted.
        trust: the command that sets trusted publishing up.
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
    """One line of the table; code and text are patterns, the first row that fits counts."""

    code: str = ".*"
    text: str = ""
    kind: Kind
    words: str
    step: str = ""
    when: Callable[[NpmAnswer, Context], bool] = lambda _answer, _context: True

    def fits(self, answer: NpmAnswer, context: Context) -> bool:
        """Return whether this row speaks of that answer."""
        return bool(
            re.fullmatch(self.code, "KILLED" if answer.exit_status is None else answer.code)
            and re.search(self.text, answer.text, re.IGNORECASE)
            and self.when(answer, context)
        )


def explain(answer: NpmAnswer, context: Context) -> Cause:
    """Return the cause of a failed publish, what to do about it, and the next step.

    Args:
        answer: of an npm that did not succeed.
        context: what to name.
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
    """Return whether the id-token or its exchange failed for a moment only."""
    asked = [each for each in answer.observed if each.method == "GET" or "/oidc/token/exchange/" in each.path]
    cut = any(re.search(_CUT, line) for line in answer.oidc)
    return cut or (bool(asked) and (asked[-1].may_pass or _exchanged_and_cut(answer, asked[-1])))


def _exchanged_and_cut(answer: NpmAnswer, last: Observed) -> bool:
    """Return whether the registry granted the exchange, and what it granted was cut on the way."""
    granted = last.status is not None and last.status < 300  # noqa: PLR2004
    return granted and any("Failed token exchange request" in line for line in answer.oidc)


def _untrusted(answer: NpmAnswer, _context: Context) -> bool:
    last = answer.observed[-1].failed if answer.observed else ""
    return any(re.match(r".*_CERT_|.*_CERT$|CERT_|UNABLE_TO_", code) for code in (answer.code, last))


def _oidc_words(answer: NpmAnswer) -> str:
    lines = [line.removeprefix("oidc").strip() for line in answer.oidc]
    return "; ".join(lines) or "nothing about the exchange of the id-token"


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


_COMPARES = "npm compares: {claims}; each must be exactly what the package's trusted publisher says on the registry."
_SET_UP = "Compare them with the package's settings, or set it up: {trust}"
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
    Row(code="KILLED", kind=Kind.READ_BACK, words="npm did not end in time and was killed"),
    Row(
        kind=Kind.REFUSE,
        words="npm does not trust the certificate of the registry, of sigstore or of a proxy ({code})",
        step="Give the file of its authority in NODE_EXTRA_CA_CERTS (for npm) and REQUESTS_CA_BUNDLE (for flotilla).",
        when=_untrusted,
    ),
    # Signing, before anything reaches the registry.
    Row(
        code="TLOG_.*",
        text=r"\(409\)",
        kind=Kind.RETRY,
        words="the transparency log already has an equal entry (409); the next try signs afresh",
    ),
    Row(
        code="(CA|TLOG|TSA)_.*",
        text=r"\(4(?!08|09|29)\d\d\)",
        kind=Kind.REFUSE,
        words="sigstore refuses to sign for this job: {said}",
        step="Check that the job has `id-token: write`; with provenance: false it publishes without a statement.",
    ),
    Row(code="(CA|TLOG|TSA)_.*", kind=Kind.RETRY, words="sigstore could not sign just now: {said}"),
    Row(code="IDENTITY_TOKEN_READ_ERROR", kind=Kind.RETRY, words="GitHub gave no id-token for sigstore just now"),
    Row(
        code="IDENTITY_TOKEN_PARSE_ERROR",
        kind=Kind.RETRY,
        words="GitHub gave no id-token for sigstore just now",
        when=id_token_may_pass,
    ),
    Row(
        code="IDENTITY_TOKEN_PARSE_ERROR",
        kind=Kind.REFUSE,
        words="GitHub gives this job no id-token for sigstore",
        step="Add `permissions: id-token: write` to the job.",
    ),
    Row(
        code="EUSAGE",
        text="id-token",
        kind=Kind.REFUSE,
        words="provenance needs the permission id-token: write, and this job does not have it",
        step="Add `permissions: id-token: write` to the job (and to the job that calls a reusable workflow).",
    ),
    Row(
        code="EUSAGE",
        text="new or private package",
        kind=Kind.REFUSE,
        words="provenance is only for public packages, and this one is private or new without `access: public`",
        step="Set publish.access to public in flotilla.yml, or provenance to false.",
    ),
    Row(
        code="EUSAGE",
        text="provenance",
        kind=Kind.REFUSE,
        words="npm cannot make provenance here: {said}",
        step="Run on GitHub Actions, or set provenance to false.",
    ),
    # Signing in.
    Row(
        code="ENEEDAUTH",
        kind=Kind.RETRY,
        words="the registry did not exchange the id-token just now (npm says: {oidc})",
        when=lambda answer, context: context.trusted and id_token_may_pass(answer, context),
    ),
    Row(
        code="ENEEDAUTH",
        kind=Kind.REFUSE,
        words="trusted publishing needs the permission id-token: write, and this job does not have it",
        step="Add `permissions: id-token: write` to the job (and to one that calls it), or give npm-token.",
        when=_no_id_token,
    ),
    Row(
        code="ENEEDAUTH",
        kind=Kind.REFUSE,
        words=(
            "trusted publishing is not set up for this package, or for another workflow (npm says: {oidc}). "
            + _COMPARES
        ),
        step=_SET_UP,
        when=_package_not_found,
    ),
    Row(
        code="ENEEDAUTH",
        kind=Kind.REFUSE,
        words="the registry refused the job's id-token (npm says: {oidc}). " + _COMPARES,
        step=_SET_UP,
        when=_trusted,
    ),
    Row(
        code="ENEEDAUTH",
        kind=Kind.REFUSE,
        words="npm found no credential for {registry}",
        step="Check that the secret behind npm-token is set, and the registry's URL.",
    ),
    Row(
        code="EOTP",
        kind=Kind.REFUSE,
        words="the registry asks for a one-time password, which no job can give",
        step="Use a granular token that may bypass two-factor authentication, trusted publishing, or `staged: true`.",
    ),
    Row(
        code="EAUTHIP",
        kind=Kind.REFUSE,
        words="the token may not be used from this runner's address",
        step="Take the address range out of the token's settings, or use trusted publishing.",
    ),
    Row(
        code="E401",
        kind=Kind.REFUSE,
        words="the registry does not know the credential (E401): it is expired, revoked or of another registry",
        step="Make a new token and store it as the secret behind npm-token. Nothing is wrong with the package.",
    ),
    # The version is there, or its number is taken.
    Row(
        text="previously staged",
        kind=Kind.STAGED,
        words="this version is staged already",
        step="Approve or reject it: npm stage list {name}",
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
        kind=Kind.REFUSE,
        words="the package's trusted publisher may not stage (403, OIDC permission denied)",
        step="Allow `npm stage publish` in the package's trusted publisher settings: {trust}",
        when=_staged,
    ),
    Row(
        code="E403",
        text="OIDC permission denied",
        kind=Kind.REFUSE,
        words="the package's trusted publisher may only stage, not publish (403, OIDC permission denied)",
        step="Give `staged: true` and approve the versions, or allow `npm publish` in the publisher's settings.",
    ),
    Row(
        code="E403",
        text="two-factor|2fa",
        kind=Kind.REFUSE,
        words="the package takes publishes only with two-factor authentication: {said}",
        step="Use trusted publishing, a token that may bypass two-factor authentication, or `staged: true`.",
    ),
    Row(
        code="E403",
        text="too similar",
        kind=Kind.REFUSE,
        words="the registry refuses the new name: {said}",
        step="Publish the package under a scope of yours.",
    ),
    Row(
        code=".*",
        text="rate limit|too many requests",
        kind=Kind.RETRY,
        words="the registry's rate limit is reached (the credential is fine)",
    ),
    Row(code="E429|E420", kind=Kind.RETRY, words="the registry's rate limit is reached (the credential is fine)"),
    Row(
        code="E403",
        kind=Kind.REFUSE,
        words="the credential may not publish this package (403): {said}",
        step="Give the token write access to the package and its scope, or add its owner as a maintainer.",
    ),
    Row(
        code="E404",
        kind=Kind.REFUSE,
        words="{registry} has no staged publishing, or this credential may not stage this package (404)",
        step="Set `staged: false` for this registry, or allow staging in the token's or trusted publisher's settings.",
        when=_staged,
    ),
    Row(
        code="E404",
        kind=Kind.REFUSE,
        words=(
            "the registry hides a missing right behind 404: the id-token was not exchanged, or not for this package "
            "(npm says: {oidc}). " + _COMPARES
        ),
        step=_SET_UP,
        when=_trusted,
    ),
    Row(
        code="E404",
        kind=Kind.REFUSE,
        words="the token has no right to publish this package, or is dead (a registry answers 404 and not 403 then)",
        step="Give a live token with write access to the package and its scope. Nothing is wrong with the package.",
    ),
    Row(
        code="E402",
        kind=Kind.REFUSE,
        words="the registry took the package for a private one, which its plan does not include (402)",
        step="Set publish.access to public in flotilla.yml.",
        when=_restricted,
    ),
    Row(
        code="E402",
        kind=Kind.REFUSE,
        words="the registry asks for payment, though the package is to be public (402): {said}",
        step="Check the plan and the billing of the scope's owner, and that no package of this name is private.",
    ),
    # The package itself.
    Row(
        code="E413",
        kind=Kind.REFUSE,
        words="it is too large for the registry (413)",
        step="Ship less in it, strip the binaries, or split it; publish.size-limit-mb refuses it before the release.",
    ),
    Row(
        code="E415",
        text="too many files",
        kind=Kind.REFUSE,
        words="it holds more files than the registry takes (415)",
        step="Narrow `files` in flotilla.yml.",
    ),
    Row(code="E415", kind=Kind.REFUSE, words="the registry does not take this kind of upload (415): {said}"),
    Row(
        code="E422",
        text="repository information|repository.url",
        kind=Kind.REFUSE,
        words="the package's `repository` is not the repository of this workflow, so its provenance is refused: {said}",
        step="Correct `repository` in the package's template (upper and lower case count), or leave it out.",
    ),
    Row(
        code="E422",
        text="runner environment|self-hosted",
        kind=Kind.REFUSE,
        words="the registry takes provenance only from GitHub-hosted runners",
        step="Publish on a GitHub-hosted runner, or set provenance to false and give npm-token.",
    ),
    Row(
        code="E422",
        text="private|visibility",
        kind=Kind.REFUSE,
        words="the registry takes provenance only from public repositories: {said}",
        step="Set provenance to false.",
    ),
    Row(
        code="E422",
        text="provenance|sigstore",
        kind=Kind.REFUSE,
        words="the registry refuses the provenance: {said}",
        step="Nothing was stored and the version is free; correct it, or set provenance to false.",
    ),
    Row(code="E422", kind=Kind.REFUSE, words="the registry refuses the package (422): {said}"),
    Row(
        code="ERR_STRING_TOO_LONG",
        kind=Kind.REFUSE,
        words="npm cannot send a package this large (about 384 MiB packed is its limit)",
        step="Ship less in it or split the package.",
    ),
    Row(
        code="EPRIVATE",
        kind=Kind.REFUSE,
        words='the package.json says "private": true',
        step="Take it out of the package's template.",
    ),
    Row(
        code="EPACKAGEEXTENSIONS",
        kind=Kind.REFUSE,
        words="npm refuses a package.json with packageExtensions",
        step="Take it out of the package's template.",
    ),
    Row(
        text="must specify a tag|implicitly apply",
        kind=Kind.REFUSE,
        words="npm wants a dist-tag: {said}",
        step="Give the input dist-tag.",
    ),
    # The surroundings.
    Row(
        code="ENOSPC|EROFS",
        kind=Kind.REFUSE,
        words="npm has no room to work ({code})",
        step="Free space on the runner: npm unpacks the package into its temporary folder.",
    ),
    Row(code=r"E408|E5\d\d", kind=Kind.READ_BACK, words="the registry answered {code}"),
    Row(code="ECONNREFUSED", kind=Kind.READ_BACK, words="{host} refuses connections ({code})"),
    Row(code="ENOTFOUND", kind=Kind.READ_BACK, words="the name {host} has no address ({code})"),
    Row(code=_NETWORK, kind=Kind.READ_BACK, words="the connection failed or was cut ({code})"),
    Row(text="socket hang up|network|timed? ?out", kind=Kind.READ_BACK, words="the connection failed or was cut"),
    Row(code="", kind=Kind.READ_BACK, words="npm failed and gave no code: {said}"),
    Row(
        kind=Kind.REFUSE,
        words="npm refused with {code}: {said}",
        step="Correct what npm names, and re-run the job.",
    ),
)
