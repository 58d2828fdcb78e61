"""Whatever request of a release to GitHub fails, a second run ends in the same state."""

from __future__ import annotations

from contextlib import suppress

import pytest
from tests.release.world import StoppedError, World
from tests.simulator.faults import FaultPlan, Kind, PlannedFault

pytestmark = pytest.mark.slow

REQUESTS = {
    "list": "github GET /releases",
    "create": "github POST /releases",
    "upload": "uploads POST /releases/{id}/assets?flotilla-0.2.0.intoto.jsonl",
    "publish": "github PATCH /releases/{id}",
}
READS = (Kind.ERROR_500, Kind.TOO_MANY, Kind.RESET_BEFORE, Kind.TRUNCATE)
WRITES = (Kind.ERROR_502, Kind.ERROR_503_AFTER, Kind.RESET_BEFORE, Kind.RESET_AFTER)
FAULTS = [
    *[("list", kind) for kind in READS],
    *[(name, kind) for name in ("create", "upload", "publish") for kind in WRITES],
    ("upload", Kind.STARTER),
]


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scripts.release.http.pause", lambda _: None)


def test_the_requests_that_are_broken_are_those_of_a_release(world: World, plan: FaultPlan) -> None:
    world.release("0.2.0", world.commit("0.2.0"))
    assert {request.label for request in plan.requests} == set(REQUESTS.values())


@pytest.mark.parametrize(("request_name", "kind"), FAULTS)
def test_a_release_that_one_answer_broke_ends_as_one_without_a_failure(
    world: World, plan: FaultPlan, request_name: str, kind: Kind
) -> None:
    commit = world.commit("0.2.0")
    plan.start([PlannedFault(kind=kind, label=REQUESTS[request_name])])
    with suppress(StoppedError):
        world.release("0.2.0", commit)
    assert [request.fault for request in plan.requests if request.fault] == [kind]
    world.release("0.2.0", commit)
    [release] = world.github.state.snapshot()["releases"]
    assert not release["draft"]
    assert {name: one["state"] for name, one in release["assets"].items()} == {
        "flotilla-0.2.0.intoto.jsonl": "uploaded"
    }
    assert set(world.tags()) == {"v0.2.0", "v0.2", "v0"}


def test_a_read_is_tried_again_and_a_creation_is_not(world: World, plan: FaultPlan) -> None:
    commit = world.commit("0.2.0")
    plan.start([PlannedFault(kind=Kind.ERROR_500, label=REQUESTS["list"], times=3)])
    world.release("0.2.0", commit)
    plan.start([PlannedFault(kind=Kind.ERROR_503_AFTER, label=REQUESTS["create"])])
    with pytest.raises(StoppedError):
        world.release("0.3.0", world.commit("0.3.0"))
    assert [one["tag"] for one in world.github.state.snapshot()["releases"]].count("v0.3.0") == 1
