from __future__ import annotations

import threading
from collections.abc import Callable
from email.utils import formatdate
from typing import TYPE_CHECKING

import pytest

from flotilla.errors import DeadlineError
from flotilla.retry import Cancelled, RetryPolicy, StopFlag, SystemClock, TransientError, retry_after

if TYPE_CHECKING:
    from tests.conftest import RecordedClock


def failing(times: int, *, after: float | None = None) -> Callable[[], str]:
    left = [times]

    def attempt() -> str:
        if left[0]:
            left[0] -= 1
            raise TransientError("HTTP 503", after=after)
        return "done"

    return attempt


@pytest.fixture
def policy(recorded_clock: RecordedClock) -> RetryPolicy:
    return RetryPolicy(deadline=recorded_clock.time + 600, clock=recorded_clock, jitter=lambda: 1.0)


def test_a_transient_failure_is_tried_again_with_growing_waits(
    policy: RetryPolicy, recorded_clock: RecordedClock
) -> None:
    assert policy.retry(failing(4), what="read") == "done"
    assert recorded_clock.slept == [2, 4, 8, 16]


def test_jitter_shortens_a_wait_by_half_at_the_most(recorded_clock: RecordedClock) -> None:
    hasty = RetryPolicy(deadline=recorded_clock.time + 600, clock=recorded_clock, jitter=lambda: 0.0)
    hasty.retry(failing(2), what="read")
    assert recorded_clock.slept == [1, 2]


def test_the_servers_own_wait_is_kept(policy: RetryPolicy, recorded_clock: RecordedClock) -> None:
    policy.retry(failing(1, after=120), what="read")
    assert recorded_clock.slept == [121]


def test_a_wait_beyond_the_deadline_ends_at_once(policy: RetryPolicy, recorded_clock: RecordedClock) -> None:
    with pytest.raises(DeadlineError, match=r"publish it: HTTP 503.* 1934 s.* 600 s") as told:
        policy.retry(failing(1, after=1934), what="publish it")
    assert recorded_clock.slept == []
    assert "after 1970-01-12 14:18:54 UTC" in str(told.value)


def test_a_server_that_is_down_is_waited_for_until_the_deadline(recorded_clock: RecordedClock) -> None:
    begun = recorded_clock.time
    policy = RetryPolicy(deadline=begun + 1800, clock=recorded_clock, jitter=lambda: 1.0)
    with pytest.raises(DeadlineError, match="Re-run the job later"):
        policy.retry(failing(10**6), what="read")
    assert 1740 < recorded_clock.time - begun <= 1800


def test_a_retry_after_that_never_holds_is_waited_for_until_the_deadline_and_asked_ever_less(
    recorded_clock: RecordedClock,
) -> None:
    begun = recorded_clock.time
    policy = RetryPolicy(deadline=begun + 1800, clock=recorded_clock, jitter=lambda: 0.0)
    with pytest.raises(DeadlineError):
        policy.retry(failing(10**6, after=1), what="read")
    assert recorded_clock.slept[:5] == [1, 1, 1, 1, 1]
    assert len(recorded_clock.slept) < 70
    assert 1740 < recorded_clock.time - begun <= 1800


def test_tries_are_bounded_however_much_time_is_left(recorded_clock: RecordedClock) -> None:
    policy = RetryPolicy(deadline=recorded_clock.time + 10**9, clock=recorded_clock, attempts=3)
    with pytest.raises(DeadlineError):
        policy.retry(failing(3), what="read")
    assert len(recorded_clock.slept) == 2


def test_each_wait_is_told_before_it_is_slept(recorded_clock: RecordedClock) -> None:
    told: list[str] = []
    policy = RetryPolicy(deadline=recorded_clock.time + 600, clock=recorded_clock, jitter=lambda: 1.0, told=told.append)
    policy.retry(failing(1), what="publish it")
    assert told == ["publish it: HTTP 503; retrying in 2 s"]


def test_any_other_failure_is_not_tried_again(policy: RetryPolicy, recorded_clock: RecordedClock) -> None:
    def attempt() -> str:
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        policy.retry(attempt, what="read")
    assert recorded_clock.slept == []


def test_waiting_gives_none_at_the_deadline(policy: RetryPolicy, recorded_clock: RecordedClock) -> None:
    assert policy.poll(lambda: None, every=200) is None
    assert recorded_clock.slept == [200, 200, 200]


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("120", 120), (" 7 ", 7), (formatdate(1_000_090, usegmt=True), 90), (formatdate(5, usegmt=True), 0)],
)
def test_retry_after_is_seconds_or_a_date(header: str, seconds: float) -> None:
    assert retry_after(header, now=1_000_000) == seconds


@pytest.mark.parametrize("header", [None, "", "soon", "-1", "²", "9" * 400, "Fri, 31 Dec 99999 23:59:59 GMT"])
def test_a_retry_after_that_says_nothing_is_none(header: str | None) -> None:
    assert retry_after(header, now=1_000_000) is None


def test_a_wait_that_no_calendar_has_a_day_for_is_told_in_words(policy: RetryPolicy) -> None:
    def years() -> None:
        raise TransientError("rate limited", after=1e14)

    with pytest.raises(DeadlineError, match="Re-run the job after 1970-"):
        policy.retry(years, what="read")


def test_setting_the_machine_s_clock_moves_no_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SystemClock()
    before = clock.now()
    monkeypatch.setattr("time.time", lambda: before + 7200)
    assert clock.now() - before < 60


def test_a_cancelled_job_tries_nothing_again(recorded_clock: RecordedClock) -> None:
    stop = StopFlag()
    policy = RetryPolicy(deadline=recorded_clock.time + 600, clock=recorded_clock, stop=stop)
    tries: list[int] = []

    def attempt() -> None:
        tries.append(1)
        stop.set()
        raise TransientError("the connection broke")

    with pytest.raises(Cancelled):
        policy.retry(attempt, what="read")
    with pytest.raises(Cancelled):
        policy.retry(lambda: "nothing begins", what="read")
    assert (len(tries), recorded_clock.slept) == (1, [])


def test_a_cancelled_job_looks_no_more(recorded_clock: RecordedClock) -> None:
    stop = StopFlag()
    policy = RetryPolicy(deadline=recorded_clock.time + 600, clock=recorded_clock, stop=stop)
    with pytest.raises(Cancelled):
        policy.poll(stop.set, every=5)
    assert recorded_clock.slept == [5]


def test_cancelling_ends_a_sleep_of_another_thread() -> None:
    stop = StopFlag()
    sleeper = threading.Thread(target=SystemClock(stop).sleep, args=[600], daemon=True)
    sleeper.start()
    stop.set()
    sleeper.join(timeout=30)
    assert not sleeper.is_alive()


def test_what_waits_for_the_flag_is_called_once_even_if_it_asks_late() -> None:
    stop, called = StopFlag(), list[str]()
    stop.on_set(lambda: called.append("early"))
    stop.set()
    stop.set()
    stop.on_set(lambda: called.append("late"))
    assert called == ["early", "late"]
