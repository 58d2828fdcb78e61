"""That `make bench` runs and tells every row; how long anything takes is not looked at."""

from __future__ import annotations

from pathlib import Path

import pytest
from benchmarks import compare


@pytest.mark.slow
@pytest.mark.npm
def test_the_quick_benchmark_runs_and_writes_each_row_and_the_picture(tmp_path: Path) -> None:
    compare.main(["--quick", "--results", str(tmp_path)])
    table, picture = (tmp_path / "compare.md").read_text("utf-8"), (tmp_path / "compare.svg").read_text("utf-8")
    for work in ("start", "pack 2 MB", "artifacts (0 ms)", "artifacts (50 ms, 200 Mbit/s)"):
        assert work in table
        assert work in picture
    assert str(Path.home()) not in table
