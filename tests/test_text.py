from __future__ import annotations

import pytest
from tests.npm.scripted_registry import jwt

from flotilla.text import defused, escape, one_line, plain, printable, quoted, redact


@pytest.mark.parametrize(
    "text",
    [
        "npm_abcdefghijklmnop0123",
        jwt(sub="x"),
        "Authorization: Bearer secretsecret",
        "//r.example/:_authToken=secretsecret",
        "https://user:secretsecret@r.example/",
        "ghs_" + "secret" * 6,
        "github_pat_" + "secret" * 6,
    ],
)
def test_what_looks_like_a_secret_is_hidden_though_nobody_named_it(text: str) -> None:
    hidden = redact(f"before {text} after")
    assert "secretsecret" not in hidden
    assert "npm_abc" not in hidden
    assert "eyJ" not in hidden
    assert hidden.startswith("before ")
    assert hidden.endswith("after")


def test_named_secrets_are_hidden_whole_though_one_starts_another() -> None:
    assert redact("abcdef abc", ["abc", "abcdef", ""]) == "*** ***"


def test_a_server_s_words_show_what_a_terminal_obeys_and_keep_their_lines() -> None:
    assert plain("a\x1b[31mb\u202ec\x00\r\nd ") == "a\\x1b[31mb\\u202ec\\x00\nd"
    assert plain("x" * 5000, longest=10) == "x" * 10 + "…"


@pytest.mark.parametrize(
    "hidden",
    [
        "\x07", "\x1b", "\x85", "\xad", "\u034f", "\u115f", "\u200b", "\u200d", "\u202e", "\u2028", "\u2066", "\u3164",
        "\ufe0f", "\ufeff", "\ud800", "\U000e0041", "\U000e0101",
    ],
)  # fmt: skip
def test_what_nobody_would_see_is_shown_by_its_number_wherever_text_is_shown(hidden: str) -> None:
    number = hidden.encode("unicode_escape").decode()
    assert escape(f"a{hidden}b") == f"a{number}b"
    assert printable(f"a{hidden}b") == f"a{number}b"
    assert quoted(f"a{hidden}b") == f'"a{number}b"'
    assert defused(f"a{hidden}b") == f"a{number}b"
    assert hidden not in plain(f"a{hidden}b")
    assert hidden not in one_line(f"a{hidden}b")


def test_letters_of_every_alphabet_stay() -> None:
    text = "Zürich 東京 мост नमस्ते 🚢"
    assert escape(text) == one_line(text) == plain(text) == defused(text) == text


def test_a_line_break_in_a_sentence_is_a_space_and_in_a_name_is_shown() -> None:
    assert one_line(" a \r\n\t b ") == "a b"
    assert quoted("a\nb") == '"a\\nb"'


def test_a_name_is_cut_before_it_is_escaped() -> None:
    assert printable("\x00" * 500, longest=2) == "\\x00\\x00…"


@pytest.mark.parametrize("hostile", ["::error::x", " \t::add-mask::x", "a ##[error]x", "\u200b::error::x"])
def test_no_line_is_a_workflow_command(hostile: str) -> None:
    assert not defused(hostile).lstrip().startswith("::")
    assert "##[" not in defused(hostile)
