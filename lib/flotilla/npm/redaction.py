"""What others said, made fit to repeat: without secrets, without control characters, not too long."""

from __future__ import annotations

import re
from collections.abc import Iterable

LONGEST = 2000
HIDDEN = "***"

# A JSON Web Token, an npm token, a bearer header and a npmrc line, wherever they stand.
_SHAPES = re.compile(
    r"eyJ[\w-]{5,}\.[\w-]+\.[\w-]*"
    r"|npm_[A-Za-z0-9_-]{8,}"
    r"|(?<=[Bb]earer )\S+"
    r"|(?<=_authToken=)\S+"
    r"|(?<=://)[^/\s@]+(?=@)"
)
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


def redact(text: str, secrets: Iterable[str] = ()) -> str:
    """The text with these secrets, and all that looks like one, hidden."""
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    return _SHAPES.sub(HIDDEN, text)


def plain(text: str, *, longest: int = LONGEST) -> str:
    """A server's words without control and direction characters, cut to a length that a log bears."""
    cleaned = _CONTROL.sub("", text).strip()
    return cleaned if len(cleaned) <= longest else cleaned[:longest] + " …"
