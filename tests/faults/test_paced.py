"""A registry that limits the rate slows a release down, and does nothing else to it."""

from __future__ import annotations

import pytest
from tests.faults.artifacts import EXAMPLE, example_artifacts
from tests.faults.paced import paced_release

pytestmark = [pytest.mark.faults, pytest.mark.npm]


def test_a_rate_limit_costs_what_it_must_and_loses_and_doubles_nothing() -> None:
    paced = paced_release(EXAMPLE, example_artifacts())
    assert paced.faults == []
    assert paced.reruns == 0
    assert paced.refused == 9
    assert paced.floor <= paced.waited < paced.floor * 1.1
