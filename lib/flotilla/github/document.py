"""The check at the door: GitHub's JSON is read field by field, and a wrong shape is named here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar

from flotilla.errors import GitHubError

T = TypeVar("T")

ADVICE = "Re-run the job; if it stays, GitHub's API has changed, or api-url is not GitHub's: report it to flotilla."


def unusable(what: str, why: str) -> GitHubError:
    """The error for an answer that cannot be read."""
    return GitHubError(f"GitHub's answer about {what} is not usable: {why}.", advice=ADVICE)


@dataclass(frozen=True)
class Document:
    """A JSON object, and what it is about.

    Every reader raises GitHubError where the field is missing or of another type.
    """

    fields: Mapping[str, object]
    about: str

    @classmethod
    def of(cls, value: object, about: str) -> Document:
        """The value, if it is a JSON object."""
        if not isinstance(value, Mapping):
            raise unusable(about, f"an object was expected, not {_kind(value)}")
        return cls(value, about)

    def text(self, key: str) -> str:
        return self._typed(key, str)

    def number(self, key: str) -> int:
        if isinstance(self.fields.get(key), bool):
            raise self._wrong(key)
        return self._typed(key, int)

    def flag(self, key: str) -> bool:
        return self._typed(key, bool)

    def moment(self, key: str) -> datetime:
        try:
            moment = datetime.fromisoformat(self.text(key))
        except ValueError:
            raise self._wrong(key) from None
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)

    def optional_text(self, key: str) -> str | None:
        return None if self.fields.get(key) is None else self.text(key)

    def inner(self, key: str) -> Document:
        return Document.of(self.fields.get(key), f"{self.about} ({key})")

    def optional_inner(self, key: str) -> Document | None:
        return None if self.fields.get(key) is None else self.inner(key)

    def inners(self, key: str) -> tuple[Document, ...]:
        return documents(self.fields.get(key), f"{self.about} ({key})")

    def has(self, key: str) -> bool:
        return self.fields.get(key) is not None

    def _typed(self, key: str, kind: type[T]) -> T:
        value = self.fields.get(key)
        if not isinstance(value, kind):
            raise self._wrong(key)
        return value

    def _wrong(self, key: str) -> GitHubError:
        state = f"has {_kind(self.fields[key])} as" if key in self.fields else "lacks"
        return unusable(self.about, f"it {state} {key!r}")


def documents(value: object, about: str) -> tuple[Document, ...]:
    """A JSON array of objects."""
    if not isinstance(value, list):
        raise unusable(about, f"a list was expected, not {_kind(value)}")
    return tuple(Document.of(item, about) for item in value)


def _kind(value: object) -> str:
    return "nothing" if value is None else f"a {type(value).__name__}"
