"""Each request that a client may send, and each reply of the simulator, against GitHub's own description."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.rehearsal.client import Client
from tests.rehearsal.openapi import Description
from tests.simulator.servers import GitHubServer

from flotilla.rehearsal.github import API_ROUTES, GitHubState

COMMIT = GitHubState.commit
REPOSITORY = "/repos/acme/tool"


class Checked:
    """Sends requests, and holds each and its reply against the description."""

    def __init__(self, github: GitHubServer, description: Description) -> None:
        self.github = github
        self.seen: set[str] = set()
        self._description = description
        self._client = Client("", token=github.state.token)

    def __call__(
        self, method: str, path: str, status: int, body: object = None, data: bytes | None = None, **query: str
    ) -> dict[str, object]:
        origin = self.github.origins.uploads if data is not None else self.github.origins.api
        operation = self._description.operation(method, f"{REPOSITORY}{path}")
        assert self._description.request_faults(operation, body, query) == []
        answer = self._client.send(method, f"{origin}{REPOSITORY}{path}", body=body, data=data, query=query)
        assert answer.status_code == status, answer.text
        reply = answer.json() if answer.content else None
        assert self._description.reply_faults(operation, status, reply) == []
        self.seen.add(operation.id)
        return reply if isinstance(reply, dict) else {}

    def close(self) -> None:
        self._client.close()


@pytest.fixture
def checked(github: GitHubServer, description: Description) -> Iterator[Checked]:
    sender = Checked(github, description)
    yield sender
    sender.close()


def test_actions_replies_are_as_github_describes_them(checked: Checked, state: GitHubState) -> None:
    run = state.add_run()
    state.add_job(run, "build")
    state.add_job(run, "release", None)
    state.add_job(run, "publish", None, status="queued")
    whole = state.add_artifact(run, "tool-linux-x64", {"a.txt": b"a"})
    old = state.add_artifact(run, "tool-old", {"a.txt": b"a"}, expired=True, digest=None)
    state.private = True
    checked("GET", "", 200)
    checked("GET", "/actions/oidc/customization/sub", 200)
    checked("GET", "/actions/workflows", 200)
    checked("GET", "/actions/workflows/ci.yml", 200)
    checked("GET", "/actions/workflows/ci.yml/runs", 200, head_sha=COMMIT, event="push", per_page="100")
    checked("GET", "/actions/runs", 200, head_sha=COMMIT)
    checked("GET", f"/actions/runs/{run.id}", 200)
    checked("GET", f"/actions/runs/{run.id}/jobs", 200, filter="all")
    checked("GET", f"/actions/runs/{run.id}/attempts/1/jobs", 200, per_page="100")
    checked("GET", f"/actions/runs/{run.id}/artifacts", 200, name="tool-linux-x64", direction="desc")
    checked("GET", "/actions/artifacts", 200, name="tool-old")
    checked("GET", f"/actions/artifacts/{old.id}", 200)
    checked("GET", f"/actions/artifacts/{whole.id}/zip", 302)
    checked("GET", f"/actions/artifacts/{old.id}/zip", 410)


def test_git_replies_are_as_github_describes_them(checked: Checked, state: GitHubState) -> None:
    tag = {"tag": "v1.0.0", "message": "v1.0.0", "object": COMMIT, "type": "commit"}
    annotated = checked("POST", "/git/tags", 201, tag)
    checked("GET", f"/git/tags/{annotated['sha']}", 200)
    checked("POST", "/git/refs", 201, {"ref": "refs/tags/v1.0.0", "sha": annotated["sha"]})
    checked("POST", "/git/refs", 422, {"ref": "refs/tags/v1.0.0", "sha": COMMIT})
    checked("GET", "/git/ref/tags/v1.0.0", 200)
    checked("GET", "/git/ref/tags/v2.0.0", 404)
    checked("GET", "/git/matching-refs/tags/v1", 200)
    checked("GET", f"/git/commits/{COMMIT}", 200)
    checked("GET", "/commits/v1.0.0", 200)
    checked("GET", "/commits/v2.0.0", 422)
    checked("PATCH", "/git/refs/tags/v1.0.0", 200, {"sha": COMMIT, "force": True})
    checked("DELETE", "/git/refs/tags/v1.0.0", 204)
    assert state.tags() == {}


def test_release_replies_are_as_github_describes_them(checked: Checked) -> None:
    draft = {"tag_name": "v1.0.0", "name": "v1.0.0", "body": "notes", "draft": True, "prerelease": False}
    release = checked("POST", "/releases", 201, draft)
    here = f"/releases/{release['id']}"
    asset = checked("POST", f"{here}/assets", 201, data=b"bytes", name="tool.tar.gz")
    checked("GET", f"{here}/assets", 200)
    checked("GET", f"/releases/assets/{asset['id']}", 200)
    checked("PATCH", f"/releases/assets/{asset['id']}", 200, {"name": "renamed.tar.gz"})
    checked("GET", "/releases", 200, per_page="100", page="1")
    checked("GET", "/releases/tags/v1.0.0", 404)
    checked("PATCH", here, 200, {"draft": False, "make_latest": "true"})
    checked("GET", here, 200)
    checked("GET", "/releases/latest", 200)
    checked("GET", "/releases/tags/v1.0.0", 200)
    checked("POST", "/releases", 422, {**draft, "draft": False})
    checked("POST", "/releases/generate-notes", 200, {"tag_name": "v1.0.0"})
    checked("DELETE", f"/releases/assets/{asset['id']}", 204)
    checked("DELETE", here, 204)


def test_every_route_of_the_simulator_is_an_operation_of_github(description: Description) -> None:
    for method, template, _handler in API_ROUTES:
        path = template.replace("{workflow:.+}", "1").replace("{ref:.+}", "tags/v1").replace("{ref:.*}", "tags/v1")
        assert description.operation(method, path.replace("{tag:.+}", "v1")).id


def test_the_description_notices_a_wrong_reply(description: Description) -> None:
    operation = description.operation("GET", f"{REPOSITORY}/git/ref/tags/v1")
    reply = {"ref": 1, "node_id": "x", "url": "nowhere", "object": {"sha": "0" * 40, "type": "tag"}, "extra": 1}
    faults = " ".join(description.reply_faults(operation, 200, reply))
    for part in (
        "ref: 1 is not of type",
        "'nowhere' is not a 'uri'",
        "'url' is a required property",
        "extra: GitHub has no",
    ):
        assert part in faults
