"""Breaks every request of a whole release in every way that applies, and holds what is left against a clean release.

python -m tests.faults                                    # all of it; make faults
python -m tests.faults --part 2/5                         # every fifth case, from the second
python -m tests.faults --sample 100 --seed 7              # some of it
python -m tests.faults --index 43 --kind reset-after -v   # one case again
"""

from __future__ import annotations

import argparse
import os
import random
import re
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from tests.faults.artifacts import EXAMPLE, example_artifacts
from tests.faults.cases import Case, Part, all_cases, sample
from tests.faults.clean import Checkpoint
from tests.faults.large_family import large_family
from tests.faults.paced import Paced, paced_release
from tests.faults.report import Report, say
from tests.faults.workers import Task, outcomes
from tests.simulator.faults import Kind

TO_THE_END = 40
# Jobs write and remove many small files; in memory that takes half of a job's time away.
IN_MEMORY = Path("/dev/shm")  # noqa: S108 - the scenes' folders in it are made by mkdtemp
ENOUGH_BYTES = 2 * 1024**3


def main() -> int:
    """Try the selected cases; return 1 if anything differs."""
    options = parser().parse_args()
    # If this process is ended, its workers end too, and their files are deleted.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    write_to_memory()
    report = Report(part=str(options.part or ""))

    def choose(release: Sequence[Checkpoint]) -> list[Task]:
        cases = all_cases(release)
        say(f"{len({case.index for case in cases})} requests, {len(cases)} faults that apply")
        chosen = [replace(case, times=options.times) for case in cases if wanted(case, options)]
        if options.sample:
            chosen = sample(chosen, size=options.sample, seed=options.seed)
        if options.part:
            chosen = options.part.of(chosen)
        report.planned = len(chosen)
        say(f"trying {len(chosen)}, {options.jobs} at a time")
        return tasks(chosen, to_the_end=options.to_the_end, seed=options.seed)

    for outcome in outcomes(choose, workers=options.jobs):
        report.add(outcome)
        if options.verbose:
            say(f"{outcome.case}: failed {outcome.failed} times\n{outcome.log}")
    paced = []
    for one in () if partial(options) else paced_releases():
        say("\n  ".join([str(one), *one.faults]))
        paced.append(one)
    sys.stdout.write("\n".join([*map(str, paced), *report.lines()]) + "\n")
    return 1 if report.differing or any(one.faults for one in paced) else 0


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    made = argparse.ArgumentParser(prog="python -m tests.faults", description=(__doc__ or "").split("\n", 1)[0])
    made.add_argument("--sample", type=int, metavar="N", help="try N cases, every kind and every job among them")
    made.add_argument("--seed", type=int, default=1, help="of the sample (default: 1)")
    made.add_argument("--part", type=part, metavar="I/N", help="the I-th of N parts, which together are the whole")
    made.add_argument("--jobs", type=int, default=workers(), metavar="N", help="how many at a time")
    made.add_argument("--kind", action="append", type=Kind, choices=list(Kind), help="this kind of fault alone")
    made.add_argument("--index", action="append", type=int, metavar="I", help="this request alone, from 1")
    made.add_argument("--job", action="append", type=int, metavar="J", help="this job alone, from 1")
    made.add_argument("--times", type=int, default=1, metavar="N", help="break it N times in a row (default: 1)")
    made.add_argument(
        "--to-the-end",
        type=int,
        default=TO_THE_END,
        metavar="N",
        help="for this many cases, also run the rest of the release",
    )
    made.add_argument("-v", "--verbose", action="store_true", help="show what each job printed")
    return made


def workers() -> int:
    """Return how many cases run at a time by default: more than there are cores, since a stalled one only waits."""
    return 2 * (os.cpu_count() or 1)


def part(text: str) -> Part:
    """Return the part that I/N names."""
    found = re.fullmatch(r"([1-9]\d*)/([1-9]\d*)", text)
    if not found or int(found[1]) > int(found[2]):
        raise argparse.ArgumentTypeError(f"expected a part such as 1/5, got {text!r}")
    return Part(int(found[1]), int(found[2]))


def write_to_memory() -> None:
    """Let this process and its workers keep temporary files in memory, unless TMPDIR says where or there is no room."""
    if "TMPDIR" not in os.environ and IN_MEMORY.is_dir() and shutil.disk_usage(IN_MEMORY).free > ENOUGH_BYTES:
        os.environ["TMPDIR"] = str(IN_MEMORY)
        tempfile.tempdir = None


def partial(options: argparse.Namespace) -> bool:
    """Return whether the command line selects only some faults."""
    return any((options.sample, options.kind, options.index, options.job, options.times > 1)) or (
        options.part is not None and options.part.number > 1
    )


def paced_releases() -> Iterator[Paced]:
    """Yield the example, and a family of 110 packages, released into a registry that limits the rate."""
    artifacts = example_artifacts()
    yield paced_release(EXAMPLE, artifacts)
    with tempfile.TemporaryDirectory(prefix="flotilla-faults-") as folder:
        many = large_family(Path(folder) / "many", artifacts)
        yield paced_release(many.source, many.artifacts)


def wanted(case: Case, options: argparse.Namespace) -> bool:
    """Return whether the command line selects this case."""
    named = ((options.kind, case.kind), (options.index, case.index), (options.job, case.job + 1))
    return all(not values or value in values for values, value in named)


def tasks(chosen: Sequence[Case], *, to_the_end: int, seed: int) -> list[Task]:
    """Return the cases; for some of them, chosen by the seed, also run the rest of the release."""
    drawn = set(random.Random(seed).sample(range(len(chosen)), min(to_the_end, len(chosen))))  # noqa: S311 - no secret
    return [Task(case=case, to_the_end=n in drawn) for n, case in enumerate(chosen)]


if __name__ == "__main__":
    sys.exit(main())
