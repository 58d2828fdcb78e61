"""The real npm publishes, stages and installs through the rehearsal, with provenance and without a token."""

from __future__ import annotations

import base64
import hashlib
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.rehearsal.client import Client
from tests.rehearsal.publishing import npm_tarball
from tests.simulator.faults import FaultPlan, Kind, PlannedFault
from tests.simulator.memory import RegistryState
from tests.simulator.world import Rehearsal, Saved

from flotilla.rehearsal.github import GitHubState
from flotilla.rehearsal.node import npm
from flotilla.rehearsal.registry import SigstoreState, TrustedPublisher

pytestmark = [pytest.mark.npm, pytest.mark.registry]

NAME = "@acme/tool"
PROVENANCE = ("--provenance", "--access", "public", "--tag", "latest")
SLSA = "https://slsa.dev/provenance/v1"


@pytest.fixture(scope="module", params=["verdaccio", "memory"])
def started(
    request: pytest.FixtureRequest, modules: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Rehearsal, Saved]]:
    registry = RegistryState(
        trusts_all=TrustedPublisher(repository="acme/tool", workflow="release.yml"), allow_new_names=True
    )
    folder = tmp_path_factory.mktemp("world")
    verdaccio = request.param == "verdaccio"
    world = Rehearsal(
        folder,
        github=GitHubState(repository="acme/tool"),
        registry=registry,
        plan=FaultPlan(stall_seconds=0.05),
        modules=modules,
        verdaccio=verdaccio,
        sigstore=True,
        count_sigstore=True,
    )
    with world:
        yield world, world.saved()


@pytest.fixture
def world(started: tuple[Rehearsal, Saved]) -> Rehearsal:
    world, saved = started
    world.registry.reset()
    world.github.restore(saved.github)
    world.plan.start()
    if world.sigstore:
        world.sigstore.state = SigstoreState()
    return world


def run(world: Rehearsal, folder: Path, *arguments: str, id_token: bool = True) -> subprocess.CompletedProcess[str]:
    environment = world.environment("npm", workspace=folder, id_token=id_token)
    return subprocess.run(
        [*npm(), *arguments, "--fetch-retries=0", "--ignore-scripts"],
        env=environment.variables,
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


def test_npm_publishes_without_a_token_and_with_provenance(world: Rehearsal, tmp_path: Path) -> None:
    tarball = npm_tarball(tmp_path, NAME, "1.0.0")
    done = run(world, tmp_path, "publish", f"./{tarball.name}", *PROVENANCE)
    assert done.returncode == 0, done.stderr
    digest = hashlib.sha512(tarball.read_bytes())
    snapshot = world.snapshot()["registry"]
    assert snapshot["accepted"] == {f"{NAME}@1.0.0": 1}
    assert snapshot["provenance"] == {f"{NAME}@1.0.0": digest.hexdigest()}
    integrity = f"sha512-{base64.b64encode(digest.digest()).decode()}"
    assert snapshot["packages"][NAME] == {"versions": {"1.0.0": integrity}, "dist-tags": {"latest": "1.0.0"}}
    assert world.sigstore is not None
    assert (world.sigstore.state.certificates, world.sigstore.state.entries) == (1, 1)
    assert [request.label for request in world.plan.requests] == [
        "id-tokens GET /token?npm:127.0.0.1",
        f"registry POST /-/npm/v1/oidc/token/exchange/package/{NAME}",
        f"registry GET /{NAME}",
        f"registry GET /{NAME}",
        "id-tokens GET /token?sigstore",
        "sigstore POST /api/v2/signingCert",
        "sigstore POST /api/v1/log/entries",
        f"registry PUT /{NAME}",
    ]


def test_the_attestations_are_where_the_packument_says(world: Rehearsal, tmp_path: Path) -> None:
    tarball = npm_tarball(tmp_path, NAME, "1.0.0")
    run(world, tmp_path, "publish", f"./{tarball.name}", *PROVENANCE)
    with Client(world.registry.url) as client:
        abbreviated = {"Accept": "application/vnd.npm.install-v1+json"}
        dist = client.get("/@acme%2ftool").json()["versions"]["1.0.0"]["dist"]
        assert dist["attestations"]["provenance"] == {"predicateType": SLSA}
        assert client.get("/@acme%2ftool", headers=abbreviated).json()["versions"]["1.0.0"]["dist"] == dist
        attestations = client.get(dist["attestations"]["url"]).json()["attestations"]
    (bundle,) = [entry["bundle"] for entry in attestations if entry["predicateType"] == SLSA]
    statement = json.loads(base64.b64decode(bundle["dsseEnvelope"]["payload"]))
    (subject,) = statement["subject"]
    assert subject["name"] == "pkg:npm/%40acme/tool@1.0.0"
    assert subject["digest"]["sha512"] == hashlib.sha512(tarball.read_bytes()).hexdigest()


def test_provenance_turns_itself_on_for_an_existing_public_package(world: Rehearsal, tmp_path: Path) -> None:
    for version in ("1.0.0", "1.0.1"):
        tarball = npm_tarball(tmp_path, NAME, version)
        assert run(world, tmp_path, "publish", f"./{tarball.name}", "--access", "public").returncode == 0
    assert list(world.snapshot()["registry"]["provenance"]) == [f"{NAME}@1.0.1"]


@pytest.mark.parametrize(
    ("repository", "words"),
    [
        ("", '"repository.url" is "", expected to match "https://github.com/acme/tool" from provenance'),
        ("https://github.com/Acme/tool", "expected to match"),
    ],
)
def test_provenance_of_another_repository_is_422(world: Rehearsal, tmp_path: Path, repository: str, words: str) -> None:
    tarball = npm_tarball(tmp_path, NAME, "1.0.0", repository=repository)
    done = run(world, tmp_path, "publish", f"./{tarball.name}", *PROVENANCE)
    assert "npm error code E422" in done.stderr
    assert words in done.stderr
    assert world.snapshot()["registry"]["packages"] == {}


def test_provenance_of_a_self_hosted_runner_or_a_private_repository_is_422(world: Rehearsal, tmp_path: Path) -> None:
    tarball = npm_tarball(tmp_path, NAME, "1.0.0")
    world.github.state.release_run.runner_environment = "self-hosted"
    assert (
        'runner environment: "self-hosted"' in run(world, tmp_path, "publish", f"./{tarball.name}", *PROVENANCE).stderr
    )
    world.github.state.release_run.runner_environment = "github-hosted"
    world.github.state.private = True
    assert 'visibility: "private"' in run(world, tmp_path, "publish", f"./{tarball.name}", *PROVENANCE).stderr


def test_a_conflict_of_the_transparency_log_ends_npm_before_the_publish(world: Rehearsal, tmp_path: Path) -> None:
    assert world.sigstore is not None
    world.sigstore.state.conflicts = 1
    tarball = npm_tarball(tmp_path, NAME, "1.0.0")
    failed = run(world, tmp_path, "publish", f"./{tarball.name}", *PROVENANCE)
    assert "npm error code TLOG_CREATE_ENTRY_ERROR" in failed.stderr
    assert run(world, tmp_path, "publish", f"./{tarball.name}", *PROVENANCE).returncode == 0
    assert world.sigstore.state.entries == 1


def test_npm_stages_and_what_is_approved_is_installed(world: Rehearsal, tmp_path: Path) -> None:
    tarball = npm_tarball(tmp_path, NAME, "1.0.0")
    staged = run(world, tmp_path, "stage", "publish", f"./{tarball.name}", *PROVENANCE, "--json")
    stage_id = json.loads(staged.stdout)[NAME]["stageId"]
    assert world.snapshot()["registry"]["packages"] == {}
    with Client(world.registry.url, token="npm_rehearsal") as person:  # noqa: S106 - the rehearsal's own
        assert person.post(f"/-/stage/{stage_id}/approve").status_code == 201
    assert list(world.snapshot()["registry"]["provenance"]) == [f"{NAME}@1.0.0"]
    (tmp_path / "user").mkdir()
    done = run(world, tmp_path / "user", "install", NAME)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "user" / "node_modules" / NAME / "README.md").read_bytes() == b"# x\n"


def test_without_an_id_token_npm_needs_a_credential(world: Rehearsal, tmp_path: Path) -> None:
    tarball = npm_tarball(tmp_path, NAME, "1.0.0")
    done = run(world, tmp_path, "publish", f"./{tarball.name}", "--access", "public", id_token=False)
    assert "npm error code ENEEDAUTH" in done.stderr


def test_a_lost_answer_is_an_error_to_npm_though_the_version_is_there(world: Rehearsal, tmp_path: Path) -> None:
    tarball = npm_tarball(tmp_path, NAME, "1.0.0")
    world.plan.start([PlannedFault(kind=Kind.RESET_AFTER, label=f"registry PUT /{NAME}")])
    assert run(world, tmp_path, "publish", f"./{tarball.name}", *PROVENANCE).returncode == 1
    again = run(world, tmp_path, "publish", f"./{tarball.name}", *PROVENANCE)
    assert "You cannot publish over the previously published versions: 1.0.0." in again.stderr
    assert world.snapshot()["registry"]["accepted"] == {f"{NAME}@1.0.0": 1}
