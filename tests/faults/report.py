"""Print a sweep's progress, each differing case with the command that repeats it, and a summary."""

from __future__ import annotations

import sys
import time
from collections import Counter
from dataclasses import dataclass, field

from tests.faults.trial import Outcome
from tests.simulator.faults import STOPS

EVERY = 50


@dataclass(kw_only=True)
class Report:
    """Count outcomes, and tell them.

    Args:
        part: which part of a sweep this is; empty for the whole.
    """

    part: str = ""
    planned: int = 0
    started: float = field(default_factory=time.monotonic)
    tried: int = 0
    resumed: Counter[str] = field(default_factory=Counter)
    unmet: list[Outcome] = field(default_factory=list)
    differing: list[Outcome] = field(default_factory=list)

    def add(self, outcome: Outcome) -> None:
        """Count an outcome."""
        self.tried += 1
        if not outcome.met:
            self.unmet.append(outcome)
        if outcome.failed:
            self.resumed[outcome.case.kind] += 1
            if outcome.case.kind not in STOPS:
                say(f"not overcome within one run: {outcome.case}{_why(outcome)}")
        if outcome.differs:
            self.differing.append(outcome)
            say(described(outcome))
        if self.tried % EVERY == 0:
            say(f"{self.tried} of {self.planned} tried, {self.seconds:.0f} s")

    @property
    def seconds(self) -> float:
        """Return the seconds since the beginning."""
        return time.monotonic() - self.started

    def lines(self) -> list[str]:
        """Return the summary; scripts look for its last line."""
        kinds = ", ".join(f"{count} by {kind}" for kind, count in sorted(self.resumed.items()))
        return [
            *(f"not met: {outcome.case}" for outcome in self.unmet),
            *([f"failed and resumed: {kinds}"] if kinds else []),
            self._last(),
        ]

    def _last(self) -> str:
        counts = f"{self.resumed.total()} failed and resumed, {len(self.differing)} differ"
        part = f"part {self.part}: " if self.part else ""
        return f"faults: {part}{self.tried} tried, {counts}, {self.seconds:.0f} s"


def described(outcome: Outcome) -> str:
    """Describe a differing case: what differs, how, the job's log, and the command that repeats it."""
    case = outcome.case
    return "\n".join(
        [
            f"DIFFERS: {case}",
            *(f"  {line}" for line in outcome.differs),
            *(f"  | {line}" for line in outcome.log.splitlines()),
            f"  repeat: python -m tests.faults --index {case.index} --kind {case.kind} --times {case.times}",
        ]
    )


def _why(outcome: Outcome) -> str:
    errors = [line for line in outcome.log.splitlines() if line.startswith("::error")]
    return f"\n  {errors[0]}" if errors else ""


def say(line: str) -> None:
    """Print at once, to standard error."""
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()
