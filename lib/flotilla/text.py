"""Make text from outside safe to show: escape it, shorten it, hide secrets, and defuse workflow commands.

Archives, registries, GitHub and npm choose this text. It may contain terminal escapes, invisible characters, workflow
commands, or a secret that was sent to them. Everything that shows such text uses this module.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from difflib import get_close_matches
from urllib.parse import quote, urlsplit

HIDDEN = "***"
LONGEST = 2000
LONGEST_LINE = 300
LONGEST_NAME = 200
LONGEST_JSON = 80
LONGEST_COMPARED = 64
SHORTEST_BEGINNING = 3

# Characters that print as nothing although Unicode counts them as letters, marks or symbols: fillers, joiners and
# variation selectors. Unicode's own "not printable" has the rest: control, format (zero width, direction, tags),
# line separators, half characters (surrogates), private use and unassigned.
_BLANK = frozenset(
    map(chr, [0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x2800, 0x3164, 0xFFA0, *range(0xFE00, 0xFE10)])
) | frozenset(map(chr, range(0xE0100, 0xE01F0)))

# A JSON Web Token, an npm token, GitHub's tokens, a bearer header, an .npmrc line, a password in a URL.
_SECRETS = re.compile(
    r"eyJ[\w-]{5,}\.[\w-]+\.[\w-]*"
    r"|npm_[A-Za-z0-9_-]{8,}"
    r"|gh[pousr]_[A-Za-z0-9_]{20,}"
    r"|github_pat_[A-Za-z0-9_]{20,}"
    r"|(?<=[Bb]earer )\S+"
    r"|(?<=_authToken=)\S+"
    r"|(?<=://)[^/\s@]+(?=@)"
)


def escape(text: str, *, keep: str = "") -> str:
    r"""Return the text with every invisible or control character written as \x1b or \u202e.

    Args:
        text: text from outside.
        keep: characters to leave as they are, such as line breaks.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(c if is_visible(c) or c in keep else c.encode("unicode_escape").decode("ascii") for c in text)


def is_visible(character: str) -> bool:
    """Return whether a character can be seen; a plain space counts."""
    return character.isprintable() and character not in _BLANK


def shorten(text: str, longest: int) -> str:
    """Return the text, cut to this many characters and an ellipsis."""
    return text if len(text) <= longest else f"{text[:longest]}…"


def plain(text: str, *, longest: int = LONGEST) -> str:
    """Return foreign text for a message of several lines: escaped except for line breaks, and shortened."""
    return escape(shorten("\n".join(text.strip().splitlines()), longest), keep="\n\t")


def one_line(text: str, *, longest: int = LONGEST_LINE) -> str:
    """Return foreign text for use inside a sentence: with single spaces, escaped and shortened."""
    return escape(shorten(" ".join(text.split()), longest))


def printable(text: str, *, longest: int = LONGEST_NAME) -> str:
    """Return a foreign name with its white space, escaped and shortened."""
    return escape(shorten(text, longest))


def quoted(value: object, *, longest: int = LONGEST_NAME) -> str:
    """Return a value in double quotes, escaped and shortened."""
    return f'"{printable(str(value), longest=longest)}"'


def sentence(words: str) -> str:
    """Return the words with a capital first letter."""
    return words[:1].upper() + words[1:]


def defused(line: str) -> str:
    """Return a log line that is neither a workflow command nor a terminal escape.

    The runner reads `::name` at the beginning of a line, spaces aside, and the old `##[name]` anywhere in it.
    Source: actions/runner src/Runner.Common/ActionCommand.cs.
    """
    harmless = escape(line, keep="\t").replace("##[", "## [")
    return f"· {harmless}" if harmless.lstrip().startswith("::") else harmless


def hide(text: str, secrets: Iterable[str]) -> str:
    """Return the text without these secrets, the longest first, because one may contain another."""
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    return text


def redact(text: str, secrets: Iterable[str] = ()) -> str:
    """Return the text without these secrets and without anything that looks like a secret."""
    return _SECRETS.sub(HIDDEN, hide(text, secrets))


def as_json(value: object) -> str:
    """Return a value as JSON, cut to 80 characters."""
    text = json.dumps(value, default=str)
    return text if len(text) <= LONGEST_JSON else text[: LONGEST_JSON - 1] + "…"


def nearest(word: str, words: Collection[str], aliases: Mapping[str, str] | None = None) -> str | None:
    """Return the word that was probably meant: from the table of other names, else the most similar."""
    folded = word[:LONGEST_COMPARED].lower()
    if aliases and folded in aliases:
        return aliases[folded]
    folded = folded.replace("_", "-")
    by_fold = {right.lower().replace("_", "-"): right for right in words}
    begun = [right for right in by_fold if len(folded) >= SHORTEST_BEGINNING and right.startswith(folded)]
    near = begun if len(begun) == 1 else get_close_matches(folded, by_fold, n=1, cutoff=0.6)
    return by_fold[near[0]] if near else None


def did_you_mean(word: str, words: Collection[str], aliases: Mapping[str, str] | None = None) -> str:
    """Return the end of a message about a wrong word: the nearest valid one, or all of them."""
    near = nearest(word, words, aliases)
    if near is not None:
        return f"did you mean {quoted(near)}?"
    return f"expected {'one of ' if len(words) > 1 else ''}{', '.join(words)}." if words else "there are none."


_URL_CHARACTERS = "/:?&=%#@+,;~-._"
_URL = re.compile(r"(https?://[^\s<>\"'`|()\[\]{}]*[^\s<>\"'`|()\[\]{}.,;:!?])")


def code(value: object) -> str:
    """Return a value as a code span, in which Markdown and HTML have no effect; also right inside a table's cell."""
    text = escape(" ".join(str(value).split())).replace("|", "\\|")
    fence = _fence(text, shortest=1)
    space = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{fence}{space}{text}{space}{fence}" if text else ""


def link(label: object, url: str) -> str:
    """Return a link to an http(s) page, with a code span as its label; only the label for any other URL."""
    if urlsplit(url).scheme not in ("http", "https"):
        return code(label)
    return f"[{code(label)}]({quote(url, safe=_URL_CHARACTERS)})"


def linked(text: object, *, site: str) -> str:
    """Return a sentence as code spans, with the URLs of one site as links; also right inside a table's cell.

    Our sentences contain foreign text, too, which must not plant a link to another site.

    Args:
        site: a URL of the site whose pages may be linked, such as GITHUB_SERVER_URL; empty for none.
    """
    ours = urlsplit(site)[:2]
    parts = _URL.split(str(text))
    return " ".join(filter(None, (link(part, part) if urlsplit(part)[:2] == ours else code(part) for part in parts)))


def table(headers: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a table; its cells are Markdown."""
    from tabulate import tabulate  # noqa: PLC0415 - no job needs it at its start

    return tabulate(rows, headers, tablefmt="github", disable_numparse=True)


def listed(lines: Sequence[object]) -> str:
    """Return a list with an item per line; empty if there are none."""
    return "".join(f"\n- {code(line)}" for line in lines) + "\n" if lines else ""


def folded(title: str, markdown: str) -> str:
    """Return Markdown that is shown once its title is clicked; empty if there is none.

    Args:
        title: our own words, plain text.
    """
    return f"<details><summary>{title}</summary>\n\n{markdown}\n\n</details>" if markdown else ""


def block(text: str, language: str = "") -> str:
    """Return a fenced block that its text cannot end."""
    fence = _fence(text, shortest=3)
    return f"{fence}{language}\n{text}\n{fence}"


def _fence(text: str, *, shortest: int) -> str:
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    return "`" * max(shortest, longest + 1)


def size(count: int) -> str:
    """Return bytes in the most readable unit; 1 kB is 1000 bytes, as npm counts."""
    amount = float(count)
    for unit in ("B", "kB", "MB"):
        if amount < 1000:  # noqa: PLR2004 - the step from a unit to the next
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} GB"
