"""Servers that lie in every text that they send, and a reader that reads a job's words as GitHub's runner does."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from typing import Any

import requests
from markdown_it import MarkdownIt
from tests.world.ended import Ended
from tests.world.http_server import HttpServer, body_of

from flotilla.jobs.publish_summary import DETAILS

FORGED = "forged"
HOSTILE = (
    "::error::forged\n::error::forged\r\n##[error]forged ##[command]forged\u2028::notice::forged\x1b[2J\x1b]8;;https://forged\x07"
    "\n::set-output name=forged::1\nforged<<EOF\n1\nEOF\nforged=1\n"
    "[forged](https://forged.example) ![forged](https://forged.example/x.png) <https://forged.example>"
    "<img src=https://forged.example><script>forged</script>`code` ``two``"
    "\n\n| forged | forged |\n|---|---|\n| forged | forged |\n\n# forged\n\n```\nforged\n\u202eforged\x00\x9b31m"
)
ONE_LINE = re.sub(r"[\r\n]+", " ", HOSTILE)
COMMANDS = re.compile(r"^\s*::([a-z-]+)(?: ([^:]*(?::[^:]+)*?))?::(.*)$", re.IGNORECASE)
SPOKEN = {"add-mask", "group", "endgroup", "error", "warning", "notice"}
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")

Rewrite = Callable[[int, Any], tuple[int, Any]]


class Liar(HttpServer):
    """Stands before a server, and rewrites its JSON answers.

    Args:
        target: origin of the server.
        rewrite: gives status and document as they shall be.
    """

    def __init__(self, target: str, rewrite: Rewrite) -> None:
        super().__init__()
        self.url = self.origin
        self._target = target.rstrip("/")
        self._rewrite = rewrite

    def serve(self, handler: BaseHTTPRequestHandler) -> None:
        left_out = ("host", "accept-encoding", "connection")
        answer = requests.request(
            handler.command,
            self._target + handler.path,
            data=body_of(handler),
            headers={name: value for name, value in handler.headers.items() if name.lower() not in left_out},
            allow_redirects=False,
            timeout=30,
        )
        status, sent = answer.status_code, answer.content
        if "json" in answer.headers.get("content-type", ""):
            status, document = self._rewrite(status, answer.json())
            sent = json.dumps(document).replace(self._target, self.url).encode()
        handler.send_response(status)
        for name, value in answer.headers.items():
            if name.lower() not in ("content-length", "transfer-encoding", "connection", "date", "server"):
                handler.send_header(name, value.replace(self._target, self.url))
        handler.send_header("Content-Length", str(len(sent)))
        handler.end_headers()
        handler.wfile.write(sent)


def refusing(status: int, **words: Any) -> Rewrite:
    """Refuse everything in hostile words."""
    return lambda _status, _document: (status, {**words})


def replacing(*keys: str, value: Any = HOSTILE) -> Rewrite:
    """Put hostile text under these keys, wherever they stand."""

    def changed(part: Any) -> Any:
        if isinstance(part, dict):
            return {k: value if k in keys and isinstance(v, str) else changed(v) for k, v in part.items()}
        return [changed(item) for item in part] if isinstance(part, list) else part

    return lambda status, document: (status, changed(document))


def forgeries(ended: Ended, *, outputs: set[str]) -> list[str]:
    """Return what of a job's words is a command, an output, a link or a row that flotilla did not mean."""
    raw = (ended.folder / "output").read_text(encoding="utf-8")
    return [
        *(f"log: {what}" for what in in_log(ended.log)),
        *(f"stderr: {line!r}" for line in ended.stderr.splitlines() if FORGED in line),
        *(f"output: {name}" for name in ended.outputs if name not in outputs),
        *(f"output file: {line!r}" for line in loose_lines(raw)),
        *(f"summary: {what}" for what in in_summary(ended.summary)),
        *(f"file: {name}" for name in ("env", "path", "state") if (ended.folder / name).read_text(encoding="utf-8")),
    ]


def in_log(text: str) -> Iterator[str]:
    for line in re.split(r"\r\n|\n|\r", text):
        if line.startswith("::add-mask::"):
            continue
        command = COMMANDS.match(line)
        if command and (command[1].lower() not in SPOKEN or FORGED in (command[2] or "")):
            yield f"command {line[:100]!r}"
        if command and command[3].startswith((FORGED, "error::")):
            yield f"command {line[:100]!r}"
        if "##[" in line:
            yield f"old command {line[:100]!r}"
        if CONTROL.search(line):
            yield f"control character in {line[:100]!r}"


def loose_lines(text: str) -> Iterator[str]:
    """Yield the lines of an output file that stand in no heredoc of ours."""
    ends = ""
    for line in text.splitlines():
        if ends:
            ends = "" if line == ends else ends
        elif match := re.fullmatch(r"[a-z-]+<<(flotilla-[0-9a-f-]{36})", line):
            ends = match[1]
        else:
            yield line


OUR_FOLD = re.compile(  # what flotilla itself writes, no foreign word in it
    rf"<details><summary>(\d+ (artifacts|assets), [\d.]+ [kMG]?B|{re.escape(DETAILS)})</summary>|</details>"
)


def in_summary(text: str) -> Iterator[str]:
    """Yield what GitHub would make of the summary, beside what we meant."""
    columns = 0
    for token in MarkdownIt("commonmark", {"html": True}).enable(["table", "linkify"][:1]).parse(text):
        if token.type == "html_block" and not OUR_FOLD.fullmatch(token.content.strip()):
            yield f"HTML {token.content[:80]!r}"
        if token.type == "tr_open":
            columns = 0
        columns += token.type in ("td_open", "th_open")
        for inner in token.children or []:
            target = str(inner.attrs.get("href", inner.attrs.get("src", "")))
            if inner.type in ("html_inline", "image"):
                yield f"{inner.type} {inner.content[:80]!r}"
            if inner.type == "link_open" and FORGED in target.partition("?")[0].partition("//")[2].partition("/")[0]:
                yield f"link to {target[:80]}"
            if inner.type == "text" and FORGED in inner.content:
                yield f"bare text {inner.content[:80]!r}"
