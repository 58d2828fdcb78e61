"""What `plan` and `check` print of each layout of tests/layouts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.commands.conftest import Command, flotilla  # noqa: F401 - a fixture
from tests.layouts.artifacts import LAYOUTS, make
from tests.messages.conftest import Golden


@pytest.mark.slow
def test_what_is_planned_and_packed_of_each_layout(
    golden: Golden,
    flotilla: Command,  # noqa: F811 - the fixture
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def said() -> Iterator[tuple[str, str]]:
        for layout in sorted(LAYOUTS):
            repository, artifacts = make(layout, tmp_path / layout)
            monkeypatch.chdir(repository)
            for command in (["plan"], ["check", "--artifacts", str(artifacts), "--list"]):
                text = flotilla(*command, "--version", "1.2.3")
                told = f"{layout}: flotilla {' '.join(command)}".replace(str(artifacts), "dist")
                yield told, without_sizes(text) if "check" in command else text

    golden("layouts", said())


def without_sizes(text: str) -> str:
    """Return what is printed of packages without what changes with a compiler: sizes, sums, widths of columns."""
    text = re.sub(r"\b[\d.,]+ (bytes|[kM]i?B|B)\b", r"N \1", text)
    text = re.sub(r"sha512-[\w+/=]+…?", "sha512-…", text)
    text = re.sub(r"\d+  (0[67][45][45])$", r"N  \1", text, flags=re.MULTILINE)
    return re.sub(r"-{4,}", "---", re.sub(r" {2,}", "  ", text))
