"""What a release costs as its family and its artifacts grow: seconds and requests a package, and a job's memory.

usage: python -m benchmarks.release [--packages N ...] [--sizes MB ...]    from the repository's folder

What to look for: seconds and requests a package do not rise with the family, as they do not for `npm publish` in a loop
over the same tarballs into the same registry; and a job's peak of memory is the same for small and large artifacts.
On a machine that does other things too, believe the processor's seconds (those of all jobs and their npm).
The jobs' pauses between publishes are leapt over. The memory is flotilla's own; npm's is not in it.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from tabulate import tabulate
from tests.faults.artifacts import example_artifacts
from tests.faults.large_family import VARIANTS, Checkout, large_family
from tests.world.jobhost import JobHost
from tests.world.scene import Scene, Step

from flotilla.npm.publish_command import npmrc
from flotilla.rehearsal.node import npm

PACKAGES, A_VARIANT = (11, 33, 110), 11  # ten platforms and a meta package
SIZES = (8, 64)
PLATFORM = "linux-arm64"
COSTS = ["packages", "by", "seconds", "s/package", "of first"]
COSTS += ["CPU s/package", "of first", "/further one", "requests/package", "of first"]
# Not getrusage: where a process is started by vfork, its ru_maxrss begins at its parent's.
PEAK = """
import sys
from flotilla.__main__ import main
status = main(sys.argv[1:])
print(*(line for line in open("/proc/self/status") if line.startswith("VmHWM")))
sys.exit(status)
"""
Cost = tuple[int, float, float, int]  # packages, seconds, the processor's seconds, requests


class Alone(JobHost):
    """Runs each job in an interpreter of its own, which says at its end how much memory it had at its peak."""

    def __init__(self) -> None:
        """Nothing is started yet."""

    def run(self, argv: Sequence[str], **given: Any) -> int:
        """Return a job's exit status."""
        command = [sys.executable, "-c", PEAK, *argv]
        with given["log"].open("w", encoding="utf-8") as log:
            where = {"env": given["environment"], "cwd": given["folder"], "stdout": log, "stderr": log}
            return subprocess.run(command, check=False, **where).returncode


def main() -> None:
    """Measures, and writes two tables to standard output."""
    summary, usage = (__doc__ or "").split("\n")[0], "%(prog)s [--packages N ...] [--sizes MB ...]"
    parser = argparse.ArgumentParser(prog="python -m benchmarks.release", description=summary, usage=usage)
    families = range(A_VARIANT, A_VARIANT * len(VARIANTS) + 1, A_VARIANT)
    parser.add_argument("--packages", type=int, nargs="+", default=PACKAGES, choices=families, help="of each family")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="of each artifact")
    options = parser.parse_args()
    _say(COSTS, _costs(options.packages))
    _say(["job", "", *(f"peak MiB at {size} MB" for size in options.sizes), "last of first"], _peaks(options.sizes))


def _say(headers: Sequence[str], rows: Iterator[list[object]]) -> None:
    sys.stdout.write(tabulate(list(rows), headers=headers, floatfmt=".2f") + "\n\n")
    sys.stdout.flush()


def _costs(packages: Sequence[int]) -> Iterator[list[object]]:
    measured = [_released(count) for count in sorted(packages)]
    for name, costs in zip(("flotilla", "npm publish in a loop"), zip(*measured, strict=True), strict=True):
        first = [figure / costs[0][0] for figure in costs[0]]
        for before, cost in pairwise([(0, 0.0, 0.0, 0), *costs]):
            _, seconds, cpu, requests = (figure / cost[0] for figure in cost)
            further = (cost[2] - before[2]) / (cost[0] - before[0])
            row = [cost[0], name, cost[1], seconds, seconds / first[1], cpu, cpu / first[2], further]
            yield [*row, requests, requests / first[3]]


def _released(packages: int) -> tuple[Cost, Cost]:
    """Return a family released, and then its tarballs published again, one by one, into the registry as it was."""
    with tempfile.TemporaryDirectory(prefix="flotilla-bench-") as name:
        family = large_family(Path(name) / "many", example_artifacts(), variants=VARIANTS[: packages // A_VARIANT])
        with Scene(family.source, family.artifacts, token=True) as scene:
            before, began = scene.world.saved(), _spent()
            with JobHost(scene.folder / "clock") as host:
                for step in scene.steps():
                    _run(scene, step, host)
            flotilla, tarballs = _cost(scene, began), dict(scene.world.registry.state.tarballs)
            scene.world.restore(before)
            scene.plan.start()
            return flotilla, _looped(scene, tarballs, Path(name))


def _looped(scene: Scene, tarballs: Mapping[str, bytes], folder: Path) -> Cost:
    url, token = scene.world.registry.url, next(iter(scene.world.registry.state.tokens))
    (folder / ".npmrc").write_text(npmrc(url, token), encoding="utf-8")
    environment = {"PATH": os.defpath, "HOME": str(folder), "NODE_COMPILE_CACHE": str(folder / "compiled")}
    for number, content in enumerate(tarballs.values()):
        (folder / f"{number}.tgz").write_bytes(content)
    began = _spent()
    for number in range(len(tarballs)):
        command = [*npm(), "publish", f"./{number}.tgz", "--access=public", f"--registry={url}", "--ignore-scripts"]
        subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True)
    return _cost(scene, began)


def _cost(scene: Scene, began: tuple[float, float]) -> Cost:
    """Return what it took until now; every package must be there, once."""
    (seconds, cpu), accepted = _spent(), scene.world.registry.state.accepted_counts()
    if accepted != {f"{package.name}@{package.version}": 1 for package in scene.family.packages}:
        sys.exit(f"not every package was accepted once: {accepted}")
    return len(accepted), seconds - began[0], cpu - began[1], len(scene.plan.requests)


def _spent() -> tuple[float, float]:
    """Return the clock's seconds, and the processor's in all processes that were started here and have ended."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.perf_counter(), children.ru_utime + children.ru_stime


def _peaks(sizes: Sequence[int]) -> Iterator[list[object]]:
    measured = [dict(_jobs(size)) for size in sizes]
    for job in measured[0]:
        peaks = [each[job] for each in measured]
        yield [*job, *peaks, peaks[-1] / peaks[0]]


def _jobs(megabytes: int) -> Iterator[tuple[tuple[str, str], float]]:
    """Peaks in MiB of the jobs that touch artifacts: dry, then in earnest, where assets and tarballs are sent."""
    with tempfile.TemporaryDirectory(prefix="flotilla-bench-") as name:
        family = large_family(Path(name) / "many", example_artifacts(), platforms=3, variants=VARIANTS[:1])
        _weigh(family, megabytes)
        with Scene(family.source, family.artifacts, token=True) as scene:
            for how, inputs in {"dry run": {"dry-run": "true"}, "in earnest": {}}.items():
                yield ("release", how), _peak(scene, Step(action="release", inputs=inputs))
                run = {"platform": PLATFORM, "run-id": str(scene.run_id), **inputs}
                yield ("publish-platform", how), _peak(scene, Step(action="publish-platform", inputs=run))


def _weigh(family: Checkout, megabytes: int) -> None:
    """Each binary gets so much noise behind it, and becomes an asset of the release."""
    noise = random.Random(megabytes)  # noqa: S311 - content, no secret
    for artifact in family.artifacts.iterdir():
        with (artifact / "bin/tool").rename(artifact / "bin" / artifact.name).open("ab") as program:
            program.writelines(noise.randbytes(1_000_000) for _ in range(megabytes))
    file = family.source / "flotilla.yml"
    config = json.loads(file.read_text(encoding="utf-8"))
    config["release"]["assets"] = ["bin/*"]
    file.write_text(json.dumps(config), encoding="utf-8")


def _peak(scene: Scene, step: Step) -> float:
    found = re.search(r"^VmHWM:\s+(\d+) kB", _run(scene, step, Alone()), re.MULTILINE)
    return int(found[1]) / 1024 if found else sys.exit("no peak of memory was found: is this Linux?")


def _run(scene: Scene, step: Step, host: JobHost) -> str:
    ended = scene.run(step, host=host)
    return ended.log if ended.status == 0 else sys.exit(f"{step} ended with {ended.status}\n{ended.log}")


if __name__ == "__main__":
    main()
