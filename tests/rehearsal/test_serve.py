"""The rehearsal as a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from tests.rehearsal.client import Client
from tests.simulator.serve import github_state, parser, registry_state

from flotilla.rehearsal.github import GitHubState, add_artifact
from flotilla.rehearsal.node import default_cache

COMMIT = "a" * 40


@pytest.fixture
def artifacts(tmp_path: Path) -> Path:
    folder = tmp_path / "artifacts"
    (folder / "tool-linux-x64").mkdir(parents=True)
    (folder / "tool-linux-x64" / "a.tar.gz").write_bytes(b"a")
    (folder / "raw.tar.gz").write_bytes(b"raw")
    return folder


def test_it_says_where_it_is_answers_questions_and_ends_with_its_input(artifacts: Path) -> None:
    command = [sys.executable, "-m", "tests.simulator.serve", "--memory", "--commit", COMMIT]
    process = subprocess.Popen(
        [*command, "--repository", "acme/ffmpeg", "--artifacts", str(artifacts)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdin is not None
        assert process.stdout is not None
        said = json.loads(process.stdout.readline())
        with Client(said["variables"]["GITHUB_API_URL"], token=said["tokens"]["github"]) as api:
            listed = api.get("/repos/acme/ffmpeg/actions/artifacts").json()["artifacts"]
        process.stdin.write("snapshot\nrequests\nnonsense\n")
        process.stdin.close()
        answers = [json.loads(line) for line in process.stdout]
    assert {artifact["name"] for artifact in listed} == {"tool-linux-x64", "raw.tar.gz"}
    assert said["variables"]["GITHUB_SHA"] == COMMIT
    assert set(said) == {"variables", "github", "registry", "tokens", "sigstore_ca"}
    assert answers[0] == {"github": {"tags": {}, "releases": []}, "registry": answers[0]["registry"]}
    assert [request["label"] for request in answers[1]["requests"]] == ["github GET /actions/artifacts"]
    assert "unknown question" in answers[2]["error"]
    assert process.returncode == 0


def test_folders_and_zips_are_artifacts_and_other_files_raw_ones(artifacts: Path) -> None:
    options = parser().parse_args(["--artifacts", str(artifacts), "--ci", "build.yml"])
    state = github_state(options)
    assert {artifact.name: artifact.raw for artifact in state.artifacts} == {
        "raw.tar.gz": True,
        "tool-linux-x64": False,
    }
    assert [run.workflow for run in state.runs] == [".github/workflows/build.yml"]
    zipped = artifacts / "again.zip"
    zipped.write_bytes(next(artifact.content for artifact in state.artifacts if not artifact.raw))
    add_artifact(state, state.runs[0], zipped)
    assert (state.artifacts[-1].name, state.artifacts[-1].raw) == ("again", False)


def test_trust_covers_every_name_of_the_family() -> None:
    trusted = registry_state(parser().parse_args(["--trust", "--workflow", "publish.yml"]))
    assert trusted.trusts_all is not None
    assert (trusted.trusts_all.workflow, trusted.allow_new_names) == ("publish.yml", True)
    assert registry_state(parser().parse_args([])).trusts_all is None
    assert GitHubState.repository == parser().parse_args([]).repository


@pytest.mark.parametrize(
    ("environment", "folder"),
    [
        ({"FLOTILLA_CACHE": "/c", "HOME": "/h"}, "/c"),
        ({"XDG_CACHE_HOME": "/x", "HOME": "/h"}, "/x/flotilla"),
        ({"HOME": "/h"}, "/h/.cache/flotilla"),
    ],
)
def test_the_cache_is_the_users_unless_told_otherwise(environment: dict[str, str], folder: str) -> None:
    assert default_cache(environment) == Path(folder)
