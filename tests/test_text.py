from __future__ import annotations

from pathlib import Path

import pytest
from tests.npm.scripted_registry import jwt

from flotilla.text import (
    as_json,
    defused,
    did_you_mean,
    escape,
    hide,
    is_visible,
    nearest,
    one_line,
    plain,
    printable,
    quoted,
    redact,
    sentence,
    shorten,
)


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
    assert redact("xyz", ["y", "xyz", "z"]) == "***"


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


def test_a_line_keeps_its_tabs_and_what_a_command_says_is_still_to_be_read() -> None:
    assert defused("a\tb") == "a\tb"
    assert defused(" ::error::x") == "·  ::error::x"
    assert defused("a ##[error]x") == "a ## [error]x"


def test_a_space_is_seen_and_a_filler_is_not() -> None:
    assert [is_visible(character) for character in (" ", "a", "\u3164", "\ufe00", "\ufe0f", "\U000e01ef", "\n")] == [
        *(True, True, False, False, False, False, False)
    ]


def test_text_is_cut_only_when_it_is_longer() -> None:
    assert (shorten("abc", 3), shorten("abcd", 3)) == ("abc", "abc…")
    assert [len(shown("x" * 5000)) - 1 for shown in (plain, one_line, printable)] == [2000, 300, 200]
    assert len(quoted("x" * 5000)) == len('"…"') + 200
    assert quoted("abcd", longest=2) == '"ab…"'


def test_a_sentence_begins_with_a_capital_letter() -> None:
    assert [sentence(words) for words in ("npm says no", "Éa", "é", "")] == ["Npm says no", "Éa", "É", ""]


def test_named_secrets_alone_are_hidden() -> None:
    assert hide("abc npm_abcdefghijklmnop0123", iter(["abc", ""])) == "*** npm_***defghijklmnop0123"


def test_a_value_is_json_in_few_characters() -> None:
    assert as_json({"a": None, "b": "é"}) == '{"a": null, "b": "\\u00e9"}'
    assert as_json(Path("x")) == '"x"'
    assert as_json("x" * 78) == f'"{"x" * 78}"'
    assert as_json("x" * 79) == f'"{"x" * 78}…'


WORDS = ("darwin", "linux", "win32", "freebsd", "Big_Word")


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        *(("linus", "linux"), ("DARWN", "darwin"), ("free", "freebsd"), ("win", "win32"), ("wi", None)),
        *(
            ("macos", "darwin"),
            ("MacOS", "darwin"),
            ("big-word", "Big_Word"),
            ("BIG_WORD", "Big_Word"),
            ("plan9", None),
        ),
        *(("", None), ("linux" + "x" * 500, None), ("mac_os", "darwin")),
    ],
)
def test_the_nearest_word_is_another_name_a_beginning_or_a_similar_one(word: str, meant: str | None) -> None:
    assert nearest(word, WORDS, {"macos": "darwin", "mac_os": "darwin"}) == meant


def test_of_two_words_that_begin_so_the_more_similar_one_is_meant() -> None:
    assert nearest("test-all", ("test-allow", "test-all-of-it-and-more")) == "test-allow"
    assert nearest("macos", WORDS) is None


def test_a_wrong_word_is_answered_with_the_nearest_or_with_all() -> None:
    assert did_you_mean("linus", WORDS) == 'did you mean "linux"?'
    assert did_you_mean("macos", WORDS, {"macos": "darwin"}) == 'did you mean "darwin"?'
    assert did_you_mean("q", ("a", "b")) == "expected one of a, b."
    assert did_you_mean("q", ("a",)) == "expected a."
    assert did_you_mean("q", ()) == "there are none."
