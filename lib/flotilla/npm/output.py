"""Parse what npm printed. Pure: no input or output."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from flotilla.npm.packument import Json
from flotilla.text import plain, redact

_OIDC = re.compile(r"npm (?:verbose|verb|http|silly|sill) (oidc .*)")
_STATUS = re.compile(r"E([1-9]\d\d)")
# Messages suggest shell commands that contain it, so it must not contain anything that a shell interprets.
_STAGE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")


@dataclass(frozen=True, kw_only=True)
class Observed:
    """One answer that npm got from a server, or the code of a failed request."""

    method: str
    host: str
    path: str
    status: int | None
    failed: str = ""
    after: str | None = None

    @property
    def may_pass(self) -> bool:
        """Return whether the same request may succeed later."""
        return self.status is None or self.status in {408, 420, 425, 429} or self.status >= 500  # noqa: PLR2004


@dataclass(frozen=True, kw_only=True)
class NpmAnswer:
    """The result of one npm command, without secrets.

    Args:
        exit_status: None if npm was killed because its time ran out.
        code: npm's error code (E404, ENEEDAUTH, …); empty if there was none.
        text: npm's error text.
        oidc: what npm said about exchanging the id-token.
        observed: the servers' answers to npm, in order.
        stage_id: the id of the staged version.
        log: the end of npm's output, for a log group.
    """

    exit_status: int | None
    code: str = ""
    text: str = ""
    oidc: tuple[str, ...] = ()
    observed: tuple[Observed, ...] = ()
    stage_id: str = ""
    log: str = field(default="", repr=False)

    @property
    def ok(self) -> bool:
        """Return whether npm reports success."""
        return self.exit_status == 0

    @property
    def status(self) -> int | None:
        """Return the HTTP status in npm's code."""
        found = _STATUS.fullmatch(self.code)
        return int(found[1]) if found else None

    @property
    def after(self) -> str | None:
        """Return the Retry-After of the last failed answer."""
        return self.observed[-1].after if self.observed and self.observed[-1].may_pass else None


def parse_answer(
    *, exit_status: int | None, stdout: str, stderr: str, observed: str, secrets: Iterable[str] = ()
) -> NpmAnswer:
    """Return npm's answer, from its output and the observer's notes.

    Args:
        exit_status: None if npm was killed.
        stdout: contains npm's JSON, perhaps among other lines.
        stderr: npm's log.
        observed: the observer's file, a JSON document per line.
        secrets: values to hide.
    """
    known = tuple(secrets)

    def said(text: object) -> str:
        return plain(redact(text, known)) if isinstance(text, str) else ""

    documents = _documents(stdout)
    error = _error(documents)
    return NpmAnswer(
        exit_status=exit_status,
        code=said(error.get("code")),
        text=said(error.get("summary")) or _last_error(said(stderr)),
        oidc=tuple(said(line) for line in _OIDC.findall(stderr)),
        observed=tuple(_observed(observed)),
        stage_id=next(filter(None, map(_stage_id, documents)), ""),
        # Shorten after hiding: half a secret would no longer be recognised as one.
        log=redact(stderr, known)[-20_000:],
    )


def parse_staged(stdout: str) -> list[Json]:
    """Return the items that `npm stage list --json` printed."""
    start = stdout.find("[")
    try:
        listed = json.loads(stdout[start:]) if start >= 0 else []
    except (ValueError, RecursionError):
        return []
    return [item for item in listed if isinstance(item, dict)] if isinstance(listed, list) else []


def _documents(stdout: str) -> Sequence[dict[str, object]]:
    """Return every JSON object that starts a line; ignore other lines."""
    decoder, found, position = json.JSONDecoder(), [], 0
    for start in (match.start() for match in re.finditer(r"^\{", stdout, re.MULTILINE)):
        if start < position:
            continue
        try:
            document, position = decoder.raw_decode(stdout, start)
        except (ValueError, RecursionError):
            continue
        found.append(document)
    return found


def _error(documents: Sequence[dict[str, object]]) -> dict[str, object]:
    for each in reversed(documents):
        if isinstance(error := each.get("error"), dict):
            return error
    return {}


def _stage_id(document: dict[str, object]) -> str:
    for each in (document, *document.values()):
        if isinstance(each, dict) and is_stage_id(each.get("stageId")):
            return str(each["stageId"])
    return ""


def is_stage_id(value: object) -> bool:
    """Return whether a registry's text can be a stage id."""
    return isinstance(value, str) and _STAGE_ID.fullmatch(value) is not None


def _last_error(stderr: str) -> str:
    lines = [line.removeprefix("npm error ").strip() for line in stderr.splitlines() if line.startswith("npm error ")]
    return " ".join(line for line in lines if line and not line.startswith("A complete log"))[:500]


def _observed(notes: str) -> Iterable[Observed]:
    for line in notes.splitlines():
        try:
            note = json.loads(line)
        except ValueError:
            continue
        status, after = note.get("status"), note.get("after")
        yield Observed(
            method=plain(str(note.get("method")), longest=10),
            host=plain(str(note.get("host")), longest=253),
            path=plain(str(note.get("path")), longest=500),
            status=status if isinstance(status, int) else None,
            failed=plain(str(note.get("failed", "")), longest=50),
            after=after if isinstance(after, str) else None,
        )


@dataclass(frozen=True, kw_only=True)
class Staged:
    """A version that awaits approval on the registry; the tag is empty if the registry does not say it."""

    id: str
    version: str
    shasum: str
    tag: str = ""
