"""Markdown for job summaries, in which a value from outside cannot act as Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from urllib.parse import quote, urlsplit

from tabulate import tabulate

from flotilla.text import escape

_URL_CHARACTERS = "/:?&=%#@+,;~-._"
_URL = re.compile(r"(https?://[^\s<>\"'`|()\[\]{}]*[^\s<>\"'`|()\[\]{}.,;:!?])")


def code(value: object) -> str:
    """Return a value as a code span, in which Markdown and HTML have no effect; also right inside a table's cell."""
    text = escape(" ".join(str(value).split())).replace("|", "\\|")
    fence = _fence(text, shortest=1)
    space = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{fence}{space}{text}{space}{fence}" if text else ""


def link(label: object, url: str) -> str:
    """Return a link to an http(s) page, with a code span as its label; only the label for any other URL."""
    if urlsplit(url).scheme not in ("http", "https"):
        return code(label)
    return f"[{code(label)}]({quote(url, safe=_URL_CHARACTERS)})"


def linked(text: object, *, site: str) -> str:
    """Return a sentence as code spans, with the URLs of one site as links; also right inside a table's cell.

    Our sentences contain foreign text, too, which must not plant a link to another site.

    Args:
        site: a URL of the site whose pages may be linked, such as GITHUB_SERVER_URL; empty for none.
    """
    ours = urlsplit(site)[:2]
    parts = _URL.split(str(text))
    return " ".join(filter(None, (link(part, part) if urlsplit(part)[:2] == ours else code(part) for part in parts)))


def table(headers: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a table; its cells are Markdown."""
    return tabulate(rows, headers, tablefmt="github", disable_numparse=True)


def listed(lines: Sequence[object]) -> str:
    """Return a list with an item per line; empty if there are none."""
    return "".join(f"\n- {code(line)}" for line in lines) + "\n" if lines else ""


def block(text: str, language: str = "") -> str:
    """Return a fenced block that its text cannot end."""
    fence = _fence(text, shortest=3)
    return f"{fence}{language}\n{text}\n{fence}"


def _fence(text: str, *, shortest: int) -> str:
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    return "`" * max(shortest, longest + 1)


def size(count: int) -> str:
    """Return bytes in the most readable unit; 1 kB is 1000 bytes, as npm counts."""
    amount = float(count)
    for unit in ("B", "kB", "MB"):
        if amount < 1000:  # noqa: PLR2004 - the step from a unit to the next
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} GB"
