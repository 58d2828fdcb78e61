"""The simulated GitHub answers as GitHub was seen to."""

from __future__ import annotations

import pytest
from github import Auth, Github
from tests.rehearsal.client import Client
from tests.simulator.servers import GitHubServer

from flotilla.rehearsal.github import GitHubState, sanitised

COMMIT = GitHubState.commit
OTHER = "f" * 40
WRONG = "ghs_wrong"


def upload(github: GitHubServer, release: int, name: str, content: bytes = b"bytes") -> tuple[int, dict[str, object]]:
    with Client(github.origins.uploads, token=github.state.token) as client:
        url = f"/repos/{github.state.repository}/releases/{release}/assets"
        answer = client.post(url, data=content, query={"name": name})
        return answer.status_code, answer.json()


def draft(api: Client, tag: str = "v1.0.0", **more: object) -> int:
    answer = api.post("/releases", body={"tag_name": tag, "draft": True, **more})
    assert answer.status_code == 201
    return int(answer.json()["id"])


def test_a_wrong_token_is_401_and_no_token_reads_a_public_repository(github: GitHubServer) -> None:
    with Client(f"{github.origins.api}/repos/acme/tool", token=WRONG) as stranger:
        assert stranger.get("").json()["message"] == "Bad credentials"
    with Client(f"{github.origins.api}/repos/acme/tool") as nobody:
        assert nobody.get("").status_code == 200
        assert nobody.post("/git/refs", body={}).status_code == 401
        github.state.private = True
        assert nobody.get("").status_code == 404


def test_another_repository_is_not_found(github: GitHubServer) -> None:
    with Client(github.origins.api, token=github.state.token) as client:
        assert client.get("/repos/acme/other").status_code == 404
        assert client.get("/nowhere").json()["message"] == "Not Found"


def test_without_contents_write_a_write_is_403_and_names_the_permission(api: Client, state: GitHubState) -> None:
    state.permissions = {"contents": "read"}
    answer = api.post("/git/refs", body={"ref": "refs/tags/v1", "sha": COMMIT})
    assert (answer.status_code, answer.json()["message"]) == (403, "Resource not accessible by integration")
    assert answer.headers["x-accepted-github-permissions"] == "contents=write"


def test_rate_limit_headers_count_down_and_then_refuse(api: Client, state: GitHubState) -> None:
    state.rate_remaining, state.rate_reset = 1, 1_800_000_000
    assert api.get("").headers["x-ratelimit-remaining"] == "0"
    refused = api.get("")
    assert refused.status_code == 403
    assert (refused.headers["x-ratelimit-remaining"], refused.headers["x-ratelimit-reset"]) == ("0", "1800000000")


def test_lists_come_in_pages_with_links(api: Client, state: GitHubState) -> None:
    run = state.add_run()
    names = [f"tool-{n:03}" for n in range(35)]
    for name in names:
        state.add_artifact(run, name, {"a": b"a"})
    first = api.get(f"/actions/runs/{run.id}/artifacts")
    assert (first.json()["total_count"], len(first.json()["artifacts"])) == (35, 30)
    assert set(first.links) == {"next", "last"}
    second = api.get(first.links["next"]["url"])
    assert set(second.links) == {"first", "prev"}
    found = first.json()["artifacts"] + second.json()["artifacts"]
    assert sorted(artifact["name"] for artifact in found) == names


def test_an_attempt_lists_its_jobs_and_those_that_it_did_not_run_again(api: Client, state: GitHubState) -> None:
    run = state.add_run(status="in_progress")
    state.add_job(run, "build")
    state.add_job(run, "release", "failure")
    run.attempt = 2
    state.add_job(run, "release", None)

    def jobs(path: str) -> list[tuple[str, int, str]]:
        return [(job["name"], job["run_attempt"], job["status"]) for job in api.get(path).json()["jobs"]]

    first = [("build", 1, "completed"), ("release", 1, "completed")]
    assert jobs(f"/actions/runs/{run.id}/attempts/1/jobs") == first
    assert jobs(f"/actions/runs/{run.id}/attempts/2/jobs") == [first[0], ("release", 2, "in_progress")]
    assert jobs(f"/actions/runs/{run.id}/jobs") == [first[0], ("release", 2, "in_progress")]
    assert len(jobs(f"/actions/runs/{run.id}/jobs?filter=all")) == 3
    assert api.get(f"/actions/runs/{run.id}/attempts/3/jobs").status_code == 404


def test_runs_are_found_by_workflow_commit_and_event_newest_first(api: Client, state: GitHubState) -> None:
    older, newer = state.add_run(), state.add_run(event="schedule")
    state.add_run(workflow="lint.yml")
    state.add_run(commit=OTHER)
    listed = api.get("/actions/workflows/ci.yml/runs", query={"head_sha": COMMIT}).json()["workflow_runs"]
    assert [run["id"] for run in listed] == [newer.id, older.id]
    pushed = api.get("/actions/workflows/ci.yml/runs", query={"head_sha": COMMIT, "event": "push"}).json()
    assert [run["id"] for run in pushed["workflow_runs"]] == [older.id]
    assert api.get("/actions/workflows/none.yml/runs").status_code == 404


def test_a_run_can_be_in_progress_for_some_reads(api: Client, state: GitHubState) -> None:
    run = state.add_run(reads_until_done=1)
    assert api.get(f"/actions/runs/{run.id}").json()["conclusion"] is None
    assert api.get(f"/actions/runs/{run.id}").json()["conclusion"] == "success"


def test_a_ref_that_exists_is_422_without_a_code(api: Client) -> None:
    body = {"ref": "refs/tags/v1", "sha": COMMIT}
    assert api.post("/git/refs", body=body).status_code == 201
    again = api.post("/git/refs", body=body)
    assert (again.status_code, again.json()["message"]) == (422, "Reference already exists")
    assert "errors" not in again.json()


def test_a_ref_to_an_unknown_commit_is_refused(api: Client) -> None:
    assert api.post("/git/refs", body={"ref": "refs/tags/v1", "sha": OTHER}).status_code == 422


def test_an_annotated_tag_must_be_dereferenced(api: Client, state: GitHubState) -> None:
    tag = api.post("/git/tags", body={"tag": "v1", "message": "m", "object": COMMIT, "type": "commit"}).json()
    api.post("/git/refs", body={"ref": "refs/tags/v1", "sha": tag["sha"]})
    assert api.get("/git/ref/tags/v1").json()["object"]["type"] == "tag"
    assert api.get(f"/git/tags/{tag['sha']}").json()["object"]["sha"] == COMMIT
    assert state.tags() == {"v1": COMMIT}


def test_matching_refs_go_by_prefix(api: Client) -> None:
    for name in ("v1.0.0", "v1.0.0-rc.1", "v2.0.0"):
        api.post("/git/refs", body={"ref": f"refs/tags/{name}", "sha": COMMIT})
    found = api.get("/git/matching-refs/tags/v1.0.0").json()
    assert [ref["ref"] for ref in found] == ["refs/tags/v1.0.0", "refs/tags/v1.0.0-rc.1"]


def test_a_draft_is_listed_but_not_found_by_its_tag(api: Client) -> None:
    release = draft(api)
    assert api.get("/releases/tags/v1.0.0").status_code == 404
    assert [shown["id"] for shown in api.get("/releases").json()] == [release]


def test_two_drafts_may_carry_one_tag_but_one_published_release(api: Client) -> None:
    first, second = draft(api), draft(api)
    assert api.send("PATCH", f"/releases/{first}", body={"draft": False}).status_code == 200
    refused = api.send("PATCH", f"/releases/{second}", body={"draft": False})
    assert refused.json()["errors"] == [{"resource": "Release", "field": "tag_name", "code": "already_exists"}]


def test_drafts_are_hidden_from_who_may_not_push(api: Client, state: GitHubState) -> None:
    release = draft(api)
    state.permissions["contents"] = "read"
    assert api.get("/releases").json() == []
    assert api.get(f"/releases/{release}").status_code == 404


def test_publishing_makes_the_tag_and_the_latest_release(api: Client, state: GitHubState) -> None:
    api.send("PATCH", f"/releases/{draft(api)}", body={"draft": False})
    api.send("PATCH", f"/releases/{draft(api, 'v0.9.0')}", body={"draft": False, "make_latest": "false"})
    api.send("PATCH", f"/releases/{draft(api, 'v2.0.0-rc.1', prerelease=True)}", body={"draft": False})
    assert state.tags() == dict.fromkeys(("v0.9.0", "v1.0.0", "v2.0.0-rc.1"), COMMIT)
    assert api.get("/releases/latest").json()["tag_name"] == "v1.0.0"


def test_a_commit_that_changes_workflows_cannot_be_released_by_name(api: Client, state: GitHubState) -> None:
    state.add_commit(OTHER)
    state.workflow_changes.add(OTHER)
    body = {"tag_name": "v1", "draft": True, "target_commitish": OTHER}
    assert api.post("/releases", body=body).status_code == 403
    api.post("/git/refs", body={"ref": "refs/tags/v1", "sha": OTHER})
    assert api.post("/releases", body=body).status_code == 201


def test_notes_for_a_tag_that_is_not_there_need_a_target(api: Client) -> None:
    assert api.post("/releases/generate-notes", body={"tag_name": "v1"}).status_code == 422
    answer = api.post("/releases/generate-notes", body={"tag_name": "v1", "target_commitish": COMMIT})
    assert "v1" in answer.json()["body"]


def test_an_asset_of_the_same_name_is_422_in_githubs_words(api: Client, github: GitHubServer) -> None:
    release = draft(api)
    status, asset = upload(github, release, "tool.tar.gz")
    assert (status, asset["state"]) == (201, "uploaded")
    assert str(asset["digest"]).startswith("sha256:")
    status, refused = upload(github, release, "tool.tar.gz")
    assert (status, refused["errors"]) == (
        422,
        [{"resource": "ReleaseAsset", "field": "name", "code": "already_exists"}],
    )


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ("tool-linux-x64.tar.gz", "tool-linux-x64.tar.gz"),
        ("tool (1).tar.gz", "tool.1.tar.gz"),
        ("Ünïcode~name..gz", "Unicode.name.gz"),
        (".hidden", "default.hidden"),
        ("a+b@c_d.tgz", "a+b@c_d.tgz"),
    ],
)
def test_asset_names_are_stored_as_github_stores_them(given: str, stored: str) -> None:
    assert sanitised(given) == stored


def test_an_immutable_release_keeps_its_assets_and_tag_and_burns_its_name(
    api: Client, github: GitHubServer, state: GitHubState
) -> None:
    state.immutable_releases = True
    release = draft(api)
    _status, asset = upload(github, release, "tool.tar.gz")
    assert api.send("PATCH", f"/releases/{release}", body={"draft": False}).json()["immutable"] is True
    assert upload(github, release, "other.tar.gz")[0] == 422
    assert api.send("DELETE", f"/releases/assets/{asset['id']}").status_code == 422
    assert api.send("PATCH", "/git/refs/tags/v1.0.0", body={"sha": COMMIT}).status_code == 422
    assert api.send("PATCH", f"/releases/{release}", body={"body": "new notes"}).json()["body"] == "new notes"
    assert api.send("DELETE", f"/releases/{release}").status_code == 204
    refused = api.post("/releases", body={"tag_name": "v1.0.0"})
    assert refused.json()["errors"][0]["message"] == "tag_name was used by an immutable release"


def test_a_saved_state_comes_back_whole(api: Client, github: GitHubServer, state: GitHubState) -> None:
    release = draft(api)
    saved = state.saved()
    upload(github, release, "tool.tar.gz")
    api.post("/git/refs", body={"ref": "refs/tags/v1.0.0", "sha": COMMIT})
    changed = state.snapshot()
    github.restore(saved)
    assert state.snapshot() == saved.snapshot() != changed
    assert api.get(f"/releases/{release}").json()["assets"] == []


def test_pygithub_reads_and_writes_through_it(github: GitHubServer, state: GitHubState) -> None:
    run = state.add_run()
    state.add_artifact(run, "tool-linux-x64", {"a.txt": b"a"})
    client = Github(
        base_url=github.origins.api,
        auth=Auth.Token(state.token),
        retry=None,
        seconds_between_requests=0,
        seconds_between_writes=0,
    )
    repository = client.get_repo("acme/tool")
    (found,) = repository.get_workflow("ci.yml").get_runs(head_sha=COMMIT)
    assert [artifact.name for artifact in found.get_artifacts()] == ["tool-linux-x64"]
    repository.create_git_ref("refs/tags/v1.0.0", COMMIT)
    release = repository.create_git_release("v1.0.0", name="v1.0.0", message="notes", draft=True)
    assert [shown.id for shown in repository.get_releases()] == [release.id]
    assert release.upload_url.startswith(github.origins.uploads)
    assert release.update_release("v1.0.0", "notes", draft=False).draft is False
    client.close()
