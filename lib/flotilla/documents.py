"""Read JSON from outside. A field of the wrong type raises the caller's error, and the error names the field."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NoReturn, TypeVar

from flotilla.errors import FlotillaError

T = TypeVar("T")

Unusable = Callable[[str, str], FlotillaError]


def parse_json(text: bytes | str, *, strict: bool = False) -> object:
    """Return the JSON document of a text.

    Args:
        strict: also refuse what JSON readers disagree on: repeated keys, and NaN.

    Raises:
        ValueError: it is not JSON.
    """
    try:
        if strict:
            document: object = json.loads(text, parse_constant=_no_number, object_pairs_hook=_distinct)
        else:
            document = json.loads(text)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    return document


@dataclass(frozen=True)
class Document:
    """A JSON object, what it is about, and how to make the error if it cannot be used.

    Every method raises that error if the field is missing or has another type.

    Args:
        unusable: makes the error from what the object is about and why it cannot be used.
    """

    fields: Mapping[str, object]
    about: str
    unusable: Unusable

    @classmethod
    def of(cls, value: object, about: str, unusable: Unusable) -> Document:
        """Return the value, if it is a JSON object."""
        if not isinstance(value, Mapping):
            raise unusable(about, f"expected an object, got {_kind(value)}")
        return cls(value, about, unusable)

    def text(self, key: str) -> str:
        """Return a field that is text."""
        return self._typed(key, str)

    def number(self, key: str) -> int:
        """Return a field that is a whole number."""
        if isinstance(self.fields.get(key), bool):
            raise self._wrong(key)
        return self._typed(key, int)

    def flag(self, key: str) -> bool:
        """Return a field that is a boolean."""
        return self._typed(key, bool)

    def moment(self, key: str) -> datetime:
        """Return a field that is a time, in UTC if it names no zone."""
        try:
            moment = datetime.fromisoformat(self.text(key))
        except ValueError:
            raise self._wrong(key) from None
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)

    def optional_text(self, key: str) -> str | None:
        """Return a field that is text; None if it is missing or null."""
        return None if self.fields.get(key) is None else self.text(key)

    def inner(self, key: str) -> Document:
        """Return a field that is an object."""
        return Document.of(self.fields.get(key), f"{self.about} ({key})", self.unusable)

    def optional_inner(self, key: str) -> Document | None:
        """Return a field that is an object; None if it is missing or null."""
        return None if self.fields.get(key) is None else self.inner(key)

    def inners(self, key: str) -> tuple[Document, ...]:
        """Return a field that is a list of objects."""
        return documents(self.fields.get(key), f"{self.about} ({key})", self.unusable)

    def has(self, key: str) -> bool:
        """Return whether the field is there and not null."""
        return self.fields.get(key) is not None

    def _typed(self, key: str, kind: type[T]) -> T:
        value = self.fields.get(key)
        if not isinstance(value, kind):
            raise self._wrong(key)
        return value

    def _wrong(self, key: str) -> FlotillaError:
        state = f"has {_kind(self.fields[key])} as" if key in self.fields else "lacks"
        return self.unusable(self.about, f"it {state} {key!r}")


def documents(value: object, about: str, unusable: Unusable) -> tuple[Document, ...]:
    """Return the objects of a JSON array."""
    if not isinstance(value, list):
        raise unusable(about, f"expected a list, got {_kind(value)}")
    return tuple(Document.of(item, about, unusable) for item in value)


def _kind(value: object) -> str:
    names = {dict: "an object", list: "a list", str: "text", bool: "a boolean", type(None): "nothing"}
    return names.get(type(value), "a number")


def _distinct(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Return the object; raise ValueError if a key repeats, because readers disagree which one counts."""
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueError("a key appears twice in one object")
    return made


def _no_number(word: str) -> NoReturn:
    raise ValueError(f"{word} is not a JSON number")
