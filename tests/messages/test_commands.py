"""What the commands that a person runs print."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.commands.conftest import Command, artifacts, flotilla, repository  # noqa: F401 - fixtures
from tests.messages.conftest import Golden, Messages
from tests.messages.printed import printed

from flotilla.errors import FlotillaError


@pytest.fixture
def typed(flotilla: Command) -> Callable[..., tuple[str, str]]:  # noqa: F811 - the fixture
    """Run a command; return it as it was typed, and what it printed."""

    def run(*arguments: str) -> tuple[str, str]:
        try:
            text = flotilla(*arguments)
        except FlotillaError as failure:
            text = printed(failure)
        text = re.sub(r"\b[\d.,]+ (bytes|[kM]i?B|B)\b", r"N \1", text)
        text = re.sub(r"sha512-[\w+/=]+…?", "sha512-…", text)
        # How wide a table is depends on the sizes in it.
        return f"flotilla {' '.join(arguments)}", re.sub(r" {2,}", "  ", text) if "check" in arguments else text

    return run


@pytest.mark.slow
def test_what_commands_print(
    golden: Golden,
    typed: Callable[..., tuple[str, str]],
    repository: Path,  # noqa: F811
    artifacts: Path,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    few = repository / "few"
    shutil.copytree(artifacts / "chroma-linux-x64-free", few / "chroma-linux-x64-free")
    (repository / "dist").symlink_to(artifacts)
    (repository / "ledger.json").write_text('{"schema": 1}', encoding="utf-8")

    def said() -> Messages:
        yield typed("plan")
        yield typed("check")
        yield typed("check", "--artifacts", "dist")
        yield typed("check", "--artifacts", "few")
        yield typed("check", "--artifacts", "missing")
        yield typed("plan", "--version", "1.2")
        yield typed("plan", "--config", "other.yml")
        yield typed("init", "--family", "@acme/tool")
        yield typed("verify", "ledger.json")
        yield typed("verify", "missing.json")
        empty = repository / "empty"
        empty.mkdir()
        monkeypatch.chdir(empty)
        yield typed("check")
        yield typed("init", "--family", "@Acme/tool")
        yield typed("init", "--family", "@acme/tool", "--platforms", "linux-x64", "windows-x64")
        yield typed("init", "--family", "@acme/tool")

    golden("commands", said())
