"""Try one case: run the job that makes the request, from the world it started in, and re-run it until it succeeds.

Why one job is enough. A job sees nothing but the world (GitHub, the registry), its checkout, its inputs and the clock.
If after the fault and the re-runs the world and the outputs that later jobs take are equal to those after the clean
job, then the next job begins as the next clean job did, and so on by induction to the end of the release. That leaves
out ids and times, which differ between any two releases; so a sample of the cases runs the rest of the release too
(`to_the_end`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tests.faults.cases import Case
from tests.faults.clean import Checkpoint
from tests.simulator.faults import Kind
from tests.world.ended import Ended
from tests.world.jobhost import HangingError
from tests.world.scene import Scene, Step

MOST_RUNS = 4
DEFECT = 70
# Where an answer does not come, the client's patience with one answer ends, and not this harness's.
SHORT_TIMEOUT = 1


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The outcome of a case.

    Args:
        case: the case.
        met: whether the request to break was made.
        failed: how often the job failed or was killed.
        differs: how the world differs from the clean one, a line each; empty if it does not.
        log: what the job printed, run by run.
    """

    case: Case
    met: bool
    failed: int
    differs: tuple[str, ...]
    log: str = ""


def tried(scene: Scene, release: Sequence[Checkpoint], case: Case, *, to_the_end: bool = False) -> Outcome:
    """Try one case; `to_the_end` runs the jobs after it too."""
    checkpoint = release[case.job]
    scene.world.restore(checkpoint.before)
    scene.plan.start([case.fault])
    timeout = SHORT_TIMEOUT if case.kind is Kind.STALL else None
    try:
        runs = run_until_done(scene, checkpoint.step, timeout=timeout)
    except HangingError as hanging:
        return Outcome(case=case, met=_met(scene), failed=1, differs=(str(hanging),))
    met, last = _met(scene), checkpoint
    differs = [
        *_faults(runs),
        *_went_on(case, runs),
        *differences(checkpoint.handed_over, runs[-1].handed_over, "outputs"),
    ]
    if to_the_end and not differs:
        for last in after(release, case.job):
            differs += _faults(run_until_done(scene, last.step, timeout=None))
    differs += differences(last.after, scene.world.snapshot(), "")
    failed = sum(run.status != 0 for run in runs)
    return Outcome(case=case, met=met, failed=failed, differs=tuple(differs), log="\n".join(run.log for run in runs))


def after(release: Sequence[Checkpoint], job: int) -> list[Checkpoint]:
    """Return the jobs after one in its workflow."""
    return [one for one in release[job + 1 :] if one.step.workflow == release[job].step.workflow]


def run_until_done(scene: Scene, step: Step, *, timeout: int | None) -> list[Ended]:
    """Run the job until it succeeds, as its owner would press "re-run", at most four times."""
    runs: list[Ended] = []
    while not runs or (runs[-1].status != 0 and len(runs) < MOST_RUNS):
        runs.append(scene.run(step, timeout=timeout))
        scene.begin_again()
    return runs


def differences(expected: Any, found: Any, place: str) -> list[str]:
    """Return where two documents differ, a line each."""
    if isinstance(expected, dict) and isinstance(found, dict):
        return [
            line
            for key in sorted({*expected, *found})
            for line in differences(expected.get(key), found.get(key), f"{place} {key}".strip())
        ]
    return [] if expected == found else [f"{place}: {found!r} instead of {expected!r}"]


def _faults(runs: Sequence[Ended]) -> list[str]:
    faults = [f"run {n} ended with a defect ({run.status})" for n, run in enumerate(runs, 1) if run.status > 1]
    return faults + (["never succeeded"] if runs[-1].status != 0 else [])


def _went_on(case: Case, runs: Sequence[Ended]) -> list[str]:
    # The answer was held back until the job hung up: a job that was cancelled cannot have come to its end.
    return ["went on though it was cancelled"] if case.kind is Kind.CANCEL and runs[0].status != 1 else []


def _met(scene: Scene) -> bool:
    return any(request.fault for request in scene.plan.requests)
