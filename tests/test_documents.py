"""JSON from outside is read field by field, and what does not fit is named."""

from __future__ import annotations

import pytest

from flotilla.documents import Document, documents, parse_json
from flotilla.errors import FlotillaError, RegistryError


def unusable(about: str, why: str) -> FlotillaError:
    return RegistryError(f"{about}: {why}")


@pytest.mark.parametrize(
    ("read", "said"),
    [
        (lambda one: one.text("absent"), "'absent'"),
        (lambda one: one.text("number"), "a number as 'number'"),
        (lambda one: one.number("flag"), "a boolean as 'flag'"),
        (lambda one: one.number("text"), "text as 'text'"),
        (lambda one: one.flag("number"), "a number as 'number'"),
        (lambda one: one.moment("text"), "text as 'text'"),
        (lambda one: one.inner("list"), r"\(list\)"),
        (lambda one: one.inners("text"), r"\(text\)"),
        (lambda one: one.inner("inner").text("name"), r"\(inner\)"),
    ],
)
def test_a_field_of_another_shape_is_named_in_the_error_of_who_asked(read: object, said: str) -> None:
    fields = {"text": "x", "number": 1, "flag": True, "list": [], "inner": {}}
    with pytest.raises(RegistryError, match=f"answer.*{said}"):
        read(Document.of(fields, "answer", unusable))  # type: ignore[operator] # a lambda of the table


@pytest.mark.parametrize("value", [None, [], "x", 1])
def test_what_is_no_object_is_refused(value: object) -> None:
    with pytest.raises(RegistryError, match="expected an object"):
        Document.of(value, "answer", unusable)
    with pytest.raises(RegistryError, match="expected"):
        documents([value], "answer", unusable)


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, b"\xff"])
def test_what_is_no_json_is_a_value_error(text: str | bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_json(text)


@pytest.mark.parametrize("text", ['{"a": 1, "a": 2}', "NaN", "[Infinity]"])
def test_what_readers_understand_differently_is_refused_where_that_counts(text: str) -> None:
    assert parse_json(text)
    with pytest.raises(ValueError, match=r"."):
        parse_json(text, strict=True)
