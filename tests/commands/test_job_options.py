"""The command line: its help, its options, its exit statuses."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, entry_points, version
from unittest.mock import Mock

import pytest
from scripts.interface import JOB_INPUTS, ROOT, job_inputs

from flotilla.__main__ import JOBS, main, run
from flotilla.commands.command_line import COMMANDS as GROUP
from flotilla.commands.command_line import SHELLS
from flotilla.jobs.inputs import with_options
from flotilla.runner import Runner

COMMANDS = ("init", "plan", "check", "rehearse", "verify", "doctor", "completion")


def typed(*arguments: str) -> int:
    return run(arguments, {}, Runner({}, sys.stdout))


def test_the_help_names_every_command_and_every_job(capsys: pytest.CaptureFixture[str]) -> None:
    assert typed("--help") == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "Release families of npm packages with prebuilt native binaries." in said
    for name in (*COMMANDS, *JOBS):
        assert name in said


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_a_help_of_its_own(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert typed(command, "--help") == 0
    assert f"Usage: flotilla {command}" in capsys.readouterr().out


@pytest.mark.parametrize("job", JOBS)
def test_a_jobs_help_offers_its_inputs_and_no_token(job: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert typed(job, "--help") == 0
    said = capsys.readouterr().out
    assert "--version" in said
    assert "--dry-run" in said
    assert "-token " not in said


def test_what_the_help_of_a_job_says_of_its_inputs_is_what_its_action_says() -> None:
    assert json.loads((ROOT / JOB_INPUTS).read_text(encoding="utf-8")) == job_inputs(), "make snapshot"


@pytest.mark.parametrize("option", ["--npm-token=x", "--github-token=x", "--npm-tok=x", "--versio=1"])
def test_a_token_is_no_option_and_no_option_is_guessed(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert typed("release", option) == 2
    assert "No such option" in capsys.readouterr().err


def test_the_version_is_told_that_is_installed(capsys: pytest.CaptureFixture[str]) -> None:
    assert typed("--version") == 0
    assert capsys.readouterr().out == f"flotilla {version('flotilla')}\n"


def test_the_image_where_the_library_is_only_copied_has_every_command_and_no_version(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.metadata.distribution", Mock(side_effect=PackageNotFoundError("flotilla")))
    monkeypatch.delitem(sys.modules, "flotilla.commands.command_line")
    assert typed("verify", "--help") == 0
    assert typed("--version") == 0
    assert "not installed" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (["--platforms", "linux-x64", "win32-x64", "--family", "x"], ["linux-x64", "win32-x64"]),
        (["--platforms", "linux-x64", "--platforms", "win32-x64"], ["linux-x64", "win32-x64"]),
        (["--platforms=linux-x64"], ["linux-x64"]),
    ],
)
def test_several_platforms_are_given_after_one_option_or_with_one_each(words: list[str], wanted: list[str]) -> None:
    context = GROUP.commands["init"].make_context("init", [*words])
    assert [*context.params["platforms"]] == wanted


def test_platforms_without_a_word_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert typed("init", "--platforms") == 2
    assert "--platforms" in capsys.readouterr().err


@pytest.mark.parametrize("shell", SHELLS)
def test_a_shell_gets_completions_of_commands_jobs_and_options(
    shell: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert typed("completion", shell) == 0
    assert "_FLOTILLA_COMPLETE" in capsys.readouterr().out
    for words, wanted in (
        ("flotilla publish-", "publish-platform"),
        ("flotilla publish-meta --pau", "--pause-seconds"),
    ):
        monkeypatch.setenv("_FLOTILLA_COMPLETE", f"{shell}_complete")
        monkeypatch.setenv("COMP_WORDS", words)
        monkeypatch.setenv("COMP_CWORD", words.rpartition(" ")[2] if shell == "fish" else str(words.count(" ")))
        with pytest.raises(SystemExit):
            typed()
        assert wanted in capsys.readouterr().out


def test_an_option_of_a_job_is_its_input(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[Mapping[str, str]] = []

    def started(_name: str, _environment: object, _runner: Runner, variables: Mapping[str, str]) -> int:
        given.append(variables)
        return 3

    monkeypatch.setattr("flotilla.__main__.run_job", started)
    assert typed("publish-platform", "--run-id", "7", "--platform=linux-x64") == 3
    assert given == [{"INPUT_RUN-ID": "7", "INPUT_PLATFORM": "linux-x64"}]


def test_options_go_before_the_variables_and_one_that_is_not_given_leaves_its_variable_alone() -> None:
    given = {"INPUT_VERSION": "1.0.0", "INPUT_RUN-ID": "7", "PATH": "/bin"}
    assert with_options({"INPUT_VERSION": "2.0.0"}, given) == {**given, "INPUT_VERSION": "2.0.0"}


def test_no_command_at_all_is_told_which_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert typed() == 2
    assert "COMMAND" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("words", [["--help"], ["plan", "--json"], ["check"], ["plan", "--config", "none.yml"]])
def test_a_closed_pipe_ends_a_command_without_a_traceback(words: list[str]) -> None:
    """As with `flotilla plan | head -1`."""
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-P", "-m", "flotilla", *words],
        cwd=ROOT / "examples/chroma",
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        timeout=60,
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (1, "")


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
    given = with_options({}, local)
    assert (given["INPUT_GITHUB-TOKEN"], given["INPUT_NPM-TOKEN"]) == ("ghp_x", "npm_x")
    named = with_options({}, local | {"INPUT_NPM-TOKEN": "npm_y"})
    assert named["INPUT_NPM-TOKEN"] == "npm_y"
    assert "INPUT_NPM-TOKEN" not in with_options({}, local | {"GITHUB_ACTIONS": "true"})


def test_the_jobs_load_no_command() -> None:
    loads = "import sys, flotilla.__main__; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", loads], capture_output=True, text=True, check=True, timeout=60)
    modules = loaded.stdout.split()
    assert "flotilla.jobs.inputs" in modules
    assert [name for name in modules if name.startswith(("flotilla.commands.", "click", "packaging"))] == []
