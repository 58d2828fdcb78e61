"""The registry answers as npm's was seen to, the same with verdaccio behind it and in memory."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from tests.rehearsal.client import Client
from tests.rehearsal.publishing import TARBALL, published, put
from tests.simulator.faults import FaultPlan, Kind, PlannedFault
from tests.simulator.servers import RegistryServer, wipe

from flotilla.rehearsal.registry import Bucket, Grant

NAME = "@acme/tool-linux-x64"
PATH = "/@acme%2ftool-linux-x64"
TOKEN, WRONG = "npm_rehearsal", "npm_wrong"
INSTALL = {"Accept": "application/vnd.npm.install-v1+json"}

Maker = Callable[..., RegistryServer]


@pytest.fixture
def registry(registry_of: Maker) -> RegistryServer:
    return registry_of()


@pytest.fixture
def client(registry: RegistryServer) -> Client:
    return Client(registry.url, token=TOKEN)


def test_a_published_version_is_in_the_packument_and_its_tarball_is_served(client: Client) -> None:
    assert put(client, NAME, "1.0.0").status_code == 201
    packument = client.get(PATH).json()
    manifest = packument["versions"]["1.0.0"]
    assert packument["dist-tags"] == {"latest": "1.0.0"}
    assert manifest["dist"]["tarball"] == f"{client.origin}/{NAME}/-/tool-linux-x64-1.0.0.tgz"
    assert client.get(manifest["dist"]["tarball"]).content == TARBALL + b"1.0.0"


def test_what_is_not_there_is_404_in_verdaccios_words(client: Client) -> None:
    assert client.get(PATH).json() == {"error": "no such package available"}
    put(client, NAME, "1.0.0")
    missing = client.get(f"/{NAME}/9.9.9")
    assert (missing.status_code, missing.json()) == (404, {"error": "this version doesn't exist: 9.9.9"})
    assert client.get(f"/{NAME}/-/tool-linux-x64-9.9.9.tgz").status_code == 404


def test_a_version_or_a_tag_has_a_document_of_its_own(client: Client) -> None:
    put(client, NAME, "1.0.0")
    put(client, NAME, "2.0.0-rc.1", tag="next")
    assert client.get(f"/{NAME}/1.0.0").json()["version"] == "1.0.0"
    assert client.get(f"/{NAME}/next").json()["version"] == "2.0.0-rc.1"


def test_the_abbreviated_packument_has_what_an_install_needs(client: Client) -> None:
    put(client, NAME, "1.0.0", os=["linux"], cpu=["x64"], optionalDependencies={"@acme/other": "1.0.0"})
    answer = client.get(PATH, headers=INSTALL)
    (manifest,) = answer.json()["versions"].values()
    assert answer.headers["content-type"].startswith("application/vnd.npm.install-v1+json")
    assert set(answer.json()) == {"name", "dist-tags", "versions", "modified"}
    assert (manifest["os"], manifest["cpu"]) == (["linux"], ["x64"])
    assert manifest["optionalDependencies"] == {"@acme/other": "1.0.0"}
    assert "_id" not in manifest


def test_the_first_version_is_latest_whatever_its_tag(client: Client, registry: RegistryServer) -> None:
    put(client, NAME, "1.0.0-rc.1", tag="next")
    tags = {"latest": "1.0.0-rc.1", "next": "1.0.0-rc.1"}
    assert client.get(PATH).json()["dist-tags"] == tags
    assert registry.state.snapshot()["packages"][NAME]["dist-tags"] == tags


def test_a_version_that_exists_is_403_in_npms_words(client: Client) -> None:
    put(client, NAME, "1.0.0")
    again = put(client, NAME, "1.0.0", content=b"other")
    words = "You cannot publish over the previously published versions: 1.0.0."
    assert (again.status_code, again.json()) == (403, {"error": words})


def test_each_accepted_version_is_counted(client: Client, registry: RegistryServer) -> None:
    put(client, NAME, "1.0.0")
    put(client, NAME, "1.0.0")
    put(client, NAME, "1.1.0", tag="next")
    snapshot = registry.state.snapshot()
    assert snapshot["accepted"] == {f"{NAME}@1.0.0": 1, f"{NAME}@1.1.0": 1}
    assert snapshot["packages"][NAME]["dist-tags"] == {"latest": "1.0.0", "next": "1.1.0"}
    assert list(snapshot["packages"][NAME]["versions"]) == ["1.0.0", "1.1.0"]


def test_a_known_answer_is_304(client: Client) -> None:
    put(client, NAME, "1.0.0")
    tag = client.get(PATH).headers["etag"]
    assert client.get(PATH, headers={"If-None-Match": tag}).status_code == 304
    put(client, NAME, "1.0.1")
    assert client.get(PATH, headers={"If-None-Match": tag}).status_code == 200


def test_a_dist_tag_can_be_moved_and_removed(client: Client, registry: RegistryServer) -> None:
    put(client, NAME, "1.0.0")
    put(client, NAME, "1.1.0", tag="next")
    path = f"/-/package{PATH}/dist-tags"
    assert client.put(f"{path}/latest", body="1.1.0").status_code == 201
    assert client.send("DELETE", f"{path}/next").status_code == 201
    assert client.get(path).json() == {"latest": "1.1.0"}
    assert registry.state.snapshot()["packages"][NAME]["dist-tags"] == {"latest": "1.1.0"}


def test_a_stale_answer_lacks_the_last_version_but_a_fresh_read_has_it(client: Client, plan: FaultPlan) -> None:
    put(client, NAME, "1.0.0")
    put(client, NAME, "1.1.0")
    plan.start([PlannedFault(kind=Kind.STALE, at=n) for n in (1, 2, 3)])
    assert list(client.get(PATH).json()["versions"]) == ["1.0.0"]
    assert list(client.get(PATH, headers=INSTALL).json()["versions"]) == ["1.0.0"]
    assert list(client.get(f"{PATH}?write=true").json()["versions"]) == ["1.0.0", "1.1.0"]


def test_a_lost_answer_leaves_the_version_there(client: Client, registry: RegistryServer, plan: FaultPlan) -> None:
    plan.start([PlannedFault(kind=Kind.CONFLICT_AFTER, at=1)])
    lost = put(client, NAME, "1.0.0")
    assert (lost.status_code, "Failed to save packument" in lost.json()["error"]) == (409, True)
    assert registry.state.accepted_counts() == {f"{NAME}@1.0.0": 1}


def test_reset_empties_it(client: Client, registry: RegistryServer) -> None:
    put(client, NAME, "1.0.0")
    registry.reset()
    assert client.get(PATH).status_code == 404
    assert put(client, NAME, "1.0.0").status_code == 201
    assert registry.state.accepted_counts() == {f"{NAME}@1.0.0": 1}


def test_a_large_tarball_goes_through(registry_of: Maker) -> None:
    registry = registry_of(largest_tarball=9_000_000)
    with Client(registry.url, token=TOKEN) as client:
        assert put(client, NAME, "1.0.0", content=bytes(8_000_000)).status_code == 201
        assert len(client.get(f"/{NAME}/-/tool-linux-x64-1.0.0.tgz").content) == 8_000_005
        refused = put(client, NAME, "1.0.1", content=bytes(9_000_000))
    assert refused.status_code == 413


def test_staged_and_published_versions_share_one_index(client: Client, registry: RegistryServer) -> None:
    put(client, NAME, "1.0.0")
    stage = f"/-/stage/package{PATH}"
    assert put(client, NAME, "1.0.0", path=stage).status_code == 403
    stage_id = put(client, NAME, "1.1.0", path=stage).json()["stageId"]
    refused = put(client, NAME, "1.1.0")
    assert (refused.status_code, refused.json()["error"]) == (
        409,
        'Cannot publish over previously staged version "1.1.0"',
    )
    assert client.get("/-/stage?page=0&perPage=100").json()["total"] == 1
    assert client.get(f"/-/stage/{stage_id}").json()["packageName"] == NAME
    assert client.get(f"/-/stage/{stage_id}/tarball").content == TARBALL + b"1.1.0"
    assert list(client.get(PATH).json()["versions"]) == ["1.0.0"]
    assert client.post(f"/-/stage/{stage_id}/approve").status_code == 201
    assert list(client.get(PATH).json()["versions"]) == ["1.0.0", "1.1.0"]
    assert (client.get(f"/-/stage/{stage_id}").status_code, registry.state.snapshot()["staged"]) == (404, {})


def test_a_rejected_version_is_free_again(client: Client) -> None:
    stage_id = put(client, NAME, "1.0.0", path=f"/-/stage/package{PATH}").json()["stageId"]
    assert client.send("DELETE", f"/-/stage/{stage_id}").status_code == 200
    assert put(client, NAME, "1.0.0").status_code == 201


def without_what_differs(document: dict[str, Any]) -> str:
    document.pop("_rev", None)
    document["time"] = sorted(document.get("time", ()))
    document.pop("modified", None)
    return json.dumps(document, sort_keys=True)


@pytest.mark.registry
def test_both_backends_give_the_same_documents(serving: Any, verdaccio: Any, plan: FaultPlan) -> None:
    wipe(verdaccio)
    answers = []
    for backend in (verdaccio, None):
        registry = published(serving, backend, plan, NAME)
        host = registry.url.rstrip("/")
        with Client(registry.url) as client:
            reads = [client.get(PATH), client.get(PATH, headers=INSTALL), client.get(f"/{NAME}/1.1.0")]
            answers.append([(a.status_code, without_what_differs(json.loads(a.text.replace(host, "")))) for a in reads])
            missing = [client.get("/nothing"), client.get(f"/{NAME}/7.0.0"), client.get(f"/{NAME}/-/x-1.0.0.tgz")]
            answers[-1] += [(a.status_code, a.text) for a in missing]
    assert answers[0] == answers[1]


class TestCredentials:
    """Who may publish what; npm's own answers."""

    def test_no_token_is_401_and_a_wrong_one_is_masked_as_404(self, registry: RegistryServer) -> None:
        with Client(registry.url) as nobody, Client(registry.url, token=WRONG) as stranger:
            assert put(nobody, NAME, "1.0.0").status_code == 401
            assert put(stranger, NAME, "1.0.0").status_code == 404

    def test_a_token_for_another_package_is_403(self, registry_of: Maker) -> None:
        registry = registry_of(tokens={TOKEN: Grant(kind="oidc", package="@acme/other")})
        with Client(registry.url, token=TOKEN) as client:
            refused = put(client, NAME, "1.0.0")
        assert (refused.status_code, refused.json()["error"]) == (403, "OIDC permission denied for this action")

    def test_a_stage_only_token_may_stage_but_not_publish_nor_look(self, registry_of: Maker) -> None:
        registry = registry_of(tokens={TOKEN: Grant(kind="oidc", actions=frozenset({"stage"}))})
        with Client(registry.url, token=TOKEN) as client:
            assert put(client, NAME, "1.0.0").status_code == 403
            assert put(client, NAME, "1.0.0", path=f"/-/stage/package{PATH}").status_code == 201
            assert client.get("/-/stage").status_code == 403

    def test_a_token_that_needs_a_one_time_password_says_so(self, registry_of: Maker) -> None:
        with Client(registry_of(tokens={TOKEN: Grant(otp=True)}).url, token=TOKEN) as client:
            refused = put(client, NAME, "1.0.0")
        assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "OTP")

    def test_a_new_scoped_package_that_is_not_said_to_be_public_wants_payment(self, client: Client) -> None:
        assert put(client, NAME, "1.0.0", access=None).status_code == 402

    def test_a_registry_without_staging_is_404(self, registry_of: Maker) -> None:
        with Client(registry_of(staging=False).url, token=TOKEN) as client:
            assert put(client, NAME, "1.0.0", path=f"/-/stage/package{PATH}").status_code == 404


def test_a_bucket_takes_a_burst_and_then_asks_to_wait(registry_of: Maker) -> None:
    registry = registry_of(bucket=Bucket(burst=2, seconds=120))
    with Client(registry.url, token=TOKEN) as client:
        answers = [put(client, NAME, f"1.0.{n}") for n in range(3)]
    assert [answer.status_code for answer in answers] == [201, 201, 429]
    assert 118 <= int(answers[2].headers["retry-after"]) <= 120
    assert Bucket(burst=2, seconds=120).floor(3) == 120


def test_a_bucket_fills_up_again_with_time() -> None:
    bucket = Bucket(burst=2, seconds=10)
    waits = [bucket.take(now) for now in (0, 0, 0, 5, 10, 100, 100, 100)]
    assert waits == [0, 0, 10, 5, 0, 0, 0, 10]


def test_a_cached_packument_is_late_404s_included_and_a_fresh_read_is_not(registry_of: Maker) -> None:
    registry = registry_of(cache_reads=2)
    with Client(registry.url, token=TOKEN) as client:
        assert client.get(PATH).status_code == 404
        put(client, NAME, "1.0.0")
        assert client.get(f"{PATH}?write=true").status_code == 200
        assert client.get(f"/{NAME}/1.0.0").status_code == 200
        assert [client.get(PATH).status_code for _read in range(3)] == [404, 404, 200]
