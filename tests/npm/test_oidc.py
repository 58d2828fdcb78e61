from __future__ import annotations

from pathlib import Path

import pytest
from tests.conftest import RecordedClock
from tests.npm.conftest import GITHUB
from tests.npm.scripted_registry import Reply, ScriptedRegistry, jwt

from flotilla.errors import DeadlineError, GitHubError
from flotilla.npm.oidc import Claims, IdTokens, TokenExchange, claims_of_job, claims_of_token
from flotilla.retry import RetryPolicy

JOB = claims_of_job(GITHUB)


@pytest.fixture
def tokens(registry: ScriptedRegistry, policy: RetryPolicy) -> IdTokens:
    return IdTokens(registry.id_token_environment, policy=policy)


def test_a_job_s_claims_name_the_calling_workflow_s_file() -> None:
    assert Claims(repository="acme/ffmpeg", workflow="release.yml") == JOB
    assert str(JOB) == "repository acme/ffmpeg, workflow file release.yml, environment unknown"


def test_a_token_s_claims_tell_the_environment_too() -> None:
    reference = "acme/ffmpeg/.github/workflows/caller.yml@refs/tags/v1"
    token = jwt(repository="acme/ffmpeg", workflow_ref=reference, environment="npm", sub="repo:acme@1/ffmpeg@2")
    claims = claims_of_token(token, JOB)
    assert (claims.workflow, claims.environment, claims.subject) == ("caller.yml", "npm", "repo:acme@1/ffmpeg@2")
    assert "npm/cli#9969" in str(claims)
    assert "environment none" in str(claims_of_token(jwt(repository="acme/ffmpeg"), JOB))


@pytest.mark.parametrize("token", ["", "a.b", "a.b.c", "a.!!!.c", "a.W10.c", "a." + "W" * 9999 + ".c", "a.\u00e9.c"])
def test_a_token_that_is_none_tells_nothing(token: str) -> None:
    assert claims_of_token(token, JOB) == JOB


def test_an_id_token_is_asked_for_its_audience_with_the_job_s_bearer(
    registry: ScriptedRegistry, tokens: IdTokens
) -> None:
    assert tokens.get("sigstore").count(".") == 2
    (seen,) = registry.seen
    assert seen.query == {"api-version": ["2.0"], "audience": ["sigstore"]}
    assert seen.bearer == registry.id_token_environment["ACTIONS_ID_TOKEN_REQUEST_TOKEN"]


def test_a_job_without_the_permission_is_told_how_to_get_it(policy: RetryPolicy) -> None:
    tokens = IdTokens({}, policy=policy)
    assert not tokens.available
    with pytest.raises(GitHubError, match="id-token: write"):
        tokens.get("sigstore")


def test_a_failing_service_is_asked_again(
    registry: ScriptedRegistry, tokens: IdTokens, recorded_clock: RecordedClock
) -> None:
    registry.script(
        "GET", "/_id-token", Reply(status=503), Reply(cut=True), Reply(status=429, headers={"Retry-After": "9"})
    )
    assert tokens.get("sigstore")
    assert recorded_clock.slept == [2.0, 4.0, 10.0]


def test_a_service_that_does_not_come_back_ends_at_the_deadline(registry: ScriptedRegistry, tokens: IdTokens) -> None:
    registry.script("GET", "/_id-token", *[Reply(status=503)] * 99)
    with pytest.raises(DeadlineError, match="id-token for sigstore"):
        tokens.get("sigstore")


@pytest.mark.parametrize("reply", [Reply(status=403), Reply(body={}), Reply(body={"value": 7}), Reply(body=[])])
def test_a_refusal_is_told_in_words(registry: ScriptedRegistry, tokens: IdTokens, reply: Reply) -> None:
    registry.script("GET", "/_id-token", reply)
    with pytest.raises(GitHubError, match="without an id-token"):
        tokens.get("sigstore")


def test_the_bearer_does_not_follow_a_redirect(
    registry: ScriptedRegistry, other: ScriptedRegistry, tokens: IdTokens
) -> None:
    registry.script("GET", "/_id-token", Reply(status=302, headers={"Location": other.url}))
    with pytest.raises(GitHubError):
        tokens.get("sigstore")
    assert other.seen == []


def test_an_id_token_is_told_to_who_masks_it(registry: ScriptedRegistry, policy: RetryPolicy) -> None:
    masked: list[str] = []
    tokens = IdTokens(registry.id_token_environment, policy=policy, keep_secret=masked.append)
    assert masked == [tokens.get("sigstore")]


def test_a_netrc_file_does_not_stand_in_for_the_job_s_bearer(
    registry: ScriptedRegistry, tokens: IdTokens, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("default login canary password canary\n", encoding="utf-8")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    tokens.get("sigstore")
    (seen,) = registry.seen
    assert seen.headers["authorization"] == f"Bearer {registry.id_token_environment['ACTIONS_ID_TOKEN_REQUEST_TOKEN']}"


EXCHANGE = "/-/npm/v1/oidc/token/exchange/package/"


@pytest.fixture
def exchange(registry: ScriptedRegistry, tokens: IdTokens, policy: RetryPolicy) -> TokenExchange:
    return TokenExchange(registry.url, tokens, job=JOB, policy=policy)


def test_an_exchange_is_asked_as_npm_asks_it_and_its_token_is_masked(
    registry: ScriptedRegistry, tokens: IdTokens, policy: RetryPolicy
) -> None:
    masked: list[str] = []
    asked = TokenExchange(registry.url, tokens, job=JOB, policy=policy, keep_secret=masked.append).ask("@acme/tool")
    assert (asked.refused, masked) == ("", registry.minted)
    (told,) = registry.requests("GET", "/_id-token")
    assert told.query["audience"] == ["npm:127.0.0.1"]
    (posted,) = registry.requests("POST")
    assert (posted.path.lower(), posted.body) == (f"{EXCHANGE}@acme%2ftool", b"")
    assert claims_of_token(posted.bearer, JOB).subject == "repo:acme/ffmpeg:ref:refs/heads/main"
    assert str(asked.claims) == "repository acme/ffmpeg, workflow file release.yml, environment none"


@pytest.mark.parametrize("reply", [Reply(status=500), Reply(status=429), Reply(status=408), Reply(cut=True)])
def test_an_exchange_that_fails_for_a_moment_is_asked_again_with_the_same_id_token(
    registry: ScriptedRegistry, exchange: TokenExchange, reply: Reply
) -> None:
    registry.script("POST", EXCHANGE, *[reply] * 3)
    assert exchange.ask("@acme/tool").refused == ""
    assert len(registry.requests("POST")) == 4
    assert len({seen.bearer for seen in registry.requests("POST")}) == 1


def test_the_id_token_does_not_follow_a_redirect_of_the_exchange(
    registry: ScriptedRegistry, other: ScriptedRegistry, exchange: TokenExchange
) -> None:
    registry.script("POST", EXCHANGE, Reply(status=307, headers={"Location": other.url}))
    assert "307" in exchange.ask("@acme/tool").refused
    assert other.seen == []


def test_an_answer_of_the_exchange_without_end_is_not_read_to_it(
    registry: ScriptedRegistry, exchange: TokenExchange
) -> None:
    registry.script("POST", EXCHANGE, Reply(status=201, body=b"x" * 2**21))
    assert "longer than" in exchange.ask("@acme/tool").refused


def test_a_refused_exchange_shows_no_token(registry: ScriptedRegistry, exchange: TokenExchange) -> None:
    body = {"message": f"no: {jwt(a='bbbbbbbbbb')} npm_0123456789abcdef"}
    registry.script("POST", EXCHANGE, Reply(status=403, body=body))
    refused = exchange.ask("@acme/tool").refused
    assert "403" in refused
    assert "eyJ" not in refused
    assert "npm_0" not in refused
