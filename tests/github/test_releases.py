from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from flotilla.errors import ConflictError, GitHubError
from flotilla.github import GitHub, Release, the_release

if TYPE_CHECKING:
    from tests.conftest import RecordedClock
    from tests.github.conftest import Maker, ScriptedServer

RELEASES = "/repos/acme/ffmpeg/releases"
LIST = f"{RELEASES}?per_page=100"
ONE = f"{RELEASES}/90"
IMMUTABLE = {"message": "Validation Failed", "errors": [{"message": "tag_name was used by an immutable release"}]}
TAKEN = {
    "message": "Validation Failed",
    "errors": [{"resource": "Release", "code": "already_exists", "field": "tag_name"}],
}


def draft(github: GitHub) -> Release:
    return github.releases.create_draft("v1.0.0", name="1.0.0", body="Notes", prerelease=False)


def test_releases_of_a_tag_are_found_by_listing(server: ScriptedServer, github: GitHub, make: Maker) -> None:
    other = make.release(91, tag_name="v1.0.0-rc.1")
    server.on("GET", LIST, reply=[other, make.release(90, assets=[make.asset()])])
    (found,) = github.releases.of("v1.0.0")
    assert found == make.a_release(90, assets=[make.asset()])
    assert found.upload_url.endswith("/releases/90/assets")


def test_two_drafts_of_a_tag_are_refused_with_the_way_out(make: Maker) -> None:
    drafts = [make.a_release(90), make.a_release(91)]
    with pytest.raises(ConflictError) as refused:
        the_release(drafts, "v1.0.0")
    assert "releases/90" in str(refused.value)
    assert "releases/91" in str(refused.value)


def test_a_published_release_counts_before_a_stray_draft(make: Maker) -> None:
    published = make.a_release(91, draft=False)
    assert the_release([make.a_release(90), published, make.a_release(92)], "v1.0.0") == published
    assert the_release([make.a_release(90)], "v1.0.0") == make.a_release(90)
    assert the_release([make.a_release(90)], "v2.0.0") is None


def test_a_draft_leaves_the_target_out_and_names_its_tag(server: ScriptedServer, github: GitHub, make: Maker) -> None:
    server.on("GET", LIST, reply=[])
    server.on("POST", RELEASES, 201, reply=make.release())
    server.on("GET", LIST, reply=[])
    assert draft(github) == make.a_release()
    assert server.seen[1].document == {
        "tag_name": "v1.0.0",
        "name": "1.0.0",
        "body": "Notes",
        "draft": True,
        "prerelease": False,
    }


def test_a_draft_that_is_there_is_taken(server: ScriptedServer, github: GitHub, make: Maker) -> None:
    server.on("GET", LIST, reply=[make.release()])
    assert draft(github) == make.a_release()


def test_a_draft_whose_answer_was_lost_is_found_even_where_the_list_is_late(
    server: ScriptedServer, github: GitHub, make: Maker, recorded_clock: RecordedClock
) -> None:
    server.on("GET", LIST, reply=[])
    server.drop("POST", RELEASES)
    server.on("GET", LIST, reply=[])
    server.on("GET", LIST, reply=[])
    server.on("GET", LIST, reply=[make.release()])
    server.on("GET", LIST, reply=[make.release()])
    assert draft(github) == make.a_release()
    assert recorded_clock.slept == [2, 4, 8]
    assert server.requests().count(f"POST {RELEASES}") == 1


def test_a_draft_that_did_not_come_through_is_sent_again_after_three_looks(
    server: ScriptedServer, github: GitHub, make: Maker
) -> None:
    server.on("POST", RELEASES, 502)
    for _ in range(4):
        server.on("GET", LIST, reply=[])
    server.on("POST", RELEASES, 201, reply=make.release())
    server.on("GET", LIST, reply=[make.release()])
    assert draft(github) == make.a_release()


@pytest.mark.parametrize("others", [[91], [90, 91]])
def test_a_draft_that_turns_out_to_be_the_second_is_refused_before_anything_goes_into_it(
    server: ScriptedServer, github: GitHub, make: Maker, others: list[int]
) -> None:
    server.on("GET", LIST, reply=[])
    server.on("POST", RELEASES, 201, reply=make.release())
    server.on("GET", LIST, reply=[make.release(each) for each in others])
    with pytest.raises(ConflictError, match="releases/90 is a draft"):
        draft(github)


def test_a_release_that_is_published_while_ours_is_drafted_is_told(
    server: ScriptedServer, github: GitHub, make: Maker
) -> None:
    server.on("GET", LIST, reply=[])
    server.on("POST", RELEASES, 201, reply=make.release())
    server.on("GET", LIST, reply=[make.release(91, draft=False)])
    with pytest.raises(ConflictError, match=r"v1\.0\.0"):
        draft(github)


def test_a_draft_that_another_job_made_and_ours_are_refused(
    server: ScriptedServer, github: GitHub, make: Maker
) -> None:
    server.on("GET", LIST, reply=[])
    server.on("POST", RELEASES, 500)
    server.on("GET", LIST, reply=[make.release(90), make.release(91)])
    with pytest.raises(ConflictError, match="releases/90 is a draft"):
        draft(github)


def test_a_release_that_is_published_meanwhile_is_told(server: ScriptedServer, github: GitHub, make: Maker) -> None:
    server.on("GET", LIST, reply=[make.release(draft=False)])
    with pytest.raises(ConflictError, match=r"v1\.0\.0"):
        draft(github)


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (IMMUTABLE, r"immutable release has used the tag name v1\.0\.0"),
        (TAKEN, r"the tag v1\.0\.0 is already published"),
    ],
)
def test_a_name_that_is_taken_or_burnt_is_explained(
    server: ScriptedServer, github: GitHub, reply: dict[str, object], said: str
) -> None:
    server.on("GET", LIST, reply=[])
    server.on("POST", RELEASES, 422, reply=reply)
    with pytest.raises(ConflictError, match=said):
        draft(github)


@pytest.mark.parametrize(("status", "message"), [(404, "Not Found"), (403, "Resource not accessible by integration")])
def test_a_refusal_names_permission_and_workflow_files(
    server: ScriptedServer, github: GitHub, status: int, message: str
) -> None:
    server.on("GET", LIST, reply=[])
    headers = {"X-Accepted-GitHub-Permissions": "contents=write"}
    server.on("POST", RELEASES, status, reply={"message": message}, headers=headers)
    with pytest.raises(GitHubError) as refused:
        draft(github)
    assert "`contents: write`" in str(refused.value)
    assert "`.github/workflows`" in str(refused.value)


def test_notes_are_generated_and_not_stored(server: ScriptedServer, github: GitHub) -> None:
    server.on("POST", f"{RELEASES}/generate-notes", 500)
    server.on("POST", f"{RELEASES}/generate-notes", reply={"name": "v1.0.0", "body": "What's Changed"})
    assert github.releases.generate_notes("v1.0.0", "c0ffee") == "What's Changed"
    assert server.seen[1].document == {"tag_name": "v1.0.0", "target_commitish": "c0ffee"}


@pytest.mark.parametrize(
    ("latest", "prerelease", "sent"), [(True, False, "true"), (False, False, "false"), (True, True, "false")]
)
def test_publishing_says_whether_it_is_the_latest(
    server: ScriptedServer,
    github: GitHub,
    make: Maker,
    latest: bool,  # noqa: FBT001 - a column of the table
    prerelease: bool,  # noqa: FBT001 - a column of the table
    sent: str,
) -> None:
    server.on("GET", ONE, reply=make.release(prerelease=prerelease))
    server.on("PATCH", ONE, reply=make.release(draft=False, prerelease=prerelease))
    # What the draft says counts for nothing: a person may have made it.
    published = github.releases.publish(make.a_release(prerelease=not prerelease), latest=latest, prerelease=prerelease)
    assert not published.draft
    assert server.seen[1].document == {
        "tag_name": "v1.0.0",
        "draft": False,
        "prerelease": prerelease,
        "make_latest": sent,
    }


def test_a_published_release_is_left_as_it_is(server: ScriptedServer, github: GitHub, make: Maker) -> None:
    server.on("GET", ONE, reply=make.release(draft=False))
    assert github.releases.publish(make.a_release(), latest=True, prerelease=False) == make.a_release(draft=False)


def test_a_publication_whose_answer_was_lost_is_not_sent_twice(
    server: ScriptedServer, github: GitHub, make: Maker
) -> None:
    server.on("GET", ONE, reply=make.release())
    server.drop("PATCH", ONE)
    server.on("GET", ONE, reply=make.release(draft=False))
    assert github.releases.publish(make.a_release(), latest=True, prerelease=False) == make.a_release(draft=False)
    assert server.requests() == [f"GET {ONE}", f"PATCH {ONE}", f"GET {ONE}"]


def test_a_burnt_tag_is_explained_when_publishing(server: ScriptedServer, github: GitHub, make: Maker) -> None:
    server.on("GET", ONE, reply=make.release())
    server.on("PATCH", ONE, 422, reply=IMMUTABLE)
    with pytest.raises(ConflictError, match="immutable release"):
        github.releases.publish(make.a_release(), latest=True, prerelease=False)


def test_a_release_that_stays_a_draft_is_not_called_published(
    server: ScriptedServer, github: GitHub, make: Maker
) -> None:
    server.on("GET", ONE, reply=make.release())
    server.on("PATCH", ONE, reply=make.release())
    with pytest.raises(GitHubError, match="still a draft"):
        github.releases.publish(make.a_release(), latest=True, prerelease=False)
