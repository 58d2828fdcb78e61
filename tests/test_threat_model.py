"""Each rule of the threat model names a test, and each test named is there."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DOCUMENT = ROOT / "docs" / "threat-model.md"
NAMED = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")
RULE = re.compile(r"\| (?P<rule>[^|]+?\.) \| (?P<test>.*?) \|")


def rules() -> list[tuple[str, str]]:
    lines = DOCUMENT.read_text(encoding="utf-8").splitlines()
    return [(found["rule"], found["test"]) for line in lines if (found := RULE.fullmatch(line))]


@cache
def functions_of(file: str) -> frozenset[str]:
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    return frozenset(node.name for node in tree.body if isinstance(node, ast.FunctionDef))


@pytest.mark.parametrize(("rule", "test"), rules(), ids=lambda text: text[:60])
def test_the_rule_names_a_test_that_is_there(rule: str, test: str) -> None:
    named = NAMED.fullmatch(test)
    assert named is not None, f"{rule} names no test: {test}"
    file, name = named.groups()
    assert name in functions_of(file), f"{rule} names {name}, which is not in {file}"


def test_every_row_under_a_heading_of_rules_is_read_as_a_rule() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    rows = [line for line in text.splitlines() if "tests/" in line and line.startswith("|")]
    assert len(rows) == len(rules()) > 80
    assert len({test for _, test in rules()}) == len(rules())
