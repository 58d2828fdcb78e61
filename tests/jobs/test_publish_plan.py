"""What is refused before anything is written, and in how many words."""

from __future__ import annotations

from unittest.mock import patch

import pytest
from tests.world.job_world import JobWorld

from flotilla.errors import Refusal, grouped
from flotilla.npm import Registry
from flotilla.npm.registry import READ_ONLY

NAMES = [f"@acme/tool-{number}" for number in range(11)]


def test_a_fault_of_all_eleven_packages_says_so() -> None:
    (one,) = grouped((Refusal(of=name, why="is wrong") for name in NAMES), of=11)
    assert str(one) == "all 11 packages: is wrong"


def test_a_fault_of_some_packages_or_of_a_few_names_each() -> None:
    (some,) = grouped((Refusal(of=name, why="is wrong") for name in NAMES[:4]), of=11)
    assert str(some) == f"{', '.join(NAMES[:4])}: is wrong"
    (few,) = grouped((Refusal(of=name, why="is wrong") for name in NAMES[:2]), of=2)
    assert str(few) == f"{', '.join(NAMES[:2])}: is wrong"


@pytest.mark.parametrize("action", ["release", "publish-dev"])
def test_a_read_only_token_is_refused_at_the_start(jobs: JobWorld, action: str) -> None:
    inputs = {"phase": "prepare"} if action == "release" else {"run_id": str(jobs.run_id)}
    with patch.object(Registry, "token_fault", lambda _self: READ_ONLY):
        error = jobs.refused(action, **inputs)
    assert error.text.count("npm-token is read-only") == 1
