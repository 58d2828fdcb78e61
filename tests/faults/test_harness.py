"""The harness itself: its clock, and its way to kill."""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from multiprocessing.queues import Queue
from pathlib import Path

import pytest
from tests.faults import workers
from tests.faults.__main__ import part
from tests.faults.cases import Case, all_cases
from tests.faults.clean import Checkpoint
from tests.faults.report import Report
from tests.faults.trial import after, differences
from tests.simulator.faults import Kind, Request
from tests.simulator.memory import RegistryState
from tests.simulator.world import Saved
from tests.world.clock import LeapingClock
from tests.world.processes import descendants, kill_below
from tests.world.scene import Step

from flotilla.rehearsal.github import GitHubState

pytestmark = pytest.mark.faults
PARENT = (
    "import subprocess, sys, time;"
    "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'], start_new_session=True);"
    "print('started', flush=True); time.sleep(60)"
)
ABOVE = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {PARENT!r}])"


def test_a_sleep_leaps_for_everyone_who_shares_the_clock(tmp_path: Path) -> None:
    one, other = LeapingClock(tmp_path / "clock"), LeapingClock(tmp_path / "clock")
    before = time.time()
    one.sleep(3600)
    assert 0 <= other.now() - before - 3600 < 10
    assert time.time() - before < 10


def test_killing_below_ends_what_left_the_process_group_too() -> None:
    with subprocess.Popen([sys.executable, "-c", ABOVE], stdout=subprocess.PIPE) as top:
        assert top.stdout is not None
        top.stdout.readline()
        assert len(descendants(top.pid)) == 2
        kill_below(top.pid)
        assert descendants(top.pid) == []
        top.wait()


def test_a_difference_names_its_place() -> None:
    assert differences({"a": {"b": 1, "c": 2}}, {"a": {"b": 1, "c": 3}}, "") == ["a c: 3 instead of 2"]
    assert differences({"a": 1}, {}, "x") == ["x a: None instead of 1"]
    assert differences({"a": [1]}, {"a": [1]}, "") == []


def test_the_parts_of_a_sweep_are_the_whole_each_case_once() -> None:
    cases = [Case(index=n, job=0, label="x", occurrence=1, kind=Kind.TOO_MANY) for n in range(1, 12)]
    parts = [part(f"{n}/3").of(cases) for n in (1, 2, 3)]
    assert sorted((case for one in parts for case in one), key=lambda case: case.index) == cases
    assert [len(one) for one in parts] == [4, 4, 3]


@pytest.mark.parametrize("text", ["0/3", "4/3", "1", "a/b", "1/0"])
def test_a_part_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError):
        part(text)


def a_worker_with_much_to_say(_tasks: object, told: Queue[str], _over: object, _artifacts: Path) -> None:
    told.put("x" * 2**20)  # more than fits into a pipe


def test_a_sweep_that_is_stopped_while_its_workers_start_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "work", a_worker_with_much_to_say)
    with pytest.raises(TypeError):
        list(workers.outcomes(lambda _release: [], workers=2))


def test_the_report_of_a_part_says_which() -> None:
    assert Report(part="2/5").lines()[-1].startswith("faults: part 2/5: 0 tried")
    assert Report().lines()[-1].startswith("faults: 0 tried")


def checkpoint(step: Step, *labels: str) -> Checkpoint:
    requests = [
        Request(n=n, server="github", method="GET", path="/", label=label, occurrence=1)
        for n, label in enumerate(labels, 1)
    ]
    world = Saved(github=GitHubState(), registry=RegistryState())
    return Checkpoint(step=step, before=world, after={}, handed_over={}, requests=tuple(requests))


def test_of_a_further_workflow_only_what_its_steps_say_is_broken() -> None:
    first = checkpoint(Step(action="release"), "a", "b")
    none = checkpoint(Step(action="release", workflow="other", swept="none"), "a", "c")
    new = checkpoint(Step(action="release", workflow="third", swept="new"), "b", "d")
    meta = checkpoint(Step(action="publish-meta", workflow="third", swept="new"), "a")
    broken = {(case.job, case.label) for case in all_cases([first, none, new, meta])}
    assert broken == {(0, "a"), (0, "b"), (2, "d"), (3, "a")}
    assert after([first, none, new, meta], 2) == [meta]
    assert after([first, none, new, meta], 0) == []
