from __future__ import annotations

import pytest
from tests.npm.scripted_registry import jwt

from flotilla.npm.redaction import plain, redact


@pytest.mark.parametrize(
    "text",
    [
        "npm_abcdefghijklmnop0123",
        jwt(sub="x"),
        "Authorization: Bearer secretsecret",
        "//r.example/:_authToken=secretsecret",
        "https://user:secretsecret@r.example/",
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


def test_a_server_s_words_lose_control_and_direction_characters_and_their_end() -> None:
    assert plain("a\x1b[31mb\r\u202ec\x00\n::error::x") == "a[31mbc\n::error::x"
    assert plain("x" * 5000, longest=10) == "x" * 10 + " …"
