from __future__ import annotations

import io
import tempfile
import time
from functools import partial
from pathlib import Path

import pytest

from flotilla.errors import ConfigError, Fault, FlotillaError, Place
from flotilla.retry import StopFlag, gather
from flotilla.runner import Runner, temporary_folders
from flotilla.text import defused


@pytest.fixture
def out() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def runner(out: io.StringIO, tmp_path: Path) -> Runner:
    files = {"GITHUB_OUTPUT": str(tmp_path / "output"), "GITHUB_STEP_SUMMARY": str(tmp_path / "summary")}
    return Runner({"GITHUB_ACTIONS": "true", **files}, out)


@pytest.mark.parametrize(
    "hostile",
    [
        "::error::forged",
        "  ::add-mask::a",
        "\t::set-output name=a::b",
        "before\n::error::forged",
        "before\r::error::forged",
        "before\u2028::error::forged",
    ],
)
def test_no_line_from_outside_becomes_a_command(runner: Runner, out: io.StringIO, hostile: str) -> None:
    runner.line(hostile)
    assert not [line for line in out.getvalue().splitlines() if line.lstrip().startswith("::")]


def test_the_old_command_form_is_defused_anywhere_in_a_line() -> None:
    assert "##[" not in defused("text ##[error]forged")


def test_terminal_escapes_are_shown() -> None:
    assert defused("\x1b[2Jgone") == "\\x1b[2Jgone"


def test_an_error_is_one_annotation_whatever_its_lines(runner: Runner, out: io.StringIO) -> None:
    runner.error(FlotillaError(["a: 100%", "b\r\nc"], advice="Do this."))
    assert out.getvalue() == "::error title=Job stopped::- a: 100%25%0A- b%0Ac%0ADo this.\n"


def test_an_annotation_carries_no_order_to_a_terminal_or_to_the_logs_viewer(runner: Runner, out: io.StringIO) -> None:
    runner.error(FlotillaError("a\x1b[2J\n##[group]b\n::error::forged"))
    with runner.group("a\x1b[2J\u202e"):
        pass
    assert not {"\x1b", "\u202e"} & set(out.getvalue())
    assert "##[" not in out.getvalue()
    assert "%0A::" not in out.getvalue()


def test_an_error_in_a_file_carries_its_place(runner: Runner, out: io.StringIO) -> None:
    runner.error(ConfigError(Fault(text="no", place=Place(file="a,b:c.yml", line=3, column=5))))
    assert out.getvalue() == "::error title=Invalid configuration,file=a%2Cb%3Ac.yml,line=3,col=5::a,b:c.yml:3:5: no\n"


def test_a_hostile_file_name_cannot_end_the_properties(runner: Runner, out: io.StringIO) -> None:
    runner.error(ConfigError(Fault(text="x", place=Place(file="a::error::forged\nb"))))
    assert len(out.getvalue().splitlines()) == 1
    assert "::error::forged" not in out.getvalue().split("::")[1]


def test_an_output_cannot_forge_another(runner: Runner, tmp_path: Path) -> None:
    runner.output("one", "value\nflotilla\ntwo=forged")
    first, *_, last = (tmp_path / "output").read_text().splitlines()
    assert first.startswith("one<<flotilla-")
    assert first.partition("<<")[2] == last
    assert last not in "value\nflotilla\ntwo=forged"


def test_two_outputs_never_share_a_delimiter(runner: Runner, tmp_path: Path) -> None:
    runner.output("one", "1")
    runner.output("two", "2")
    lines = (tmp_path / "output").read_text().splitlines()
    assert lines[2] != lines[5]


def test_a_masked_secret_is_blank_everywhere(runner: Runner, out: io.StringIO, tmp_path: Path) -> None:
    runner.mask("canary-1")
    said = out.getvalue()
    runner.line("a canary-1 b")
    runner.warning("canary-1")
    runner.output("o", "canary-1")
    runner.summary("canary-1")
    runner.error(FlotillaError("canary-1", advice="canary-1"))
    with runner.group("canary-1"):
        pass
    assert said == "::add-mask::canary-1\n"
    assert "canary-1" not in out.getvalue().removeprefix(said)
    assert "canary-1" not in (tmp_path / "output").read_text() + (tmp_path / "summary").read_text()


def test_a_secret_that_holds_another_is_blanked_whole(runner: Runner, out: io.StringIO) -> None:
    runner.mask("abc")
    runner.mask("abc-def")
    runner.line("abc-def")
    assert "def" not in out.getvalue().splitlines()[-1]


@pytest.mark.parametrize("given", ["canary-1 ", "\tcanary-1\n", "canary-1\r\n\r\n", " \ncanary-1\n "])
def test_a_secret_pasted_with_blanks_is_masked_without_them(runner: Runner, out: io.StringIO, given: str) -> None:
    runner.mask(given)
    runner.line("a canary-1, b")
    assert out.getvalue() == "::add-mask::canary-1\na ***, b\n"


def test_a_blank_secret_masks_nothing(runner: Runner, out: io.StringIO) -> None:
    runner.mask(" \n\t")
    runner.line("a b")
    assert out.getvalue() == "a b\n"


def test_locally_nothing_is_a_command(out: io.StringIO) -> None:
    runner = Runner({}, out)
    runner.mask("canary")
    runner.error(FlotillaError("no"))
    with runner.group("group"):
        runner.output("name", "value")
    assert out.getvalue() == "error: Job stopped: no\ngroup\nname=value\n"


def test_locally_several_faults_stand_in_a_column(out: io.StringIO) -> None:
    Runner({}, out).error(ConfigError(["one", "two"], advice="Mend both."))
    assert out.getvalue() == "error: Invalid configuration:\n- one\n- two\nMend both.\n"


def test_half_a_character_from_a_server_does_not_break_the_job_s_last_words(tmp_path: Path) -> None:
    """JSON can hold one, and no stream in UTF-8 takes it: the error would end as a traceback."""
    files = {"GITHUB_OUTPUT": str(tmp_path / "output"), "GITHUB_STEP_SUMMARY": str(tmp_path / "summary")}
    with (tmp_path / "log").open("w", encoding="utf-8") as log:
        runner = Runner({"GITHUB_ACTIONS": "true", **files}, log)
        runner.line("a\ud800b")
        runner.error(FlotillaError("a\ud800b", advice="c\udcffd"))
        runner.output("name", "a\ud800b")
        runner.summary("a\ud800b")
        with runner.group("a\ud800b"):
            pass
    for name in ("log", "output", "summary"):
        assert "a\\ud800b" in (tmp_path / name).read_text(encoding="utf-8")


def test_temporary_folders_are_made_in_the_runners_own(tmp_path: Path) -> None:
    before = tempfile.tempdir
    with temporary_folders({"RUNNER_TEMP": str(tmp_path), "TMPDIR": "/nowhere"}), tempfile.TemporaryDirectory() as made:
        assert Path(made).parent == tmp_path
    assert tempfile.tempdir == before
    assert list(tmp_path.iterdir()) == []


def test_a_temporary_folder_that_cannot_be_written_is_no_reason_to_use_the_workspace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python would go on to the current folder; root may write anywhere, so the folder is none at all."""
    monkeypatch.chdir(tmp_path)
    with (
        pytest.raises(FlotillaError, match="/nowhere cannot be written"),
        temporary_folders({"RUNNER_TEMP": "/nowhere/runner", "TMPDIR": "/nowhere"}),
    ):
        pass
    assert list(tmp_path.iterdir()) == []


def test_what_several_threads_print_stays_in_whole_lines() -> None:
    """A mask that is cut in two would hide nothing."""

    class Slow(io.StringIO):
        def write(self, text: str, /) -> int:
            time.sleep(0.001)
            return super().write(text)

    out = Slow()
    runner = Runner({"GITHUB_ACTIONS": "true"}, out)
    secrets = [f"secret{number}" for number in range(20)]
    gather([partial(runner.mask, secret) for secret in secrets], stop=StopFlag())
    assert sorted(out.getvalue().splitlines()) == sorted(f"::add-mask::{secret}" for secret in secrets)
