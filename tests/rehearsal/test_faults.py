"""The plan numbers requests over all servers, and each kind of fault does what its name says."""

from __future__ import annotations

import socket
import threading
from urllib.parse import urlsplit

import pytest
import requests
from tests.rehearsal.client import Client
from tests.simulator.faults import FaultPlan, Kind, PlannedFault, Request, Server, applicable
from tests.simulator.servers import GitHubServer

from flotilla.rehearsal.github import GitHubState

REF = {"ref": "refs/tags/v1", "sha": GitHubState.commit}


def a_request(server: Server, method: str, path: str) -> Request:
    return Request(n=1, server=server, method=method, path=path, label="", occurrence=1)


def created(state: GitHubState) -> bool:
    return "v1" in state.tags()


def test_requests_are_numbered_over_all_servers_in_the_order_of_arrival(
    api: Client, github: GitHubServer, plan: FaultPlan
) -> None:
    artifact = github.state.add_artifact(github.state.add_run(), "tool", {"a": b"a"})
    with Client("") as blobs:
        blobs.get(api.get(f"/actions/artifacts/{artifact.id}/zip").headers["location"])
    api.get("/releases", query={"per_page": "100"})
    assert [(request.n, request.label, request.status) for request in plan.requests] == [
        (1, "github GET /actions/artifacts/{id}/zip", 302),
        (2, "blobs GET /artifacts/{id}.zip", 200),
        (3, "github GET /releases", 200),
    ]


def test_uploads_are_labelled_by_their_name(github: GitHubServer, api: Client, plan: FaultPlan) -> None:
    release = api.post("/releases", body={"tag_name": "v1", "draft": True}).json()
    with Client("", token=github.state.token) as client:
        client.post(release["upload_url"].split("{")[0], data=b"a", query={"name": "a.tar.gz"})
    assert plan.requests[-1].label == "uploads POST /releases/{id}/assets?a.tar.gz"


def test_a_fault_meets_its_request_only(api: Client, plan: FaultPlan) -> None:
    plan.start([PlannedFault(kind=Kind.ERROR_500, at=2)])
    assert [api.get("").status_code for _call in range(3)] == [200, 500, 200]


def test_a_fault_can_go_by_label_and_last_several_times(api: Client, plan: FaultPlan) -> None:
    plan.start([PlannedFault(kind=Kind.ERROR_502, label="github GET /releases", occurrence=2, times=2)])
    statuses = [api.get(path).status_code for path in ("/releases", "", "/releases", "/releases", "/releases")]
    assert statuses == [200, 200, 502, 502, 200]


def test_a_numbered_fault_lasts_over_requests_of_the_same_label(api: Client, plan: FaultPlan) -> None:
    plan.start([PlannedFault(kind=Kind.ERROR_503, at=1, times=2)])
    assert [api.get(path).status_code for path in ("/releases", "", "/releases", "/releases")] == [503, 200, 503, 200]


@pytest.mark.parametrize(
    ("kind", "status", "took_effect"),
    [
        (Kind.TOO_MANY, 429, False),
        (Kind.ERROR_500, 500, False),
        (Kind.ERROR_502, 502, False),
        (Kind.ERROR_503, 503, False),
        (Kind.SECONDARY_LIMIT, 403, False),
        (Kind.ERROR_503_AFTER, 503, True),
        (Kind.CONFLICT, 409, False),
        (Kind.CONFLICT_AFTER, 409, True),
    ],
)
def test_an_error_is_answered_and_the_write_has_its_effect_or_not(
    api: Client, state: GitHubState, plan: FaultPlan, kind: Kind, status: int, *, took_effect: bool
) -> None:
    plan.start([PlannedFault(kind=kind, at=1, retry_after=7)])
    answer = api.post("/git/refs", body=REF)
    assert (answer.status_code, created(state)) == (status, took_effect)
    waits = kind in (Kind.TOO_MANY, Kind.SECONDARY_LIMIT, Kind.ERROR_503)
    assert answer.headers.get("retry-after") == ("7" if waits else None)


@pytest.mark.parametrize(
    ("kind", "took_effect"),
    [
        (Kind.RESET_BEFORE, False),
        (Kind.RESET_AFTER, True),
        (Kind.TRUNCATE, True),
        (Kind.STALL, True),
        (Kind.KILL_BEFORE, False),
        (Kind.KILL_AFTER, True),
        (Kind.CANCEL, True),
    ],
)
def test_a_cut_connection_gives_no_answer_and_the_write_has_its_effect_or_not(
    api: Client, state: GitHubState, plan: FaultPlan, kind: Kind, *, took_effect: bool
) -> None:
    killed: list[bool] = []
    cancelled: list[bool] = []
    plan.kill = lambda: killed.append(created(state))
    plan.cancel = lambda: cancelled.append(created(state))
    plan.start([PlannedFault(kind=kind, at=1)])
    with pytest.raises(requests.RequestException):
        api.post("/git/refs", body=REF)
    assert created(state) is took_effect
    assert killed == ([took_effect] if "kill" in kind else [])
    assert cancelled == ([False] if kind is Kind.CANCEL else [])


def test_a_truncated_body_is_cut_half_way(api: Client, plan: FaultPlan) -> None:
    whole = len(api.get("").content)
    plan.start([PlannedFault(kind=Kind.TRUNCATE, at=1)])
    with requests.get(f"{api.origin}", stream=True, timeout=10) as answer:
        assert int(answer.headers["content-length"]) == whole
        assert len(answer.raw.read(whole // 2)) == whole // 2
        with pytest.raises(requests.exceptions.ChunkedEncodingError):
            b"".join(answer.iter_content(1024))


def test_a_stale_answer_is_what_was_before_the_last_write(api: Client, plan: FaultPlan) -> None:
    api.post("/releases", body={"tag_name": "v1", "draft": True})
    api.post("/releases", body={"tag_name": "v2", "draft": True})
    plan.start([PlannedFault(kind=Kind.STALE, at=1)])
    assert [release["tag_name"] for release in api.get("/releases").json()] == ["v1"]
    assert [release["tag_name"] for release in api.get("/releases").json()] == ["v2", "v1"]


def test_a_502_on_an_upload_leaves_a_starter_that_blocks_its_name(
    api: Client, github: GitHubServer, plan: FaultPlan
) -> None:
    release = api.post("/releases", body={"tag_name": "v1", "draft": True}).json()
    url = release["upload_url"].split("{")[0]
    plan.start([PlannedFault(kind=Kind.STARTER, at=1)])
    with Client("", token=github.state.token) as client:
        statuses = [client.post(url, data=b"a", query={"name": "a.tar.gz"}).status_code for _try in range(2)]
    assert statuses == [502, 422]
    (asset,) = api.get(f"/releases/{release['id']}/assets").json()
    assert (asset["state"], asset["size"], asset["digest"]) == ("starter", 0, None)
    assert api.send("DELETE", f"/releases/assets/{asset['id']}").status_code == 204


def test_an_upload_cut_by_the_client_leaves_a_starter(
    api: Client, github: GitHubServer, state: GitHubState, plan: FaultPlan
) -> None:
    release = api.post("/releases", body={"tag_name": "v1", "draft": True}).json()
    ended = threading.Event()
    plan.on_request = lambda _request, phase: ended.set() if phase == "after" else None
    address = urlsplit(github.origins.uploads)
    path = urlsplit(release["upload_url"]).path.split("{")[0]
    head = f"POST {path}?name=a.tar.gz HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {state.token}\r\n"
    with socket.create_connection((address.hostname, address.port)) as connection:
        connection.sendall(f"{head}Content-Length: 100\r\n\r\nonly a part".encode())
    assert ended.wait(5)
    assert [(asset.name, asset.state) for asset in state.releases[0].assets] == [("a.tar.gz", "starter")]


def test_each_request_is_told_before_and_after(api: Client, plan: FaultPlan) -> None:
    told: list[tuple[int, str, int | None]] = []
    plan.on_request = lambda request, phase: told.append((request.n, phase, request.status))
    api.get("")
    assert told == [(1, "before", None), (1, "after", 200)]


def test_which_faults_apply_depends_on_the_request_alone() -> None:
    read, write = a_request("github", "GET", "/repos/acme/tool/releases"), a_request("github", "POST", "/git/refs")
    assert Kind.STALE in applicable(read)
    assert Kind.RESET_AFTER not in applicable(read)
    assert {Kind.RESET_AFTER, Kind.SECONDARY_LIMIT, Kind.KILL_AFTER} <= set(applicable(write))
    assert Kind.STARTER in applicable(a_request("uploads", "POST", "/releases/1/assets"))
    assert Kind.CANCEL in applicable(a_request("blobs", "GET", "/artifacts/1.zip"))
    assert Kind.CANCEL not in applicable(write)
    assert Kind.CONFLICT_AFTER in applicable(a_request("registry", "PUT", "/@acme%2ftool"))
    assert Kind.STALE in applicable(a_request("registry", "GET", "/@acme%2ftool"))
    assert Kind.STALE not in applicable(a_request("registry", "GET", "/@acme%2ftool?write=true"))
    assert Kind.SECONDARY_LIMIT not in applicable(a_request("registry", "GET", "/@acme%2ftool"))
