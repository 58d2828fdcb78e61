"""From a repository without flotilla to a rehearsed release: init, check and rehearse, with no edit but answers."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sysconfig
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest
from tests.commands.conftest import Command, flotilla  # noqa: F401 - a fixture
from tests.init.repositories import REPOSITORIES, make
from tests.messages.conftest import RENEW

each_repository = pytest.mark.parametrize("name", sorted(REPOSITORIES))


class Terminal(io.StringIO):
    """A terminal, as far as a program looks."""

    def isatty(self) -> bool:
        """Return that it is one."""
        return True


class Maintainer:
    """Answers questions at the terminal by a word in them, and takes what is proposed for all others."""

    def __init__(self, name: str) -> None:
        self.answers, self.said = REPOSITORIES[name].answers, list[str]()

    def __call__(self, prompt: str) -> str:
        """Return the answer to a prompt."""
        answer = next((answer for word, answer in self.answers.items() if word in prompt), "")
        self.said.append(f"{prompt}{answer}".rstrip())
        return answer


def checks(text: str) -> str:
    """Return the packages, the assets and the warnings of what `flotilla check` printed."""
    rows = [re.sub(r"^(\S+)( +\d+ .*sha512-.*)$", r"\1", line) for line in text.splitlines()]
    words = ("flotilla.yml and", "Warning", "The release would have")
    return "\n".join(row for row in rows if row.startswith(words) or re.fullmatch(r"[@a-z][\w./-]+", row))


def dateless(text: str) -> str:
    """Return a file's text with VERSION for flotilla's own version."""
    return text.replace(f"/v{metadata.version('flotilla')}/", "/vVERSION/")


def written(folder: Path, before: set[Path]) -> Iterator[str]:
    for file in sorted(set(folder.rglob("*")) - before):
        if file.is_file():
            yield f"--- {file.relative_to(folder).as_posix()}\n{dateless(file.read_text(encoding='utf-8'))}"


def transcript(name: str) -> Path:
    return Path(__file__).parent / "transcripts" / f"{name}.txt"


def hold(name: str, head: str, tail: str | None = None) -> None:
    """Compare what was typed, printed and written with the transcript; without a tail, with how that begins."""
    file = transcript(name)
    kept = file.read_text(encoding="utf-8") if file.exists() else ""
    _, checked, kept_tail = kept.partition("$ flotilla check")
    text = head + (checked + kept_tail if tail is None else tail)
    if os.environ.get(RENEW):
        file.write_text(text, encoding="utf-8")
        return
    assert kept == text, f"renew it: {RENEW}=1 pytest tests/init; review the diff"


def begin(name: str, flotilla: Command, folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:  # noqa: F811
    """Run `flotilla init` in a repository; return what it asked, printed and wrote."""
    maintainer, top = Maintainer(name), folder / "repository"
    monkeypatch.chdir(make(name, folder))
    before = set(top.rglob("*"))
    with monkeypatch.context() as terminal:
        terminal.setattr("builtins.input", maintainer)
        terminal.setattr("sys.stdin", Terminal())
        terminal.setattr("sys.stdout", Terminal())
        told = flotilla("init")
    asked = "".join(f"{line}\n" for line in maintainer.said)
    files = "\n".join(written(top, before))
    answered = [line for line in maintainer.said if not line.endswith("]:")]
    assert len(answered) == len(REPOSITORIES[name].answers), "every answer was asked for"
    return f"$ flotilla init\n{asked}{told}\n{files}\n"


@each_repository
def test_init_asks_and_writes_what_the_transcript_shows(
    name: str,
    flotilla: Command,  # noqa: F811 - the fixture
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    begun = begin(name, flotilla, tmp_path, monkeypatch)
    hold(name, begun)
    [workflow] = re.findall(r"^--- (\.github/workflows/\S+)$", begun, re.MULTILINE)
    linted = [Path(sysconfig.get_path("scripts")) / "actionlint", tmp_path / "repository" / workflow]
    assert subprocess.run(linted, check=False, timeout=60).returncode == 0


@pytest.mark.npm
@pytest.mark.registry
@pytest.mark.slow
@each_repository
def test_a_repository_is_initialized_checked_and_rehearsed_without_an_edit(
    name: str,
    flotilla: Command,  # noqa: F811 - the fixture
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    begun = begin(name, flotilla, tmp_path, monkeypatch)
    REPOSITORIES[name].artifacts(tmp_path / "artifacts")
    common = ("--artifacts", str(tmp_path / "artifacts"), "--version", "1.2.3")
    checked = flotilla("check", *common)
    screen = io.StringIO()
    monkeypatch.setattr("sys.stdout", screen)
    flotilla("rehearse", *common)
    rehearsed = screen.getvalue().splitlines()[-1]
    hold(
        name,
        begun,
        f"$ flotilla check --artifacts artifacts --version 1.2.3\n{checks(checked)}\n\n"
        f"$ flotilla rehearse --artifacts artifacts --version 1.2.3\n{rehearsed}\n",
    )
