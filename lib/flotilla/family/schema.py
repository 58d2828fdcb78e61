"""flotilla.yml against its JSON schema, with each fault in plain words."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, cast

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from flotilla.family.yaml import Document, Finding, Path, dotted
from flotilla.text import did_you_mean, nearest, quoted

SCHEMA = "flotilla.schema.json"

# What people look for in flotilla.yml, and what differs from run to run; but for names that are keys of the file, too.
INPUTS = frozenset(
    {
        *("version", "config", "github-token", "npm-token", "registry", "dry-run", "phase", "commit", "run-id"),
        *("timeout-minutes", "draft", "staged", "artifacts-digest"),
    }
)
TYPES = {
    "object": "a mapping (key: value)",
    "array": "a list",
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
}


@cache
def schema() -> Mapping[str, object]:
    """Return the JSON schema of flotilla.yml; it ships with the package, for editors too."""
    text = resources.files("flotilla.family").joinpath(SCHEMA).read_text(encoding="utf-8")
    loaded: Mapping[str, object] = json.loads(text)
    return loaded


@dataclass(frozen=True, kw_only=True)
class Broken:
    """A rule of the schema that a value breaks.

    Args:
        path: where the value is.
        value: the value.
        rule: the schema's keyword ("pattern").
        wanted: what the schema gives for that keyword.
        part: the part of the schema that the keyword stands in.
        message: jsonschema's own words.
    """

    path: Path
    value: Any
    rule: str
    wanted: Any
    part: Mapping[str, Any]
    message: str

    def __str__(self) -> str:
        """Return the path as people write it."""
        return dotted(self.path)


def schema_findings(document: Document) -> Iterator[Finding]:
    """Yield everything in a document that does not have the shape of a flotilla.yml."""
    for error in Draft202012Validator(schema()).iter_errors(document.value):
        broken = _broken(error)
        yield from TRANSLATIONS.get(broken.rule, _otherwise)(broken, document)


def _broken(error: ValidationError) -> Broken:
    return Broken(
        path=tuple(error.absolute_path),
        value=error.instance,
        rule=str(error.validator),
        wanted=error.validator_value,
        part=error.schema if isinstance(error.schema, Mapping) else {},
        message=error.message,
    )


def _unknown_keys(broken: Broken, _document: Document) -> Iterator[Finding]:
    known = tuple(broken.part["properties"])
    for key in broken.value:
        if key not in known:
            text = f"the key {quoted(key)} is unknown in {broken}; {_right_key(key, known)}"
            yield Finding(path=(*broken.path, key), text=text, on_key=True)


def _right_key(key: str, known: tuple[str, ...]) -> str:
    if key in INPUTS:
        return "it is an input of the actions; set it under `with:` in the workflow."
    home = None if nearest(key, known) else _homes().get(key)
    return f"it belongs in {home}." if home else did_you_mean(key, known)


@cache
def _homes() -> Mapping[str, str]:
    """Return the keys that only one section has, and which section that is."""
    found = list(dict.fromkeys(_sections(schema(), "")))
    keys = [key for _section, key in found]
    return {key: section for section, key in found if section and keys.count(key) == 1}


def _sections(part: Mapping[str, Any], section: str) -> Iterator[tuple[str, str]]:
    part = part.get("else", part)
    if "$ref" in part:
        part = cast("Mapping[str, Any]", schema()["$defs"])[part["$ref"].rpartition("/")[2]]
    for key, inner in part.get("properties", {}).items():
        yield section, key
        yield from _sections(inner, f"{section}.{key}".removeprefix("."))


def _missing_keys(broken: Broken, _document: Document) -> Iterator[Finding]:
    # jsonschema gives an error for each missing key, and names the key in its message only.
    path = broken.path
    key = broken.message.split("'")[1]
    described = str(broken.part["properties"][key].get("description", ""))
    missing = key if not path else None
    yield Finding(path=path, text=f"{broken} lacks the key {quoted(key)}. {described}".strip(), missing=missing)


def _wrong_type(broken: Broken, document: Document) -> Iterator[Finding]:
    path = broken.path
    yield Finding(path=path, text=f"{broken} {_type_advice(broken, document.raw(path))}")


def _type_advice(broken: Broken, raw: str | None) -> str:
    wanted = str(broken.wanted)
    if broken.value is None:
        return f"is empty; expected {TYPES[wanted]}."
    if wanted == "string" and raw is not None:
        kind = "a boolean" if isinstance(broken.value, bool) else "a number"
        return f'must be text, but YAML reads it as {kind}; quote it: "{raw[:40]}".'
    if wanted == "string" and isinstance(broken.value, dict):
        return "must be text, but is a mapping; quote a value that begins with {."
    if wanted == "boolean":
        return f"must be true or false (YAML 1.2 has no other booleans), but is {quoted(broken.value)}."
    found = quoted(raw) if raw is not None else "a list" if isinstance(broken.value, list) else "a mapping"
    return f"must be {TYPES[wanted]}, but is {found}."


def _not_in_enum(broken: Broken, document: Document) -> Iterator[Finding]:
    path = broken.path
    words = tuple(dict.fromkeys(json.dumps(word).strip('"') for word in broken.wanted))
    raw = document.raw(path)
    if raw is None:
        text = f"{broken} must be one of {', '.join(words)}."
    else:
        text = f"{broken} is {quoted(raw)}; {did_you_mean(raw, words)}"
    yield Finding(path=path, text=text)


def _not_the_format(broken: Broken, document: Document) -> Iterator[Finding]:
    raw = document.raw(broken.path)
    found = quoted(raw) if raw is not None else "not a number"
    yield Finding(
        path=broken.path,
        text=f"{broken} is {found}; this version of flotilla only reads format {broken.wanted}.",
    )


def _bad_pattern(broken: Broken, _document: Document) -> Iterator[Finding]:
    text = f"{broken} {quoted(broken.value)} {broken.part['patternErrorMessage']}"
    yield Finding(path=broken.path, text=text)


def _needs_another(broken: Broken, _document: Document) -> Iterator[Finding]:
    for key, others in broken.wanted.items():
        for other in others:
            if key in broken.value and other not in broken.value:
                path = broken.path
                text = f"{broken} has {quoted(key)}, which has no effect without {quoted(other)}."
                yield Finding(path=(*path, key), text=text, on_key=True)


def _bound(words: str) -> Callable[[Broken, Document], Iterator[Finding]]:
    def translated(broken: Broken, document: Document) -> Iterator[Finding]:
        raw = document.raw(broken.path)
        found = f" is {quoted(raw)}, but" if raw else ""
        yield Finding(path=broken.path, text=f"{broken}{found} {words.format(broken.wanted)}")

    return translated


def _otherwise(broken: Broken, _document: Document) -> Iterator[Finding]:
    yield Finding(path=broken.path, text=f"{broken} breaks the rule {quoted(broken.rule)}.")


TRANSLATIONS: Mapping[str, Callable[[Broken, Document], Iterator[Finding]]] = {
    "additionalProperties": _unknown_keys,
    "required": _missing_keys,
    "type": _wrong_type,
    "enum": _not_in_enum,
    "const": _not_the_format,
    "pattern": _bad_pattern,
    "dependentRequired": _needs_another,
    "minimum": _bound("must be {} or more."),
    "maximum": _bound("must be {} or less."),
    "exclusiveMinimum": _bound("must be more than {}."),
    "minLength": _bound("must not be empty."),
    "maxLength": _bound("must be {} characters or less."),
    "minProperties": _bound("must not be empty; give it one of its keys."),
    "maxProperties": _bound("takes only one of its keys."),
    "minItems": _bound("must not be empty; leave it out, or list something."),
    "maxItems": _bound("must have at most {} entries."),
}
