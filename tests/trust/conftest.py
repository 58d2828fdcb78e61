"""What the tests of trust share: one whole release for each way to sign in, and small stages for what goes wrong."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytest
from tests.simulator.faults import FaultPlan
from tests.simulator.memory import RegistryState
from tests.simulator.world import Rehearsal
from tests.world.ended import Ended
from tests.world.stage import Stage, github_state, make_workspace, seed

from flotilla.errors import RegistryError
from flotilla.rehearsal.github import GitHubState, id_tokens
from flotilla.rehearsal.github.call import Hub
from flotilla.rehearsal.node import node_modules
from flotilla.rehearsal.registry import Grant, TrustedPublisher

ROOT = Path(__file__).parents[2]
CANARIES = {
    "the GitHub token": "ghs_canaryGithubToken0123456789",
    "the npm token": "npm_canaryNpmToken0123456789ABCDEF",
    "the id-token's bearer": "canaryIdTokenBearer.0123456789",
}
PUBLISHER = TrustedPublisher(repository="acme/tool", workflow="release.yml")

SignIn = Literal["token", "trusted"]
MakeStage = Callable[..., Stage]


@dataclass(kw_only=True)
class Recorded:
    """The secrets that came up on the way, which nobody could plant."""

    id_tokens: list[str]
    signatures: list[str]


@dataclass(frozen=True, kw_only=True)
class Release:
    """A whole release that was rehearsed, and the world that it left, still running."""

    stage: Stage
    jobs: dict[str, Ended]
    ledgers: dict[str, Any]
    secrets: dict[str, str]


def recording(patch: pytest.MonkeyPatch) -> Recorded:
    """Keep every id-token and every signature of a download's address that the world gives out."""
    recorded = Recorded(id_tokens=[], signatures=[])
    make_token, make_address = id_tokens.unsigned_jwt, Hub.sign

    def token(payload: dict[str, object]) -> str:
        recorded.id_tokens.append(make_token(payload))
        return recorded.id_tokens[-1]

    def sign(hub: Hub, kind: str, id_: int, *, suffix: str = "") -> str:
        address, _, plain = make_address(hub, kind, id_, suffix=suffix).rpartition("=")
        recorded.signatures.append(f"canarySignature{secrets.token_hex(16)}")
        hub.signed[recorded.signatures[-1]] = hub.signed.pop(plain)
        return f"{address}={recorded.signatures[-1]}"

    patch.setattr(id_tokens, "unsigned_jwt", token)
    patch.setattr(Hub, "sign", sign)
    return recorded


def all_secrets(world: Rehearsal, recorded: Recorded) -> dict[str, str]:
    """Return every secret that a release met, by what it is."""
    exchanged = [token for token, grant in world.registry.state.tokens.items() if grant.kind == "oidc"]
    return {
        **CANARIES,
        **{f"exchanged npm token {n}": token for n, token in enumerate(exchanged)},
        **{f"id-token {n}": token for n, token in enumerate(recorded.id_tokens)},
        **{f"payload of id-token {n}": token.split(".")[1] for n, token in enumerate(recorded.id_tokens)},
        **{f"signature {n} of an address": signature for n, signature in enumerate(recorded.signatures)},
    }


@pytest.fixture(scope="session")
def trust_modules() -> Path:
    """Return what the stand-in of sigstore is made of; without it the tests fail in CI, and are skipped locally."""
    try:
        return node_modules(Path(os.environ.get("FLOTILLA_CACHE", ROOT / ".cache")), environment=os.environ)
    except RegistryError as why:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(f"not installed, and not to be had: {why}")


@pytest.fixture(scope="session", params=["token", "trusted"])
def release(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, trust_modules: Path
) -> Iterator[Release]:
    """Yield a whole release with provenance, from prepare to finish, with a canary for every secret."""
    folder = tmp_path_factory.mktemp(f"release-{request.param}")
    sign_in: SignIn = request.param
    with pytest.MonkeyPatch.context() as patch:
        recorded = recording(patch)
        with Rehearsal(
            folder / "world",
            github=canary_github(),
            registry=canary_registry(sign_in),
            modules=trust_modules,
            sigstore=True,
        ) as world:
            stage = Stage(world=world, workspace=make_workspace(folder / "workspace"), kept=folder / "kept")
            stage.inputs = {"version": "1.2.3", **sign_in_inputs(sign_in)}
            jobs = stage.release()
            ledgers = {name: ended.ledger for name, ended in jobs.items()}
            yield Release(stage=stage, jobs=jobs, ledgers=ledgers, secrets=all_secrets(world, recorded))


@pytest.fixture
def make_stage(tmp_path: Path) -> Iterator[MakeStage]:
    """Yield what makes a world without provenance, with the packages in memory."""
    worlds: list[Rehearsal] = []

    def make(*, sign_in: SignIn = "token", plan: FaultPlan | None = None, **workspace: object) -> Stage:
        registry = canary_registry(sign_in)
        world = Rehearsal(tmp_path / "world", github=canary_github(), registry=registry, plan=plan).__enter__()
        worlds.append(world)
        place = make_workspace(tmp_path / "workspace", **workspace)  # type: ignore[arg-type] # as its caller gave it
        stage = Stage(world=world, workspace=place, kept=tmp_path / "kept")
        stage.inputs = {"version": "1.2.3", **sign_in_inputs(sign_in)}
        return stage

    yield make
    for world in worlds:
        world.__exit__(None, None, None)


def canary_github() -> GitHubState:
    state, _ = github_state(token=CANARIES["the GitHub token"], id_token_bearer=CANARIES["the id-token's bearer"])
    return state


def canary_registry(sign_in: SignIn) -> RegistryState:
    trusted = PUBLISHER if sign_in == "trusted" else None
    state = RegistryState(tokens={CANARIES["the npm token"]: Grant()}, trusts_all=trusted)
    seed(state)
    return state


def sign_in_inputs(sign_in: SignIn) -> dict[str, str]:
    return {"npm-token": CANARIES["the npm token"]} if sign_in == "token" else {}
