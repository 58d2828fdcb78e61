"""Words for messages: a value as JSON, and the nearest right word."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from difflib import get_close_matches

from flotilla.text import quoted

LONGEST_SHOWN = 80
LONGEST_COMPARED = 64
SHORTEST_BEGINNING = 3


def as_json(value: object) -> str:
    """Return a value as JSON, cut to 80 characters."""
    text = json.dumps(value, default=str)
    return text if len(text) <= LONGEST_SHOWN else text[: LONGEST_SHOWN - 1] + "…"


def nearest(word: str, words: Collection[str], aliases: Mapping[str, str] | None = None) -> str | None:
    """Return the word that was probably meant: by the table of other names for it, else by likeness."""
    folded = word[:LONGEST_COMPARED].lower()
    if aliases and folded in aliases:
        return aliases[folded]
    folded = folded.replace("_", "-")
    by_fold = {right.lower().replace("_", "-"): right for right in words}
    begun = [right for right in by_fold if len(folded) >= SHORTEST_BEGINNING and right.startswith(folded)]
    near = begun if len(begun) == 1 else get_close_matches(folded, by_fold, n=1, cutoff=0.6)
    return by_fold[near[0]] if near else None


def did_you_mean(word: str, words: Collection[str], aliases: Mapping[str, str] | None = None) -> str:
    """Return the end of a message about a wrong word: the nearest right one, or all of them."""
    near = nearest(word, words, aliases)
    if near is not None:
        return f"did you mean {quoted(near)}?"
    return f"known are {', '.join(words)}." if words else "none is known here."
