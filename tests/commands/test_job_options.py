"""The command line: its help, its options, its exit statuses."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import entry_points

import pytest

from flotilla.__main__ import JOBS, main, run
from flotilla.jobs.inputs import PlatformInputs, ReleaseInputs, with_options
from flotilla.runner import Runner

COMMANDS = ("plan", "check", "init", "rehearse", "verify")


def test_the_help_names_every_command_and_every_job(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        run(["--help"], {}, Runner({}, sys.stdout))
    said = " ".join(capsys.readouterr().out.split())
    assert ended.value.code == 0
    assert "Release families of npm packages with prebuilt native binaries." in said
    for name in (*COMMANDS, *JOBS):
        assert name in said


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_a_help_of_its_own(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        run([command, "--help"], {}, Runner({}, sys.stdout))
    assert ended.value.code == 0
    assert f"usage: flotilla {command}" in capsys.readouterr().out


@pytest.mark.parametrize("job", JOBS)
def test_a_jobs_help_offers_its_inputs_and_no_token(job: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        run([job, "--help"], {}, Runner({}, sys.stdout))
    said = capsys.readouterr().out
    assert ended.value.code == 0
    assert "--version" in said
    assert "--dry-run" in said
    assert "-token" not in said


@pytest.mark.parametrize("option", ["--npm-token=x", "--github-token=x", "--npm-tok=x"])
def test_a_token_is_no_option(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        run(["release", option], {}, Runner({}, sys.stdout))
    assert ended.value.code == 2
    assert "unrecognized arguments" in capsys.readouterr().err


def test_options_are_inputs_and_go_before_the_variables() -> None:
    given = {"INPUT_VERSION": "1.0.0", "INPUT_RUN-ID": "7", "PATH": "/bin"}
    merged = with_options(PlatformInputs, ["publish-platform", "--version", "2.0.0", "--platform=linux-x64"], given)
    assert merged == {
        "INPUT_VERSION": "2.0.0",
        "INPUT_RUN-ID": "7",
        "INPUT_PLATFORM": "linux-x64",
        "PATH": "/bin",
    }


def test_an_option_that_is_not_given_leaves_its_variable_alone() -> None:
    given = {"INPUT_PHASE": "prepare"}
    assert with_options(ReleaseInputs, ["release"], given) == given


def test_no_command_at_all_is_told_which_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        run([], {}, Runner({}, sys.stdout))
    assert ended.value.code == 2
    assert "COMMAND" in capsys.readouterr().err


def test_a_refusal_locally_is_plain_words_and_exit_status_1(tmp_path_factory: pytest.TempPathFactory) -> None:
    done = subprocess.run(
        [sys.executable, "-P", "-m", "flotilla", "plan"],
        cwd=tmp_path_factory.mktemp("empty"),
        env={},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stdout.startswith("error: Invalid configuration: there is no flotilla.yml\n")
    assert done.stderr == ""


def test_main_is_what_the_installed_command_runs() -> None:
    (command,) = entry_points(group="console_scripts", name="flotilla")
    assert command.load() is main


def test_locally_the_tokens_are_those_of_the_environment_and_on_a_runner_only_the_inputs_are() -> None:
    local = {"GITHUB_TOKEN": "ghp_x", "NPM_TOKEN": "npm_x"}
    given = with_options(ReleaseInputs, ["release"], local)
    assert (given["INPUT_GITHUB-TOKEN"], given["INPUT_NPM-TOKEN"]) == ("ghp_x", "npm_x")
    named = with_options(ReleaseInputs, ["release"], local | {"INPUT_NPM-TOKEN": "npm_y"})
    assert named["INPUT_NPM-TOKEN"] == "npm_y"
    assert "INPUT_NPM-TOKEN" not in with_options(ReleaseInputs, ["release"], local | {"GITHUB_ACTIONS": "true"})


def test_the_jobs_load_no_command() -> None:
    ours = "import sys, flotilla.__main__; print(*(m for m in sys.modules if m.startswith('flotilla.commands.')))"
    loaded = subprocess.run([sys.executable, "-c", ours], capture_output=True, text=True, check=True, timeout=60)
    assert loaded.stdout.split() == []
