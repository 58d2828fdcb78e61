"""Several transfers at once, their results in order, their failures together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from flotilla.errors import Fault, FlotillaError

T = TypeVar("T")

WORKERS = 4


def gather(tasks: Sequence[Callable[[], T]], *, workers: int = WORKERS) -> tuple[T, ...]:
    """The results of all tasks, in the tasks' order.

    Raises:
        FlotillaError: everything that failed, of the kind that failed first; every other task has ended by then.
    """
    with ThreadPoolExecutor(max_workers=workers, thread_name_prefix="flotilla-transfer") as pool:
        futures = [pool.submit(task) for task in tasks]
    failures = [failure for future in futures if (failure := _explained(future)) is not None]
    if failures:
        raise together(failures)
    return tuple(future.result() for future in futures)


def together(failures: Sequence[FlotillaError]) -> FlotillaError:
    """One error for several: the first one's kind, every different fault and advice once."""
    faults: dict[Fault, None] = dict.fromkeys(fault for failure in failures for fault in failure.faults)
    advice = dict.fromkeys(failure.advice for failure in failures if failure.advice)
    return type(failures[0])(tuple(faults), advice="\n".join(advice))


def _explained(future: Future[T]) -> FlotillaError | None:
    failure = future.exception()
    if failure is None or isinstance(failure, FlotillaError):
        return failure
    raise failure
