"""Try cases in parallel, in processes with a world each."""

from __future__ import annotations

import multiprocessing
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from queue import Empty
from typing import TYPE_CHECKING, Any

from tests.faults.artifacts import EXAMPLE, example_artifacts
from tests.faults.cases import Case
from tests.faults.clean import Checkpoint, clean_releases
from tests.faults.trial import Outcome, tried
from tests.world.scene import Scene

from flotilla.runner import LEDGER

if TYPE_CHECKING:
    from multiprocessing.process import BaseProcess
    from multiprocessing.queues import Queue
    from multiprocessing.synchronize import Event


@dataclass(frozen=True, kw_only=True)
class Task:
    """A case, and whether the jobs after it run too."""

    case: Case
    to_the_end: bool


@dataclass(frozen=True, kw_only=True)
class Ready:
    """A worker's own clean release, without the worlds in it."""

    release: tuple[Checkpoint, ...]


# Longer than a case can take: four runs of a job that hangs.
SILENT = 900.0

Message = Ready | Outcome | str


def outcomes(choose: Callable[[Sequence[Checkpoint]], Sequence[Task]], *, workers: int) -> Iterator[Outcome]:
    """Yield each task's outcome as soon as it is known.

    Args:
        choose: returns the tasks, given a clean release.
        workers: the number of processes.

    Raises:
        TypeError: a worker failed.
        RuntimeError: the workers' clean releases differ.
        queue.Empty: no worker answers any more.
    """
    context = multiprocessing.get_context("spawn")
    tasks: Queue[Task | None] = context.Queue()
    told: Queue[Message] = context.Queue()
    over = context.Event()
    processes = [context.Process(target=work, args=(tasks, told, over, example_artifacts())) for _ in range(workers)]
    for process in processes:
        process.start()
    try:
        chosen = choose(_agreed([_ready(told.get(timeout=SILENT)) for _ in processes]))
        for task in chosen:
            tasks.put(task)
        for _ in chosen:
            yield _outcome(told.get(timeout=SILENT))
    finally:
        # After an interrupt, wait only for the running cases, not for those in the queue.
        over.set()
        tasks.cancel_join_thread()
        for _ in processes:
            tasks.put(None)
        for process in processes:
            _end(process, told)


def _end(process: BaseProcess, told: Queue[Message]) -> None:
    """Wait for a worker's end; read what it still says, since it does not end before that is read."""
    while process.is_alive():
        with suppress(Empty):
            told.get(timeout=0.1)
    process.join()


def work(tasks: Queue[Task | None], told: Queue[Message], over: Event, artifacts: Path) -> None:
    """Run a worker: a clean release, then one task after another."""
    try:
        with Scene(EXAMPLE, artifacts, provenance=True) as scene:
            release = clean_releases(scene)
            told.put(Ready(release=release))
            while not over.is_set() and (task := tasks.get()) is not None and not over.is_set():
                told.put(tried(scene, release, task.case, to_the_end=task.to_the_end))
    except BaseException:  # noqa: BLE001 - whatever it is, the one who waits must hear of it
        told.put(traceback.format_exc())


def _ready(message: Message) -> tuple[Checkpoint, ...]:
    if not isinstance(message, Ready):
        raise TypeError(f"a worker broke: {message}")
    return message.release


def _outcome(message: Message) -> Outcome:
    if not isinstance(message, Outcome):
        raise TypeError(f"a worker broke: {message}")
    return message


def _agreed(releases: Sequence[tuple[Checkpoint, ...]]) -> tuple[Checkpoint, ...]:
    """Return the first release; raise if they differ, because then a comparison would mean nothing."""
    if len({repr(_shape(release)) for release in releases}) != 1:
        raise RuntimeError("two clean releases did not do the same")
    return releases[0]


def _elsewhere(after: Any) -> Any:
    """Return what a release left, without its ledger's bytes, which name the worker's own registry."""
    github = after["github"]
    releases = [
        {**one, "assets": {name: name == LEDGER or asset for name, asset in one["assets"].items()}}
        for one in github["releases"]
    ]
    return {**after, "github": {**github, "releases": releases}}


def _shape(release: Sequence[Checkpoint]) -> list[Any]:
    return [
        (
            _elsewhere(checkpoint.after),
            checkpoint.handed_over,
            sorted((r.label, r.occurrence) for r in checkpoint.requests),
        )
        for checkpoint in release
    ]
