from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from flotilla.errors import ConflictError, GitHubError
from flotilla.github import GitHub

if TYPE_CHECKING:
    from tests.conftest import RecordedClock
    from tests.github.conftest import ScriptedServer

REPO = "/repos/acme/ffmpeg"
REF = f"{REPO}/git/ref/tags/v1.0.0"
REFS = f"{REPO}/git/refs"
COMMIT = "c0ffee" * 6 + "c0ff"
OTHER = "0" * 40


def ref(commit: str, kind: str = "commit", name: str = "v1.0.0") -> dict[str, object]:
    return {"ref": f"refs/tags/{name}", "object": {"type": kind, "sha": commit}}


def test_a_tag_that_is_not_there_is_an_answer(server: ScriptedServer, github: GitHub) -> None:
    server.on("GET", REF, 404, reply={"message": "Not Found"})
    assert github.tags.commit("v1.0.0") is None


def test_an_annotated_tag_stands_for_its_commit(server: ScriptedServer, github: GitHub) -> None:
    server.on("GET", REF, reply=ref("a" * 40, "tag"))
    server.on("GET", f"{REPO}/git/tags/{'a' * 40}", reply={"object": {"type": "tag", "sha": "b" * 40}})
    server.on("GET", f"{REPO}/git/tags/{'b' * 40}", reply={"object": {"type": "commit", "sha": COMMIT.upper()}})
    assert github.tags.commit("v1.0.0") == COMMIT


def test_tags_in_an_endless_ring_are_refused(server: ScriptedServer, github: GitHub) -> None:
    server.on("GET", REF, reply=ref("a" * 40, "tag"))
    for _ in range(5):
        server.on("GET", f"{REPO}/git/tags/{'a' * 40}", reply={"object": {"type": "tag", "sha": "a" * 40}})
    with pytest.raises(GitHubError, match=r"v1\.0\.0"):
        github.tags.commit("v1.0.0")


def test_a_tag_of_a_file_is_refused(server: ScriptedServer, github: GitHub) -> None:
    server.on("GET", REF, reply=ref("a" * 40, "blob"))
    with pytest.raises(GitHubError, match=r"v1\.0\.0"):
        github.tags.commit("v1.0.0")


def test_an_answer_about_another_tag_is_refused(server: ScriptedServer, github: GitHub) -> None:
    server.on("GET", REF, reply=ref(COMMIT, name="v1.0.0-rc.1"))
    with pytest.raises(GitHubError, match=r"it is about refs/tags/v1\.0\.0-rc\.1"):
        github.tags.commit("v1.0.0")


def test_a_tags_name_cannot_leave_its_path(server: ScriptedServer, github: GitHub) -> None:
    server.on("GET", f"{REPO}/git/ref/tags/%40acme/x%401.0%3Fy%23z", reply=ref(COMMIT, name="@acme/x@1.0?y#z"))
    assert github.tags.commit("@acme/x@1.0?y#z") == COMMIT


def test_a_new_tag_takes_one_request(server: ScriptedServer, github: GitHub) -> None:
    server.on("POST", REFS, 201, reply=ref(COMMIT))
    github.tags.create("v1.0.0", COMMIT)
    assert server.seen[0].document == {"ref": "refs/tags/v1.0.0", "sha": COMMIT}


def test_a_tag_that_is_there_at_this_commit_is_kept(server: ScriptedServer, github: GitHub) -> None:
    server.on("POST", REFS, 422, reply={"message": "Reference already exists"})
    server.on("GET", REF, reply=ref(COMMIT))
    github.tags.create("v1.0.0", COMMIT)


def test_a_tag_at_another_commit_is_refused(server: ScriptedServer, github: GitHub) -> None:
    server.on("POST", REFS, 422, reply={"message": "Reference already exists"})
    server.on("GET", REF, reply=ref(OTHER))
    with pytest.raises(ConflictError, match=f"{OTHER}.* {COMMIT}"):
        github.tags.create("v1.0.0", COMMIT)


def test_a_tag_whose_answer_was_lost_is_not_sent_twice(
    server: ScriptedServer, github: GitHub, recorded_clock: RecordedClock
) -> None:
    server.drop("POST", REFS)
    server.on("GET", REF, reply=ref(COMMIT))
    github.tags.create("v1.0.0", COMMIT)
    assert server.requests() == [f"POST {REFS}", f"GET {REF}"]
    assert recorded_clock.slept == [2]


def test_a_lost_answer_that_hid_another_commit_is_refused(server: ScriptedServer, github: GitHub) -> None:
    server.on("POST", REFS, 502)
    server.on("GET", REF, reply=ref(OTHER))
    with pytest.raises(ConflictError):
        github.tags.create("v1.0.0", COMMIT)


def test_a_tag_that_did_not_come_through_is_sent_again(server: ScriptedServer, github: GitHub) -> None:
    server.drop("POST", REFS)
    server.on("GET", REF, 404)
    server.on("POST", REFS, 201, reply=ref(COMMIT))
    github.tags.create("v1.0.0", COMMIT)


def test_a_tag_that_exists_and_does_not_show_yet_is_waited_for(server: ScriptedServer, github: GitHub) -> None:
    for _ in range(2):
        server.on("POST", REFS, 422, reply={"message": "Reference already exists"})
    server.on("GET", REF, 404)
    server.on("GET", REF, reply=ref(COMMIT))
    github.tags.create("v1.0.0", COMMIT)


def test_a_rate_limit_on_a_write_needs_no_look(
    server: ScriptedServer, github: GitHub, recorded_clock: RecordedClock
) -> None:
    server.on("POST", REFS, 403, reply={"message": "Slow down"}, headers={"Retry-After": "30"})
    server.on("POST", REFS, 201, reply=ref(COMMIT))
    github.tags.create("v1.0.0", COMMIT)
    assert recorded_clock.slept == [31]


@pytest.mark.parametrize(
    ("status", "message", "said"),
    [
        (422, "Object does not exist", f"commit {COMMIT} in acme/ffmpeg"),
        (422, "Repository rule violations found", "ruleset"),
        (403, "Resource not accessible by integration", "need `contents: write`"),
        (404, "Not Found", "`.github/workflows`"),
        (307, "Moved", "renamed or moved"),
    ],
)
def test_a_refused_tag_is_explained(
    server: ScriptedServer, github: GitHub, status: int, message: str, said: str
) -> None:
    server.on("POST", REFS, status, reply={"message": message})
    if status == 422:
        server.on("GET", REF, 404)
    with pytest.raises(GitHubError) as refused:
        github.tags.create("v1.0.0", COMMIT)
    assert said in str(refused.value)
