"""The values of a YAML file, and where each of them stands."""

from __future__ import annotations

from dataclasses import dataclass, field

import yaml

from flotilla.errors import Fault, Place
from flotilla.family.findings import Finding, Path
from flotilla.family.safe_yaml import compose, core_schema
from flotilla.text import quoted

Value = object


@dataclass(frozen=True, kw_only=True)
class Spot:
    """Where a value and its key stand (line and column from 1), and how a scalar was written."""

    value: tuple[int, int]
    key: tuple[int, int]
    raw: str | None = None


@dataclass(kw_only=True)
class Document:
    """The values of a YAML file, their spots, and what was wrong with its keys and characters."""

    file: str
    value: Value = None
    spots: dict[Path, Spot] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)

    def fault(self, finding: Finding) -> Fault:
        """A finding, with the place that it has in this file."""
        path = finding.path if finding.path in self.spots else finding.instead or finding.path
        return Fault(text=finding.text, place=self.place(path, on_key=finding.on_key))

    def place(self, path: Path, *, on_key: bool = False) -> Place:
        """Where a path stands; a path that is not there stands where its nearest parent does."""
        while path and path not in self.spots:
            path, on_key = path[:-1], False
        spot = self.spots.get(path)
        if spot is None:
            return Place(file=self.file, line=1, column=1)
        line, column = spot.key if on_key else spot.value
        return Place(file=self.file, line=line, column=column)

    def at(self, path: Path) -> Value:
        """The value at a path of keys, None where there is none."""
        value = self.value
        for key in path:
            value = value.get(str(key)) if isinstance(value, dict) else None
        return value

    def raw(self, path: Path) -> str | None:
        """A scalar as it was written, None for a list or mapping."""
        spot = self.spots.get(path)
        return spot.raw if spot else None


def read_document(text: str, file: str) -> Document:
    """The document that a text holds.

    Raises:
        ConfigError: it is not one YAML document that this reads, with line and column.
    """
    document = Document(file=file)
    node = compose(text, file)
    if node is not None:
        document.value = _value(node, (), _spot(node, node), document)
    return document


def _value(node: yaml.Node, path: Path, spot: Spot, document: Document) -> Value:
    document.spots[path] = spot
    if isinstance(node, yaml.MappingNode):
        return _mapping(node, path, document)
    if isinstance(node, yaml.SequenceNode):
        return [_value(item, (*path, index), _spot(item, item), document) for index, item in enumerate(node.value)]
    in_quotes = isinstance(node, yaml.ScalarNode) and node.style is not None
    value = node.value if in_quotes else core_schema(node.value)
    if isinstance(value, str) and not value.isprintable():
        document.findings.append(
            Finding(path=path, text=f"{quoted(value)} holds a line break or another character that cannot be printed.")
        )
    return value


def _mapping(node: yaml.MappingNode, path: Path, document: Document) -> dict[str, Value]:
    values: dict[str, Value] = {}
    for key, item in node.value:
        if fault := _key_fault(key, path, document, values):
            document.findings.append(Finding(path=_marker(document, path, key), text=fault, on_key=True))
        else:
            values[key.value] = _value(item, (*path, key.value), _spot(item, key), document)
    return values


def _key_fault(key: yaml.Node, path: Path, document: Document, values: dict[str, Value]) -> str | None:
    if not isinstance(key, yaml.ScalarNode):
        return "a list or mapping cannot be a key; put quotes around a value that begins with { or [."
    if key.value not in values:
        return None
    line, _column = document.spots[(*path, key.value)].key
    return f"the key {quoted(key.value)} is here twice; the first one is in line {line}."


def _marker(document: Document, path: Path, key: yaml.Node) -> Path:
    """A path of its own for a key that has no value of its own, so that it keeps its place."""
    marker = (*path, f"\0{key.start_mark.line}:{key.start_mark.column}")
    document.spots[marker] = _spot(key, key)
    return marker


def _spot(node: yaml.Node, key: yaml.Node) -> Spot:
    raw = node.value if isinstance(node, yaml.ScalarNode) else None
    return Spot(value=_line_column(node.start_mark), key=_line_column(key.start_mark), raw=raw)


def _line_column(mark: yaml.Mark) -> tuple[int, int]:
    return mark.line + 1, mark.column + 1
