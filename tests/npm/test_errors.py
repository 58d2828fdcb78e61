"""Every row of the table that npm cannot be brought to here, and the order of the rows."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from flotilla.npm.cli import NpmAnswer, Observed
from flotilla.npm.errors import TABLE, Cause, Context, Kind, explain

TOKEN = Context(name="@acme/tool", registry="https://r.example/", trusted=False)
TRUSTED = Context(
    name="@acme/tool",
    registry="https://r.example/",
    trusted=True,
    claims="repository acme/ffmpeg, workflow file release.yml, environment none",
    trust="npm trust github @acme/tool",
)
STAGING = Context(name="@acme/tool", registry="https://r.example/", trusted=True, staged=True, trust="npm trust")
PROVENANCE = "422 Unprocessable Entity - Error verifying sigstore provenance bundle: "


def cause(code: str, text: str = "", context: Context = TOKEN, *, oidc: tuple[str, ...] = ()) -> Cause:
    return explain(NpmAnswer(exit_status=1, code=code, text=text, oidc=oidc), context)


@pytest.mark.parametrize(
    ("code", "text", "kind", "words"),
    [
        (
            "TLOG_CREATE_ENTRY_ERROR",
            "error creating tlog entry - (409) an equal entry",
            Kind.RETRY,
            "signs again",
        ),
        ("TLOG_CREATE_ENTRY_ERROR", "error creating tlog entry - (502) Bad Gateway", Kind.RETRY, "temporarily"),
        ("CA_CREATE_SIGNING_CERTIFICATE_ERROR", "- (500) x", Kind.RETRY, "temporarily"),
        ("CA_CREATE_SIGNING_CERTIFICATE_ERROR", "- (429) x", Kind.RETRY, "temporarily"),
        ("CA_CREATE_SIGNING_CERTIFICATE_ERROR", "- (401) x", Kind.REFUSE, "refused to sign"),
        ("CA_CREATE_SIGNING_CERTIFICATE_ERROR", "error creating signing certificate", Kind.RETRY, "temporarily"),
        ("TSA_CREATE_TIMESTAMP_ERROR", "x", Kind.RETRY, "temporarily"),
        ("IDENTITY_TOKEN_READ_ERROR", "x", Kind.RETRY, "id-token for sigstore"),
        ("IDENTITY_TOKEN_PARSE_ERROR", "x", Kind.REFUSE, "id-token for sigstore"),
        ("EUSAGE", 'requires "write" access to the "id-token" permission', Kind.REFUSE, "id-token: write"),
        ("EUSAGE", "Can't generate provenance for new or private package", Kind.REFUSE, "only for public packages"),
        (
            "EUSAGE",
            "Automatic provenance generation not supported for provider: x",
            Kind.REFUSE,
            "cannot create provenance",
        ),
        ("ENEEDAUTH", "requires you to be logged in", Kind.REFUSE, "found no credential"),
        ("EOTP", "one-time password", Kind.REFUSE, "one-time password"),
        ("EAUTHIP", "Login is not allowed from your IP address", Kind.REFUSE, "address"),
        ("E401", "Unable to authenticate", Kind.REFUSE, "expired"),
        ("E402", "402 Payment Required - You must sign up for private packages", Kind.REFUSE, "asks for payment"),
        ("E403", "You cannot publish over the previously published versions: 1.0.0.", Kind.THERE, "already has"),
        ("", "You cannot publish over the previously published versions: 1.0.0.", Kind.THERE, "already has"),
        ("E409", "this package is already present", Kind.THERE, "already has"),
        ("E409", 'Cannot publish over previously staged version "1.0.0"', Kind.STAGED, "already staged"),
        ("E409", "Failed to save packument. A common cause is", Kind.READ_BACK, "still busy"),
        ("E409", "Conflict", Kind.READ_BACK, "409"),
        (
            "E403",
            "two-factor authentication or granular access token with bypass 2fa required",
            Kind.REFUSE,
            "two-factor",
        ),
        ("E403", "Package name too similar to existing package tool", Kind.REFUSE, "new name"),
        ("E403", "You do not have permission to publish", Kind.REFUSE, "not allowed to publish"),
        ("E404", "Not Found", Kind.REFUSE, "expired or cannot publish"),
        ("E413", "Payload Too Large", Kind.REFUSE, "too large"),
        ("E415", "Too many files", Kind.REFUSE, "more files"),
        ("E415", "Unsupported Media Type", Kind.REFUSE, "kind of upload"),
        ("E422", PROVENANCE + "Failed to validate repository information", Kind.REFUSE, "`repository`"),
        (
            "E422",
            PROVENANCE + 'Unsupported GitHub Actions runner environment: "self-hosted"',
            Kind.REFUSE,
            "GitHub-hosted",
        ),
        ("E422", PROVENANCE + "Unsupported source repository visibility: private", Kind.REFUSE, "public repositories"),
        ("E422", PROVENANCE + "x", Kind.REFUSE, "refused the provenance"),
        ("E422", "x", Kind.REFUSE, "refused the package"),
        ("E429", "Could not publish, as user undefined: rate limited exceeded", Kind.RETRY, "rate limit"),
        ("E420", "", Kind.RETRY, "rate limit"),
        ("E500", "", Kind.READ_BACK, "E500"),
        ("E503", "", Kind.READ_BACK, "E503"),
        ("E520", "", Kind.READ_BACK, "E520"),
        ("E408", "", Kind.READ_BACK, "E408"),
        ("ECONNRESET", "socket hang up", Kind.READ_BACK, "connection failed"),
        ("ETIMEDOUT", "", Kind.READ_BACK, "connection failed"),
        ("EAI_AGAIN", "", Kind.READ_BACK, "connection failed"),
        ("ERR_SOCKET_TIMEOUT", "", Kind.READ_BACK, "connection failed"),
        ("ENOTFOUND", "", Kind.READ_BACK, "not found"),
        ("ERR_STREAM_PREMATURE_CLOSE", "", Kind.READ_BACK, "connection failed"),
        ("SELF_SIGNED_CERT_IN_CHAIN", "", Kind.REFUSE, "certificate"),
        ("UNABLE_TO_VERIFY_LEAF_SIGNATURE", "", Kind.REFUSE, "certificate"),
        ("ERR_STRING_TOO_LONG", "Cannot create a string longer than", Kind.REFUSE, "384 MiB"),
        ("EPRIVATE", "", Kind.REFUSE, "private"),
        ("EPACKAGEEXTENSIONS", "", Kind.REFUSE, "packageExtensions"),
        ("ENOSPC", "", Kind.REFUSE, "disk space"),
        ("", 'Cannot implicitly apply the "latest" tag', Kind.REFUSE, "dist-tag"),
        ("", "Segmentation fault", Kind.READ_BACK, "without an error code"),
        ("", "", Kind.READ_BACK, "without an error code"),
        ("EWHATEVER", "odd {braces}", Kind.REFUSE, r"EWHATEVER: odd \{braces\}"),
    ],
)
def test_an_answer_is_told_by_its_cause(code: str, text: str, kind: Kind, words: str) -> None:
    found = cause(code, text)
    assert found.kind is kind
    assert re.search(words, found.words)


@pytest.mark.parametrize("code", ["ENEEDAUTH", "E404"])
def test_a_failed_exchange_shows_npm_s_words_and_the_claims_that_npm_compares(code: str) -> None:
    oidc = ("oidc Failed token exchange request with body message: OIDC token exchange error - package not found",)
    found = cause(code, context=TRUSTED, oidc=oidc)
    assert found.kind is Kind.DENIED
    assert "package not found" in found.words
    assert TRUSTED.claims in found.words
    assert TRUSTED.trust in found.step


def test_a_missing_permission_is_named_before_any_claim() -> None:
    context = Context(name="x", registry="x", trusted=True, id_token=False)
    assert "id-token: write" in cause("ENEEDAUTH", context=context).step


@pytest.mark.parametrize(
    "observed",
    [
        Observed(method="POST", host="h", path="/-/npm/v1/oidc/token/exchange/package/x", status=503),
        Observed(
            method="POST", host="h", path="/-/npm/v1/oidc/token/exchange/package/x", status=None, failed="ECONNRESET"
        ),
        Observed(method="GET", host="h", path="/_id-token", status=500),
    ],
)
def test_an_exchange_that_failed_for_a_moment_is_tried_again(observed: Observed) -> None:
    answer = NpmAnswer(exit_status=1, code="ENEEDAUTH", observed=(observed,))
    assert explain(answer, TRUSTED).kind is Kind.RETRY
    assert explain(answer, TOKEN).kind is Kind.REFUSE


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/_id-token", "oidc Failure with message: Invalid response body while trying to fetch http://h/: aborted"),
        (
            "/-/npm/v1/oidc/token/exchange/package/x",
            "oidc Failed token exchange request with body message: Unknown error",
        ),
    ],
)
def test_an_exchange_whose_answer_was_cut_in_the_middle_is_tried_again(path: str, said: str) -> None:
    method = "POST" if "exchange" in path else "GET"
    cut = NpmAnswer(
        exit_status=1,
        code="ENEEDAUTH",
        oidc=(said,),
        observed=(Observed(method=method, host="h", path=path, status=201),),
    )
    assert explain(cut, TRUSTED).kind is Kind.RETRY


def test_an_exchange_that_was_refused_without_words_is_not_tried_again() -> None:
    refused = NpmAnswer(
        exit_status=1,
        code="ENEEDAUTH",
        oidc=("oidc Failed token exchange request with body message: Unknown error",),
        observed=(Observed(method="POST", host="h", path="/-/npm/v1/oidc/token/exchange/package/x", status=401),),
    )
    assert explain(refused, TRUSTED).kind is Kind.DENIED


def test_a_stage_only_publisher_is_offered_staging() -> None:
    text = "403 Forbidden - OIDC permission denied for this action"
    assert "`staged: true`" in cause("E403", text, TRUSTED).step
    assert "not allowed to stage" in cause("E403", text, STAGING).words


def test_a_registry_without_staging_is_explained() -> None:
    assert "staged publishing" in cause("E404", context=STAGING).words


def test_a_killed_npm_leaves_the_outcome_open_whatever_it_printed() -> None:
    assert explain(NpmAnswer(exit_status=None, code="E404"), TOKEN).kind is Kind.READ_BACK


def test_every_refusal_says_what_to_do_next_or_repeats_what_was_said() -> None:
    for row in TABLE:
        assert row.step or row.kind is not Kind.REFUSE or "{said}" in row.words, row.words


def test_a_package_that_is_to_be_public_is_not_told_to_be_made_public() -> None:
    restricted = replace(TOKEN, access="restricted")
    assert "access to public" in cause("E402", context=restricted).step
    told = cause("E402", "You must sign up for private packages")
    assert "access" not in told.step
    assert "sign up" in told.words


def test_a_refused_connection_is_told_apart_from_one_that_broke_and_names_the_host() -> None:
    observed = Observed(method="POST", host="fulcio.example", path="/", status=None, failed="ECONNREFUSED")
    answer = NpmAnswer(exit_status=1, code="ECONNREFUSED", observed=(observed,))
    assert explain(answer, TOKEN).words == "fulcio.example refuses connections (ECONNREFUSED)"
    assert cause("ECONNREFUSED").words.startswith("r.example refuses connections")
    assert "r.example" in cause("ENOTFOUND").words
    assert "refuses" not in cause("ECONNRESET").words


def test_no_cause_names_the_package_which_the_message_names_already() -> None:
    assert [row.words for row in TABLE if "{name}" in row.words or "{package}" in row.words] == []
