"""Markdown for job summaries, in which a value from outside stays a value."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from urllib.parse import quote, urlsplit

from tabulate import tabulate

from flotilla.text import escape

_URL_CHARACTERS = "/:?&=%#@+,;~-._"
_URL = re.compile(r"(https?://[^\s<>\"'`|()\[\]{}]*[^\s<>\"'`|()\[\]{}.,;:!?])")


def code(value: object) -> str:
    """Return a value as a code span, where Markdown and HTML mean nothing; also right inside a table's cell."""
    text = escape(" ".join(str(value).split())).replace("`", "\N{MODIFIER LETTER GRAVE ACCENT}").replace("|", "\\|")
    return f"`{text}`" if text.strip() else ""


def link(label: object, url: str) -> str:
    """Return a link to an http(s) page, its label a code span; the label alone where the address is of another kind."""
    if urlsplit(url).scheme not in ("http", "https"):
        return code(label)
    return f"[{code(label)}]({quote(url, safe=_URL_CHARACTERS)})"


def linked(text: object, *, site: str) -> str:
    """Return a sentence as code spans, with each URL of one site as a link; also right inside a table's cell.

    What others said stands in our sentences too, and must not plant a link to a site of its choice.

    Args:
        site: a URL of the site whose pages may be linked, such as GITHUB_SERVER_URL; empty for none.
    """
    ours = urlsplit(site)[:2]
    parts = _URL.split(str(text))
    return " ".join(filter(None, (link(part, part) if urlsplit(part)[:2] == ours else code(part) for part in parts)))


def table(headers: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a table of cells that are Markdown already."""
    return tabulate(rows, headers, tablefmt="github", disable_numparse=True)


def listed(lines: Sequence[object]) -> str:
    """Return a list, a line an item; nothing for no lines."""
    return "".join(f"\n- {code(line)}" for line in lines) + "\n" if lines else ""


def block(text: str, language: str = "") -> str:
    """Return a fenced block that its own text cannot end."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text}\n{fence}"


def size(count: int) -> str:
    """Bytes in the unit that reads best: 1 kB is 1000 bytes, as npm counts."""
    amount = float(count)
    for unit in ("B", "kB", "MB"):
        if amount < 1000:  # noqa: PLR2004 - the step from a unit to the next
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} GB"
