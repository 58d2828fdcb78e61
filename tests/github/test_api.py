from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest

from flotilla.errors import DeadlineError, GitHubError
from flotilla.github import GitHub
from flotilla.github.api import Reply, refusal
from flotilla.retry import TransientError

if TYPE_CHECKING:
    from tests.conftest import RecordedClock
    from tests.github.conftest import Maker, ScriptedServer

REPO = "/repos/acme/ffmpeg"
RUN = f"{REPO}/actions/runs/7"


def test_a_call_carries_the_token_and_the_api_version(server: ScriptedServer, github: GitHub, make: Maker) -> None:
    server.on("GET", RUN, reply=make.run())
    assert github.runs.get(7) == make.a_run()
    headers = server.seen[0].headers
    assert headers["Authorization"].split()[1] == "ghs_canary0123456789"
    assert headers["X-GitHub-Api-Version"] == "2022-11-28"


def test_a_missing_run_is_an_answer(server: ScriptedServer, github: GitHub) -> None:
    server.on("GET", RUN, 404, reply={"message": "Not Found"})
    assert github.runs.get(7) is None


@pytest.mark.parametrize("status", [408, 500, 502, 503, 504])
def test_a_passing_status_is_tried_again(
    server: ScriptedServer, github: GitHub, make: Maker, recorded_clock: RecordedClock, status: int
) -> None:
    server.on("GET", RUN, status)
    server.on("GET", RUN, reply=make.run())
    assert github.runs.get(7) == make.a_run()
    assert recorded_clock.slept == [2]


def test_a_cut_connection_and_a_cut_body_are_tried_again(
    server: ScriptedServer, github: GitHub, make: Maker, recorded_clock: RecordedClock
) -> None:
    server.drop("GET", RUN)
    server.on("GET", RUN, reply=make.run(), cut_at=100)
    server.on("GET", RUN, body=b'{"id": 7, "html_')
    server.on("GET", RUN, reply=make.run())
    assert github.runs.get(7) == make.a_run()
    assert recorded_clock.slept == [2, 4, 8]


@pytest.mark.parametrize(
    ("status", "headers", "message", "slept"),
    [
        (429, {"retry-after": "17"}, "", 17),
        (403, {"retry-after": "17"}, "You have exceeded a secondary rate limit", 17),
        (403, {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "1300"}, "API rate limit exceeded", 300),
        (403, {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "900"}, "API rate limit exceeded", 1),
        (403, {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "soon"}, "API rate limit exceeded", 60),
        (403, {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "1760000000000"}, "API rate limit exceeded", 60),
        (403, {"x-ratelimit-remaining": "12"}, "You have exceeded a secondary rate limit. Wait.", 60),
        (429, {}, "", 60),
        (403, {"x-ratelimit-remaining": "12"}, "Resource not accessible by integration", None),
        (404, {"retry-after": "17"}, "Not Found", None),
    ],
)
def test_a_rate_limit_waits_as_its_headers_say(
    status: int, headers: dict[str, str], message: str, slept: float | None
) -> None:
    failure = refusal(Reply(status=status, headers=headers, document={"message": message}), what="read", now=1000)
    assert (failure.after if isinstance(failure, TransientError) else None) == slept


def test_a_secondary_limit_is_slept_through(
    server: ScriptedServer, github: GitHub, make: Maker, recorded_clock: RecordedClock
) -> None:
    server.on("GET", RUN, 403, reply={"message": "Slow down"}, headers={"Retry-After": "17"})
    server.on("GET", RUN, reply=make.run())
    assert github.runs.get(7) == make.a_run()
    assert recorded_clock.slept == [18]


def test_a_limit_beyond_the_deadline_ends_at_once(
    server: ScriptedServer, github: GitHub, recorded_clock: RecordedClock
) -> None:
    server.on("GET", RUN, 429, headers={"Retry-After": "5000"})
    with pytest.raises(DeadlineError, match=r"read run 7: GitHub's rate limit .*5000 s"):
        github.runs.get(7)
    assert recorded_clock.slept == []


def test_tries_end_with_the_last_answer_in_words(server: ScriptedServer, github: GitHub) -> None:
    for _ in range(12):
        server.on("GET", RUN, 502)
    with pytest.raises(DeadlineError, match=r"read run 7: .*HTTP 502"):
        github.runs.get(7)


def test_a_permission_that_lacks_is_named(
    server: ScriptedServer, github: GitHub, recorded_clock: RecordedClock
) -> None:
    headers = {"X-Accepted-GitHub-Permissions": "contents=write; contents=write,workflows=write"}
    server.on("GET", RUN, 403, reply={"message": "Resource not accessible by integration"}, headers=headers)
    with pytest.raises(GitHubError) as refused:
        github.runs.get(7)
    assert "`contents: write or contents: write, workflows: write`" in str(refused.value)
    assert recorded_clock.slept == []


def test_a_bad_token_is_told_in_words_and_not_shown(server: ScriptedServer, github: GitHub) -> None:
    server.on("GET", RUN, 401, reply={"message": "Bad credentials"})
    with pytest.raises(GitHubError, match=r"Bad credentials[\s\S]*github-token") as refused:
        github.runs.get(7)
    assert "canary" not in str(refused.value)


def test_an_html_page_is_not_taken_for_an_answer(server: ScriptedServer, github: GitHub) -> None:
    server.on("GET", RUN, body=b"<html>Welcome to the proxy", headers={"Content-Type": "text/html"})
    with pytest.raises(GitHubError, match='"<html>Welcome'):
        github.runs.get(7)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"id": "7"}, "has text as 'id'"),
        ({"id": True}, "has a boolean as 'id'"),
        ({"head_sha": None}, "has nothing as 'head_sha'"),
        ({"repository": []}, "expected an object"),
        ({"created_at": "yesterday"}, "'created_at'"),
    ],
)
def test_a_malformed_answer_names_its_field(
    server: ScriptedServer, github: GitHub, make: Maker, changed: dict[str, object], said: str
) -> None:
    server.on("GET", RUN, reply=make.run() | changed)
    with pytest.raises(GitHubError, match=r"read run 7") as refused:
        github.runs.get(7)
    assert said in str(refused.value)


def test_a_hostile_message_cannot_forge_a_line(server: ScriptedServer, github: GitHub) -> None:
    server.on("GET", RUN, 400, reply={"message": "no\n::error::forged\u202e" + "x" * 1000})
    with pytest.raises(GitHubError) as refused:
        github.runs.get(7)
    assert "\n::error" not in str(refused.value)
    assert "\u202e" not in str(refused.value)
    assert len(str(refused.value)) < 500


def test_all_pages_are_read_and_an_item_that_moved_counts_once(
    server: ScriptedServer, github: GitHub, make: Maker
) -> None:
    path = f"{REPO}/actions/runs/7/artifacts"
    following = f"{server.url}{path}?page=2&per_page=100"
    server.on(
        "GET",
        f"{path}?per_page=100",
        reply={"total_count": 3, "artifacts": [make.artifact(31), make.artifact(32)]},
        headers={"Link": f'<{following}>; rel="next", <{following}>; rel="last"'},
    )
    server.on("GET", f"{path}?page=2&per_page=100", 502)
    server.on("GET", f"{path}?page=2&per_page=100", reply={"artifacts": [make.artifact(32), make.artifact(33)]})
    assert [artifact.id for artifact in github.artifacts.of(7)] == [31, 32, 33]


def test_a_next_page_at_another_host_is_refused(
    server: ScriptedServer, storage: ScriptedServer, github: GitHub, make: Maker
) -> None:
    server.on(
        "GET",
        f"{REPO}/actions/runs/7/artifacts?per_page=100",
        reply={"artifacts": [make.artifact()]},
        headers={"Link": f'<{storage.url}/steal>; rel="next"'},
    )
    with pytest.raises(GitHubError, match="next page"):
        github.artifacts.of(7)
    assert storage.seen == []


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_of_a_call_is_not_followed_not_even_at_the_same_host(
    server: ScriptedServer, github: GitHub, status: int
) -> None:
    """The client library would follow 301 and drop the query, so that a filtered list would be the whole list."""
    server.on("GET", RUN, status, headers={"Location": f"{server.url}/repositories/1/actions/runs/7"})
    with pytest.raises(GitHubError, match="was renamed or moved"):
        github.runs.get(7)
    assert len(server.seen) == 1


def test_an_answer_that_is_not_ready_is_asked_for_again_within_the_job_s_time(
    server: ScriptedServer, github: GitHub, make: Maker, recorded_clock: RecordedClock
) -> None:
    server.on("GET", RUN, 202, reply={})
    server.on("GET", RUN, reply=make.run())
    assert github.runs.get(7) == make.a_run()
    assert recorded_clock.slept == [2]


def test_the_client_library_s_own_log_lines_go_nowhere(
    server: ScriptedServer, github: GitHub, make: Maker, capfd: pytest.CaptureFixture[str]
) -> None:
    server.on("GET", RUN, reply=make.run())
    github.runs.get(7)
    logging.getLogger("github.Requester").warning("a canary")
    assert "canary" not in "".join(capfd.readouterr())
