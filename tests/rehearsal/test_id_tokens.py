"""Id-tokens carry the claims that npm and Fulcio compare."""

from __future__ import annotations

import pytest
from tests.rehearsal.client import Client
from tests.simulator.servers import GitHubServer

from flotilla.rehearsal.github import jwt_claims

ANOTHER = "another-bearer"


def claims_of(github: GitHubServer, audience: str = "npm:127.0.0.1") -> dict[str, object]:
    with Client("", token=github.state.id_token_bearer) as client:
        answer = client.get(f"{github.id_token_url}&audience={audience}")
    found = jwt_claims(answer.json()["value"])
    assert found is not None
    return found


def test_an_id_token_needs_the_jobs_bearer(github: GitHubServer) -> None:
    with Client("", token=ANOTHER) as client:
        assert client.get(f"{github.id_token_url}&audience=x").status_code == 401
        assert client.get(github.id_token_url, headers={"Authorization": ""}).status_code == 401


def test_an_id_token_claims_the_job_for_five_minutes(github: GitHubServer) -> None:
    claims = claims_of(github)
    expected = {
        "iss": "https://token.actions.githubusercontent.com",
        "aud": "npm:127.0.0.1",
        "sub": "repo:acme/tool:ref:refs/heads/main",
        "repository": "acme/tool",
        "job_workflow_ref": "acme/tool/.github/workflows/release.yml@refs/heads/main",
        "workflow_ref": "acme/tool/.github/workflows/release.yml@refs/heads/main",
        "runner_environment": "github-hosted",
        "repository_visibility": "public",
        "event_name": "push",
        "sha": github.state.commit,
        "run_id": "77",
        "run_attempt": "1",
    }
    assert {name: claims[name] for name in expected} == expected
    assert int(str(claims["exp"])) - int(str(claims["iat"])) == 300


def test_the_subject_names_an_environment_or_ids_where_github_would(github: GitHubServer) -> None:
    github.state.release_run.environment = "npm"
    assert claims_of(github)["sub"] == "repo:acme/tool:environment:npm"
    github.state.immutable_subject = True
    claims = claims_of(github)
    ids = claims["repository_owner_id"], claims["repository_id"]
    assert claims["sub"] == f"repo:acme@{ids[0]}/tool@{ids[1]}:environment:npm"


def test_a_private_repository_says_so(github: GitHubServer) -> None:
    github.state.private = True
    assert claims_of(github)["repository_visibility"] == "private"


@pytest.mark.parametrize("token", ["", "npm_abc", "a.b", "a.!!!.c", "a.bnVsbA.c"])
def test_what_is_no_id_token_has_no_claims(token: str) -> None:
    assert jwt_claims(token) is None
