"""Runs and their artifacts as GitHub tells them, over HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.github.conftest import COMMIT, REPO

from flotilla.errors import GitHubError

if TYPE_CHECKING:
    from tests.github.conftest import Maker, ScriptedServer

    from flotilla.github import GitHub

REPOSITORY = {"full_name": "acme/ffmpeg", "private": False, "html_url": "https://x", "default_branch": "main"}


def test_a_renamed_repository_is_said_to_be_renamed(github: GitHub, server: ScriptedServer) -> None:
    server.on("GET", REPO, reply=REPOSITORY | {"full_name": "acme/codecs"})
    with pytest.raises(GitHubError, match="acme/ffmpeg is acme/codecs by now"):
        github.repository()


def test_a_name_in_another_case_is_no_other_name(github: GitHub, server: ScriptedServer) -> None:
    server.on("GET", REPO, reply=REPOSITORY | {"full_name": "Acme/FFmpeg"})
    assert github.repository().default_branch == "main"


def test_a_renamed_repositorys_redirect_is_not_followed(github: GitHub, server: ScriptedServer) -> None:
    moved = {"Location": f"{server.url}/repositories/7"}
    server.on("GET", REPO, 301, reply={"message": "Moved Permanently"}, headers=moved)
    with pytest.raises(GitHubError, match="was renamed or moved"):
        github.repository()


@pytest.mark.parametrize(
    ("status", "held"), [("ahead", True), ("identical", True), ("behind", False), ("diverged", False)]
)
def test_a_commit_holds_a_base_that_is_behind_it(
    github: GitHub, server: ScriptedServer, status: str, *, held: bool
) -> None:
    server.on("GET", f"{REPO}/compare/feature%2Fx...{COMMIT}?per_page=1", reply={"status": status})
    assert github.holds(COMMIT, "feature/x") is held


def test_a_base_that_github_does_not_know_is_not_held(github: GitHub, server: ScriptedServer) -> None:
    server.on("GET", f"{REPO}/compare/{'0' * 40}...{COMMIT}?per_page=1", 404, reply={"message": "Not Found"})
    assert github.holds(COMMIT, "0" * 40) is False


def test_an_artifact_of_another_run_is_refused(github: GitHub, server: ScriptedServer, make: Maker) -> None:
    stray = make.artifact(31, workflow_run={"id": 8})
    server.on("GET", f"{REPO}/actions/runs/7/artifacts?per_page=100", reply={"artifacts": [stray]})
    with pytest.raises(GitHubError, match="belongs to run 8, not to 7"):
        github.artifacts(7)


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
