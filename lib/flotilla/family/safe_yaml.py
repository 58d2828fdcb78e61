"""Reading YAML that a stranger may have written: PyYAML's nodes, within bounds, and YAML 1.2's scalars."""

from __future__ import annotations

import re

import yaml
from yaml.composer import Composer
from yaml.parser import Parser
from yaml.reader import Reader, ReaderError
from yaml.resolver import BaseResolver
from yaml.scanner import Scanner

from flotilla.errors import ConfigError, Fault, Place
from flotilla.text import quoted

LARGEST_TEXT = 256 * 1024
MOST_NODES = 20_000
DEEPEST = 16

NULLS = frozenset({"", "~", "null", "Null", "NULL"})
BOOLEANS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
INTEGER = re.compile(r"[-+]?[0-9]{1,15}")
NUMBER = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]{1,4})?")
UNQUOTED = re.compile(r"^\s*(?:-\s+)*(?:[\w-]+:\s+)?(?P<value>[@`*&!%{].*)$")


def compose(text: str, file: str) -> yaml.Node | None:
    """The nodes of a text, None for an empty one.

    Raises:
        ConfigError: it is not one YAML document that this reads, with line and column.
    """
    if len(text) > LARGEST_TEXT:
        raise _refusal(f"it is larger than {LARGEST_TEXT // 1024} KiB, which no family needs", Place(file=file))
    try:
        loader = _Loader(text)
    except ReaderError as error:
        problem = f"it holds the character {quoted(chr(error.character))}, which YAML does not allow"
        raise _refusal(problem, _place_of(text, error.position, file)) from None
    try:
        node: yaml.Node | None = loader.get_single_node()
    except yaml.MarkedYAMLError as error:
        raise _syntax_error(error, text, file) from None
    except (ValueError, OverflowError):
        # PyYAML's scanner passes "\U00110000" to chr() unchecked.
        place = Place(file=file, line=loader.line + 1, column=loader.column + 1)
        raise _refusal("this escape stands for no character", place) from None
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
    """What is wrong, in words.

    Args:
        line: of the file, where the reader stopped.
        began: the line where that began which it could not end; 0 where it does not say.
    """
    problem = error.problem or ""
    if problem.startswith(("aliases", "anchors", "tags", "it ")):
        return problem
    known = {
        "a second document begins here; flotilla.yml is one document": "another document" in problem,
        "a tab cannot indent YAML; use spaces": "'\\t'" in problem,
        f"the quote that opens in line {began} is never closed": "quoted scalar" in (error.context or ""),
    }
    if words := next((words for words, fits in known.items() if fits), None):
        return words
    if (unquoted := UNQUOTED.match(line)) and not line.startswith("%"):
        return f"it is not YAML: {problem}. Put quotes around a value that begins with {quoted(unquoted['value'][0])}"
    unfit = f"this does not fit what began in line {began}; look for a quote that is missing above, and for an "
    unfit += "indentation that differs from its neighbours'"
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
        """One node, once it is known to be harmless."""
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
            return "aliases (*name) are not read here; write the value out, or in quotes if it begins with *"
        if getattr(event, "anchor", None) is not None:
            return "anchors (&name) are not read here; write the value out, or in quotes if it begins with &"
        if getattr(event, "tag", None) is not None:
            return "tags (!name) are not read here; put the value in quotes if it begins with !"
        if self.depth >= DEEPEST:
            return f"it is nested more than {DEEPEST} deep"
        return f"it has more than {MOST_NODES} values" if self.nodes >= MOST_NODES else None


def core_schema(text: str) -> object:
    """What YAML 1.2's core schema takes an unquoted scalar for; "no", "on" and 1:30 are strings there.

    Source: YAML 1.2.2, section 10.3.2, without .inf, .nan, octal and hexadecimal numbers, which mean nothing here.
    """
    if text in NULLS:
        return None
    if text in BOOLEANS:
        return BOOLEANS[text]
    if INTEGER.fullmatch(text):
        return int(text)
    return float(text) if NUMBER.fullmatch(text) else text
