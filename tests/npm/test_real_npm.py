"""The real npm CLI against scripted servers: what it does with our flags, and what its answers become."""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import pytest
from tests.conftest import RecordedClock
from tests.npm.conftest import CANARY, Make, soon
from tests.npm.scripted_registry import Reply, ScriptedRegistry, ScriptedSigstore, jwt

from flotilla.errors import ConflictError, DeadlineError, FlotillaError, RegistryError
from flotilla.npm import Npm, Publisher, TrustedPublishing, check_bundle
from flotilla.npm.cli import NpmAnswer
from flotilla.npm.errors import Context, Kind, explain
from flotilla.npm.provenance import Origin

pytestmark = pytest.mark.npm

PUT = "/@acme%2ftool"
EXCHANGE = "/-/npm/v1/oidc/token/exchange/package/@acme%2ftool"
VERIFY = "Error verifying sigstore provenance bundle: "


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return where npm's private folders are made in this test."""
    place = tmp_path / "temporary"
    place.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(place))
    return place


def test_flags_decide_and_publish_config_does_not(
    npm: Npm, registry: ScriptedRegistry, other: ScriptedRegistry, make: Make
) -> None:
    steering = {"registry": other.url, "@acme:registry": other.url, "tag": "evil", "access": "restricted"}
    answer = npm.publish(make({"publishConfig": steering | {"provenance": True}}, dist_tag="next"), timeout=60)
    assert answer.ok, answer.log
    (document,) = registry.documents
    assert other.seen == []
    assert (document["dist-tags"], document["access"]) == ({"next": "1.0.0"}, "public")
    assert list(document["_attachments"]) == ["@acme/tool-1.0.0.tgz"]


def test_the_registry_gets_exactly_the_tarball_that_was_checked_and_no_path_of_this_machine(
    npm: Npm, registry: ScriptedRegistry, make: Make, tmp_path: Path
) -> None:
    request = make()
    npm.publish(request, timeout=60)
    (document,) = registry.documents
    attachment = document["_attachments"]["@acme/tool-1.0.0.tgz"]
    assert base64.b64decode(attachment["data"]) == request.package.path.read_bytes()
    manifest = document["versions"]["1.0.0"]
    assert manifest["dist"]["integrity"] == request.package.integrity
    assert manifest["_resolved"] == "/proc/self/cwd/package.tgz"
    assert str(tmp_path) not in json.dumps(manifest)


def test_a_tag_in_the_manifest_beats_every_flag_which_is_why_it_is_refused(
    npm: Npm, registry: ScriptedRegistry, make: Make
) -> None:
    npm.publish(make({"tag": "evil"}, dist_tag="next"), timeout=60)
    assert registry.documents[0]["dist-tags"] == {"evil": "1.0.0"}


def test_npm_looks_for_no_npmrc_further_up(
    npm: Npm, registry: ScriptedRegistry, other: ScriptedRegistry, make: Make, folders: Path
) -> None:
    (folders / "package.json").write_text("{}")
    (folders / ".npmrc").write_text(f"@acme:registry={other.url}\nforce=true\nuser-agent=stray\n")
    assert npm.publish(make(), timeout=60).ok
    assert other.seen == []
    assert {seen.bearer for seen in registry.seen} == {CANARY}
    assert "stray" not in {seen.headers["user-agent"] for seen in registry.seen}


def test_trusted_publishing_exchanges_the_id_token_and_uses_nothing_else(
    publisher: Publisher, registry: ScriptedRegistry, make: Make, sigstore: ScriptedSigstore
) -> None:
    request = make(credential=TrustedPublishing(), provenance=True)
    assert publisher.publish(request).status == "published"
    (exchange,), (put,) = registry.requests("POST", EXCHANGE), registry.requests("PUT")
    assert put.bearer == registry.minted[0]
    assert exchange.bearer.count(".") == 2
    bundle = json.loads(registry.documents[0]["_attachments"]["@acme/tool-1.0.0.sigstore"]["data"])
    expected = Origin(repository="https://github.com/acme/ffmpeg", commit="01" * 20, run_id="77")
    attestation = {"predicateType": "https://slsa.dev/provenance/v1", "bundle": bundle}
    identity = {"integrity": request.package.integrity, "name": "@acme/tool", "version": "1.0.0"}
    assert check_bundle([attestation], **identity, expected=expected) == []
    assert len(sigstore.identities) == 1


def test_a_token_with_provenance_is_the_only_credential_though_npm_could_exchange_an_id_token(
    publisher: Publisher, registry: ScriptedRegistry, make: Make, sigstore: ScriptedSigstore
) -> None:
    assert publisher.publish(make(provenance=True)).status == "published"
    assert registry.requests("POST", "/-/npm/v1/oidc") == []
    assert {seen.bearer for seen in registry.requests("PUT")} == {CANARY}
    assert [seen.query["audience"] for seen in registry.requests("GET", "/_id-token")] == [["sigstore"]]
    (identity,) = sigstore.identities
    assert '"aud": "sigstore"' in base64.urlsafe_b64decode(identity.split(".")[1] + "==").decode()
    assert "@acme/tool-1.0.0.sigstore" in registry.documents[0]["_attachments"]


def test_a_token_is_seen_nowhere(
    npm: Npm, registry: ScriptedRegistry, make: Make, folders: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    registry.script("PUT", PUT, Reply(status=403, body={"error": f"you sent {CANARY}"}))
    with _Watch(folders) as watch:
        answer = npm.publish(make(), timeout=60)
    assert registry.requests("PUT")[0].bearer == CANARY
    assert watch.npmrc_modes == {0o600}
    assert watch.folder_modes == {0o700}
    assert watch.arguments
    assert CANARY not in watch.arguments + watch.environments
    assert CANARY not in repr(answer) + answer.log + answer.text
    assert "you sent" in answer.text
    assert list(folders.iterdir()) == []
    assert CANARY not in "".join(capfd.readouterr())


def test_an_id_token_and_its_bearer_are_not_repeated(
    npm: Npm, registry: ScriptedRegistry, environment: dict[str, str], make: Make
) -> None:
    bearer = environment["ACTIONS_ID_TOKEN_REQUEST_TOKEN"]
    said = f"refused {jwt(sub='x')} of {bearer}"
    registry.script("POST", EXCHANGE, Reply(status=401, body={"message": said}))
    answer = npm.publish(make(credential=TrustedPublishing()), timeout=60)
    assert answer.code == "ENEEDAUTH"
    assert answer.oidc == ("oidc Failed token exchange request with body message: refused *** of ***",)
    assert bearer not in answer.log
    assert "eyJ" not in answer.log


@pytest.mark.parametrize(
    ("reply", "code", "words"),
    [
        (Reply(status=401, headers={"www-authenticate": "otp"}), "EOTP", "one-time password"),
        (Reply(status=401, headers={"www-authenticate": "Bearer"}), "E401", "expired"),
        (Reply(status=402, body={"error": "You must sign up for private packages"}), "E402", "asks for payment"),
        (Reply(status=403, body={"error": "You do not have permission"}), "E403", "not allowed to publish"),
        (Reply(status=404, body={"error": "Not found"}), "E404", "expired"),
        (Reply(status=413), "E413", "too large"),
        (Reply(status=415, body={"error": "Too many files"}), "E415", "more files"),
        (
            Reply(status=422, body={"error": f"{VERIFY}Failed to validate repository information: x"}),
            "E422",
            "`repository`",
        ),
        (Reply(status=422, body={"error": f'{VERIFY}Unsupported runner environment: "x"'}), "E422", "GitHub-hosted"),
    ],
)
def test_a_registry_s_refusal_is_told_in_words(
    publisher: Publisher, registry: ScriptedRegistry, make: Make, reply: Reply, code: str, words: str
) -> None:
    registry.script("PUT", PUT, reply)
    with pytest.raises(RegistryError, match=words):
        publisher.publish(make())
    assert len(registry.requests("PUT")) == 1, code


@pytest.mark.parametrize(
    ("reply", "waited"),
    [
        (Reply(status=429, body={"error": "rate limited exceeded"}, headers={"Retry-After": "300"}), [301.0]),
        (Reply(status=503, headers={"Retry-After": "20"}), [21.0]),
        (Reply(status=409, body={"error": "Failed to save packument. A common cause is"}), [2.0]),
        (Reply(cut=True), [2.0]),
    ],
)
def test_what_may_pass_is_tried_again_after_the_wait_that_the_server_asks_for(
    publisher: Publisher,
    registry: ScriptedRegistry,
    make: Make,
    recorded_clock: RecordedClock,
    reply: Reply,
    waited: list[float],
) -> None:
    registry.script("PUT", PUT, reply)
    assert publisher.publish(make()).status == "published"
    assert recorded_clock.slept == waited
    assert registry.accepted == ["@acme/tool@1.0.0"]


@pytest.mark.parametrize("reply", [Reply(cut=True, effect=True), Reply(status=500, effect=True)])
def test_a_publish_whose_answer_was_lost_is_found_and_not_sent_again(
    publisher: Publisher, registry: ScriptedRegistry, make: Make, recorded_clock: RecordedClock, reply: Reply
) -> None:
    registry.script("PUT", PUT, reply)
    assert publisher.publish(make()).status == "published"
    assert len(registry.requests("PUT")) == 1
    assert recorded_clock.slept == []


def test_other_content_is_a_conflict_whether_npm_or_the_registry_sees_it_first(
    publisher: Publisher, registry: ScriptedRegistry, make: Make
) -> None:
    publisher.publish(make())
    with pytest.raises(ConflictError):
        publisher.publish(make({"description": "another"}))
    assert len(registry.requests("PUT")) == 1
    publisher.publish(make({"version": "2.0.0-rc.1"}))
    with pytest.raises(ConflictError):
        publisher.publish(make({"version": "2.0.0-rc.1", "description": "another"}))
    assert len(registry.requests("PUT")) == 3


def test_a_retry_after_beyond_the_deadline_ends_at_once(
    publisher: Publisher, registry: ScriptedRegistry, make: Make, recorded_clock: RecordedClock
) -> None:
    registry.script("PUT", PUT, Reply(status=429, headers={"Retry-After": "1934"}))
    with pytest.raises(DeadlineError, match="1934 s"):
        publisher.publish(make())
    assert recorded_clock.slept == []


def test_a_failed_exchange_is_tried_again_or_told_with_the_claims(
    publisher: Publisher, registry: ScriptedRegistry, make: Make, recorded_clock: RecordedClock
) -> None:
    missing = Reply(status=404, body={"message": "OIDC token exchange error - package not found"})
    busy = Reply(status=503, headers={"Retry-After": "5"})
    registry.script("POST", EXCHANGE, busy, missing)
    with pytest.raises(RegistryError, match=r"package not found.*repository acme/ffmpeg, workflow file release\.yml"):
        publisher.publish(make(credential=TrustedPublishing()))
    assert recorded_clock.slept == [6.0]
    assert registry.requests("PUT") == []


def test_sigstore_s_passing_failures_get_a_fresh_signature_and_its_refusal_ends(
    publisher: Publisher, make: Make, sigstore: ScriptedSigstore, recorded_clock: RecordedClock
) -> None:
    equal = Reply(status=409, body={"message": "an equivalent entry already exists"}, headers={"Location": "/x"})
    sigstore.script("POST", "/api/v1/log/entries", equal)
    sigstore.script("POST", "/api/v2/signingCert", Reply(status=503))
    assert publisher.publish(make(provenance=True)).status == "published"
    assert recorded_clock.slept == [2.0, 4.0]
    sigstore.script("POST", "/api/v2/signingCert", Reply(status=401, body={"message": "invalid issuer"}))
    with pytest.raises(RegistryError, match=r"sigstore refused to sign.*invalid issuer"):
        publisher.publish(make({"version": "1.0.1"}, provenance=True))


def test_a_stage_only_publisher_and_a_registry_without_staging_are_explained(
    publisher: Publisher, registry: ScriptedRegistry, make: Make
) -> None:
    denied = Reply(status=403, body={"error": "OIDC permission denied for this action"})
    registry.script("PUT", PUT, denied)
    with pytest.raises(RegistryError, match="staged: true"):
        publisher.publish(make(credential=TrustedPublishing()))
    registry.script("POST", "/-/stage/", Reply(status=404, body=b"<html>"))
    with pytest.raises(RegistryError, match="staged publishing"):
        publisher.publish(make(staged=True))


def test_staging_gives_an_id_and_is_not_done_twice(
    publisher: Publisher, registry: ScriptedRegistry, make: Make
) -> None:
    registry.script("POST", "/-/stage/", Reply(cut=True, effect=True))
    first = publisher.publish(make(staged=True))
    assert list(registry.staged) == [first.stage_id]
    assert publisher.publish(make(staged=True)).stage_id == first.stage_id
    second = publisher.publish(make({"name": "@acme/other"}, staged=True, credential=TrustedPublishing()))
    assert second.stage_id in registry.staged
    again = publisher.publish(make({"name": "@acme/other"}, staged=True, credential=TrustedPublishing()))
    assert (again.status, again.stage_id) == ("staged", "")
    assert registry.accepted == []


def test_a_certificate_that_npm_does_not_trust_is_named(
    npm_executable: tuple[str, ...], environment: dict[str, str], sigstore: ScriptedSigstore, make: Make
) -> None:
    distrustful = environment | {"HTTPS_PROXY": sigstore.origin, "NO_PROXY": "127.0.0.1"}
    npm = Npm(executable=npm_executable, environment=distrustful)
    answer = npm.publish(make(provenance=True), timeout=60, sigstore_token=jwt(sub="x"))
    cause = explain(answer, Context(name="x", registry="x", trusted=False))
    assert cause.kind is Kind.REFUSE
    assert "NODE_EXTRA_CA_CERTS" in cause.step


def test_npm_killed_in_its_time_out_takes_node_along(
    npm: Npm, registry: ScriptedRegistry, make: Make, folders: Path
) -> None:
    stalled = threading.Event()
    registry.stall("PUT", stalled)
    try:
        answer = npm.publish(make(), timeout=2)
        assert answer.exit_status is None
        assert soon(lambda: not _running_in(folders))
        assert list(folders.iterdir()) == []
    finally:
        stalled.set()


def test_a_registry_that_nobody_serves_is_told_by_its_code(npm: Npm, make: Make) -> None:
    answer: NpmAnswer = npm.publish(make(registry="http://127.0.0.1:9/"), timeout=60)
    assert (answer.ok, answer.code) == (False, "ECONNREFUSED")


def test_npm_tells_its_version_and_the_registry_it_is_configured_for(
    npm: Npm, npm_executable: tuple[str, ...], environment: dict[str, str], tmp_path: Path
) -> None:
    assert int(npm.version().split(".")[0]) >= 11
    (tmp_path / ".npmrc").write_text("registry=https://r.example/npm\n")
    (tmp_path / "package.json").write_text("{}")
    assert npm.configured_registry(tmp_path) == "https://r.example/npm/"
    overridden = Npm(executable=npm_executable, environment=environment | {"npm_config_registry": "https://o.example"})
    assert overridden.configured_registry(tmp_path) == "https://o.example/"


class _Watch:
    """Looks at the private folders and at the processes that run in them, until told to stop."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self.arguments = self.environments = ""
        self.npmrc_modes: set[int] = set()
        self.folder_modes: set[int] = set()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.is_set():
            for npmrc in self._folder.glob("*/npmrc"):
                self.npmrc_modes |= set(_mode(npmrc))
                self.folder_modes |= set(_mode(npmrc.parent))
            for process in _running_in(self._folder):
                self.arguments += _read(process / "cmdline")
                self.environments += _read(process / "environ")
            time.sleep(0.005)


def _running_in(folder: Path) -> list[Path]:
    return [process for process in Path("/proc").glob("[0-9]*") if _cwd(process).startswith(str(folder))]


def _cwd(process: Path) -> str:
    try:
        return str((process / "cwd").readlink())
    except OSError:
        return ""


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8", "replace")
    except OSError:
        return ""


def _mode(path: Path) -> Iterator[int]:
    try:
        yield path.stat().st_mode & 0o777
    except OSError:
        return


def test_every_failure_is_one_that_flotilla_explains(
    publisher: Publisher, registry: ScriptedRegistry, make: Make
) -> None:
    registry.script("PUT", PUT, Reply(status=418, body={"error": "::error::forged\x1b[2J"}))
    with pytest.raises(FlotillaError) as raised:
        publisher.publish(make())
    assert "\x1b" not in str(raised.value)
