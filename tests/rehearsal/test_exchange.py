"""Trusted publishing: an id-token of the right workflow becomes a token for one package."""

from __future__ import annotations

import pytest
from tests.rehearsal.client import Client
from tests.rehearsal.publishing import put
from tests.simulator.faults import FaultPlan
from tests.simulator.memory import RegistryState
from tests.simulator.servers import GitHubServer, RegistryServer

from flotilla.rehearsal.github import GitHubState
from flotilla.rehearsal.loopback import Serving
from flotilla.rehearsal.registry import TrustedPublisher

NAME = "@acme/tool"
NOT_FOUND = {"message": "OIDC token exchange error - package not found"}
PUBLISHER = TrustedPublisher(repository="acme/tool", workflow="release.yml")


@pytest.fixture
def registry(serving: Serving, plan: FaultPlan) -> RegistryServer:
    """Return a registry that has the package, and its trusted publisher."""
    registry = RegistryServer(RegistryState(trusted={NAME: PUBLISHER}), serving, plan=plan)
    with Client(registry.url, token=next(iter(registry.state.tokens))) as client:
        put(client, NAME, "1.0.0")
    return registry


def id_token(github: GitHubServer, audience: str = "npm:127.0.0.1") -> str:
    with Client("", token=github.state.id_token_bearer) as client:
        return str(client.get(f"{github.id_token_url}&audience={audience}").json()["value"])


def exchanged(registry: RegistryServer, token: str, name: str = NAME) -> tuple[int, dict[str, str]]:
    with Client(registry.url, token=token) as client:
        answer = client.post(f"/-/npm/v1/oidc/token/exchange/package/{name.replace('/', '%2f')}")
        return answer.status_code, answer.json()


def test_the_right_workflow_gets_a_token_for_this_package_only(registry: RegistryServer, github: GitHubServer) -> None:
    status, granted = exchanged(registry, id_token(github))
    assert (status, granted["token_type"], set(granted)) == (201, "oidc", {"token_type", "token", "created", "expires"})
    with Client(registry.url, token=granted["token"]) as client:
        assert put(client, NAME, "1.1.0").status_code == 201
        assert put(client, "@acme/other", "1.1.0").status_code == 403


def test_the_exchanged_token_lives_an_hour(serving: Serving, github: GitHubServer) -> None:
    moments = [0.0]
    state = RegistryState(trusts_all=PUBLISHER, allow_new_names=True)
    registry = RegistryServer(state, serving, clock=lambda: moments[-1])
    _status, granted = exchanged(registry, id_token(github))
    with Client(registry.url, token=granted["token"]) as client:
        assert put(client, NAME, "1.0.0").status_code == 201
        moments.append(3601.0)
        assert put(client, NAME, "1.0.1").status_code == 404


@pytest.mark.parametrize("audience", ["sigstore", "npm:127.0.0.1:4873"])
def test_an_id_token_for_another_audience_is_refused(
    registry: RegistryServer, github: GitHubServer, audience: str
) -> None:
    assert exchanged(registry, id_token(github, audience))[0] == 401


def test_no_id_token_is_refused(registry: RegistryServer) -> None:
    assert exchanged(registry, "")[0] == 401
    assert exchanged(registry, next(iter(registry.state.tokens)))[0] == 401


@pytest.mark.parametrize("change", ["workflow", "environment", "repository"])
def test_claims_that_differ_from_what_is_configured_are_package_not_found(
    registry: RegistryServer, github: GitHubServer, change: str
) -> None:
    configured = {
        "workflow": TrustedPublisher(repository="acme/tool", workflow="Release.yml"),
        "environment": TrustedPublisher(repository="acme/tool", workflow="release.yml", environment="npm"),
        "repository": TrustedPublisher(repository="Acme/tool", workflow="release.yml"),
    }
    registry.state.trusted[NAME] = configured[change]
    assert exchanged(registry, id_token(github)) == (404, NOT_FOUND)


def test_a_new_name_is_package_not_found_unless_allowed(registry: RegistryServer, github: GitHubServer) -> None:
    registry.state.trusts_all = PUBLISHER
    assert exchanged(registry, id_token(github), "@acme/new") == (404, NOT_FOUND)
    registry.state.allow_new_names = True
    assert exchanged(registry, id_token(github), "@acme/new")[0] == 201


def test_a_stage_only_publisher_is_refused_at_the_publish_only(registry: RegistryServer, github: GitHubServer) -> None:
    stage_only = TrustedPublisher(repository="acme/tool", workflow="release.yml", actions=frozenset({"stage"}))
    registry.state.trusted[NAME] = stage_only
    status, granted = exchanged(registry, id_token(github))
    with Client(registry.url, token=granted["token"]) as client:
        refused = put(client, NAME, "1.1.0")
    assert (status, refused.status_code) == (201, 403)
    assert refused.json()["error"] == "OIDC permission denied for this action"


def test_a_subject_with_ids_may_not_be_understood(
    registry: RegistryServer, github: GitHubServer, state: GitHubState
) -> None:
    state.immutable_subject = True
    assert exchanged(registry, id_token(github))[0] == 201
    registry.state.refuse_immutable_subjects = True
    assert exchanged(registry, id_token(github)) == (404, NOT_FOUND)


def test_visibility_is_known_of_existing_packages_only(registry: RegistryServer) -> None:
    with Client(registry.url) as client:
        assert client.get("/-/package/@acme%2ftool/visibility").json() == {"public": True}
        assert client.get("/-/package/@acme%2fnew/visibility").status_code == 404
