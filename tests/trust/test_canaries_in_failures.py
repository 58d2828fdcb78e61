"""No secret is written by a job that fails, breaks or is stopped, and nothing is left of it."""

from __future__ import annotations

import signal
import subprocess
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from tests.simulator.faults import FaultPlan, Kind, Phase, Request
from tests.world.ended import Ended
from tests.world.stage import Stage, below, shown, state_of, stop

from flotilla import __main__ as program
from flotilla.errors import DefectError
from flotilla.jobs.inputs import JobContext

if TYPE_CHECKING:
    from tests.trust.conftest import MakeStage, SignIn

pytestmark = [pytest.mark.npm]
NO_PROVENANCE = {"provenance": "false"}
SECRETS = {
    "the GitHub token": "ghs_canaryGithubToken0123456789",
    "the npm token": "npm_canaryNpmToken0123456789ABCDEF",
    "the id-token's bearer": "canaryIdTokenBearer.0123456789",
}

Spoil = Callable[[Stage], dict[str, str]]


def registry_forgot_the_token(stage: Stage) -> dict[str, str]:
    stage.world.registry.state.tokens.clear()
    return {}


def token_may_not_publish(stage: Stage) -> dict[str, str]:
    tokens = stage.world.registry.state.tokens
    for name in tokens:
        tokens[name] = type(tokens[name])(actions=frozenset())
    return {}


def github_forgot_the_token(stage: Stage) -> dict[str, str]:
    stage.world.github.state.token = "another"  # noqa: S105 - GitHub's side of it
    return {"github-token": SECRETS["the GitHub token"]}


def artifact_was_altered(stage: Stage) -> dict[str, str]:
    for stored in stage.world.github.state.artifacts:
        stored.content = stored.content[:-1] + b"x"
    return {}


def artifact_expired(stage: Stage) -> dict[str, str]:
    for stored in stage.world.github.state.artifacts:
        stored.expired = True
    return {}


def config_is_wrong(stage: Stage) -> dict[str, str]:
    (stage.workspace / "flotilla.yml").write_text("schema: 2\n")
    return {}


def version_is_wrong(_stage: Stage) -> dict[str, str]:
    return {"version": "one"}


def token_is_no_token(_stage: Stage) -> dict[str, str]:
    return {"npm-token": f"{SECRETS['the npm token']} {SECRETS['the npm token']}"}


def token_went_into_another_input(_stage: Stage) -> dict[str, str]:
    return {"registry": f"http://x:{SECRETS['the npm token']}@127.0.0.1:9/"}


def spoiled(make_stage: MakeStage, spoil: Spoil, sign_in: SignIn) -> tuple[Stage, Ended]:
    stage = make_stage(sign_in=sign_in)
    state = stage.world.github.state
    run = state.runs[0]
    stage.world.github.state.refs["refs/tags/v1.2.3"] = state.refs["refs/heads/main"]
    inputs = {"run-id": str(run.id), "platform": "linux-x64", "timeout-minutes": "0.02", **NO_PROVENANCE}
    return stage, stage.run_here("publish-platform", {**inputs, **spoil(stage)})


@pytest.mark.parametrize(
    "spoil",
    [
        registry_forgot_the_token,
        token_may_not_publish,
        github_forgot_the_token,
        artifact_was_altered,
        artifact_expired,
        config_is_wrong,
        version_is_wrong,
        token_is_no_token,
        token_went_into_another_input,
    ],
)
def test_no_secret_is_written_by_a_job_that_fails(make_stage: MakeStage, spoil: Spoil) -> None:
    stage, ended = spoiled(make_stage, spoil, "token")
    assert ended.status == 1, ended.log + ended.stderr
    assert "::error title=" in ended.log
    assert "Traceback" not in ended.log + ended.stderr
    assert shown(SECRETS, stage.written()) == []
    assert ended.left == []


@pytest.mark.parametrize("spoil", [github_forgot_the_token, artifact_was_altered])
def test_no_secret_is_written_by_a_trusted_publish_that_fails(make_stage: MakeStage, spoil: Spoil) -> None:
    stage, ended = spoiled(make_stage, spoil, "trusted")
    assert ended.status == 1
    assert shown(SECRETS, stage.written()) == []


def test_an_exchange_that_is_refused_shows_the_claims_and_no_token(make_stage: MakeStage) -> None:
    stage, first = spoiled(make_stage, lambda _stage: {}, "trusted")
    assert first.status == 0
    state = stage.world.github.state
    state.refs["refs/tags/v1.2.4"] = state.refs["refs/heads/main"]
    stage.world.registry.state.trusts_all = None
    inputs = {"version": "1.2.4", "run-id": str(state.runs[0].id), "platform": "linux-x64", **NO_PROVENANCE}
    ended = stage.run_here("publish-platform", inputs)
    assert ended.status == 1
    assert "workflow file release.yml, environment none" in ended.log
    assert shown(SECRETS, stage.written()) == []
    assert "eyJ" not in "".join(line for line in ended.log.splitlines() if not line.startswith("::add-mask::"))


def defect(job: JobContext[object]) -> None:  # type: ignore[type-var] # it is never reached with inputs
    secret = job.inputs.npm_token  # type: ignore[attr-defined] # every job's inputs have it
    raise LookupError(f"a defect that names {secret} and {job}") from ValueError(secret)


def test_a_defects_traceback_shows_no_secret(make_stage: MakeStage, monkeypatch: pytest.MonkeyPatch) -> None:
    stage = make_stage()
    monkeypatch.setattr(program, "JOBS", {"publish-dev": (program.JOBS["publish-dev"][0], defect)})
    ended = stage.run_here("publish-dev", {"run-id": "1"})
    assert ended.status == DefectError.status
    assert "Traceback" in ended.log
    assert "::error title=" in ended.log
    assert shown(SECRETS, stage.written()) == []
    assert ended.left == []


def stalled_at(server: str, method: str, arrived: threading.Event) -> FaultPlan:
    plan = FaultPlan(stall_seconds=20)

    def on_request(request: Request, phase: Phase) -> None:
        if phase == "before" and (request.server, request.method) == (server, method):
            request.fault = Kind.STALL
            arrived.set()

    plan.on_request = on_request
    return plan


def stop_at(arrived: threading.Event, started: list[int]) -> Callable[[subprocess.Popen[str]], None]:
    def meanwhile(process: subprocess.Popen[str]) -> None:
        assert arrived.wait(30)
        started.extend(below(process.pid))
        stop(process)

    return meanwhile


def wait_for_end(started: list[int]) -> list[int]:
    """Return which of these processes still run after a moment; who is dead and not yet buried does not."""
    limit = time.monotonic() + 1
    while running := [pid for pid in started if state_of(pid) not in ("", "Z", "X")]:
        if time.monotonic() > limit:
            break
        time.sleep(0.02)
    return running


@pytest.mark.parametrize(("server", "method"), [("registry", "PUT"), ("blobs", "GET"), ("github", "GET")])
def test_a_job_that_is_stopped_ends_soon_and_leaves_nothing(make_stage: MakeStage, server: str, method: str) -> None:
    arrived, started = threading.Event(), list[int]()
    stage = make_stage(plan=stalled_at(server, method, arrived))
    state = stage.world.github.state
    state.refs["refs/tags/v1.2.3"] = state.refs["refs/heads/main"]
    inputs = {"run-id": str(state.runs[0].id), "platform": "linux-x64", **NO_PROVENANCE}
    at = time.monotonic()
    ended = stage.run("publish-platform", inputs, meanwhile=stop_at(arrived, started))
    assert time.monotonic() - at < 15
    assert ended.status == 1
    assert "the job was cancelled" in ended.log
    assert ended.left == []
    assert wait_for_end(started) == []
    assert shown(SECRETS, stage.written()) == []


def test_putting_things_in_order_is_not_interrupted_by_a_second_signal() -> None:
    before = {number: signal.getsignal(number) for number in program.STOPPING}
    try:
        with pytest.raises(KeyboardInterrupt):
            program._stop(signal.SIGINT, None)
        assert {signal.getsignal(number) for number in program.STOPPING} == {signal.SIG_IGN}
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
