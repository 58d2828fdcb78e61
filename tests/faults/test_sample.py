"""A sample of `make faults`: every kind of fault, and every job, once at the least."""

from __future__ import annotations

import pytest
from tests.faults.cases import all_cases, sample
from tests.faults.clean import Checkpoint
from tests.faults.report import described
from tests.faults.trial import tried
from tests.simulator.faults import Kind
from tests.world.scene import Scene

pytestmark = [pytest.mark.faults, pytest.mark.npm]
SIZE = 24
SEED = 20


def test_the_sample_has_every_kind_and_every_job(release: tuple[Checkpoint, ...]) -> None:
    drawn = sample(all_cases(release), size=SIZE, seed=SEED)
    assert {case.kind for case in drawn} == set(Kind)
    assert {case.job for case in drawn} == set(range(len(release)))
    assert len(drawn) == SIZE


def test_whatever_fails_a_re_run_ends_where_a_clean_release_does(scene: Scene, release: tuple[Checkpoint, ...]) -> None:
    outcomes = [tried(scene, release, case) for case in sample(all_cases(release), size=SIZE, seed=SEED)]
    assert [described(outcome) for outcome in outcomes if outcome.differs] == []
    assert [str(outcome.case) for outcome in outcomes if not outcome.met] == []
    assert any(outcome.failed for outcome in outcomes)


def test_a_release_broken_in_its_first_job_and_run_to_its_end_is_a_clean_one(
    scene: Scene, release: tuple[Checkpoint, ...]
) -> None:
    killed = next(case for case in all_cases(release) if case.kind is Kind.KILL_AFTER and "/git/refs" in case.label)
    outcome = tried(scene, release, killed, to_the_end=True)
    assert outcome.differs == ()
    assert outcome.failed == 1
