"""Run processes and measure them; one row is flotilla beside an alternative and a floor."""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

LOOK_SECONDS = 0.05
FLOTILLA, FLOOR = "flotilla", "floor"
Contender = Callable[[], float]


@dataclass(frozen=True, kw_only=True)
class Row:
    """One comparison: medians of interleaved runs.

    Args:
        work: what is done.
        alternative: by whom else.
        theirs: the alternative's figure; None for a row that is held against a number only.
        floor: the figure of the least that could do the work: raw transfers, and a pass over the bytes.
        unit: of the figures.
        cpu: the processor's seconds of the alternative and of flotilla, which say more on a busy machine.
        aims: the most that flotilla may be, of the "ratio", of the "floor", or as a "figure"; one of them is enough.
    """

    work: str
    alternative: str
    theirs: float | None
    flotilla: float
    floor: float | None = None
    unit: str = "s"
    cpu: tuple[float, float] | None = None
    aims: Mapping[str, float] = field(default_factory=dict)

    @property
    def ratios(self) -> tuple[float | None, float | None]:
        """Return flotilla's figure over the alternative's, and over the floor."""
        return self.flotilla / self.theirs if self.theirs else None, self.flotilla / self.floor if self.floor else None

    @property
    def verdict(self) -> str:
        """Return the aims, and whether one is met."""
        figures = dict(zip(("ratio", "floor", "figure"), (*self.ratios, self.flotilla), strict=True))
        told = {"ratio": "ratio ≤ {}", "floor": "≤ {} of the floor", "figure": f"≤ {{}} {self.unit}"}
        aims = " or ".join(told[of].format(most) for of, most in self.aims.items())
        met = any((figures[of] or 0) <= most for of, most in self.aims.items())
        return f"{aims}: {'met' if met else 'missed'}" if aims else ""

    def __str__(self) -> str:
        """Return the row in a line, for who waits for the table."""
        return (
            f"{self.work}: {self.flotilla:.2f} {self.unit}; {self.alternative}: {self.theirs or 0:.2f} {self.verdict}"
        )


@dataclass(frozen=True, kw_only=True)
class Spent:
    """What a contender took: seconds as it counts them, and the processor's in all processes that it started."""

    seconds: float
    cpu: float


def medians(rounds: int, contenders: Mapping[str, Contender]) -> dict[str, Spent]:
    """Return each contender's medians; they take turns, so that a busy minute hits all of them."""
    taken = [{name: _spent(contender) for name, contender in contenders.items()} for _ in range(rounds)]
    return {
        name: Spent(
            seconds=statistics.median(one[name].seconds for one in taken),
            cpu=statistics.median(one[name].cpu for one in taken),
        )
        for name in contenders
    }


def _spent(contender: Contender) -> Spent:
    before = children_cpu()
    seconds = contender()
    return Spent(seconds=seconds, cpu=children_cpu() - before)


def children_cpu() -> float:
    """Return the processor's seconds of every process that was started here and has ended."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return children.ru_utime + children.ru_stime


def compared(work: str, found: Mapping[str, Spent], aims: Mapping[str, Mapping[str, float]]) -> Iterator[Row]:
    """Yield a row for each alternative.

    Args:
        found: of each contender; FLOTILLA and FLOOR are no alternatives.
        aims: of the rows, by how the alternative's name begins.
    """
    ours, floor = found[FLOTILLA], found.get(FLOOR)
    for name, theirs in found.items():
        if name not in (FLOTILLA, FLOOR):
            yield Row(
                work=work,
                alternative=name,
                theirs=theirs.seconds,
                flotilla=ours.seconds,
                floor=floor.seconds if floor else None,
                cpu=(theirs.cpu, ours.cpu),
                aims=next((aim for begin, aim in aims.items() if name.startswith(begin)), {}),
            )


def run(
    command: Sequence[str], folder: Path, environment: Mapping[str, str] | None = None, *, given: str = ""
) -> float:
    """Return the seconds that a process takes; one that fails ends the benchmark.

    Args:
        environment: the process's whole environment; this one's by default.
        given: its standard input.
    """
    began = time.perf_counter()
    done = subprocess.run(
        command, cwd=folder, env=environment, input=given, capture_output=True, text=True, check=False
    )
    took = time.perf_counter() - began
    if done.returncode:
        sys.exit(f"{' '.join(command[:6])} ended with {done.returncode}:\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
    return took


@dataclass(kw_only=True)
class Peak:
    """The most that a process needed.

    Args:
        memory: MiB of its own, without its children's.
        disk: bytes below a folder.
    """

    memory: float = 0.0
    disk: int = 0


def peak(command: Sequence[str], folder: Path, environment: Mapping[str, str], *, scratch: Path | None = None) -> Peak:
    """Return what a process needs at its peak; one that fails ends the benchmark.

    Args:
        scratch: the folder whose size is watched, if any.
    """
    found = Peak()
    where = {"cwd": folder, "env": environment}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **where) as one:  # type: ignore[call-overload]
        ended = threading.Event()

        def watch() -> None:
            while not ended.wait(LOOK_SECONDS):
                found.memory = max(found.memory, _memory(one.pid))
                if scratch:
                    found.disk = max(found.disk, _size(scratch))

        watching = threading.Thread(target=watch)
        watching.start()
        told, _ = one.communicate()
        ended.set()
        watching.join()
    if one.returncode:
        sys.exit(f"{' '.join(command[:6])} ended with {one.returncode}:\n{told.decode()[-3000:]}")
    return found


def _memory(pid: int) -> float:
    """Return the peak so far; not getrusage's, which begins at the parent's where a process is started by vfork."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    return sum(int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmHWM:"))


def _size(folder: Path) -> int:
    total = 0
    for place, _, files in os.walk(folder):
        for name in files:
            with suppress(FileNotFoundError):
                total += Path(place, name).lstat().st_blocks * 512
    return total
