"""The publisher over a scripted npm and a loopback registry, with recorded sleeps."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import RecordedClock
from tests.npm.conftest import CANARY, Make
from tests.npm.scripted_registry import Reply, ScriptedRegistry

from flotilla.errors import ConflictError, DeadlineError, RegistryError
from flotilla.npm import Npm, Publisher, PublishRequest, Registry, Token, TrustedPublishing
from flotilla.npm.cli import ID_TOKEN_BEARER
from flotilla.retry import RetryPolicy

OIDC_DENIED = "403 Forbidden - PUT http://r/@acme%2ftool - OIDC permission denied for this action"


@dataclass(frozen=True, kw_only=True)
class Run:
    """How one run of npm goes: what it answers, and whether the registry took the package."""

    code: str = ""
    text: str = ""
    ok: bool = False
    lands: bool = False
    killed: bool = False
    after: str | None = None
    stage_id: str = ""
    oidc: str = ""


@dataclass
class ScriptedNpm:
    """Stands in for running npm; `runs` are used up one by one, as are the codes of failed `lists`."""

    registry: ScriptedRegistry
    runs: list[Run]
    request: PublishRequest
    lists: list[str] = field(default_factory=list)
    timeouts: list[float] = field(default_factory=list)
    environments: list[Mapping[str, str]] = field(default_factory=list)
    credentials: list[str] = field(default_factory=list)

    def __call__(
        self, argv: Sequence[str], *, env: Mapping[str, str], cwd: Path, timeout: float
    ) -> subprocess.CompletedProcess[str]:
        if "list" in argv and self.lists:
            code = self.lists.pop(0)
            return subprocess.CompletedProcess(argv, 1, json.dumps({"error": {"code": code, "summary": "x"}}), "")
        if "list" in argv:
            return subprocess.CompletedProcess(argv, 0, json.dumps(list(self.registry.staged.values())), "")
        run = self.runs.pop(0)
        self.timeouts.append(timeout)
        self.environments.append(env)
        npmrc = cwd / "npmrc"
        self.credentials.append(npmrc.read_text().strip().partition("=")[2] if npmrc.exists() else "")
        if run.lands:
            store(self.registry, self.request)
        if run.killed:
            raise subprocess.TimeoutExpired(argv, timeout)
        status = int(run.code[1:]) if run.code[1:].isdigit() else None
        note = {"method": "PUT", "host": "h", "path": "/x", "status": status or 200, "after": run.after}
        (cwd / "answers").write_text(json.dumps(note))
        document = {"error": {"code": run.code, "summary": run.text}}
        if run.ok:
            document = {self.request.package.name: {"stageId": run.stage_id}}
        return subprocess.CompletedProcess(argv, 0 if run.ok else 1, json.dumps(document), f"npm verbose {run.oidc}\n")


def store(
    registry: ScriptedRegistry,
    request: PublishRequest,
    *,
    integrity: str = "",
    manifest: Mapping[str, object] | None = None,
) -> None:
    if request.staged:
        item = {
            "id": "id-1",
            "packageName": request.package.name,
            "version": request.package.version,
            "shasum": request.package.shasum,
        }
        registry.staged["id-1"] = item
        return
    package = request.package
    tarball = f"{request.registry}{package.name}/-/{package.name.rpartition('/')[2]}-{package.version}.tgz"
    dist = {"integrity": integrity or package.integrity, "tarball": tarball}
    versions = {package.version: {**(package.manifest if manifest is None else manifest), "dist": dist}}
    registry.put({"name": request.package.name, "dist-tags": {}, "versions": versions})


@dataclass
class Stage:
    """A publisher, its registry and what to publish."""

    registry: ScriptedRegistry
    reads: Registry
    policy: RetryPolicy
    environment: dict[str, str]
    npm: ScriptedNpm
    request: PublishRequest

    def publish(self, failed: Callable[[str], None] = lambda _log: None, **more: Any) -> Any:
        npm = Npm(environment=self.environment, run=self.npm)
        publisher = Publisher(
            npm=npm, registry=self.reads, policy=self.policy, environment=self.environment, failed=failed, **more
        )
        return publisher.publish(self.request)


class Stages:
    """Sets a stage for the runs of npm that a test plays."""

    def __init__(self, registry: ScriptedRegistry, reads: Registry, policy: RetryPolicy, make: Make) -> None:
        self._fixed = registry, reads, policy
        self._make = make
        self.environment: dict[str, str] = {}

    def __call__(self, *runs: Run, **fields: Any) -> Stage:
        registry, reads, policy = self._fixed
        request = self._make(**fields)
        npm = ScriptedNpm(registry, list(runs), request)
        return Stage(registry, reads, policy, self.environment, npm, request)


@pytest.fixture
def stage(
    registry: ScriptedRegistry, reads: Registry, policy: RetryPolicy, make: Make, environment: dict[str, str]
) -> Stages:
    stages = Stages(registry, reads, policy, make)
    stages.environment = environment
    return stages


def test_a_publish_that_works_is_not_read_back(stage: Stages) -> None:
    played = stage(Run(ok=True, lands=True))
    assert played.publish().status == "published"
    assert played.registry.seen == []


@pytest.mark.parametrize(
    "run",
    [
        Run(code="ECONNRESET", lands=True),
        Run(code="E503", lands=True),
        Run(code="E409", text="Failed to save packument. A common cause is", lands=True),
        Run(killed=True, lands=True),
        Run(code="EWHATEVER", lands=True),
        Run(text="Segmentation fault", lands=True),
    ],
)
def test_a_lost_answer_is_not_an_error_where_the_registry_has_our_tarball(
    stage: Stages, run: Run, recorded_clock: RecordedClock
) -> None:
    played = stage(run)
    assert played.publish().status == "published"
    assert played.npm.runs == []
    assert recorded_clock.slept == []
    assert all("write" in seen.query for seen in played.registry.seen)


@pytest.mark.parametrize("code", ["ECONNRESET", "E502", "ETIMEDOUT", "E409"])
def test_what_did_not_land_is_tried_again_after_a_growing_wait(
    stage: Stages, code: str, recorded_clock: RecordedClock
) -> None:
    played = stage(Run(code=code), Run(code=code), Run(ok=True, lands=True))
    assert played.publish().status == "published"
    assert recorded_clock.slept == [2.0, 4.0]


def test_npm_s_log_of_a_failed_try_is_handed_on(stage: Stages) -> None:
    logs: list[str] = []
    stage(Run(code="E503", oidc="oidc busy"), Run(ok=True, lands=True, oidc="oidc fine")).publish(logs.append)
    assert logs == ["npm verbose oidc busy\n"]


def test_what_lands_while_we_wait_is_not_published_twice(stage: Stages, registry: ScriptedRegistry) -> None:
    played = stage(Run(code="E503"))
    registry.script("GET", "/", Reply(status=404))
    store(registry, played.request)
    assert played.publish().status == "published"
    assert registry.accepted == ["@acme/tool@1.0.0"]


def test_a_rate_limit_waits_as_long_as_retry_after_says(stage: Stages, recorded_clock: RecordedClock) -> None:
    played = stage(Run(code="E429", text="rate limited exceeded", after="600"), Run(ok=True, lands=True))
    played.publish()
    assert recorded_clock.slept == [601.0]


def test_a_retry_after_given_as_a_date_counts_too(stage: Stages, recorded_clock: RecordedClock) -> None:
    played = stage(Run(code="E429", after="Mon, 12 Jan 1970 13:48:40 GMT"), Run(ok=True, lands=True))
    played.publish()
    assert recorded_clock.slept == [121.0]


def test_a_retry_after_beyond_the_deadline_ends_at_once_and_says_how_to_resume(
    stage: Stages, recorded_clock: RecordedClock
) -> None:
    played = stage(Run(code="E429", after="1934"))
    with pytest.raises(DeadlineError, match=r"publish @acme/tool@1\.0\.0: .*rate limit.*1934 s") as raised:
        played.publish()
    assert "Re-run the job after 1970-01-12 " in str(raised.value)
    assert recorded_clock.slept == []


def test_the_transparency_log_s_409_gets_a_fresh_signature(stage: Stages, registry: ScriptedRegistry) -> None:
    played = stage(
        Run(code="TLOG_CREATE_ENTRY_ERROR", text="error creating tlog entry - (409) an equal entry exists"),
        Run(ok=True, lands=True),
        provenance=True,
    )
    assert played.publish().status == "published"
    assert len(registry.requests("GET", "/_id-token")) == 2
    assert all(environment["SIGSTORE_ID_TOKEN"] for environment in played.npm.environments)


def test_other_content_under_our_version_is_a_conflict_and_never_a_success(stage: Stages) -> None:
    played = stage(Run(code="E409", text="this package is already present"))
    store(played.registry, played.request, integrity="sha512-THEIRS")
    with pytest.raises(ConflictError, match="sha512-THEIRS"):
        played.publish()


def test_our_tarball_under_a_manifest_that_runs_a_script_is_a_conflict_and_never_a_success(stage: Stages) -> None:
    played = stage(Run(code="ECONNRESET"))
    evil = {**played.request.package.manifest, "scripts": {"postinstall": "node evil.js"}}
    store(played.registry, played.request, manifest=evil)
    with pytest.raises(ConflictError, match=r"scripts\.postinstall"):
        played.publish()


def test_a_version_that_the_registry_shows_late_is_waited_for(
    stage: Stages, registry: ScriptedRegistry, recorded_clock: RecordedClock
) -> None:
    played = stage(Run(code="E403", text="cannot publish over the previously published versions", lands=True))
    registry.script("GET", "/", Reply(status=404), Reply(status=404))
    published = played.publish()
    assert (published.status, published.read_back) == ("already-published", True)
    assert recorded_clock.slept == [2.0, 4.0]


def test_what_the_registry_has_after_a_try_of_unknown_outcome_is_taken_for_ours(
    stage: Stages, registry: ScriptedRegistry
) -> None:
    played = stage(Run(code="ECONNRESET"), Run(code="E403", text="cannot publish over the previously", lands=True))
    registry.script("GET", "/", Reply(status=404), Reply(status=404))
    published = played.publish()
    assert (published.status, published.read_back) == ("published", True)


@pytest.mark.parametrize("code", ["E429", "E503"])
def test_what_lands_while_we_wait_is_ours_only_where_something_of_ours_was_on_its_way(
    stage: Stages, registry: ScriptedRegistry, code: str
) -> None:
    played = stage(Run(code=code, lands=True))
    if code == "E503":
        registry.script("GET", "/", Reply(status=404))
    assert played.publish().status == ("published" if code == "E503" else "already-published")


def test_a_number_that_was_unpublished_is_told_at_once(
    stage: Stages, registry: ScriptedRegistry, recorded_clock: RecordedClock
) -> None:
    played = stage(Run(code="E403", text="cannot publish over the previously published versions"))
    body = {"name": "@acme/tool", "dist-tags": {}, "versions": {}, "time": {"1.0.0": "2026-01-01T00:00:00.000Z"}}
    registry.script("GET", "/", Reply(body=body))
    with pytest.raises(RegistryError, match="unpublished earlier"):
        played.publish()
    assert recorded_clock.slept == []


def test_a_registry_that_keeps_a_shasum_only_has_our_tarball_by_that(stage: Stages, registry: ScriptedRegistry) -> None:
    played = stage(Run(code="ECONNRESET"))
    store(registry, played.request)
    dist = registry.packages["@acme/tool"]["versions"]["1.0.0"]["dist"]
    del dist["integrity"]
    dist["shasum"] = played.request.package.shasum
    assert played.publish().status == "published"


def test_a_number_that_is_taken_and_never_shown_is_explained(stage: Stages, recorded_clock: RecordedClock) -> None:
    played = stage(Run(code="E403", text="cannot publish over the previously published versions"))
    with pytest.raises(RegistryError, match="unpublished earlier"):
        played.publish()
    assert recorded_clock.slept[:5] == [2.0, 4.0, 8.0, 16.0, 30.0]
    assert sum(recorded_clock.slept) == 600.0


@pytest.mark.parametrize("code", ["E401", "E402", "E404", "E413", "E422", "EOTP"])
def test_a_refusal_is_told_at_once_with_the_next_step(stage: Stages, code: str, recorded_clock: RecordedClock) -> None:
    with pytest.raises(RegistryError) as raised:
        stage(Run(code=code, text="x")).publish()
    assert raised.value.advice or "x" in str(raised.value)
    assert "@acme/tool@1.0.0" in str(raised.value)
    assert recorded_clock.slept == []


def test_a_refused_id_token_shows_its_claims_and_never_itself(stage: Stages, registry: ScriptedRegistry) -> None:
    registry.claims |= {
        "environment": "npm",
        "workflow_ref": "acme/ffmpeg/.github/workflows/caller.yml@refs/heads/main",
    }
    played = stage(Run(code="ENEEDAUTH", oidc="oidc Failed: package not found"), credential=TrustedPublishing())
    with pytest.raises(RegistryError) as raised:
        played.publish()
    assert "repository acme/ffmpeg, workflow file caller.yml, environment npm" in str(raised.value)
    assert "npm trust github @acme/tool --repo acme/ffmpeg --file caller.yml --env npm --allow-publish" in str(
        raised.value
    )
    assert "eyJ" not in str(raised.value)
    assert registry.seen[-1].query["audience"] == ["npm:127.0.0.1"]


@pytest.mark.parametrize("run", [Run(code="E403", text=OIDC_DENIED), Run(code="ENEEDAUTH"), Run(code="E404")])
def test_what_the_id_token_may_not_publish_the_token_publishes_and_npm_never_gets_both(stage: Stages, run: Run) -> None:
    told: list[str] = []
    played = stage(run, Run(code="E429"), Run(ok=True, lands=True), credential=TrustedPublishing())
    done = played.publish(token=Token(value=CANARY), told=told.append)
    assert (done.status, done.credential) == ("published", Token(value=CANARY))
    assert len(told) == 1
    assert "npm-token" in told[0]
    given = [ID_TOKEN_BEARER in environment for environment in played.npm.environments]
    assert given == [True, False, False]
    assert played.npm.credentials == ["", CANARY, CANARY]


def test_what_the_package_itself_is_refused_for_is_not_tried_with_the_token(stage: Stages) -> None:
    played = stage(Run(code="E413"), credential=TrustedPublishing())
    with pytest.raises(RegistryError, match="too large"):
        played.publish(token=Token(value=CANARY))
    assert played.npm.credentials == [""]


@pytest.mark.parametrize(
    ("runs", "sent"),
    [
        ([Run(code="E413")], False),
        ([Run(code="E429"), Run(code="E404")], False),
        ([Run(ok=True, lands=True)], True),
        ([Run(code="E503"), Run(code="E413")], True),
        ([Run(killed=True), Run(code="E413")], True),
        ([Run(code="E403", text="cannot publish over", lands=True)], True),
    ],
)
def test_only_an_accepted_or_unclear_answer_counts_as_something_sent(
    stage: Stages, runs: list[Run], *, sent: bool
) -> None:
    said: list[bool] = []
    with suppress(RegistryError):
        stage(*runs).publish(sent=lambda: said.append(True))
    assert bool(said) is sent


def test_a_publish_that_is_cut_off_counts_as_sent(stage: Stages, monkeypatch: pytest.MonkeyPatch) -> None:
    def cut_off(*_: object, **__: object) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(Npm, "publish", cut_off)
    said: list[bool] = []
    with pytest.raises(KeyboardInterrupt):
        stage().publish(sent=lambda: said.append(True))
    assert said == [True]


def test_the_claims_come_from_the_job_where_github_does_not_answer(stage: Stages, registry: ScriptedRegistry) -> None:
    registry.script("GET", "/_id-token", Reply(status=403))
    played = stage(Run(code="ENEEDAUTH"), credential=TrustedPublishing())
    with pytest.raises(RegistryError, match=r"workflow file release\.yml, environment unknown"):
        played.publish()


def test_a_stage_only_publisher_is_offered_staging(stage: Stages) -> None:
    with pytest.raises(RegistryError, match="staged: true"):
        stage(Run(code="E403", text=OIDC_DENIED), credential=TrustedPublishing()).publish()


def test_npm_gets_the_time_that_is_left_and_enough_to_end(stage: Stages, recorded_clock: RecordedClock) -> None:
    played = stage(Run(ok=True))
    recorded_clock.time += 1200
    played.publish()
    late = stage(Run(ok=True))
    recorded_clock.time += 599
    late.publish()
    assert played.npm.timeouts + late.npm.timeouts == [600.0, 30.0]


def test_a_staged_package_has_its_id(stage: Stages) -> None:
    published = stage(Run(ok=True, stage_id="5f0e"), staged=True).publish()
    assert (published.status, published.stage_id) == ("staged", "5f0e")


def test_a_lost_answer_to_staging_is_looked_up_with_a_token(stage: Stages) -> None:
    published = stage(Run(code="ECONNRESET", lands=True), staged=True, credential=Token(value=CANARY)).publish()
    assert (published.status, published.stage_id) == ("staged", "id-1")


def test_a_staged_version_stays_staged_whatever_words_the_registry_has_for_it(stage: Stages) -> None:
    run = Run(code="E409", text="this version already exists", lands=True)
    published = stage(run, staged=True, credential=Token(value=CANARY)).publish()
    assert (published.status, published.stage_id) == ("staged", "id-1")


@pytest.mark.parametrize(
    ("code", "stage_id", "waits"), [("E503", "id-1", 1), ("ECONNRESET", "id-1", 1), ("E403", "", 0)]
)
def test_a_failed_look_at_what_is_staged_is_tried_again_unless_nobody_may_look(
    stage: Stages, recorded_clock: RecordedClock, code: str, stage_id: str, waits: int
) -> None:
    staged = 'Cannot publish over previously staged version "1.0.0"'
    played = stage(Run(code="E409", text=staged, lands=True), staged=True, credential=Token(value=CANARY))
    played.npm.lists.append(code)
    published = played.publish()
    assert (published.status, published.stage_id) == ("staged", stage_id)
    assert len(recorded_clock.slept) == waits


def test_a_lost_answer_to_staging_is_explained_where_nobody_may_look(stage: Stages) -> None:
    staged = 'Cannot publish over previously staged version "1.0.0"'
    runs = Run(code="ECONNRESET", lands=True), Run(code="E409", text=staged)
    published = stage(*runs, staged=True, credential=TrustedPublishing()).publish()
    assert (published.status, published.stage_id) == ("staged", "")
    assert "npm stage list @acme/tool" in published.note


def test_other_content_staged_under_our_version_is_a_conflict(stage: Stages, registry: ScriptedRegistry) -> None:
    played = stage(Run(code="E409", text="Cannot publish over previously staged version"), staged=True)
    store(registry, played.request)
    registry.staged["id-1"]["shasum"] = "ee"
    with pytest.raises(ConflictError, match="staged as id-1 with another tarball"):
        played.publish()


def test_a_version_that_is_staged_is_not_published_past_its_approval(stage: Stages) -> None:
    played = stage(Run(code="E409", text="Cannot publish over previously staged version"))
    with pytest.raises(RegistryError, match="already staged, so it cannot be published") as raised:
        played.publish()
    assert "npm stage list @acme/tool" in raised.value.advice


def test_what_was_approved_meanwhile_is_already_published(stage: Stages, registry: ScriptedRegistry) -> None:
    played = stage(Run(code="E409", text="Cannot publish over previously staged version"), staged=True)
    store(registry, replace(played.request, staged=False))
    assert played.publish().status == "already-published"
