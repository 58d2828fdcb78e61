"""The words of flotilla.yml, each by itself: platforms, placeholders, patterns, what is there twice."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from flotilla.family import platforms
from flotilla.family.building import as_words
from flotilla.family.document import Document
from flotilla.family.findings import Finding, Path
from flotilla.family.names import folder_faults, path_faults
from flotilla.family.placeholders import ALL, FAMILY, RELEASE, VARIANT, placeholder_faults, placeholders_in_pattern
from flotilla.family.platforms import Words, name_warnings, read_name, read_words, word_faults
from flotilla.family.versions import dist_tag_fault
from flotilla.text import quoted

OF_VARIANT = (*FAMILY, *VARIANT, *RELEASE)
TEMPLATES: Mapping[Path, tuple[str, ...]] = {
    ("ci", "artifact"): ALL,
    ("packages", "platform", "name"): ALL,
    ("packages", "platform", "template"): ALL,
    ("packages", "dev", "name"): OF_VARIANT,
    ("packages", "dev", "template"): OF_VARIANT,
    ("packages", "meta", "name"): OF_VARIANT,
    ("packages", "meta", "template"): OF_VARIANT,
    ("release", "tag"): (*FAMILY, "version"),
    ("release", "notes"): (*FAMILY, *RELEASE),
}
FOLDERS: tuple[Path, ...] = tuple(path for path in TEMPLATES if path[-1] == "template")
PATTERNS: tuple[Path, ...] = (
    ("ci", "archive"),
    ("packages", "platform", "files"),
    ("packages", "platform", "executables"),
    ("packages", "dev", "files"),
    ("packages", "dev", "executables"),
    ("release", "assets"),
)


def word_findings(document: Document) -> Iterator[Finding]:
    """Yield what is wrong with single words; whatever else has the wrong shape is left to the schema."""
    yield from _platform_findings(document)
    yield from _variant_findings(document)
    yield from _template_findings(document)
    yield from _pattern_findings(document)
    yield from _dist_tag_findings(document)


def _platform_findings(document: Document) -> Iterator[Finding]:
    items = _list(document, ("platforms",))
    for index, item in enumerate(items):
        yield from platform_findings(item, ("platforms", index))
    names: dict[Path, str | None] = {("platforms", index): _name(item) for index, item in enumerate(items)}
    yield from _twice(document, names, "the platform")


def platform_findings(item: object, path: Path) -> Iterator[Finding]:
    """Yield what is wrong with the words of one platform, a word or a mapping."""
    if isinstance(item, str):
        yield from (Finding(path=path, text=fault) for fault in read_name(item)[1])
    elif isinstance(item, dict) and isinstance(item.get("name"), str):
        given = {key: as_words(item[key]) for key in ("os", "cpu", "libc") if key in item}
        wrong = [
            Finding(path=(*path, key), text=fault) for key, words in given.items() for fault in word_faults(key, words)
        ]
        yield from wrong or _name_and_fields(item["name"], given, item.get("glibc"), path)


def _name_and_fields(name: str, given: Mapping[str, tuple[str, ...]], glibc: object, path: Path) -> Iterator[Finding]:
    _, faults = read_name(name)
    words = read_words(name, told=_told(given))
    if _told(given) or ("cpu" in given and given["cpu"] == ("wasm32",)):
        faults = []
    yield from (Finding(path=(*path, "name"), text=f"{fault} Or give os and cpu beside it.") for fault in faults)
    if not faults:
        yield from _contradictions(name, words, given, path)
        yield from _libc_findings(words, given, glibc, path)


def _told(given: Mapping[str, tuple[str, ...]]) -> bool:
    return "os" in given and "cpu" in given


def word_warnings(document: Document) -> Iterator[Finding]:
    """Yield the words of platforms that npm takes, and that no node has."""
    for index, item in enumerate(_list(document, ("platforms",))):
        path: Path = ("platforms", index)
        if isinstance(item, str):
            yield from (Finding(path=path, text=text) for text in name_warnings(item, ("os", "cpu")))
        elif isinstance(item, dict) and isinstance(item.get("name"), str):
            asked = [key for key in ("os", "cpu") if key not in item]
            texts = name_warnings(item["name"], asked)
            yield from (Finding(path=(*path, "name"), text=text) for text in texts)
            for key in ("os", "cpu"):
                words = as_words(item.get(key))
                yield from (Finding(path=(*path, key), text=text) for text in platforms.word_warnings(key, words))


def _contradictions(name: str, words: Words, given: Mapping[str, tuple[str, ...]], path: Path) -> Iterator[Finding]:
    said = {"os": words.os, "cpu": words.cpu, "libc": words.libc}
    for key, own in given.items():
        if own and (missing := [word for word in said[key] if word not in own]):
            text = f"{key} is {', '.join(own)}, but the name {quoted(name)} says {missing[0]}; change one of them."
            yield Finding(path=(*path, key), text=text)


def _libc_findings(words: Words, given: Mapping[str, tuple[str, ...]], glibc: object, path: Path) -> Iterator[Finding]:
    linux = "linux" in given.get("os", words.os)
    libc = given.get("libc", words.libc)
    if "libc" in given and not linux:
        yield Finding(path=(*path, "libc"), text="npm knows a libc on linux only; leave it out.", on_key=True)
    if glibc is not None and (not linux or "musl" in libc):
        text = "a glibc version means something only for linux with glibc; leave it out."
        yield Finding(path=(*path, "glibc"), text=text, on_key=True)


def _variant_findings(document: Document) -> Iterator[Finding]:
    items = _list(document, ("variants",))
    names: dict[Path, str | None] = {("variants", index): _name(item) for index, item in enumerate(items)}
    twice = list(_twice(document, names, "the variant"))
    suffixes: dict[Path, str | None] = {("variants", i): _suffix(item, i) for i, item in enumerate(items)}
    yield from twice or _twice(document, suffixes, "the suffix")


def _suffix(item: object, index: int) -> str | None:
    if not isinstance(item, dict):
        return None
    name = _name(item)
    default = "" if not index else f"-{name}" if name is not None else None
    suffix = item.get("suffix", default)
    return suffix if isinstance(suffix, str) else None


def _name(item: object) -> str | None:
    name = item.get("name") if isinstance(item, dict) else item
    return name if isinstance(name, str) else None


def _twice(document: Document, words: Mapping[Path, str | None], what: str) -> Iterator[Finding]:
    first: dict[str, Path] = {}
    for path, word in words.items():
        if word is not None and first.setdefault(word.lower(), path) != path:
            line = document.place(first[word.lower()]).line
            yield Finding(
                path=path, text=f"{what} {quoted(word)} is here twice, in line {line} already; each needs its own."
            )


def _template_findings(document: Document) -> Iterator[Finding]:
    for path, available in TEMPLATES.items():
        if (text := _text(document, path)) is not None:
            faults = placeholder_faults(text, available)
            faults += folder_faults(text) if path in FOLDERS and not faults else []
            yield from (Finding(path=path, text=fault) for fault in faults)


def _pattern_findings(document: Document) -> Iterator[Finding]:
    for path in PATTERNS:
        single = _text(document, path)
        items = {path: single} if single is not None else dict(_texts(document, path))
        for where, pattern in items.items():
            faults = [*path_faults(pattern), *placeholders_in_pattern(pattern)]
            yield from (Finding(path=where, text=fault) for fault in faults)


def _dist_tag_findings(document: Document) -> Iterator[Finding]:
    path = ("publish", "dist-tag")
    tag = _text(document, path)
    if tag is not None and (fault := dist_tag_fault(tag)):
        yield Finding(path=path, text=fault)


def _texts(document: Document, path: Path) -> Iterator[tuple[Path, str]]:
    for index, item in enumerate(_list(document, path)):
        if isinstance(item, str):
            yield (*path, index), item


def _text(document: Document, path: Path) -> str | None:
    value = document.at(path)
    return value if isinstance(value, str) and value else None


def _list(document: Document, path: Path) -> Sequence[object]:
    value = document.at(path)
    return value if isinstance(value, list) else ()
