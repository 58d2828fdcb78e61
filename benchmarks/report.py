"""The results as Markdown and as a picture, with the machine that they were measured on."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from itertools import groupby
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from benchmarks.measure import Row
from tabulate import tabulate

RESULTS = Path(__file__).parent / "results"
OURS, THEIRS = "#2f6f9f", "#9aa5b1"
BAR, LINE, WIDTH = 14, 18, 420


def machine() -> str:
    """Return what the machine is, in a sentence without its name."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1024**3
    kernel = f"{platform.system()} {platform.release().partition('-')[0]}"
    return (
        f"{os.cpu_count()} cores ({platform.machine()}), {memory:.0f} GiB, {kernel}, "
        f"Python {platform.python_version()}."
    )


def table(headers: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return a Markdown table."""
    return tabulate(rows, headers, "github", floatfmt=".2f") + "\n"


def keep(results: Path, topic: str, rows: Sequence[Row], *, rounds: int) -> None:
    """Write a topic's figures, with how busy the machine was."""
    results.mkdir(parents=True, exist_ok=True)
    measured = {"rounds": rounds, "load": round(os.getloadavg()[1], 1), "rows": [asdict(row) for row in rows]}
    (results / f"{topic}.json").write_text(json.dumps(measured, indent=1) + "\n", encoding="utf-8")


def written(results: Path, topics: Sequence[str], *, missing: Sequence[str]) -> str:
    """Write the table and the picture of every topic that has figures; return the table."""
    files = {topic: results / f"{topic}.json" for topic in topics}
    kept = {topic: json.loads(file.read_text(encoding="utf-8")) for topic, file in files.items() if file.exists()}
    rows = [Row(**row) for one in kept.values() for row in one["rows"]]
    told = _markdown(rows, kept, missing)
    (results / "compare.md").write_text(told, encoding="utf-8")
    (results / "compare.svg").write_text(picture(rows), encoding="utf-8")
    return told


def _markdown(rows: Sequence[Row], kept: Mapping[str, Any], missing: Sequence[str]) -> str:
    headers = (
        "work",
        "alternative",
        "alternative takes",
        "floor",
        "flotilla",
        "unit",
        "ratio",
        "of floor",
        "aim",
        "CPU s",
        "CPU ratio",
    )
    cells = [
        [row.work, row.alternative, row.theirs, row.floor, row.flotilla, row.unit, *row.ratios, row.verdict, *_cpu(row)]
        for row in rows
    ]
    how = ", ".join(f"{topic} {one['rounds']} at {one['load']}" for topic, one in kept.items())
    facts = (
        f"{machine()} Medians of interleaved runs of real processes; clients and servers share the cores. CPU s are "
        "the processor's seconds of the alternative and of flotilla: believe these where the machine was busy. "
        f"Runs, and the load average of five minutes at the end of each topic: {how}."
    )
    left_out = f"\nLeft out: {'; '.join(missing)}.\n" if missing else ""
    return f"# Measured\n\n{facts}\n\n{table(headers, cells)}{left_out}"


def _cpu(row: Row) -> tuple[str, float | None]:
    theirs, ours = row.cpu or (0, 0)
    return (f"{theirs:.1f} / {ours:.1f}", ours / theirs) if theirs else ("", None)


def picture(rows: Sequence[Row]) -> str:
    """Return the rows as bars, each group on a scale of its own."""
    parts, top = [], 20
    for work, group in groupby(rows, key=lambda row: row.work):
        same = list(group)
        bars = [(row.alternative, row.theirs or 0.0, THEIRS) for row in same]
        bars += [("flotilla", same[0].flotilla, OURS)]
        longest = max(figure for _, figure, _ in bars) or 1.0
        parts.append(f'<text x="10" y="{top}" font-weight="bold">{escape(work)}</text>')
        for name, figure, colour in bars:
            width = WIDTH * figure / longest
            parts.append(f'<rect x="10" y="{top + 6}" width="{width:.0f}" height="{BAR}" fill="{colour}"/>')
            told = f"{figure:.2f} {same[0].unit} {name}"
            parts.append(f'<text x="{width + 16:.0f}" y="{top + 18}">{escape(told)}</text>')
            top += LINE
        top += 2 * LINE
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="860" height="{top}" font-size="13" font-family="sans-serif">'
    )
    return f'{head}\n<rect width="100%" height="100%" fill="white"/>\n' + "\n".join(parts) + "\n</svg>\n"
