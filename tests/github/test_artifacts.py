"""Which artifacts of a run count, and what is wrong with the others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pytest
from tests.github.conftest import REPO

from flotilla.errors import GitHubError
from flotilla.github import Artifact, artifact_table, from_earlier_attempts
from flotilla.github.artifacts import newest

if TYPE_CHECKING:
    from tests.github.conftest import Maker, ScriptedServer

    from flotilla.github import GitHub


def faults(needed: Sequence[str], found: Sequence[Artifact]) -> tuple[str, ...]:
    return tuple(f"{row.name}: {row.fault}" for row in artifact_table(needed, found) if row.fault)


def test_an_artifact_of_another_run_is_refused(github: GitHub, server: ScriptedServer, make: Maker) -> None:
    stray = make.artifact(31, workflow_run={"id": 8})
    server.on("GET", f"{REPO}/actions/runs/7/artifacts?per_page=100", reply={"artifacts": [stray]})
    with pytest.raises(GitHubError, match="belongs to run 8, not to 7"):
        github.artifacts.of(7)


def test_the_newest_artifact_of_a_name_counts(make: Maker) -> None:
    first, second = make.an_artifact(31, name="a"), make.an_artifact(35, name="a")
    other = make.an_artifact(33, name="b")
    assert newest([second, other, first]) == (second, other)


def test_artifacts_older_than_the_latest_attempt_are_told(make: Maker) -> None:
    old, new = make.an_artifact(31), make.an_artifact(32, created_at="2026-01-03T00:00:00Z")
    rerun = make.a_run(run_attempt=2, run_started_at="2026-01-02T12:00:00Z")
    assert from_earlier_attempts([old, new], rerun) == (old,)
    assert from_earlier_attempts([old, new], make.a_run()) == ()


def test_missing_expired_and_empty_artifacts_are_told_together(make: Maker) -> None:
    found = [
        make.an_artifact(31, name="good"),
        make.an_artifact(32, name="old", expired=True),
        make.an_artifact(33, name="void", size_in_bytes=0),
        make.an_artifact(34, name="ffmpeg-linux-x64"),
    ]
    assert faults(["good", "old", "void", "ffmpeg-linux-x46", "none"], found) == (
        "old: expired",
        "void: empty",
        "ffmpeg-linux-x46: missing (the run has ffmpeg-linux-x64)",
        "none: missing",
    )
    assert [row.fault for row in artifact_table(["good", "none"], found)] == [None, "missing"]
    assert faults(["good"], found) == ()


def test_an_expired_artifact_is_not_saved_by_an_older_one(make: Maker) -> None:
    found = [make.an_artifact(31, name="a"), make.an_artifact(32, name="a", expired=True)]
    assert faults(["a"], found) == ("a: expired",)
