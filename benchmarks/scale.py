"""What a release costs as its family grows: time, requests and memory for each package.

usage: python -m benchmarks.scale [--packages N ...] [--results FOLDER]    from the repository's folder

Releases families of these sizes into a simulated GitHub and registry on loopback, each once: the release job, one job
for all platforms, one for the meta packages, without pauses; beside `npm publish` in a loop over the same tarballs.
What to look for: time and requests a package do not rise with the family, and the jobs' memory hardly does. Where the
machine does other things too, believe the processor's seconds, which are those of all processes.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.family import World, family
from benchmarks.measure import children_cpu
from benchmarks.publishing import keep, npm_loop
from benchmarks.report import RESULTS, machine, table

A_VARIANT = 11  # ten platforms and a meta package
PACKAGES = (11, 110, 330)
LOOPBACK = "0 ms"
JOBS = ("release", "publish-platform", "publish-meta")
ROOM = 0.2  # by how much a figure for each package may differ


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What a family cost.

    Args:
        seconds: on the clock.
        cpu: seconds of the processor, of every process that was started and has ended.
        memory: MiB that the hungriest job needed; 0 where nobody looked.
    """

    by: str
    packages: int
    seconds: float
    cpu: float
    requests: int
    memory: float = 0.0


def released(packages: int, size: int) -> Iterator[Cost]:
    """Yield what a family costs, by flotilla and by npm.

    Args:
        packages: a multiple of eleven.
        size: bytes of each binary.
    """
    with tempfile.TemporaryDirectory(prefix="flotilla-bench-") as name:
        folder = Path(name)
        made = family(folder / "family", platforms=A_VARIANT - 1, variants=packages // A_VARIANT, size=size)
        with World(folder / "world", made, LOOPBACK) as world:
            run_id, memory = str(world.ci_run), []
            with world.fresh() as place:

                def jobs() -> None:
                    for job in JOBS:
                        inputs = {"platform": "all", "run_id": run_id} if job == "publish-platform" else {}
                        memory.append(world.flotilla_peak(job, place, inputs).memory)

                yield _cost("flotilla", packages, world, jobs, memory)
                keep(world.registry.state.tarballs, folder / "tarballs")
            with world.fresh() as place:
                yield _cost("npm publish", packages, world, lambda: npm_loop(world, folder / "tarballs", place), [0.0])


def _cost(by: str, packages: int, world: World, work: Callable[[], object], memory: Sequence[float]) -> Cost:
    world.plan.start()
    seconds, cpu = time.perf_counter(), children_cpu()
    work()
    seconds, cpu = time.perf_counter() - seconds, children_cpu() - cpu
    accepted = world.registry.state.accepted_counts()
    if len(accepted) != packages or set(accepted.values()) != {1}:
        sys.exit(f"{by}: not every package was accepted once: {accepted}")
    requests = len(world.plan.requests)
    return Cost(by=by, packages=packages, seconds=seconds, cpu=cpu, requests=requests, memory=max(memory))


def scale_table(costs: Sequence[Cost]) -> str:
    """Return the costs as a table: each figure for a package, and how it compares with the smallest family's."""
    headers = ["packages", "by", "s/package", "of first", "CPU s/package", "of first", "requests/package", "of first"]
    rows = []
    for cost in costs:
        first = next(one for one in costs if one.by == cost.by)
        row: list[object] = [cost.packages, cost.by]
        for of in ("seconds", "cpu", "requests"):
            each = getattr(cost, of) / cost.packages
            row += [each, each / (getattr(first, of) / first.packages)]
        rows.append([*row, cost.memory or None])
    return table([*headers, "memory MiB"], rows)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print the table, and write it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale", description=(__doc__ or "").split("\n")[0])
    families = range(A_VARIANT, 10_000, A_VARIANT)
    parser.add_argument("--packages", type=int, nargs="+", default=PACKAGES, choices=families, metavar="N")
    parser.add_argument("--size", type=int, default=20_000, help="bytes of each binary")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder for the table")
    options = parser.parse_args(arguments)
    costs = [cost for packages in sorted(options.packages) for cost in released(packages, options.size)]
    told = f"# A family grows\n\n{machine()} Each family once, on loopback, without pauses.\n\n{scale_table(costs)}"
    options.results.mkdir(parents=True, exist_ok=True)
    (options.results / "scale.md").write_text(told, encoding="utf-8")
    sys.stdout.write(told)


if __name__ == "__main__":
    main()
