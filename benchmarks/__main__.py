"""What flotilla takes beside named alternatives: real processes, medians of interleaved runs.

usage: python -m benchmarks [--quick] [--rounds N] [--only TOPIC ...]    from the repository's folder

Writes benchmarks/results/compare.md, compare.svg and the figures of each topic, which --only replaces. The rows with a
network have it as it is on loopback, and with 50 ms for each exchange and 200 Mbit/s for each connection.
`python -m benchmarks.scale` lets a family grow.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import alternatives
from benchmarks.family import NETWORKS, World, family
from benchmarks.measure import Row
from benchmarks.publishing import Publishing, pack_rows
from benchmarks.report import RESULTS, keep, written
from benchmarks.resources import large_rows, start_row
from benchmarks.transfers import Transfers

LOOPBACK, FAR = NETWORKS


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """How much is measured.

    Args:
        artifacts: bytes of all nine artifacts unpacked.
        package: bytes of the package that is packed, and of a platform's packages.
        large: bytes of the large artifact.
        family: bytes of each binary of the family of eleven.
        platforms: of that family.
        networks: keys of NETWORKS.
    """

    rounds: int
    artifacts: int = 180_000_000
    package: int = 60_000_000
    large: int = 1_000_000_000
    family: int = 500_000
    platforms: int = 10
    networks: tuple[str, ...] = tuple(NETWORKS)


QUICK: dict[str, Any] = {
    "artifacts": 900_000,
    "package": 600_000,
    "large": 2_000_000,
    "family": 20_000,
    "platforms": 2,
    "networks": (FAR,),
}


def transfers(folder: Path, sizes: Sizes) -> Iterator[Row]:
    """Yield the rows about GitHub."""
    nine = family(folder / "family", platforms=9, size=sizes.artifacts // 9)
    for number, network in enumerate(sizes.networks):
        with World(folder / f"world{number}", nine, network) as world:
            yield from Transfers(world, folder / f"files{number}", sizes.rounds).rows()


def pack(folder: Path, sizes: Sizes) -> Iterator[Row]:
    """Yield the row about packing."""
    yield from pack_rows(folder, sizes.package, sizes.rounds)


def platform(folder: Path, sizes: Sizes) -> Iterator[Row]:
    """Yield the rows about one platform's job."""
    one = family(folder / "family", platforms=1, variants=2, size=sizes.package // 4)
    for number, network in enumerate(sizes.networks):
        with World(folder / f"world{number}", one, network) as world:
            yield Publishing(world, folder / f"ready{number}", sizes.rounds).platform_row()


def publish(folder: Path, sizes: Sizes) -> Iterator[Row]:
    """Yield the rows about a whole family."""
    eleven = family(folder / "eleven", platforms=sizes.platforms, size=sizes.family)
    for number, network in enumerate(sizes.networks):
        with World(folder / f"world{number}", eleven, network) as world:
            publishing = Publishing(world, folder / f"ready{number}", sizes.rounds)
            yield from publishing.family_rows()
            if network == FAR:
                yield publishing.graph_row()
    twelve = family(folder / "twelve", platforms=sizes.platforms // 2, variants=2, size=sizes.family)
    with World(folder / "world", twelve, FAR) as world:
        yield Publishing(world, folder / "ready", sizes.rounds).graph_row()


def start(folder: Path, sizes: Sizes) -> Iterator[Row]:
    """Yield the row about starting."""
    with World(folder / "world", family(folder / "family", platforms=1, size=1000), LOOPBACK) as world:
        yield start_row(world, sizes.rounds)


def large(folder: Path, sizes: Sizes) -> Iterator[Row]:
    """Yield the rows about a large artifact."""
    with World(
        folder / "world", family(folder / "family", platforms=1, size=sizes.large, noise=True), LOOPBACK
    ) as world:
        yield from large_rows(world, sizes.rounds)


TOPICS: dict[str, Callable[[Path, Sizes], Iterator[Row]]] = {
    "start": start,
    "transfers": transfers,
    "pack": pack,
    "platform": platform,
    "publish": publish,
    "large": large,
}


def main(arguments: list[str] | None = None) -> None:
    """Measure, print each row, and write the table and the picture."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="one run each of small sizes, to see that it works")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", nargs="+", choices=TOPICS, default=list(TOPICS), help="the topics to measure")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder for the table and the picture")
    options = parser.parse_args(arguments)
    sizes = Sizes(rounds=1, **QUICK) if options.quick else Sizes(rounds=options.rounds)
    for topic in options.only:
        rows = list[Row]()
        with tempfile.TemporaryDirectory(prefix="flotilla-bench-") as folder:
            for row in TOPICS[topic](Path(folder), sizes):
                rows.append(row)
                sys.stdout.write(f"{row}\n")
                sys.stdout.flush()
        keep(options.results, topic, rows, rounds=sizes.rounds)
    sys.stdout.write(written(options.results, list(TOPICS), missing=alternatives.missing()))


if __name__ == "__main__":
    main()
