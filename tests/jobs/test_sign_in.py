"""How each package signs in to npm: by id-token or by token, never both, settled and told before the first publish."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import requests
from tests.faults.artifacts import EXAMPLE, example_artifacts
from tests.rehearsal.publishing import TARBALL, document
from tests.simulator.faults import Kind, PlannedFault
from tests.world.ended import Ended
from tests.world.job_world import TOKEN, VERSION, JobWorld
from tests.world.scene import Scene

from flotilla.rehearsal.github import GitObject
from flotilla.rehearsal.registry import TrustedPublisher

LINUX, NON_FREE = "@acme/chroma-linux-x64", "@acme/chroma-linux-x64-non-free"
PUBLISHER = TrustedPublisher(repository="acme/chroma", workflow="release.yml")
STAGE_ONLY = TrustedPublisher(repository="acme/chroma", workflow="release.yml", actions=frozenset({"stage"}))
EXCHANGE = f"registry POST /-/npm/v1/oidc/token/exchange/package/{LINUX}"
BOTH: dict[str, Any] = {"id_token": True, "provenance": "false"}
ID_TOKEN_ONLY = BOTH | {"npm_token": ""}


@pytest.fixture
def known(released: JobWorld) -> JobWorld:
    """Return the world with the release made and linux-x64's packages known; the first trusts the job."""
    for name in (LINUX, NON_FREE):
        released.put_version(name, "1.0.0")
    released.registry.trusted[LINUX] = PUBLISHER
    return released


def ways(done: Ended, workspace: Path) -> dict[str, str | None]:
    """Return how each package of the ledger signed in."""
    ledger = json.loads((workspace / done.outputs["ledger"]).read_text(encoding="utf-8"))
    return {package["name"]: package.get("signed-in-with") for package in ledger["packages"]}


def refused_exchange(jobs: JobWorld, status: int, body: str) -> None:
    jobs.registry.trusted[NON_FREE] = PUBLISHER
    jobs.registry.exchanges[LINUX] = (status, body)


@pytest.mark.npm
@pytest.mark.slow
def test_one_job_publishes_nine_packages_by_exchange_and_two_new_ones_by_token_and_a_re_run_goes_on(
    jobs: JobWorld,
) -> None:
    variants = [f"v{number}" for number in range(11)]
    with_eleven_variants(jobs, variants)
    names = [LINUX, *(f"{LINUX}-{variant}" for variant in variants[1:])]
    for name in names[:9]:
        jobs.put_version(name, "1.0.0")
    jobs.registry.trusts_all = PUBLISHER
    jobs.world.plan.start([PlannedFault(kind=Kind.ERROR_500, label=f"registry PUT /{names[4]}", times=99)])
    cut = jobs.platform(**BOTH, timeout_minutes="1")
    assert cut.status == 1
    assert jobs.registry.accepted_counts() == dict.fromkeys(
        [f"{name}@1.0.0" for name in names[:9]] + [f"{name}@{VERSION}" for name in names[:4]], 1
    )
    jobs.world.plan.start()
    done = jobs.platform(**BOTH)
    assert done.status == 0, done.log
    told = f"npm-token for {', '.join(names[9:])} (new to the registry)"
    assert told in done.log
    assert f"npm-token for {', '.join(f'`{name}`' for name in names[9:])} (`new to the registry`)" in done.summary
    expected: dict[str, str | None] = dict.fromkeys(names[:4])
    expected |= dict.fromkeys(names[4:9], "trusted-publishing") | dict.fromkeys(names[9:], "token")
    assert ways(done, jobs.workspace) == expected
    assert all(jobs.registry.accepted_counts()[f"{name}@{VERSION}"] == 1 for name in names)


@pytest.mark.npm
@pytest.mark.slow
@pytest.mark.parametrize("kind", [Kind.KILL_BEFORE, Kind.KILL_AFTER])
@pytest.mark.parametrize("label", [EXCHANGE, f"registry PUT /{LINUX}", f"registry PUT /{NON_FREE}"])
def test_a_job_killed_between_its_packages_ends_the_same_when_it_is_run_again(kind: Kind, label: str) -> None:
    with Scene(EXAMPLE, example_artifacts(), token=True) as scene:
        for step in islice(scene.steps(), 1):
            assert scene.run(step).status == 0
        body = document(LINUX, "0.9.0", tag="latest", access="public", content=TARBALL)
        address = f"{scene.world.registry.url}{LINUX.replace('/', '%2f')}"
        requests.put(address, json=body, headers={"Authorization": f"Bearer {TOKEN}"}, timeout=10).raise_for_status()
        step = next(one for one in scene.steps() if one.inputs.get("platform") == "linux-x64")
        scene.plan.start([PlannedFault(kind=kind, label=label)])
        assert scene.run(step).status == -9
        scene.plan.start()
        done = scene.run(step)
        assert done.status == 0, done.log
        accepted = scene.world.registry.state.accepted_counts()
        assert accepted == {f"{LINUX}@0.9.0": 1, f"{LINUX}@{VERSION}": 1, f"{NON_FREE}@{VERSION}": 1}


def with_eleven_variants(jobs: JobWorld, variants: list[str]) -> None:
    """Give linux-x64 that many variants, each with an artifact, and the tag without a release."""
    listed = "".join(f"  - {{name: {variant}, license: MIT}}\n" for variant in variants)
    jobs.edit(
        "flotilla.yml",
        lambda text: text[: text.index("variants:")] + f"variants:\n{listed}\n" + text[text.index("ci:") :],
    )
    jobs.edit("flotilla.yml", lambda text: text.replace('"npm/meta{suffix}"', "npm/meta"))
    found = next(one for one in jobs.github.artifacts if one.name == "chroma-linux-x64-free")
    run = jobs.github.runs[0]
    for variant in variants:
        for build in ("linux-x64", "linuxmusl-x64"):
            jobs.github.add_artifact(run, f"chroma-{build}-{variant}", found.content)
    jobs.github.refs["refs/tags/v1.2.3"] = GitObject(sha=jobs.github.commit, type="commit")


@pytest.mark.npm
def test_npm_gets_exactly_one_of_id_token_and_token_for_each_package(known: JobWorld) -> None:
    done = known.platform(**BOTH)
    assert done.status == 0, done.log
    assert ways(done, known.workspace) == {LINUX: "trusted-publishing", NON_FREE: "token"}
    assert f"trusted publishing for {LINUX}; npm-token for {NON_FREE} (the registry does not" in done.log
    # npm itself exchanges an id-token once more for the first, and none for the second.
    asked = [one.path for one in known.world.plan.requests if "/oidc/token/exchange/" in one.path]
    assert [path.rpartition("/")[2].lower() for path in asked] == [
        name.replace("/", "%2f") for name in (LINUX, NON_FREE, LINUX)
    ]


@pytest.mark.npm
def test_a_token_beside_an_id_token_publishes_where_no_trusted_publisher_is_configured(known: JobWorld) -> None:
    known.registry.trusted.clear()
    done = known.platform(**BOTH)
    assert done.status == 0, done.log
    assert set(ways(done, known.workspace).values()) == {"token"}


@pytest.mark.npm
def test_a_token_publishes_what_the_trusted_publisher_may_only_stage(known: JobWorld) -> None:
    known.registry.trusts_all = known.registry.trusted[LINUX] = STAGE_ONLY
    done = known.platform(**BOTH)
    assert done.status == 0, done.log
    assert ways(done, known.workspace) == {LINUX: "token", NON_FREE: "token"}
    assert {one.title for one in done.annotations("warning")} >= {"The id-token was refused"}


REFUSED = (
    (404, '{"message": "OIDC token exchange error - package not found"}', "404: OIDC token exchange error - package"),
    (401, '{"message": "OIDC token exchange error - invalid token"}', "401: OIDC token exchange error - invalid token"),
    (403, '{"message": "OIDC token exchange error - forbidden"}', "(403: "),
    (400, "{}", "(400)"),
    (405, "<html>", "(405)"),
    (501, "", "(501)"),
    (302, "", "(302)"),
    (201, "{}", "201 and without a token"),
    (201, '{"token": 7}', "201 and without a token"),
    (201, "<html>no registry</html>", "201 and without a token"),
    (200, "[" * 9999, "200 and without a token"),
)


@pytest.mark.parametrize(
    ("status", "body", "said"), REFUSED, ids=[f"{status} {body[:9]}" for status, body, _ in REFUSED]
)
def test_a_refused_exchange_without_a_token_publishes_nothing(
    known: JobWorld, status: int, body: str, said: str
) -> None:
    refused_exchange(known, status, body)
    error = known.refused("publish-platform", platform="linux-x64", run_id=str(known.run_id), **ID_TOKEN_ONLY)
    assert error.title == "Release refused"
    assert LINUX in error.text
    assert said in error.text
    assert f"npm trust github {LINUX} --repo acme/chroma --file release.yml --allow-publish" in error.text
    assert "repository acme/chroma, workflow file release.yml, environment none" in error.text


@pytest.mark.parametrize(
    ("status", "body", "said"), REFUSED, ids=[f"{status} {body[:9]}" for status, body, _ in REFUSED]
)
def test_a_refused_exchange_leaves_the_package_to_the_token(known: JobWorld, status: int, body: str, said: str) -> None:
    refused_exchange(known, status, body)
    done = known.platform(**BOTH, dry_run="true")
    assert done.status == 0, done.log
    (line,) = [line for line in done.log.splitlines() if line.startswith("Sign-in to npm: ")]
    assert f"trusted publishing for {NON_FREE}; npm-token for {LINUX} (" in line
    assert said in line


def test_what_the_registry_says_of_an_exchange_is_shown_and_not_interpreted(known: JobWorld) -> None:
    words = "<img src=https://evil.example> [a](https://evil.example)\\n::error::x npm_0123456789abcdef"
    refused_exchange(known, 403, f'{{"message": "{words}"}}')
    done = known.platform(**BOTH, dry_run="true")
    assert done.status == 0, done.log
    assert "`the registry does not exchange the job's id-token (403: <img src=" in done.summary
    assert "\n::error" not in done.log
    assert "npm_0123" not in done.log + done.summary


def test_a_refusal_names_every_package_without_a_way_and_publishes_none(known: JobWorld) -> None:
    known.registry.trusted.clear()
    error = known.refused("publish-platform", platform="linux-x64", run_id=str(known.run_id), **ID_TOKEN_ONLY)
    assert f"{LINUX}, {NON_FREE}: the registry does not exchange the job's id-token" in error.text
    assert f"for name in {LINUX} {NON_FREE}; do npm trust github" in error.text


def test_the_command_names_the_environment_that_the_job_runs_in(known: JobWorld) -> None:
    known.github.release_run.environment = "npm"
    known.registry.trusted[LINUX] = TrustedPublisher(repository="acme/chroma", workflow="release.yml", environment="x")
    error = known.refused("publish-platform", platform="linux-x64", run_id=str(known.run_id), **ID_TOKEN_ONLY)
    assert "--file release.yml --env npm --allow-publish" in error.text


@pytest.mark.parametrize("token", [TOKEN, ""])
@pytest.mark.parametrize("kind", [Kind.TOO_MANY, Kind.ERROR_500, Kind.ERROR_503, Kind.RESET_BEFORE, Kind.TRUNCATE])
def test_an_exchange_that_fails_for_a_moment_is_asked_again(known: JobWorld, kind: Kind, token: str) -> None:
    known.registry.trusts_all = PUBLISHER
    known.world.plan.start([PlannedFault(kind=kind, label=EXCHANGE, times=3)])
    done = known.platform(**BOTH, npm_token=token, dry_run="true")
    assert done.status == 0, done.log
    assert f"Sign-in to npm: trusted publishing for {LINUX}, {NON_FREE}." in done.log


@pytest.mark.parametrize("token", [TOKEN, ""])
@pytest.mark.parametrize("label", [EXCHANGE, "id-tokens GET /?npm:127.0.0.1"])
def test_an_exchange_that_does_not_come_back_is_not_taken_for_one_that_is_not_configured(
    known: JobWorld, label: str, token: str
) -> None:
    label = next((one.label for one in seen(known) if one.server == "id-tokens"), label) if "id-t" in label else label
    known.world.plan.start([PlannedFault(kind=Kind.ERROR_503, label=label, times=10**6)])
    error = known.refused(
        "publish-platform",
        platform="linux-x64",
        run_id=str(known.run_id),
        timeout_minutes="2",
        **BOTH | {"npm_token": token},
    )
    assert error.title == "Out of time"
    assert "503" in error.text
    assert "npm trust" not in error.text


def seen(jobs: JobWorld) -> list[Any]:
    """Return every request of a dry run."""
    jobs.world.plan.start()
    jobs.platform(**BOTH, dry_run="true")
    return list(jobs.world.plan.requests)


def test_an_id_token_service_that_refuses_leaves_the_packages_to_the_token(known: JobWorld) -> None:
    variables = {**known.variables, "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "another job's"}
    known = replace(known, variables=variables)
    done = known.platform(**BOTH, dry_run="true")
    assert done.status == 0, done.log
    assert f"npm-token for {LINUX}, {NON_FREE} (ask GitHub for an id-token" in done.log
    error = known.refused("publish-platform", platform="linux-x64", run_id=str(known.run_id), **ID_TOKEN_ONLY)
    assert "GitHub answered 401" in error.text


def test_a_job_with_a_token_alone_asks_for_no_exchange(known: JobWorld) -> None:
    known.world.plan.start()
    done = known.platform(dry_run="true")
    assert done.status == 0, done.log
    assert f"Sign-in to npm: npm-token for {LINUX}, {NON_FREE} (this job cannot exchange an id-token)." in done.log
    assert not [one for one in known.world.plan.requests if "/oidc/" in one.path or one.server == "id-tokens"]


def test_what_is_published_already_needs_no_way_to_sign_in(one_platform: JobWorld) -> None:
    done = one_platform.platform(**ID_TOKEN_ONLY)
    assert done.status == 0, done.log
    assert set(done.statuses.values()) == {"already-published"}


@pytest.mark.parametrize(("ref", "protected"), [("refs/heads/main", "false"), ("refs/heads/main", "true"), ("", "")])
def test_prepare_notes_a_ref_that_no_rule_protects_and_goes_on(jobs: JobWorld, ref: str, protected: str) -> None:
    variables = {**jobs.variables, "GITHUB_REF": ref, "GITHUB_REF_PROTECTED": protected}
    done = replace(jobs, variables=variables).run("release", phase="prepare")
    assert done.status == 0, done.log
    titles = [one.title for one in done.annotations("notice")]
    assert ("This workflow runs on an unprotected ref" in titles) is (protected == "false")


@pytest.mark.parametrize(
    ("there", "token", "told"),
    [
        (0, TOKEN, "npm-token for every package: all are new to the registry"),
        (6, TOKEN, "exchanged for, else npm-token; npm-token for @acme/chroma (new to the registry)"),
        (7, "", "trusted publishing for every package; there is no npm-token"),
    ],
)
def test_prepare_tells_how_packages_will_sign_in_as_far_as_it_can_know(
    jobs: JobWorld, there: int, token: str, told: str
) -> None:
    names = [f"@acme/chroma{end}" for end in ("-linux-x64", "-linux-x64-musl")]
    names += [*(f"{name}-non-free" for name in (*names, "@acme/chroma")), "@acme/chroma-dev", "@acme/chroma"]
    for name in names[:there]:
        jobs.put_version(name, "1.0.0")
    done = jobs.run("release", phase="prepare", npm_token=token)
    assert done.status == 0, done.log
    assert told in done.log
