"""The family model computes; it touches no file, network, clock or environment."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import flotilla.family

IMPURE = {
    "os", "pathlib", "time", "datetime", "socket", "subprocess", "random", "requests", "urllib.request", "http",
    "shutil", "tempfile", "io", "logging", "sys",
}  # fmt: skip
# A packed package says where its tarball is.
CARRIED = {("model.py", "pathlib")}
OURS = ("flotilla.errors", "flotilla.family", "flotilla.text")


def modules() -> list[Path]:
    return sorted(Path(flotilla.family.__file__).parent.glob("*.py"))


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            yield str(node.module)


def test_the_family_imports_nothing_that_reaches_the_world() -> None:
    found = {(path.name, name) for path in modules() for name in imported(path)}
    assert len(modules()) > 10
    impure = {(file, name) for file, name in found if name in IMPURE or name.split(".")[0] in IMPURE}
    assert impure <= CARRIED


def test_the_family_knows_of_flotilla_only_the_errors() -> None:
    found = {name for path in modules() for name in imported(path) if name.split(".")[0] == "flotilla"}
    assert not {name for name in found if not name.startswith(OURS)}


def test_the_family_opens_nothing_prints_nothing_and_exits_never() -> None:
    calls = {
        node.func.id
        for path in modules()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }
    assert not calls & {"open", "print", "exit", "input", "eval", "exec", "__import__"}
