"""Draw which part of the library gives which types to which other: `python -m tests.picture`, or `make picture`.

The drawing is Mermaid, which GitHub shows as a picture. It stands in docs/architecture.md between two marks.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

import flotilla

PACKAGE = Path(flotilla.__file__).parent
PAGE = PACKAGE.parents[1] / "docs" / "architecture.md"
BEGIN, END = "<!-- picture: made by `make picture` -->\n", "<!-- end of the picture -->\n"
# Top to bottom. What all of these use is left out: errors, text, retry, parallel, http and runner.
PARTS = ("family", "packing", "github", "npm", "jobs", "commands", "rehearsal")
MOST_TYPES = 6


def types_given() -> dict[tuple[str, str], set[str]]:
    """Return the names of the types that one part declares and another imports, by giver and taker."""
    given: dict[tuple[str, str], set[str]] = {}
    for taker in PARTS:
        for file in sorted((PACKAGE / taker).rglob("*.py")):
            for giver, name in _imported(file):
                if giver in PARTS and giver != taker:
                    found = given.setdefault((giver, taker), set())
                    found |= {name} if _is_type(name) else set()
    return given


def _imported(file: Path) -> Iterator[tuple[str, str]]:
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("flotilla."):
            yield from ((node.module.split(".")[1], alias.name) for alias in node.names)


def _is_type(name: str) -> bool:
    return name[0].isupper() and not name.isupper() and not name.endswith("Error")


def purpose(part: str) -> str:
    """Return the first line of a part's docstring, without its full stop."""
    text = ast.get_docstring(ast.parse((PACKAGE / part / "__init__.py").read_text(encoding="utf-8"))) or ""
    return text.splitlines()[0].rstrip(".").replace('"', "'")


def picture(given: Mapping[tuple[str, str], set[str]]) -> str:
    """Return the drawing."""
    lines = ["flowchart TD", *(f'    {part}["{part}/<br/>{purpose(part)}"]' for part in PARTS)]
    for giver, taker in sorted(given, key=lambda edge: tuple(map(PARTS.index, edge))):
        lines.append(f"    {giver} -->{_label(given[giver, taker])} {taker}")
    return "\n".join(["```mermaid", *lines, "```", ""])


def _label(types: set[str]) -> str:
    shown = sorted(types)[:MOST_TYPES]
    rest = ["…"] if len(types) > MOST_TYPES else []
    return f'|"{"<br/>".join([*shown, *rest])}"|' if types else ""


def page(old: str) -> str:
    """Return the page with a drawing of the code as it is."""
    before, _, rest = old.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}{picture(types_given())}{END}{after}"


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
