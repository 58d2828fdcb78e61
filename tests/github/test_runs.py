"""Which workflow runs a release may come from, each test named after what it stops; and how GitHub tells them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.github.conftest import COMMIT, REPO

from flotilla.errors import GitHubError, RunError
from flotilla.github import Failed, NotYet, Running, Succeeded, Trusted, choose_run, run_faults

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.github.conftest import Maker, ScriptedServer

    from flotilla.github import GitHub
    from flotilla.github.runs import Runs

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


@pytest.mark.parametrize(
    "run",
    [
        {"event": "pull_request_target"},
        {"event": "pull_request", "head_repository": {"full_name": "evil/ffmpeg"}},
        {"event": "pull_request", "head_repository": None},
    ],
)
def test_only_to_our_own_pull_requests_is_pull_requests_recommended(make: Maker, run: dict[str, object]) -> None:
    fault = run_faults(make.a_run(7, **run), OURS)[-1]
    assert fault == f"Run 7 was started by the event {run['event']}, which flotilla does not trust."


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
    with pytest.raises(GitHubError, match="acme/ffmpeg is now acme/codecs") as refused:
        github.runs.repository()
    assert "a re-run keeps the old name" in refused.value.advice


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


CI_RUNS = f"{REPO}/actions/workflows/ci%20x.yml/runs?head_sha={COMMIT}&per_page=100"


def test_the_runs_of_a_workflow_are_read_newest_first(github: GitHub, server: ScriptedServer, make: Maker) -> None:
    made = [("2026-01-02T00:00:00Z", 1), ("2026-01-03T00:00:00Z", 2), ("2026-01-02T00:00:00Z", 3)]
    listed = [make.run(number, created_at=when) for when, number in made]
    server.on("GET", CI_RUNS, reply={"workflow_runs": listed})
    assert [run.id for run in github.runs.of(".github/workflows/ci x.yml", COMMIT)] == [2, 3, 1]


def test_a_workflow_that_is_not_there_is_named_with_its_key(github: GitHub, server: ScriptedServer) -> None:
    server.on("GET", CI_RUNS, 404, reply={"message": "Not Found"})
    with pytest.raises(RunError, match=r"acme/ffmpeg has no workflow \.github/workflows/ci x\.yml\.") as refused:
        github.runs.of("ci x.yml", COMMIT)
    assert "ci.workflow" in refused.value.advice


def test_a_run_is_read_by_its_id(github: GitHub, server: ScriptedServer, make: Maker) -> None:
    server.on("GET", f"{REPO}/actions/runs/7", reply=make.run(7))
    assert github.runs.get(7) == make.a_run(7)
    server.on("GET", f"{REPO}/actions/runs/8", 404, reply={"message": "Not Found"})
    assert github.runs.get(8) is None


@pytest.mark.parametrize(
    ("target", "read", "what", "needs"),
    [
        (CI_RUNS, lambda runs: runs.of("ci x.yml", COMMIT), "List the runs of ci x.yml", "`actions: read`"),
        (f"{REPO}/actions/runs/7", lambda runs: runs.get(7), "Read run 7", "`actions: read`"),
        (
            f"{REPO}/actions/runs/7/attempts/2/jobs?per_page=100",
            lambda runs: runs.jobs(7, 2),
            "List the jobs of run 7",
            "`actions: read`",
        ),
        (
            f"{REPO}/compare/main...{COMMIT}?per_page=1",
            lambda runs: runs.holds(COMMIT, "main"),
            "Compare main with",
            "",
        ),
        (REPO, lambda runs: runs.repository(), "Read the repository", ""),
    ],
)
def test_a_refusal_says_what_was_read_and_the_permission_for_it(
    github: GitHub, server: ScriptedServer, target: str, read: Callable[[Runs], object], what: str, needs: str
) -> None:
    server.on("GET", target, 403, reply={"message": "Resource not accessible by integration"})
    with pytest.raises(GitHubError, match=what) as refused:
        read(github.runs)
    assert needs in str(refused.value) + refused.value.advice
