"""Read YAML that is not trusted: its values, within limits, and the place of each."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import yaml
from yaml.composer import Composer
from yaml.parser import Parser
from yaml.reader import Reader, ReaderError
from yaml.resolver import BaseResolver
from yaml.scanner import Scanner

from flotilla.errors import ConfigError, Fault, Place
from flotilla.text import quoted

Path = tuple[str | int, ...]


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that is wrong in flotilla.yml.

    Args:
        path: keys and indices from the top of the file.
        text: what is wrong and what to do, without the place.
        on_key: whether the key is at fault, not its value.
        missing: the top-level section that is missing, if that is the fault.
        instead: where to point if the file has nothing at that path.
    """

    path: Path
    text: str
    on_key: bool = False
    missing: str | None = None
    instead: Path = ()

    @property
    def section(self) -> str | None:
        """Return the top-level section that needs no further checks because of this."""
        return self.missing or (str(self.path[0]) if self.path else None)


def dotted(path: Path) -> str:
    """Return a path as people write it: platforms[4].os."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.removeprefix(".") or "the file"


LARGEST_TEXT = 256 * 1024
MOST_NODES = 20_000
DEEPEST = 16

NULLS = frozenset({"", "~", "null", "Null", "NULL"})
BOOLEANS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
INTEGER = re.compile(r"[-+]?[0-9]{1,15}")
NUMBER = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]{1,4})?")
UNQUOTED = re.compile(r"^\s*(?:-\s+)*(?:[\w-]+:\s+)?(?P<value>[@`*&!%{].*)$")


def compose(text: str, file: str) -> yaml.Node | None:
    """Return the nodes of a text, None for an empty one.

    Raises:
        ConfigError: it is not one YAML document that this reads, with line and column.
    """
    if len(text) > LARGEST_TEXT:
        raise _refusal(f"it is larger than {LARGEST_TEXT // 1024} KiB, the limit", Place(file=file))
    try:
        loader = _Loader(text)
    except ReaderError as error:
        problem = f"it contains the character {quoted(chr(error.character))}, which YAML does not allow"
        raise _refusal(problem, _place_of(text, error.position, file)) from None
    try:
        node: yaml.Node | None = loader.get_single_node()
    except yaml.MarkedYAMLError as error:
        raise _syntax_error(error, text, file) from None
    except (ValueError, OverflowError):
        # PyYAML's scanner passes "\U00110000" to chr() unchecked.
        place = Place(file=file, line=loader.line + 1, column=loader.column + 1)
        raise _refusal("this escape is not a character", place) from None
    return node


def _syntax_error(error: yaml.MarkedYAMLError, text: str, file: str) -> ConfigError:
    mark = error.problem_mark or error.context_mark
    if mark is None:
        return _refusal(f"it is not YAML: {error.problem}", Place(file=file))
    lines = text.splitlines()
    line = lines[mark.line] if mark.line < len(lines) else ""
    began = error.context_mark.line + 1 if error.context_mark else 0
    return _refusal(_explained(error, line, began), Place(file=file, line=mark.line + 1, column=mark.column + 1))


def _explained(error: yaml.MarkedYAMLError, line: str, began: int) -> str:
    """Return what is wrong, in words.

    Args:
        line: of the file, where the reader stopped.
        began: the line of what it could not end; 0 if the reader does not say.
    """
    problem = error.problem or ""
    if problem.startswith(("aliases", "anchors", "tags", "it ")):
        return problem
    known = {
        "a second document begins here; flotilla.yml is one document": "another document" in problem,
        "a tab cannot indent YAML; use spaces": "'\\t'" in problem,
        f"the quote that opens on line {began} is never closed": "quoted scalar" in (error.context or ""),
    }
    if words := next((words for words, fits in known.items() if fits), None):
        return words
    if (unquoted := UNQUOTED.match(line)) and not line.startswith("%"):
        return f"it is not YAML: {problem}. Put quotes around a value that begins with {quoted(unquoted['value'][0])}"
    unfit = f"this does not fit what began on line {began}; look for a missing quote above, and for an "
    unfit += "indentation that differs from that of its neighbours"
    return unfit if problem.startswith("expected <block end>") else f"it is not YAML: {problem}"


def _refusal(problem: str, place: Place) -> ConfigError:
    return ConfigError([Fault(text=f"{problem}.", place=place)], advice="Correct the file, then run flotilla again.")


def _place_of(text: str, position: int, file: str) -> Place:
    before = text[:position]
    return Place(file=file, line=before.count("\n") + 1, column=position - before.rfind("\n"))


class _Loader(Reader, Scanner, Parser, Composer, BaseResolver):
    """PyYAML's own reader, without aliases, anchors and tags, and with bounds."""

    def __init__(self, text: str) -> None:
        Reader.__init__(self, text)
        Scanner.__init__(self)
        Parser.__init__(self)
        Composer.__init__(self)
        BaseResolver.__init__(self)
        self.depth = 0
        self.nodes = 0

    def compose_node(self, parent: yaml.Node | None, index: object) -> yaml.Node | None:
        """Return one node, once it is known to be harmless."""
        event: yaml.Event = self.peek_event()  # type: ignore[no-untyped-call]  # the stub leaves it out
        if problem := self._problem(event):
            raise yaml.MarkedYAMLError(None, None, problem, event.start_mark)  # type: ignore[arg-type]  # the C reader's Mark
        self.depth += 1
        self.nodes += 1
        node: yaml.Node | None = super().compose_node(parent, index)  # type: ignore[arg-type]  # the stub's index is an int
        self.depth -= 1
        return node

    def _problem(self, event: yaml.Event) -> str | None:
        if isinstance(event, yaml.AliasEvent):
            return "aliases (*name) are not supported; repeat the value, or quote it if it begins with *"
        if getattr(event, "anchor", None) is not None:
            return "anchors (&name) are not supported; repeat the value, or quote it if it begins with &"
        if getattr(event, "tag", None) is not None:
            return "tags (!name) are not supported; quote a value that begins with !"
        if self.depth >= DEEPEST:
            return f"it is nested more than {DEEPEST} deep"
        return f"it has more than {MOST_NODES} values" if self.nodes >= MOST_NODES else None


def core_schema(text: str) -> object:
    """Return what YAML 1.2's core schema takes an unquoted scalar for; "no", "on" and 1:30 are strings there.

    Source: YAML 1.2.2, section 10.3.2, without .inf, .nan, octal and hexadecimal numbers, which mean nothing here.
    """
    if text in NULLS:
        return None
    if text in BOOLEANS:
        return BOOLEANS[text]
    if INTEGER.fullmatch(text):
        return int(text)
    return float(text) if NUMBER.fullmatch(text) else text


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
        """Return a finding, with the place that it has in this file."""
        path = finding.path if finding.path in self.spots else finding.instead or finding.path
        return Fault(text=finding.text, place=self.place(path, on_key=finding.on_key))

    def place(self, path: Path, *, on_key: bool = False) -> Place:
        """Return where a path stands; a path that is not there stands where its nearest parent does."""
        while path and path not in self.spots:
            path, on_key = path[:-1], False
        spot = self.spots.get(path)
        if spot is None:
            return Place(file=self.file, line=1, column=1)
        line, column = spot.key if on_key else spot.value
        return Place(file=self.file, line=line, column=column)

    def at(self, path: Path) -> Value:
        """Return the value at a path of keys and indices, None if there is none."""
        value = self.value
        for key in path:
            if isinstance(value, list) and isinstance(key, int) and key < len(value):
                value = value[key]
            else:
                value = value.get(str(key)) if isinstance(value, dict) else None
        return value

    def raw(self, path: Path) -> str | None:
        """Return a scalar as it was written, None for a list or mapping."""
        spot = self.spots.get(path)
        return spot.raw if spot else None


def read_document(text: str, file: str) -> Document:
    """Return the document that a text holds.

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
            Finding(
                path=path, text=f"{quoted(value)} contains a line break or another character that cannot be printed."
            )
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
        return "a list or mapping cannot be a key; quote a value that begins with { or [."
    if key.value not in values:
        return None
    line, _column = document.spots[(*path, key.value)].key
    return f"duplicate key {quoted(key.value)} (first on line {line})."


def _marker(document: Document, path: Path, key: yaml.Node) -> Path:
    """Return a path of its own for a key that has no value of its own, so that it keeps its place."""
    marker = (*path, f"\0{key.start_mark.line}:{key.start_mark.column}")
    document.spots[marker] = _spot(key, key)
    return marker


def _spot(node: yaml.Node, key: yaml.Node) -> Spot:
    raw = node.value if isinstance(node, yaml.ScalarNode) else None
    return Spot(value=_line_column(node.start_mark), key=_line_column(key.start_mark), raw=raw)


def _line_column(mark: yaml.Mark) -> tuple[int, int]:
    return mark.line + 1, mark.column + 1
