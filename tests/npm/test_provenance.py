from __future__ import annotations

import base64
import copy
import hashlib
import json
from typing import Any

import pytest
from tests.npm.conftest import GITHUB

from flotilla.npm import Origin, check_bundle, possible, sha512_of, stated
from flotilla.npm.cli import ID_TOKEN_BEARER, ID_TOKEN_URL

DIGEST = hashlib.sha512(b"tarball").digest()
INTEGRITY = "sha512-" + base64.b64encode(DIGEST).decode()
EXPECTED = Origin(
    repository="https://github.com/acme/ffmpeg", commit="01" * 20, run_id="77", workflow=".github/workflows/release.yml"
)
JOB = GITHUB | {"ACTIONS_ID_TOKEN_REQUEST_URL": "https://x/", "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "t"}
STATEMENT: dict[str, Any] = {
    "predicateType": "https://slsa.dev/provenance/v1",
    "subject": [{"name": "pkg:npm/%40acme/tool@1.0.0", "digest": {"sha512": DIGEST.hex()}}],
    "predicate": {
        "buildDefinition": {
            "externalParameters": {
                "workflow": {"repository": EXPECTED.repository, "path": EXPECTED.workflow, "ref": "refs/heads/main"}
            },
            "resolvedDependencies": [
                {"uri": f"git+{EXPECTED.repository}@refs/heads/main", "digest": {"gitCommit": EXPECTED.commit}}
            ],
        },
        "runDetails": {"metadata": {"invocationId": f"{EXPECTED.repository}/actions/runs/77/attempts/2"}},
    },
}


def attested(statement: object) -> list[Any]:
    payload = base64.b64encode(json.dumps(statement).encode()).decode()
    envelope = {"payload": payload, "payloadType": "application/vnd.in-toto+json"}
    publish = {"predicateType": "https://github.com/npm/attestation/tree/main/specs/publish/v0.1", "bundle": {}}
    return [publish, {"predicateType": STATEMENT["predicateType"], "bundle": {"dsseEnvelope": envelope}}]


def faults(attestations: list[Any] | None, expected: Origin = EXPECTED) -> list[str]:
    return check_bundle(attestations, integrity=INTEGRITY, name="@acme/tool", version="1.0.0", expected=expected)


def test_a_statement_about_this_tarball_and_this_run_has_no_fault() -> None:
    assert faults(attested(STATEMENT)) == []


@pytest.mark.parametrize(
    ("path", "value", "named"),
    [
        (("predicateType",), "x", "predicate"),
        (("subject", 0, "name"), "pkg:npm/%40acme/other@1.0.0", "package"),
        (("subject", 0, "digest", "sha512"), "00", "sha512"),
        (
            ("predicate", "buildDefinition", "externalParameters", "workflow", "repository"),
            "https://evil",
            "repository",
        ),
        (("predicate", "buildDefinition", "externalParameters", "workflow", "path"), "evil.yml", "workflow"),
        (
            ("predicate", "buildDefinition", "externalParameters", "workflow", "path"),
            ".github/workflows/evil.yml",
            "workflow",
        ),
        (("predicate", "buildDefinition", "resolvedDependencies", 0, "uri"), "git+https://evil@x", "source"),
        (("predicate", "buildDefinition", "resolvedDependencies", 0, "digest", "gitCommit"), "ff", "commit"),
        (("predicate", "buildDefinition", "resolvedDependencies", 0, "digest", "gitCommit"), "ff" * 20, "commit"),
        (("predicate", "runDetails", "metadata", "invocationId"), f"{EXPECTED.repository}/actions/runs/777", "run"),
    ],
)
def test_a_statement_about_something_else_is_told_by_what_differs(
    path: tuple[Any, ...], value: str, named: str
) -> None:
    statement = copy.deepcopy(STATEMENT)
    part: Any = statement
    for key in path[:-1]:
        part = part[key]
    part[path[-1]] = value
    (fault,) = faults(attested(statement))
    assert named in fault


def test_a_source_counts_up_to_its_first_at_sign() -> None:
    statement = copy.deepcopy(STATEMENT)
    statement["predicate"]["buildDefinition"]["resolvedDependencies"][0]["uri"] += "@x"
    assert faults(attested(statement)) == []
    statement["predicate"]["buildDefinition"]["resolvedDependencies"][0]["uri"] = (
        f"git+https://evil@{EXPECTED.repository}"
    )
    (fault,) = faults(attested(statement))
    assert "source" in fault


def test_a_statement_in_base64_with_anything_else_in_it_cannot_be_read() -> None:
    bundle = attested(STATEMENT)
    envelope = bundle[1]["bundle"]["dsseEnvelope"]
    envelope["payload"] = f"{envelope['payload'][:8]}!{envelope['payload'][8:]}"
    (fault,) = faults(bundle)
    assert "cannot be read" in fault


def test_an_earlier_run_may_have_published_it() -> None:
    expected = Origin(repository=EXPECTED.repository, commit=EXPECTED.commit)
    statement = copy.deepcopy(STATEMENT)
    statement["predicate"]["runDetails"]["metadata"]["invocationId"] = (
        f"{EXPECTED.repository}/actions/runs/5/attempts/1"
    )
    assert faults(attested(statement), expected) == []


@pytest.mark.parametrize("invocation", [None, "", "another", "https://github.com/evil/ffmpeg/actions/runs/5"])
def test_an_earlier_run_must_still_be_one_of_this_repository(invocation: object) -> None:
    statement = copy.deepcopy(STATEMENT)
    statement["predicate"]["runDetails"]["metadata"]["invocationId"] = invocation
    (fault,) = faults(attested(statement), Origin(repository=EXPECTED.repository))
    assert "names the run" in fault


@pytest.mark.parametrize("attestations", [None, [], [{"predicateType": "another"}]])
def test_no_provenance_is_a_fault(attestations: list[Any] | None) -> None:
    assert faults(attestations) == ["@acme/tool@1.0.0 has no provenance on the registry."]


@pytest.mark.parametrize(
    "payload", ["!", "", base64.b64encode(b"[]").decode(), base64.b64encode(b"[" * 99999).decode(), 7]
)
def test_a_bundle_that_cannot_be_read_is_a_fault(payload: object) -> None:
    broken = attested(STATEMENT)
    broken[1]["bundle"]["dsseEnvelope"]["payload"] = payload
    assert "cannot be read" in faults(broken)[0]


@pytest.mark.parametrize(
    "statement",
    [{}, {"subject": []}, {"subject": 7}, {"subject": [7, 8]}, {"subject": [[]], "predicate": 7}],
)
def test_a_hostile_statement_is_a_fault_and_no_crash(statement: object) -> None:
    assert faults(attested(statement))


def test_a_second_statement_does_not_hide_behind_the_first() -> None:
    assert faults(attested(STATEMENT) + attested(STATEMENT)[1:])


def test_provenance_is_on_where_npm_can_make_it() -> None:
    assert possible("auto", environment=JOB, private=False).on
    assert possible("true", environment=JOB, private=None).on
    assert not possible("false", environment=JOB, private=False).on


@pytest.mark.parametrize(
    ("environment", "private", "access", "why"),
    [
        ({}, False, "public", "not a GitHub Actions job"),
        (GITHUB, False, "public", "id-token: write"),
        (GITHUB | {ID_TOKEN_URL: "https://x/"}, False, "public", "id-token: write"),
        (GITHUB | {ID_TOKEN_BEARER: "t"}, False, "public", "id-token: write"),
        ({**JOB, "RUNNER_ENVIRONMENT": ""}, False, "public", "of an unknown kind"),
        (JOB | {"RUNNER_ENVIRONMENT": "self-hosted"}, False, "public", "self-hosted"),
        (JOB, True, "public", "private"),
        (JOB, False, "restricted", "restricted"),
    ],
)
def test_where_it_cannot_be_made_auto_says_why_and_true_refuses(
    environment: dict[str, str],
    private: bool,  # noqa: FBT001
    access: str,
    why: str,
) -> None:
    auto = possible("auto", environment=environment, private=private, access=access)
    true = possible("true", environment=environment, private=private, access=access)
    assert (auto.on, auto.refused, true.on, true.refused) == (False, False, False, True)
    assert why in auto.why
    assert why in true.why


@pytest.mark.parametrize("integrity", ["sha1-AAAA", "", "sha512-%%%", "sha256-AAAA sha1-AAAA"])
def test_an_integrity_without_sha512_is_vouched_for_by_no_statement(integrity: str) -> None:
    found = check_bundle(
        attested(STATEMENT), integrity=integrity, name="@acme/tool", version="1.0.0", expected=EXPECTED
    )
    assert any("is about a tarball with sha512" in fault for fault in found)


def test_what_a_statement_says_is_read() -> None:
    found = stated(attested(STATEMENT))
    assert found is not None
    assert (found.subject, found.sha512) == ("pkg:npm/%40acme/tool@1.0.0", sha512_of(INTEGRITY))
    assert (found.repository, found.commit, found.workflow) == (
        EXPECTED.repository,
        EXPECTED.commit,
        EXPECTED.workflow,
    )
    assert found.run == f"{EXPECTED.repository}/actions/runs/77"


@pytest.mark.parametrize("statement", [None, [], {}, {"subject": 1, "predicate": []}])
def test_a_statement_that_says_nothing_is_empty_or_none(statement: object) -> None:
    found = stated(attested(statement))
    assert found is None or not (found.subject or found.sha512 or found.run)


def test_two_statements_say_nothing() -> None:
    assert stated([*attested(STATEMENT), *attested(STATEMENT)]) is None
