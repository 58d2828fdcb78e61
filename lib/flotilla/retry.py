"""What is tried again and for how long, when to stop, and several things at once."""

from __future__ import annotations

import math
import os
import random
import re
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from queue import Empty, SimpleQueue
from typing import Protocol, TypeVar

from flotilla.errors import DeadlineError, Fault, FlotillaError

T = TypeVar("T")

FIRST_WAIT = 2.0
LONGEST_WAIT = 60.0
# The longest wait. A server whose clock is off by years could otherwise name a day that no calendar has.
LONGEST_AFTER = 30 * 86400.0
# The number of tries that follow the server's Retry-After; after that, waits grow even if it keeps naming a second.
BELIEVED = 5


class TransientError(Exception):
    """A failure after which the same call may succeed: a broken connection, a 5xx, a rate limit.

    Args:
        reason: what went wrong, in plain words.
        after: seconds that the server asked to wait, at most 30 days; None if it did not say.
    """

    def __init__(self, reason: str, *, after: float | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.after = None if after is None else min(after, LONGEST_AFTER)


class Cancelled(KeyboardInterrupt):
    """The job was cancelled: nothing is retried and nothing new starts."""

    def __init__(self) -> None:
        super().__init__("the job was cancelled")


class StopFlag:
    """A flag that tells every thread that the job was cancelled; retries, waits and transfers check it.

    Set it where KeyboardInterrupt is caught, not in a signal handler: the handler may run while its own thread holds
    the lock that `set` needs.
    """

    def __init__(self) -> None:
        self._event = threading.Event()
        self._lock = threading.Lock()
        self._calls: list[Callable[[], None]] = []

    def set(self) -> None:
        """Stop everything that checks the flag, now and later."""
        with self._lock:
            self._event.set()
            calls, self._calls = self._calls, []
        for call in calls:
            call()

    def is_set(self) -> bool:
        """Return whether the job was cancelled."""
        return self._event.is_set()

    def check(self) -> None:
        """Raise Cancelled if the job was cancelled."""
        if self.is_set():
            raise Cancelled

    def wait(self, seconds: float) -> None:
        """Wait this long, or until the flag is set."""
        self._event.wait(seconds)

    def on_set(self, call: Callable[[], None]) -> None:
        """Call a function once when the flag is set; now if it is set already."""
        with self._lock:
            if not self._event.is_set():
                self._calls.append(call)
                return
        call()


class Clock(Protocol):
    """A job's clock; tests use one that records sleeps instead of sleeping."""

    def now(self) -> float:
        """Return the seconds since the epoch."""

    def sleep(self, seconds: float) -> None:
        """Wait."""


class SystemClock:
    """A clock that starts at the machine's time; later changes of that time move no deadline.

    Args:
        stop: ends a sleep early.
    """

    def __init__(self, stop: StopFlag | None = None) -> None:
        self._stop = stop or StopFlag()
        self._start = time.time() - time.monotonic()

    def now(self) -> float:
        """Return the seconds since the epoch."""
        return self._start + time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait, or until the job is cancelled."""
        self._stop.wait(seconds)


@dataclass(frozen=True, kw_only=True)
class RetryPolicy:
    """A job's deadline, and how it retries until then.

    Args:
        deadline: seconds since the epoch after which nothing is retried.
        clock: tells the time and sleeps.
        jitter: returns a number from 0 to 1, so that parallel jobs do not retry in step.
        attempts: the most tries of one call, in case the clock stands still; normally the deadline ends them.
        told: gets a log line for each wait.
        stop: ends retries and waits when the job is cancelled.
    """

    deadline: float
    clock: Clock = field(default_factory=SystemClock)
    jitter: Callable[[], float] = random.random
    attempts: int = 1000
    told: Callable[[str], None] = lambda _line: None
    stop: StopFlag = field(default_factory=StopFlag)

    def left(self) -> float:
        """Return the seconds until the deadline, 0 if it has passed."""
        return max(0.0, self.deadline - self.clock.now())

    def retry(self, attempt: Callable[[], T], *, what: str) -> T:
        """Return the attempt's result; try again after each TransientError.

        Args:
            attempt: one try; raises TransientError if another may succeed.
            what: the call in plain words, for the log and the error ("publish @acme/x@1.0.0").

        Raises:
            DeadlineError: the next try would come after the deadline, or there were too many.
            Cancelled: the job was cancelled.
        """
        tries = 0
        while True:
            self.stop.check()
            tries += 1
            try:
                return attempt()
            except TransientError as failure:
                self.stop.check()
                wait = self._wait(failure, tries)
                if tries >= self.attempts or self.clock.now() + wait > self.deadline:
                    raise self._out_of_time(failure, what) from failure
                self.told(f"{what}: {failure.reason}; retrying in {wait:.0f} s")
            self.clock.sleep(wait)

    def poll(self, probe: Callable[[], T | None], *, every: float, limit: float = math.inf) -> T | None:
        """Return the probe's first answer that is not None, or None if the time ran out.

        Args:
            probe: one check.
            every: seconds between two checks.
            limit: seconds to wait at most, within the deadline.

        Raises:
            Cancelled: the job was cancelled.
        """
        deadline = min(self.deadline, self.clock.now() + limit)
        while (answer := probe()) is None:
            if self.clock.now() + every > deadline:
                return None
            self.clock.sleep(every)
            self.stop.check()
        return answer

    def _wait(self, failure: TransientError, attempt: int) -> float:
        backoff = min(LONGEST_WAIT, FIRST_WAIT * 2 ** (attempt - 1))
        jittered: float = backoff * (0.5 + self.jitter() / 2)
        if failure.after is None:
            return jittered
        return max(failure.after, jittered if attempt > BELIEVED else 0.0) + self.jitter()

    def _out_of_time(self, failure: TransientError, what: str) -> DeadlineError:
        asked = f", and the server asks to wait another {failure.after:.0f} s" if failure.after else ""
        when = f"after {as_utc(self.clock.now() + failure.after)}" if failure.after else "later"
        return DeadlineError(
            f"{what}: {failure.reason}{asked}; this job had {self.left():.0f} s left.",
            advice=f"Re-run the job {when}: everything done so far is kept, and it continues from there.",
        )


def retry_after(value: str | None, *, now: float) -> float | None:
    """Return the seconds that a Retry-After header asks for: a number or an HTTP date (RFC 9110, section 10.2.3)."""
    if value is None:
        return None
    if re.fullmatch(r"\s*[0-9]{1,9}\s*", value):
        return float(value)
    try:
        when = parsedate_to_datetime(value)
        return max(0.0, (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp() - now)
    except (ValueError, OverflowError):
        return None


def until(minutes: float, clock: Clock) -> float:
    """Return the time this many minutes from now, in seconds since the epoch."""
    return clock.now() + minutes * 60


def as_utc(seconds: float) -> str:
    """Return a time as text, for logs and errors."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


WORKERS = 10  # transfers or reads at a time: GitHub takes 100 of a token's
CORES = min(4, os.cpu_count() or 1)  # for what computes: zlib and hashlib let other threads run
ENDING_SECONDS = 1.5  # how long a cancelled transfer may take to end


def gather(tasks: Sequence[Callable[[], T]], *, stop: StopFlag, workers: int = WORKERS) -> tuple[T, ...]:
    """Run all tasks, a few at a time, and return their results in the tasks' order.

    If the job is cancelled, running tasks are cut off and waiting ones do not start.

    Raises:
        FlotillaError: all failures as one error (see `together`), after every other task has ended.
    """
    waiting: SimpleQueue[int] = SimpleQueue()
    for index in range(len(tasks)):
        waiting.put(index)
    results: dict[int, T] = {}
    failures: dict[int, BaseException] = {}

    def work() -> None:
        while not stop.is_set():
            try:
                index = waiting.get_nowait()
            except Empty:
                return
            try:
                results[index] = tasks[index]()
            except BaseException as failure:  # noqa: BLE001 - raised below, where the caller is
                failures[index] = failure

    count = min(workers, len(tasks))
    _joined([threading.Thread(target=work, name="flotilla-worker", daemon=True) for _ in range(count)], stop)
    if stop.is_set():
        raise Cancelled
    for _, failure in sorted(failures.items()):
        if not isinstance(failure, FlotillaError):
            raise failure
    if failures:
        raise together([failure for _, failure in sorted(failures.items()) if isinstance(failure, FlotillaError)])
    return tuple(results[index] for index in range(len(tasks)))


def _joined(threads: Sequence[threading.Thread], stop: StopFlag) -> None:
    """Run the threads to their end; if this one is interrupted, stop them first.

    A thread that does not end (during a DNS lookup, say) is left behind: it starts nothing more.
    """
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    except BaseException:
        stop.set()
        end = time.monotonic() + ENDING_SECONDS
        # Not join: a thread whose start was interrupted is running, but cannot be joined.
        while set(threads) & set(threading.enumerate()) and time.monotonic() < end:
            time.sleep(0.01)
        raise


def together(failures: Sequence[FlotillaError]) -> FlotillaError:
    """Return one error for several, with each distinct fault and advice once.

    Its class is the first one's that is not DeadlineError: being late says nothing about the others.
    """
    faults: dict[Fault, None] = dict.fromkeys(fault for failure in failures for fault in failure.faults)
    advice = dict.fromkeys(failure.advice for failure in failures if failure.advice)
    first = next((each for each in failures if not isinstance(each, DeadlineError)), failures[0])
    return type(first)(tuple(faults), advice="\n".join(advice))
