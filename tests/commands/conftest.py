"""What the tests of the commands share: the example's repository, and the command as a person types it."""

from __future__ import annotations

import io
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.faults.artifacts import EXAMPLE, example_artifacts

from flotilla.__main__ import run
from flotilla.errors import FlotillaError
from flotilla.runner import Runner

Command = Callable[..., str]


@pytest.fixture(scope="session")
def artifacts() -> Path:
    """Return the example's artifacts, a folder each; to be copied before they are changed."""
    return example_artifacts()


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the example, checked out, as the current folder."""
    folder = tmp_path / "repository"
    shutil.copytree(EXAMPLE, folder)
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def flotilla() -> Command:
    """Run a command locally, with no variable of a runner; what it printed, and what stopped it raised."""

    def typed(*arguments: str, **variables: str) -> str:
        out = io.StringIO()
        status = run(arguments, variables, Runner(variables, out))
        assert status == 0, out.getvalue()
        return out.getvalue()

    return typed


@pytest.fixture
def refused(flotilla: Command) -> Callable[..., FlotillaError]:
    """Return what a command is refused with."""

    def typed(*arguments: str) -> FlotillaError:
        with pytest.raises(FlotillaError) as told:
            flotilla(*arguments)
        return told.value

    return typed
