"""Golden files: what users read, as the code says it, held against tests/messages/*.txt.

`make messages` writes the files anew. A change of words is then one diff, and no other test asserts a whole sentence.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent
RENEW = "FLOTILLA_RENEW_MESSAGES"

Messages = Iterable[tuple[str, str]]
Golden = Callable[[str, Messages], None]


@pytest.fixture
def golden() -> Golden:
    """Hold messages, each under a heading that says how it comes about, against the file of that name."""

    def hold(name: str, messages: Messages) -> None:
        text = "\n".join(f"=== {heading}".rstrip() + f"\n{message.rstrip()}\n" for heading, message in messages)
        file = FOLDER / f"{name}.txt"
        if os.environ.get(RENEW):
            file.write_text(text, encoding="utf-8")
        assert file.exists(), "create it with `make messages`"
        assert file.read_text(encoding="utf-8") == text, "run `make messages`, and review the diff of the words"

    return hold
