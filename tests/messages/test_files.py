"""The golden files themselves."""

from __future__ import annotations

import ast

from tests.messages.conftest import FOLDER


def test_no_golden_file_is_left_over() -> None:
    said = {
        node.value
        for test in FOLDER.glob("test_*.py")
        for node in ast.walk(ast.parse(test.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant)
    }
    files = {file.stem for file in FOLDER.glob("*.txt")}
    assert files
    assert files <= said


def test_no_golden_file_holds_what_only_this_machine_has() -> None:
    for file in FOLDER.glob("*.txt"):
        text = file.read_text(encoding="utf-8")
        assert str(FOLDER.parents[1]) not in text, file.name
        assert "/tmp/" not in text, file.name  # noqa: S108 - looked for, not written to
