"""That `make bench` runs and tells every row; how long anything takes is not looked at."""

from __future__ import annotations

from pathlib import Path

import pytest
from benchmarks import __main__ as bench
from benchmarks import alternatives, scale
from benchmarks.measure import Row
from tests.world.npm_packages import installed

HOME = str(Path.home())
WORK = {
    "start": ["start to first request"],
    "transfers": ["upload 9", "download 9", "download and unpack 9", "release job, 9"],
    "pack": ["pack 1 MB into 1 package", "pack 1 MB into 4 packages"],
    "platform": ["publish-platform, 2 packages"],
    "publish": ["publish 3 packages without pauses", "all jobs, 3 packages, 1 package a job", "all jobs, 4 packages"],
    "large": ["compress: memory", "compress: disk"],
}


@pytest.mark.slow
@pytest.mark.npm
@pytest.mark.timeout(900)
@pytest.mark.parametrize("topic", WORK)
def test_each_topic_writes_its_rows_and_the_picture(topic: str, tmp_path: Path) -> None:
    installed(alternatives.HERE)
    bench.main(["--quick", "--only", topic, "--results", str(tmp_path)])
    table, picture = (tmp_path / "compare.md").read_text("utf-8"), (tmp_path / "compare.svg").read_text("utf-8")
    for work in WORK[topic]:
        assert work in table
        assert work in picture
    assert HOME not in table + picture


@pytest.mark.slow
@pytest.mark.npm
@pytest.mark.timeout(900)
def test_a_family_of_eleven_and_one_of_twenty_two_are_compared(tmp_path: Path) -> None:
    scale.main(["--packages", "11", "22", "--results", str(tmp_path)])
    assert [line.split("|")[1].strip() for line in (tmp_path / "scale.md").read_text("utf-8").splitlines()[6:]] == [
        "11",
        "11",
        "22",
        "22",
    ]


def test_one_aim_that_is_met_is_enough() -> None:
    row = Row(work="w", alternative="a", theirs=1.0, flotilla=1.6, floor=1.5, aims={"ratio": 1.5, "floor": 1.25})
    assert row.verdict == "ratio ≤ 1.5 or ≤ 1.25 of the floor: met"
    slow = Row(work="w", alternative="a", theirs=1.0, flotilla=2.0, aims={"ratio": 1.5})
    assert slow.verdict.endswith("missed")
