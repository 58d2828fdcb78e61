"""Print how large and how deep the library is: `python -m tests.shape`, or `make shape`.

The core is lib/flotilla without the rehearsal. A type "declares name and version" if both are fields of its class.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Iterator, Mapping
from pathlib import Path

import flotilla

PACKAGE = Path(flotilla.__file__).parent
Edges = Mapping[str, set[str]]


def modules() -> dict[str, Path]:
    """Return the core's modules by their dotted names."""
    return {
        ".".join(file.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__"): file
        for file in sorted(PACKAGE.rglob("*.py"))
        if "rehearsal" not in file.parts
    }


def edges(files: Mapping[str, Path]) -> dict[str, set[str]]:
    """Return which module imports which, imports inside functions included."""
    return {name: set(_imported(file, files)) - {name} for name, file in files.items()}


def cycles(graph: Edges) -> list[list[str]]:
    """Return the groups of modules that import each other, directly or through others."""
    reach = {name: _reachable(name, graph) for name in graph}
    groups = {
        frozenset(other for other in reach[name] if name in reach[other]) for name in graph if name in reach[name]
    }
    return sorted(sorted(group) for group in groups)


def longest_chain(graph: Edges) -> list[str]:
    """Return the longest path of imports; the graph must have no cycle."""
    longest: dict[str, list[str]] = {}

    def chain(name: str) -> list[str]:
        if name not in longest:
            longest[name] = [name, *max((chain(other) for other in graph[name]), key=len, default=[])]
        return longest[name]

    return max((chain(name) for name in graph), key=len, default=[])


def body_lengths(files: Mapping[str, Path]) -> list[int]:
    """Return the lines of each function's body, its docstring left out, shortest first."""
    return sorted(
        _body(node)
        for file in files.values()
        for node in ast.walk(_tree(file))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    )


def named_and_versioned(files: Mapping[str, Path]) -> list[str]:
    """Return the types that declare both a name and a version."""
    return [
        f"{module}.{node.name}"
        for module, file in files.items()
        for node in ast.walk(_tree(file))
        if isinstance(node, ast.ClassDef) and {"name", "version"} <= set(_fields(node))
    ]


def _tree(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"))


def _imported(file: Path, files: Mapping[str, Path]) -> Iterator[str]:
    for node in ast.walk(_tree(file)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in files)
        elif isinstance(node, ast.ImportFrom) and node.module in files:
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            found = inner & files.keys()
            yield from found
            if found != inner:
                yield str(node.module)


def _reachable(start: str, graph: Edges) -> set[str]:
    seen: set[str] = set()
    ahead = list(graph[start])
    while ahead:
        name = ahead.pop()
        if name not in seen:
            seen.add(name)
            ahead += graph[name]
    return seen


def _body(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    body = function.body[1:] if ast.get_docstring(function) is not None else function.body
    return (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


def _fields(node: ast.ClassDef) -> Iterator[str]:
    return (
        each.target.id for each in node.body if isinstance(each, ast.AnnAssign) and isinstance(each.target, ast.Name)
    )


def _percentile(values: list[int], share: float) -> int:
    return values[max(0, math.ceil(share * len(values)) - 1)]


def main() -> None:
    """Print each figure, a line each."""
    files = modules()
    graph = edges(files)
    lengths = body_lengths(files)
    lines = sum(len(file.read_text(encoding="utf-8").splitlines()) for file in files.values())
    loops = cycles(graph)
    chain = [] if loops else longest_chain(graph)
    carried = named_and_versioned(files)
    print(f"core modules               {len(files)}")
    print(f"core lines                 {lines}")
    print(f"import edges               {sum(map(len, graph.values()))}")
    print(f"longest import chain       {len(chain) if chain else 'none: there are cycles'}")
    print(f"import cycles              {len(loops)}")
    print(f"function body p50/p90/max  {_percentile(lengths, 0.5)} / {_percentile(lengths, 0.9)} / {lengths[-1]} lines")
    print(f"types with name + version  {len(carried)}")
    for loop in loops:
        print(f"  cycle: {', '.join(loop)}")
    for name in carried:
        print(f"  {name}")
    print(f"  chain: {' → '.join(name.removeprefix('flotilla.') for name in chain)}")


if __name__ == "__main__":
    main()
