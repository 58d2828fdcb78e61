"""Which workflow runs a release may come from, each test named after what it stops; and how GitHub tells them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.github.conftest import COMMIT, REPO

from flotilla.errors import GitHubError
from flotilla.github import Failed, NotYet, Running, Succeeded, Trusted, choose_run, run_faults

if TYPE_CHECKING:
    from tests.github.conftest import Maker, ScriptedServer

    from flotilla.github import GitHub

OURS = Trusted(repository="acme/ffmpeg", workflow="ci.yml", commit=COMMIT)
PULL_REQUESTS = Trusted(repository="acme/ffmpeg", workflow="ci.yml", commit=COMMIT, pull_requests=True)


@pytest.mark.parametrize("event", ["push", "workflow_dispatch", "schedule", "release", "merge_group"])
def test_a_run_of_our_own_ci_is_trusted(make: Maker, event: str) -> None:
    assert run_faults(make.a_run(event=event), OURS) == []


def test_names_and_commits_are_compared_in_any_case(make: Maker) -> None:
    run = make.a_run(repository={"full_name": "Acme/FFmpeg"}, head_sha=COMMIT.upper())
    assert run_faults(run, OURS) == []


@pytest.mark.parametrize(
    "path",
    [
        ".github/workflows/ci.yml",
        ".github/workflows/ci.yml@main",
        ".github/workflows/ci.yml@refs/heads/fix@2",
    ],
)
def test_a_workflows_path_counts_without_its_ref(make: Maker, path: str) -> None:
    assert run_faults(make.a_run(path=path), OURS) == []
    assert (
        run_faults(
            make.a_run(path=path), Trusted(repository="acme/ffmpeg", workflow=".github/workflows/ci.yml", commit=COMMIT)
        )
        == []
    )


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"repository": {"full_name": "evil/ffmpeg"}}, "belongs to evil/ffmpeg"),
        ({"head_repository": {"full_name": "evil/ffmpeg"}}, "evil/ffmpeg, a fork"),
        ({"head_repository": None}, "deleted"),
        ({"path": ".github/workflows/other.yml"}, "the workflow .github/workflows/other.yml"),
        ({"path": ".github/workflows/ci.yml@x.yml"}, "the workflow .github/workflows/ci.yml@x.yml"),
        ({"path": "dynamic/github-code-scanning/codeql"}, "the workflow dynamic"),
        ({"head_sha": "0" * 40}, "built commit 0000"),
        ({"head_sha": COMMIT[:39]}, "built commit"),
        ({"event": "pull_request"}, "`pull-requests: true`"),
        ({"event": "pull_request_target"}, "the event pull_request_target"),
        ({"event": "workflow_run"}, "the event workflow_run"),
        ({"event": "issue_comment"}, "the event issue_comment"),
        ({"event": "repository_dispatch"}, "the event repository_dispatch"),
        ({"status": "in_progress", "conclusion": None}, "(in_progress)"),
        ({"conclusion": "failure"}, "did not succeed (failure): https://github.com/acme/ffmpeg/actions/runs/7"),
        ({"conclusion": "cancelled"}, "did not succeed (cancelled)"),
        ({"conclusion": "skipped"}, "did not succeed (skipped)"),
        ({"conclusion": "neutral"}, "did not succeed (neutral)"),
        ({"conclusion": None}, "did not succeed (no conclusion)"),
    ],
)
def test_a_run_that_is_not_ours_is_refused(make: Maker, changed: dict[str, object], said: str) -> None:
    faults = run_faults(make.a_run(7, **changed), OURS)
    assert len(faults) == 1
    assert said in faults[0]


def test_every_fault_of_a_run_is_told_at_once(make: Maker) -> None:
    run = make.a_run(7, head_repository={"full_name": "evil/x"}, event="workflow_run", conclusion="failure")
    assert len(run_faults(run, OURS)) == 3


def test_a_pull_request_of_a_fork_is_refused_even_where_pull_requests_are_allowed(make: Maker) -> None:
    ours = make.a_run(event="pull_request")
    forked = make.a_run(event="pull_request", head_repository={"full_name": "evil/ffmpeg"})
    assert run_faults(ours, PULL_REQUESTS) == []
    assert run_faults(forked, PULL_REQUESTS) == ["Run 7 built a commit of evil/ffmpeg, a fork, not of acme/ffmpeg."]
    assert run_faults(make.a_run(event="pull_request_target"), PULL_REQUESTS) != []


def test_a_bots_pull_request_is_refused_even_where_pull_requests_are_allowed(make: Maker) -> None:
    bot = {"login": "dependabot[bot]", "type": "Bot"}
    (fault,) = run_faults(make.a_run(event="pull_request", actor=bot), PULL_REQUESTS)
    assert "dependabot[bot]" in fault
    assert run_faults(make.a_run(event="push", actor=bot), PULL_REQUESTS) == []


def test_the_runs_that_succeeded_are_told_oldest_first(make: Maker) -> None:
    push, failed, schedule = make.a_run(1), make.a_run(2, conclusion="failure"), make.a_run(3, event="schedule")
    assert choose_run([schedule, failed, push], OURS) == Succeeded(runs=(push, schedule))


def test_a_run_that_goes_on_is_waited_for_while_none_succeeded(make: Maker) -> None:
    failed, queued = make.a_run(1, conclusion="failure"), make.a_run(2, status="queued", conclusion=None)
    assert choose_run([queued, failed], OURS) == Running(run=queued)
    assert choose_run([queued, failed, make.a_run(3)], OURS) == Succeeded(runs=(make.a_run(3),), running=queued)


def test_failed_runs_end_the_wait_newest_first(make: Maker) -> None:
    failed, cancelled = make.a_run(1, conclusion="failure"), make.a_run(2, conclusion="cancelled")
    assert choose_run([failed, cancelled], OURS) == Failed(runs=(cancelled, failed))


def test_no_run_is_waited_for_and_a_strangers_success_is_none(make: Maker) -> None:
    assert choose_run([], OURS) == NotYet()
    forked = make.a_run(head_repository={"full_name": "evil/ffmpeg"})
    choice = choose_run([forked], OURS)
    assert isinstance(choice, NotYet)
    assert "a fork" in choice.refused[0]


def test_a_strangers_failure_does_not_stop_our_run(make: Maker) -> None:
    forked = make.a_run(9, head_repository={"full_name": "evil/ffmpeg"}, conclusion="failure")
    assert choose_run([forked, make.a_run(1)], OURS) == Succeeded(runs=(make.a_run(1),))


REPOSITORY = {"full_name": "acme/ffmpeg", "private": False, "html_url": "https://x", "default_branch": "main"}


def test_a_renamed_repository_is_said_to_be_renamed(github: GitHub, server: ScriptedServer) -> None:
    server.on("GET", REPO, reply=REPOSITORY | {"full_name": "acme/codecs"})
    with pytest.raises(GitHubError, match="acme/ffmpeg is now acme/codecs"):
        github.runs.repository()


def test_a_name_in_another_case_is_no_other_name(github: GitHub, server: ScriptedServer) -> None:
    server.on("GET", REPO, reply=REPOSITORY | {"full_name": "Acme/FFmpeg"})
    assert github.runs.repository().default_branch == "main"


def test_a_renamed_repositorys_redirect_is_not_followed(github: GitHub, server: ScriptedServer) -> None:
    moved = {"Location": f"{server.url}/repositories/7"}
    server.on("GET", REPO, 301, reply={"message": "Moved Permanently"}, headers=moved)
    with pytest.raises(GitHubError, match="was renamed or moved"):
        github.runs.repository()


@pytest.mark.parametrize(
    ("status", "held"), [("ahead", True), ("identical", True), ("behind", False), ("diverged", False)]
)
def test_a_commit_holds_a_base_that_is_behind_it(
    github: GitHub, server: ScriptedServer, status: str, *, held: bool
) -> None:
    server.on("GET", f"{REPO}/compare/feature%2Fx...{COMMIT}?per_page=1", reply={"status": status})
    assert github.runs.holds(COMMIT, "feature/x") is held


def test_a_base_that_github_does_not_know_is_not_held(github: GitHub, server: ScriptedServer) -> None:
    server.on("GET", f"{REPO}/compare/{'0' * 40}...{COMMIT}?per_page=1", 404, reply={"message": "Not Found"})
    assert github.runs.holds(COMMIT, "0" * 40) is False


@pytest.mark.parametrize(
    "who",
    [
        {"actor": {"login": "dependabot[bot]", "type": "Bot"}},
        {"actor": {"login": "octocat", "type": "User"}, "triggering_actor": {"login": "helper", "type": "Bot"}},
        {"actor": {"login": "odd[bot]"}},
    ],
)
def test_a_run_that_a_bot_started_or_started_again_is_a_bots(make: Maker, who: dict[str, Any]) -> None:
    assert make.a_run(**who).bot is not None
    assert make.a_run(actor={"login": "octocat", "type": "User"}).bot is None
