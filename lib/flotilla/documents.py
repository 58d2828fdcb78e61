"""The one reader of JSON from outside: a wrong shape is named field by field, as the error of who asked."""

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
        strict: refuse what readers understand differently, too: a key that stands twice, and NaN.

    Raises:
        ValueError: it is none.
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
    """A JSON object, what it is about, and the error for one that cannot be used.

    Every reader raises that error if the field is missing or of another type.

    Args:
        unusable: makes the error, of what the object is about and why it cannot be used.
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
        """Return a text."""
        return self._typed(key, str)

    def number(self, key: str) -> int:
        """Return a whole number."""
        if isinstance(self.fields.get(key), bool):
            raise self._wrong(key)
        return self._typed(key, int)

    def flag(self, key: str) -> bool:
        """Return a boolean."""
        return self._typed(key, bool)

    def moment(self, key: str) -> datetime:
        """Return a moment, in UTC if it names no zone."""
        try:
            moment = datetime.fromisoformat(self.text(key))
        except ValueError:
            raise self._wrong(key) from None
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)

    def optional_text(self, key: str) -> str | None:
        """Return a text; None if it is missing or null."""
        return None if self.fields.get(key) is None else self.text(key)

    def inner(self, key: str) -> Document:
        """Return an object within."""
        return Document.of(self.fields.get(key), f"{self.about} ({key})", self.unusable)

    def optional_inner(self, key: str) -> Document | None:
        """Return an object within; None if it is missing or null."""
        return None if self.fields.get(key) is None else self.inner(key)

    def inners(self, key: str) -> tuple[Document, ...]:
        """Return a list of objects within."""
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
    """Return an object whose keys are all different: of two, readers disagree which counts."""
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueError("a key stands twice in one object")
    return made


def _no_number(word: str) -> NoReturn:
    raise ValueError(f"{word} is no JSON number")
