"""A file name that somebody else chose, made safe to create in a folder of ours."""

from __future__ import annotations

import re
from email.message import EmailMessage

LONGEST = 200
UNUSABLE = frozenset({"", ".", ".."})


def disposed_name(disposition: str) -> str | None:
    """The file name of a Content-Disposition header, without any path; None where it holds no usable one."""
    message = EmailMessage()
    try:
        message["Content-Disposition"] = "".join(c for c in disposition if c.isprintable())
        named = message.get_filename()
    except (ValueError, LookupError):
        return None
    return safe_name(named or "")


def safe_name(name: str) -> str | None:
    """The last part of a name, without what file systems or terminals trip over; None where nothing is left.

    At most 200 bytes of UTF-8.
    """
    last = re.split(r"[/\\]", name)[-1]
    kept = "".join(c for c in last if c.isprintable() and c not in ':*?"<>|').strip()
    bounded = kept.encode(errors="ignore")[:LONGEST].decode(errors="ignore")
    return None if bounded in UNUSABLE else bounded
