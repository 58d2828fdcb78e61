"""The words in which an answer of npm is explained, and what is done about it. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from flotilla.npm.reply import NpmAnswer


class Kind(Enum):
    """What flotilla does about an answer."""

    RETRY = "nothing was kept: try again"
    READ_BACK = "the outcome is unknown: ask the registry, then try again"
    THERE = "the registry says that it has the version: ask it which content"
    STAGED = "the registry says that the version is staged"
    REFUSE = "the same again gets the same: stop"


@dataclass(frozen=True, kw_only=True)
class Cause:
    """An answer in plain words."""

    words: str
    kind: Kind
    step: str


@dataclass(frozen=True, kw_only=True)
class Context:
    """What the words of a cause name.

    Args:
        package: name@version.
        trusted: trusted publishing, not a token.
        id_token: the job may ask for id-tokens.
        claims: what npm compares, in words.
        staged: `npm stage publish`.
        trust: the command that sets trusted publishing up.
    """

    package: str
    registry: str
    trusted: bool
    id_token: bool = True
    claims: str = ""
    staged: bool = False
    trust: str = ""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of the table; code and text are patterns, the first row that fits counts."""

    code: str = ".*"
    text: str = ""
    kind: Kind
    words: str
    step: str = ""
    when: Callable[[NpmAnswer, Context], bool] = lambda _answer, _context: True

    def fits(self, answer: NpmAnswer, context: Context) -> bool:
        """Whether this row speaks of that answer."""
        return bool(
            re.fullmatch(self.code, "KILLED" if answer.exit_status is None else answer.code)
            and re.search(self.text, answer.text, re.IGNORECASE)
            and self.when(answer, context)
        )
