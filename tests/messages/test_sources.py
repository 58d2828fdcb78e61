"""Every message that the library can show, as its source says it, so that those that no scene shows are read, too."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from tests.messages.conftest import FOLDER, Golden, Messages

LIBRARY = FOLDER.parents[1] / "lib" / "flotilla"
# The simulated servers of a rehearsal answer in GitHub's and npm's words.
SIMULATED = (LIBRARY / "rehearsal" / "github", LIBRARY / "rehearsal" / "registry")
TELLING = {"warning", "notice", "unusable", "malformed"}
SHORTEST = 2  # words


def called(node: ast.Call) -> str:
    return node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")


def messages(tree: ast.AST) -> Iterator[str]:
    """Yield the texts given to errors, warnings and notices, with the expressions in them as {…}."""
    for call in ast.walk(tree):
        if isinstance(call, ast.Call) and (called(call).endswith("Error") or called(call) in TELLING):
            given = [*call.args, *(keyword.value for keyword in call.keywords)]
            yield from (text for argument in given for text in texts(argument) if len(text.split()) >= SHORTEST)


def texts(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.JoinedStr(values=parts):
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else "{…}" for part in parts)
        case ast.Constant(value=str(text)):
            yield text
        case _:
            for inner in ast.iter_child_nodes(node):
                yield from texts(inner)


def modules() -> Iterator[Path]:
    return (file for file in sorted(LIBRARY.rglob("*.py")) if not any(map(file.is_relative_to, SIMULATED)))


def test_every_message_of_the_library(golden: Golden) -> None:
    def said() -> Messages:
        for file in modules():
            found = list(dict.fromkeys(messages(ast.parse(file.read_text(encoding="utf-8")))))
            if found:
                yield file.relative_to(LIBRARY).as_posix(), "\n".join(text.replace("\n", "⏎") for text in found)

    golden("sources", said())
