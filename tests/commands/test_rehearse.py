"""What flotilla rehearse says where it cannot begin; whole rehearsals are make demo's."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from flotilla.errors import FlotillaError

Refused = Callable[..., FlotillaError]


def test_without_its_extra_the_rehearsal_says_how_to_install_it(
    repository: Path, artifacts: Path, refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert repository.is_dir()
    for name in [
        name for name in sys.modules if name.partition(".")[0] == "aiohttp" or name.startswith("flotilla.rehearsal")
    ]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "aiohttp", None)
    error = refused("rehearse", "--artifacts", str(artifacts))
    assert str(error).startswith(
        "flotilla's rehearsal is not installed (the package aiohttp is missing)\nInstall it: pip install 'flotilla["
    )


@pytest.mark.registry
def test_a_folder_of_artifacts_that_is_not_there_is_named(repository: Path, refused: Refused) -> None:
    error = refused("rehearse", "--artifacts", str(repository / "dist"))
    assert str(repository / "dist") in error.faults[0].text
    assert "--artifacts" in error.advice
