"""How long to keep trying, and how long to wait between two tries."""

from __future__ import annotations

import math
import random
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Protocol, TypeVar

from tenacity import RetryCallState, Retrying, retry_if_exception_type
from tenacity.stop import stop_after_attempt

from flotilla.errors import DeadlineError

T = TypeVar("T")

FIRST_WAIT = 2.0
LONGEST_WAIT = 60.0
# Nobody waits longer; a server's clock that is off by years would name a day that no calendar has.
LONGEST_AFTER = 30 * 86400.0
# Tries for which a server's own Retry-After is believed; one that names a second for an hour is asked ever less.
BELIEVED = 5


class Passing(Exception):  # noqa: N818 - not an error yet: the same call may go through later
    """A failure that may pass: a cut connection, a 5xx, a rate limit.

    Args:
        reason: what was answered, in plain words.
        after: seconds that the server asked us to wait, None where it did not say; cut to 30 days.
    """

    def __init__(self, reason: str, *, after: float | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.after = None if after is None else min(after, LONGEST_AFTER)


class Clock(Protocol):
    """Time as a job sees it; a test gives one that records sleeps instead of sleeping."""

    def now(self) -> float:
        """Seconds since the epoch."""

    def sleep(self, seconds: float) -> None:
        """Wait."""


class SystemClock:
    """The machine's own clock as it stood at the beginning; one that is set in between changes no deadline."""

    def __init__(self) -> None:
        self._start = time.time() - time.monotonic()

    def now(self) -> float:
        """Seconds since the epoch."""
        return self._start + time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)


@dataclass(frozen=True, kw_only=True)
class Patience:
    """A job's deadline, and its manners until then.

    Args:
        deadline: seconds since the epoch after which nothing is tried again.
        clock: what tells the time and sleeps.
        jitter: gives a number from 0 to 1, so that parallel jobs do not retry in step.
        attempts: tries of one call at the most, against a clock that stands; time is what ends them.
        told: is given a line for each wait.
    """

    deadline: float
    clock: Clock = field(default_factory=SystemClock)
    jitter: Callable[[], float] = random.random
    attempts: int = 1000
    told: Callable[[str], None] = lambda _line: None

    def left(self) -> float:
        """Seconds until the deadline, 0 when it has passed."""
        return max(0.0, self.deadline - self.clock.now())

    def keep_trying(self, attempt: Callable[[], T], *, what: str) -> T:
        """The attempt's result, tried again after each Passing.

        Args:
            attempt: one try; raises Passing for a failure that may pass.
            what: the call in plain words, for the log and the error ("publish @acme/x@1.0.0").

        Raises:
            DeadlineError: the next try would come after the deadline, or the tries are used up.
        """

        def wait(state: RetryCallState) -> float:
            return self._wait(_passing(state), state.attempt_number)

        def stop(state: RetryCallState) -> bool:
            return stop_after_attempt(self.attempts)(state) or self.clock.now() + wait_chosen(state) > self.deadline

        chosen: dict[int, float] = {}

        def wait_chosen(state: RetryCallState) -> float:
            return chosen.setdefault(state.attempt_number, wait(state))

        retrying = Retrying(
            retry=retry_if_exception_type(Passing),
            wait=wait_chosen,
            stop=stop,
            sleep=self.clock.sleep,
            before_sleep=lambda state: self.told(
                f"{what}: {_passing(state).reason}; trying again in {wait_chosen(state):.0f} s"
            ),
            reraise=True,
        )
        try:
            return retrying(attempt)
        except Passing as passing:
            raise self._out_of_time(passing, what) from passing

    def wait_until(self, probe: Callable[[], T | None], *, every: float, limit: float = math.inf) -> T | None:
        """The probe's first answer that is not None; None when time is up.

        Args:
            every: seconds between two probes.
            limit: seconds to wait at the most, within the deadline.
        """
        deadline = min(self.deadline, self.clock.now() + limit)
        while (answer := probe()) is None:
            if self.clock.now() + every > deadline:
                return None
            self.clock.sleep(every)
        return answer

    def _wait(self, passing: Passing, attempt: int) -> float:
        backoff = min(LONGEST_WAIT, FIRST_WAIT * 2 ** (attempt - 1))
        jittered: float = backoff * (0.5 + self.jitter() / 2)
        if passing.after is None:
            return jittered
        return max(passing.after, jittered if attempt > BELIEVED else 0.0) + self.jitter()

    def _out_of_time(self, passing: Passing, what: str) -> DeadlineError:
        asked = f" and asks to wait {passing.after:.0f} s more" if passing.after else ""
        when = f"after {as_utc(self.clock.now() + passing.after)}" if passing.after else "later"
        return DeadlineError(
            f"{what}: {passing.reason}{asked}; {self.left():.0f} s were left of this job's time.",
            advice=f"Re-run the job {when}: what is done stays done, and it goes on from there.",
        )


def retry_after(value: str | None, *, now: float) -> float | None:
    """Seconds that a Retry-After header asks for: a number or an HTTP date (RFC 9110, section 10.2.3)."""
    if value is None:
        return None
    if re.fullmatch(r"\s*[0-9]{1,9}\s*", value):
        return float(value)
    try:
        when = parsedate_to_datetime(value)
        return max(0.0, (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp() - now)
    except (ValueError, OverflowError):
        return None


def _passing(state: RetryCallState) -> Passing:
    failure = state.outcome.exception() if state.outcome else None
    assert isinstance(failure, Passing)  # noqa: S101 - tenacity calls wait and stop for a Passing only
    return failure


def until(minutes: float, clock: Clock) -> float:
    """The moment so many minutes from now, in seconds since the epoch."""
    return clock.now() + minutes * 60


def as_utc(seconds: float) -> str:
    """A moment in words, for logs and errors."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
