"""What a call prints, as a user reads it."""

from __future__ import annotations

import io
from collections.abc import Callable

from flotilla.errors import FlotillaError
from flotilla.runner import Runner


def refusal(call: Callable[[], object]) -> str:
    """Return the error that a call ends in, as it is printed locally."""
    try:
        call()
    except FlotillaError as failure:
        return printed(failure)
    raise AssertionError("nothing was refused")


def printed(failure: FlotillaError, *, on_github: bool = False) -> str:
    """Return an error as it is printed."""
    out = io.StringIO()
    Runner({"GITHUB_ACTIONS": "true"} if on_github else {}, out).error(failure)
    return out.getvalue()


def shown(text: str) -> str:
    """Return what was written in a file, on the one line of a heading."""
    lines = [" ".join(line.split()) for line in text.strip().splitlines()]
    return " ⏎ ".join(lines) or "(nothing)"
