"""The JSON schema that editors read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest
import yaml
from jsonschema import Draft202012Validator

from flotilla.family import schema
from flotilla.family.schema import TRANSLATIONS
from flotilla.family.yaml import core_schema

STRUCTURE = {"properties", "items", "if", "then", "else", "$ref", "$schema", "$defs", "title", "description"}


def parts(part: object) -> Iterator[Mapping[str, object]]:
    if isinstance(part, Mapping):
        yield part
        for inner in part.values():
            yield from parts(inner)


def test_the_schema_is_a_schema() -> None:
    Draft202012Validator.check_schema(schema())


def test_every_key_has_a_description_for_the_editor() -> None:
    keys = [
        (key, inner)
        for part in parts(schema())
        if isinstance(properties := part.get("properties"), Mapping)
        for key, inner in properties.items()
        if isinstance(inner, Mapping)
    ]
    assert len(keys) > 30
    assert not [key for key, inner in keys if not str(inner.get("description", "")).endswith((".", '".'))]


def test_no_mapping_takes_a_key_that_nobody_knows() -> None:
    assert not [
        part for part in parts(schema()) if "properties" in part and part.get("additionalProperties") is not False
    ]


def test_every_rule_of_the_schema_is_translated_into_words() -> None:
    rules = {
        rule
        for part in parts(schema())
        if "type" in part or "enum" in part or "const" in part
        for rule in part
        if not isinstance(part[rule], Mapping) or rule == "dependentRequired"
    }
    assert not rules - TRANSLATIONS.keys() - STRUCTURE - {"patternErrorMessage"}


def test_every_pattern_says_what_it_wants() -> None:
    patterned = [part for part in parts(schema()) if isinstance(part.get("pattern"), str)]
    assert patterned
    assert all("patternErrorMessage" in part for part in patterned)


def test_an_editor_that_reads_yaml_1_2_agrees_on_the_example(example: str) -> None:
    assert not list(Draft202012Validator(schema()).iter_errors(yaml.safe_load(example)))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None), ("~", None), ("null", None), ("true", True), ("FALSE", False), ("yes", "yes"), ("on", "on"),
        ("n", "n"), ("12", 12), ("-3", -3), ("2.28", 2.28), (".5", 0.5), ("1e3", 1000.0), ("1_000", "1_000"),
        ("1:30", "1:30"), ("2024-01-01", "2024-01-01"), ("0x1f", "0x1f"), (".nan", ".nan"), ("<<", "<<"),
    ],
)  # fmt: skip
def test_unquoted_scalars_are_what_yaml_1_2_takes_them_for(text: str, value: object) -> None:
    assert core_schema(text) == value
    assert type(core_schema(text)) is type(value)
