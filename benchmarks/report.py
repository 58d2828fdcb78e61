"""The results as Markdown and as a picture, with the machine that they were measured on."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
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


def markdown(rows: Sequence[Row], *, rounds: int, missing: Sequence[str]) -> str:
    """Return all rows as a document."""
    headers = ("work", "alternative", "alternative takes", "floor", "flotilla", "unit", "ratio", "of floor", "aim")
    cells = [
        [row.work, row.alternative, row.theirs, row.floor, row.flotilla, row.unit, *row.ratios, row.verdict]
        for row in rows
    ]
    load = " ".join(f"{one:.1f}" for one in os.getloadavg())
    facts = (
        f"{machine()} Medians of {rounds} interleaved runs of real processes; clients and servers share the cores. "
        f"Load averages at the end: {load}."
    )
    left_out = f"\nLeft out: {'; '.join(missing)}.\n" if missing else ""
    return f"# Measured\n\n{facts}\n\n{table(headers, cells)}{left_out}"


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
