"""Run several tasks at once, in threads that end with the job: transfers, reads, compression and hashing."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue
from typing import TypeVar

from flotilla.errors import DeadlineError, Fault, FlotillaError
from flotilla.retry import Cancelled, StopFlag

T = TypeVar("T")

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
