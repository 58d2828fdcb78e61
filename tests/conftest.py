"""What several folders of tests share."""

from __future__ import annotations

import signal
from dataclasses import dataclass, field

import pytest


def pytest_configure() -> None:
    """Take SIGINT as Python does: a shell that starts the tests in the background lets them ignore it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@dataclass
class RecordedClock:
    """A clock that jumps instead of sleeping, and remembers how far."""

    time: float = 1_000_000.0
    slept: list[float] = field(default_factory=list)

    def now(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.time += seconds


@pytest.fixture
def recorded_clock() -> RecordedClock:
    return RecordedClock()
