"""`verify` says what no longer matches a ledger, and nothing else; a hostile ledger is refused in words."""

from __future__ import annotations

import base64
import copy
import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from flotilla.errors import InputError
from flotilla.jobs.verify import verify
from flotilla.rehearsal.github import GitObject
from flotilla.runner import Runner

if TYPE_CHECKING:
    from tests.trust.conftest import Release
    from tests.world.stage import Stage

pytestmark = [pytest.mark.npm]
JOBS = ("release", "linux-x64", "darwin-x64", "dev", "meta", "finish")
PACKAGE = "@acme/tool-linux-x64"

Tamper = Callable[["Stage"], None]
Spoil = Callable[[Any], None]


@pytest.fixture
def untouched(release: Release) -> Iterator[Release]:
    """Yield the release, put back afterwards as it was."""
    saved = release.stage.world.saved()
    yield release
    release.stage.world.restore(saved)


def verified(release: Release, ledger: object, folder: Path, *, registry: str | None = None) -> tuple[int, list[str]]:
    file, out, world = folder / "ledger.json", io.StringIO(), release.stage.world
    file.write_text(ledger if isinstance(ledger, str) else json.dumps(ledger))
    environment = world.environment("verify", workspace=folder).variables
    status = verify(
        file, environment, Runner(environment, out), registry=world.registry.url if registry is None else registry
    )
    return status, out.getvalue().splitlines()


@pytest.mark.parametrize("job", JOBS)
def test_what_a_job_left_is_verified_link_by_link(release: Release, tmp_path: Path, job: str) -> None:
    status, lines = verified(release, release.ledgers[job], tmp_path)
    assert (status, [line for line in lines if line.startswith("differs")]) == (0, [])
    links = sum(line.startswith("same") for line in lines)
    assert lines[-1] == f"ledger: {links} entries match, 0 do not"
    assert links >= {"finish": 17, "release": 13, "meta": 3}.get(job, 4)


def asset_was_replaced(stage: Stage) -> None:
    (release,) = stage.world.github.state.releases
    asset = next(asset for asset in release.assets if asset.name == "tool-linux-x64.tar.gz")
    asset.content = bytes(len(asset.content))


def asset_was_replaced_by_a_longer_one(stage: Stage) -> None:
    (release,) = stage.world.github.state.releases
    release.assets[0].content += b"x"


def asset_was_deleted(stage: Stage) -> None:
    (release,) = stage.world.github.state.releases
    release.assets[:] = [asset for asset in release.assets if asset.name != "SHA256SUMS"]


def release_was_deleted(stage: Stage) -> None:
    stage.world.github.state.releases.clear()


def tag_was_moved(stage: Stage) -> None:
    state = stage.world.github.state
    state.add_commit("f" * 40)
    state.refs["refs/tags/v1.2.3"] = GitObject(sha="f" * 40, type="commit")


def tag_was_deleted(stage: Stage) -> None:
    del stage.world.github.state.refs["refs/tags/v1.2.3"]


def run_is_of_a_fork(stage: Stage) -> None:
    stage.world.github.state.runs[0].head_repository = "evil/tool"


def run_is_a_pull_requests(stage: Stage) -> None:
    stage.world.github.state.runs[0].event = "pull_request"


def run_is_a_schedules(stage: Stage) -> None:
    stage.world.github.state.runs[0].event = "schedule"


def run_failed_in_a_later_attempt(stage: Stage) -> None:
    stage.world.github.state.runs[0].conclusion = "failure"


def artifact_was_altered(stage: Stage) -> None:
    artifact = stage.world.github.state.artifacts[0]
    artifact.digest = f"sha256:{'0' * 64}"


def package_has_another_integrity(stage: Stage) -> None:
    dist(stage)["integrity"] = "sha512-" + base64.b64encode(bytes(64)).decode()


def manifest_runs_a_script(stage: Stage) -> None:
    version(stage)["scripts"] = {"postinstall": "node evil.js"}


def package_was_unpublished(stage: Stage) -> None:
    del stage.world.registry.state.documents[PACKAGE]["versions"]["1.2.3"]


def name_was_given_up(stage: Stage) -> None:
    del stage.world.registry.state.documents[PACKAGE]


def provenance_is_gone(stage: Stage) -> None:
    del stage.world.registry.state.bundles[f"{PACKAGE}@1.2.3"]


def provenance_is_of_another_package(stage: Stage) -> None:
    bundles = stage.world.registry.state.bundles
    bundles[f"{PACKAGE}@1.2.3"] = bundles["@acme/tool-dev@1.2.3"]


def provenance_is_of_another_tarball(stage: Stage) -> None:
    restate(stage, lambda statement: statement["subject"][0]["digest"].update(sha512="0" * 128))


def provenance_is_of_another_run(stage: Stage) -> None:
    evil = "https://github.com/acme/tool/actions/runs/666/attempts/1"
    restate(stage, lambda statement: statement["predicate"]["runDetails"]["metadata"].update(invocationId=evil))


def dist(stage: Stage) -> dict[str, Any]:
    found: dict[str, Any] = version(stage)["dist"]
    return found


def version(stage: Stage) -> dict[str, Any]:
    found: dict[str, Any] = stage.world.registry.state.documents[PACKAGE]["versions"]["1.2.3"]
    return found


def restate(stage: Stage, change: Callable[[Any], None]) -> None:
    envelope = stage.world.registry.state.bundles[f"{PACKAGE}@1.2.3"]["dsseEnvelope"]
    statement = json.loads(base64.b64decode(envelope["payload"]))
    change(statement)
    envelope["payload"] = base64.b64encode(json.dumps(statement).encode()).decode()


@pytest.mark.parametrize(
    ("tamper", "said"),
    [
        (asset_was_replaced, "asset tool-linux-x64.tar.gz is sha256:"),
        (asset_was_replaced_by_a_longer_one, "bytes, but had"),
        (asset_was_deleted, "asset SHA256SUMS is gone from the release"),
        (release_was_deleted, "there is no release of v1.2.3"),
        (tag_was_moved, f"tag v1.2.3 is on {'f' * 40}, but was on 0123456789abcdef"),
        (tag_was_deleted, "tag v1.2.3 is gone, but was on 0123456789abcdef"),
        (run_is_of_a_fork, "built a commit of evil/tool, a fork"),
        (run_is_a_pull_requests, "was started by the event pull_request"),
        (run_is_a_schedules, "was started by schedule"),
        (run_failed_in_a_later_attempt, "did not succeed (failure)"),
        (artifact_was_altered, "artifact tool-linux-x64 "),
        (package_has_another_integrity, f"{PACKAGE}@1.2.3 is sha512-AAAA"),
        (manifest_runs_a_script, f"the manifest of {PACKAGE}@1.2.3: scripts.postinstall"),
        (package_was_unpublished, f"{PACKAGE}@1.2.3 is gone from the registry"),
        (name_was_given_up, f"{PACKAGE}@1.2.3 is gone from the registry"),
        (provenance_is_gone, f"the provenance of {PACKAGE}@1.2.3 is gone or unreadable"),
        (provenance_is_of_another_package, "is about another package or tarball: pkg:npm/%40acme/tool-dev@1.2.3"),
        (provenance_is_of_another_tarball, f"the provenance of {PACKAGE}@1.2.3 is about another package or tarball"),
        (provenance_is_of_another_run, "names https://github.com/acme/tool/actions/runs/666, but named"),
    ],
)
def test_what_was_tampered_with_is_named(untouched: Release, tmp_path: Path, tamper: Tamper, said: str) -> None:
    tamper(untouched.stage)
    status, lines = verified(untouched, untouched.ledgers["finish"], tmp_path)
    assert status == 1
    assert any(line.startswith("differs") and said in line for line in lines), lines
    assert not lines[-1].endswith(" 0 do not")


def test_a_pull_requests_run_is_one_to_the_ledger_that_says_so_and_never_a_forks(
    untouched: Release, tmp_path: Path
) -> None:
    ledger = copy.deepcopy(untouched.ledgers["finish"])
    ledger["ci-run"]["event"] = "pull_request"
    run_is_a_pull_requests(untouched.stage)
    assert verified(untouched, ledger, tmp_path)[0] == 0
    run_is_of_a_fork(untouched.stage)
    status, lines = verified(untouched, ledger, tmp_path)
    assert status == 1
    assert any(line.startswith("differs") and "evil/tool, a fork" in line for line in lines)


def test_a_run_that_released_itself_may_go_on_and_is_held_to_success_once_it_has_ended(
    untouched: Release, tmp_path: Path
) -> None:
    ledger = copy.deepcopy(untouched.ledgers["finish"])
    run = untouched.stage.world.github.state.runs[0]
    run.status, run.conclusion = "in_progress", None
    assert verified(untouched, ledger, tmp_path)[0] == 1
    ledger["ci-run"]["same-run"] = True
    assert verified(untouched, ledger, tmp_path)[0] == 0
    run.status, run.conclusion = "completed", "failure"
    assert verified(untouched, ledger, tmp_path)[0] == 1


def artifacts_expired(stage: Stage) -> None:
    for artifact in stage.world.github.state.artifacts:
        artifact.expired = True


def artifacts_are_gone(stage: Stage) -> None:
    stage.world.github.state.artifacts.clear()


def run_is_gone(stage: Stage) -> None:
    stage.world.github.state.runs.clear()


@pytest.mark.parametrize(
    ("age", "said"), [(artifacts_expired, "is expired"), (artifacts_are_gone, "is gone"), (run_is_gone, "gone")]
)
def test_what_github_deletes_in_time_is_a_note(untouched: Release, tmp_path: Path, age: Tamper, said: str) -> None:
    age(untouched.stage)
    status, lines = verified(untouched, untouched.ledgers["finish"], tmp_path)
    assert status == 0, lines
    assert any(line.startswith("note") and said in line for line in lines)


def swapped(ledger: Any, part: str, key: str, value: object) -> Any:
    changed = copy.deepcopy(ledger)
    changed[part][0][key] = value
    return changed


def test_a_package_with_other_files_than_the_release_was_checked_with_does_not_match(
    release: Release, tmp_path: Path
) -> None:
    ledger = swapped(release.ledgers["release"], "packages", "contents", f"sha256:{'0' * 64}")
    status, lines = verified(release, ledger, tmp_path)
    (line,) = [line for line in lines if line.startswith("differs")]
    assert (status, ledger["packages"][0]["name"] in line) == (1, True)


def test_a_ledger_that_contradicts_itself_does_not_match(release: Release, tmp_path: Path) -> None:
    ledger = release.ledgers["linux-x64"]
    elsewhere = swapped(ledger, "packages", "artifact", 99_999)
    recorded = swapped(ledger, "artifacts", "recorded-digest", f"sha256:{'1' * 64}")
    other = swapped(ledger, "artifacts", "run", 5)
    version = swapped(ledger, "packages", "version", "1.2.4")
    repacked = swapped(ledger, "packages", "integrity", "sha512-" + base64.b64encode(bytes(64)).decode())
    said = [verified(release, one, tmp_path) for one in (elsewhere, recorded, other, version, repacked)]
    assert [status for status, _ in said] == [1] * 5
    assert all(any(line.startswith("differs") for line in lines) for _, lines in said)


def test_the_registry_of_the_ledger_is_not_asked_in_place_of_ours(release: Release, tmp_path: Path) -> None:
    ledger = {**release.ledgers["meta"], "registry": "http://127.0.0.1:9/"}
    status, lines = verified(release, ledger, tmp_path)
    assert status == 1
    assert any(line.startswith("differs  the ledger is of the registry http://127.0.0.1:9/, but ") for line in lines)


def test_without_a_registry_the_configured_one_is_asked(release: Release, tmp_path: Path) -> None:
    assert verified(release, release.ledgers["meta"], tmp_path, registry="")[0] == 0


def test_a_ledger_of_another_repository_is_told_from_this_one(release: Release, tmp_path: Path) -> None:
    status, lines = verified(release, {**release.ledgers["meta"], "repository": "evil/tool"}, tmp_path)
    assert status == 1
    assert "differs  the ledger is of evil/tool, but this is acme/tool" in lines


def nested(depth: int) -> str:
    return "[" * depth + "]" * depth


def keys_twice(ledger: Any) -> str:
    return '{"schema": 1, ' + json.dumps(ledger)[1:]


@pytest.mark.parametrize(
    "make",
    [
        lambda _ledger: "",
        lambda _ledger: "[]",
        lambda _ledger: "\0",
        lambda _ledger: nested(100_000),
        lambda _ledger: "NaN",
        lambda _ledger: f'{{"schema": {"9" * 5000}}}',
        lambda _ledger: " " * (16 * 2**20 + 1),
        keys_twice,
        lambda ledger: json.dumps({**ledger, "more": 1}),
        lambda ledger: json.dumps({**ledger, "schema": 2}),
        lambda ledger: json.dumps({**ledger, "tag": "v1\n::error::forged"}),
        lambda ledger: json.dumps({**ledger, "tag": "v1\n"}),
        lambda ledger: json.dumps({**ledger, "commit": "f" * 40 + "\n"}),
        lambda ledger: json.dumps({**ledger, "repository": "acme/tool/../../user"}),
        lambda ledger: json.dumps({**ledger, "registry": "file:///etc/passwd"}),
        lambda ledger: json.dumps(swapped(ledger, "packages", "name", "../../x")),
        lambda ledger: json.dumps(swapped(ledger, "packages", "version", "1.0.0/../..")),
        lambda ledger: json.dumps(swapped(ledger, "packages", "provenance", {"sha512": "x"})),
        lambda ledger: json.dumps(swapped(ledger, "artifacts", "id", "7")),
        lambda ledger: json.dumps(swapped(ledger, "artifacts", "id", 2**70)),
        lambda ledger: json.dumps(swapped(ledger, "artifacts", "name", "\x1b[2J")),
        lambda ledger: json.dumps(swapped(ledger, "assets", "size", -1)),
    ],
)
@pytest.mark.timeout(20)
def test_a_hostile_ledger_is_refused_in_words(release: Release, tmp_path: Path, make: Callable[[Any], str]) -> None:
    with pytest.raises(InputError) as refused:
        verified(release, make(release.ledgers["finish"]), tmp_path)
    assert len(refused.value.faults) <= 20
    assert all(len(fault.text) < 400 for fault in refused.value.faults)


def test_a_ledger_that_is_not_there_is_told(release: Release, tmp_path: Path) -> None:
    environment = release.stage.world.environment("verify", workspace=tmp_path).variables
    with pytest.raises(InputError, match="the ledger cannot be read: No such file"):
        verify(tmp_path / "none.json", environment, Runner({}, io.StringIO()))


def test_a_token_is_needed_and_said(release: Release, tmp_path: Path) -> None:
    (tmp_path / "ledger.json").write_text(json.dumps(release.ledgers["meta"]))
    with pytest.raises(InputError, match="GITHUB_TOKEN"):
        verify(tmp_path / "ledger.json", {}, Runner({}, io.StringIO()), registry=release.stage.world.registry.url)


def test_verifying_writes_nothing(release: Release, tmp_path: Path) -> None:
    world = release.stage.world
    before = len(world.plan.requests)
    verified(release, release.ledgers["finish"], tmp_path)
    assert {request.method for request in world.plan.requests[before:]} == {"GET"}
