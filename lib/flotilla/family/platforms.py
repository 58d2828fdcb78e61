"""npm's words for platforms, and the platforms of a flotilla.yml in them."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from flotilla.family.model import WASM, Platform
from flotilla.family.yaml import Finding, Path
from flotilla.text import did_you_mean, nearest, quoted

# process.platform and process.arch of node, which npm compares a manifest's os and cpu with. npm has no list of its
# own, so another word is a warning. Source: node's configure.py, valid_os and valid_arch, and its older releases.
OS = (
    "aix", "android", "cygwin", "darwin", "freebsd", "haiku", "ios", "linux", "netbsd", "openbsd", "openharmony",
    "os400", "sunos", "win32",
)  # fmt: skip
CPU = (
    "arm", "arm64", "ia32", "loong64", "mips", "mips64el", "mipsel", "ppc", "ppc64", "riscv64", "s390", "s390x",
    "wasm32", "x64",
)  # fmt: skip
LIBC = ("glibc", "musl")
FLOORS = ("glibc", "glibcxx", "macos")  # the keys for the newest versions that binaries may need

# What may follow the cpu in a name: the libc it means, and the systems on which it means it.
ENDINGS: Mapping[str, tuple[str | None, tuple[str, ...]]] = {
    "gnu": ("glibc", ("linux",)),
    "glibc": ("glibc", ("linux",)),
    "gnueabihf": ("glibc", ("linux",)),
    "musl": ("musl", ("linux",)),
    "musleabihf": ("musl", ("linux",)),
    "msvc": (None, ("win32",)),
    "eabi": (None, ("android",)),
}

OS_ALIASES = {
    "windows": "win32", "win": "win32", "win64": "win32", "mingw": "win32", "msys": "win32",
    "macos": "darwin", "mac": "darwin", "osx": "darwin", "macosx": "darwin", "apple": "darwin",
    "solaris": "sunos", "illumos": "sunos", "linuxmusl": "linux", "linuxgnu": "linux", "alpine": "linux",
    "ubuntu": "linux", "debian": "linux", "ohos": "openharmony", "harmonyos": "openharmony",
}  # fmt: skip
CPU_ALIASES = {
    "amd64": "x64", "x86_64": "x64", "x86-64": "x64", "intel64": "x64", "win64": "x64",
    "aarch64": "arm64", "arm64v8": "arm64", "armv8": "arm64",
    "armv7": "arm", "armv7l": "arm", "armv6": "arm", "armv6l": "arm", "armhf": "arm", "arm32": "arm", "arm32v7": "arm",
    "i386": "ia32", "i486": "ia32", "i586": "ia32", "i686": "ia32", "x86": "ia32", "x32": "ia32", "386": "ia32",
    "powerpc": "ppc", "powerpc64": "ppc64", "powerpc64le": "ppc64", "ppc64le": "ppc64",
    "riscv": "riscv64", "rv64": "riscv64", "loongarch64": "loong64", "wasm": "wasm32",
}  # fmt: skip
LIBC_ALIASES = {"gnu": "glibc", "gnueabihf": "glibc", "libc": "glibc", "alpine": "musl", "musleabihf": "musl"}

SHORTEST, LONGEST = 2, 3


@dataclass(frozen=True, kw_only=True)
class Words:
    """What a platform's name says, in npm's words; empty for what it does not say."""

    os: tuple[str, ...] = ()
    cpu: tuple[str, ...] = ()
    libc: tuple[str, ...] = ()


def read_name(name: str) -> tuple[Words | None, list[str]]:
    """Return the words of a name such as linux-x64-musl, or what is wrong with it."""
    if name == "wasm32" or name.startswith("wasm32-"):
        return Words(cpu=("wasm32",)), []
    parts = name.split("-")
    if not SHORTEST <= len(parts) <= LONGEST or not all(parts):
        return None, [f"the platform {quoted(name)} is not <os>-<cpu>[-<libc>] in npm's words.{_suggested(name)}"]
    if len(parts) == LONGEST and (fault := _wrong_ending(parts[0], parts[2])):
        return None, [f"the platform {quoted(name)}: {fault}{_suggested(name)}"]
    libc = ENDINGS[parts[2]][0] if len(parts) == LONGEST else None
    return Words(os=(parts[0],), cpu=(parts[1],), libc=(libc,) if libc else ()), []


def read_words(name: str, *, told: bool) -> Words:
    """Return what a name says of a platform; a name of the family's own words says nothing if it need not.

    Args:
        told: os and cpu stand beside the name.
    """
    words = read_name(name)[0] or Words()
    foreign = [*word_warnings("os", words.os), *word_warnings("cpu", words.cpu)]
    return Words() if told and foreign else words


def name_warnings(name: str, fields: Collection[str]) -> list[str]:
    """Return a warning for each word of a name that node does not have.

    Args:
        fields: what the name is asked for: os, cpu, or both.
    """
    words = read_name(name)[0] or Words()
    wrong = [
        warning
        for field, said in (("os", words.os), ("cpu", words.cpu))
        if field in fields
        for warning in word_warnings(field, said)
    ]
    return [f"the platform {quoted(name)}: {warning}{_suggested(name)}" for warning in wrong]


def _wrong_ending(os: str, ending: str) -> str | None:
    if ending not in ENDINGS:
        return f"{quoted(ending)} is not a libc; {did_you_mean(ending, tuple(ENDINGS), LIBC_ALIASES)}"
    systems = ENDINGS[ending][1]
    return None if os in systems else f"-{ending} is only for {systems[0]}; leave it out."


def word_faults(field: str, words: Sequence[str]) -> list[str]:
    """Return what is wrong with the words of a platform's os, cpu or libc."""
    wrong = [word for word in words if field == "libc" and word not in LIBC]
    faults = [f"npm does not know the libc {quoted(word)}; {did_you_mean(word, LIBC, LIBC_ALIASES)}" for word in wrong]
    twice = sorted({word for word in words if words.count(word) > 1})
    return [*faults, *(f"{field} has {quoted(word)} twice." for word in twice)]


def word_warnings(field: str, words: Sequence[str]) -> list[str]:
    """Return a warning for each word of a platform's os or cpu that node does not have."""
    known, aliases, variable = {"os": (OS, OS_ALIASES, "platform"), "cpu": (CPU, CPU_ALIASES, "arch")}[field]
    return [
        f"node has no {field} {quoted(word)}, and npm installs the package only if process.{variable} is exactly "
        f"that; {did_you_mean(word, known, aliases)}"
        for word in words
        if word not in known
    ]


def _suggested(name: str) -> str:
    """Return the whole name in npm's words, if it can be guessed: win64 is win32-x64."""
    pieces = _pieces(name)
    os = next((w for w in (_meant(p, OS, OS_ALIASES) for p in pieces) if w), None)
    cpu = next((w for w in (_meant(p, CPU, CPU_ALIASES) for p in pieces) if w), None)
    musl = "-musl" if os == "linux" and any(_means_musl(piece) for piece in pieces) else ""
    return f" In npm's words: {os}-{cpu}{musl}." if os and cpu else ""


def _means_musl(piece: str) -> bool:
    return "musl" in piece or nearest(piece, LIBC, LIBC_ALIASES) == "musl"


def _meant(piece: str, words: Sequence[str], aliases: Mapping[str, str]) -> str | None:
    return piece if piece in words else aliases.get(piece.lower()) or _close(piece, words)


def _close(piece: str, words: Sequence[str]) -> str | None:
    return nearest(piece, words) if len(piece) > LONGEST else None


def with_libc(platforms: Sequence[Platform]) -> tuple[Platform, ...]:
    """Return the platforms, with glibc for a linux one beside a musl one of the same cpu, or with a glibc floor.

    npm would else install both packages on a machine with musl.
    """
    return tuple(replace(p, libc=("glibc",)) if _means_glibc(p, platforms) else p for p in platforms)


def _means_glibc(platform: Platform, platforms: Sequence[Platform]) -> bool:
    if "linux" not in platform.os or platform.libc:
        return False
    beside_musl = any(
        "musl" in other.libc and set(other.cpu) & set(platform.cpu) and "linux" in other.os for other in platforms
    )
    return beside_musl or platform.glibc is not None


PIECES = frozenset(
    {*OS, *OS_ALIASES, *CPU, *CPU_ALIASES, *LIBC, *LIBC_ALIASES, *ENDINGS, "universal", "unknown", "pc", "wasi"}
)
SYSTEMS = frozenset({*OS, *OS_ALIASES})
PROCESSORS = frozenset({*CPU, *CPU_ALIASES, "universal"})
WASM_WORDS = ("wasm", "wasm32")


def reads_as_platform(name: str, platforms: Sequence[Platform]) -> bool:
    """Return whether a name is made of words for systems and processors, as those of the family's platforms are."""
    own = {piece for platform in platforms for word in (platform.name, platform.build) for piece in _pieces(word)}
    pieces = _pieces(name)
    if not all(piece in PIECES or piece in own for piece in pieces):
        return False
    return pieces[0] in WASM_WORDS or bool(SYSTEMS & set(pieces) and PROCESSORS & set(pieces))


def _pieces(name: str) -> list[str]:
    return re.split(r"[-_.]", name.lower().replace("x86_64", "x64").replace("x86-64", "x64"))


def as_words(value: object) -> tuple[str, ...]:
    """Return a word, or a list of them."""
    if isinstance(value, str):
        return (value,)
    return tuple(word for word in value if isinstance(word, str)) if isinstance(value, list) else ()


def platform_findings(item: object, path: Path) -> Iterator[Finding]:
    """Yield what is wrong with the words of one platform, a word or a mapping."""
    if isinstance(item, str):
        yield from (Finding(path=path, text=fault) for fault in read_name(item)[1])
    elif isinstance(item, dict) and isinstance(item.get("name"), str):
        given = {key: as_words(item[key]) for key in ("os", "cpu", "libc") if key in item}
        wrong = [
            Finding(path=(*path, key), text=fault) for key, words in given.items() for fault in word_faults(key, words)
        ]
        floors = {key for key in FLOORS if item.get(key) is not None}
        yield from wrong or _name_and_fields(item["name"], given, floors, path)


def _name_and_fields(
    name: str, given: Mapping[str, tuple[str, ...]], floors: Collection[str], path: Path
) -> Iterator[Finding]:
    _, faults = read_name(name)
    words = read_words(name, told=_told(given))
    if _told(given) or given.get("cpu") == (WASM,):
        faults = []
    yield from (Finding(path=(*path, "name"), text=f"{fault} Or set os and cpu as well.") for fault in faults)
    if not faults:
        yield from _contradictions(name, words, given, path)
        yield from _libc_findings(words, given, floors, path)


def _told(given: Mapping[str, tuple[str, ...]]) -> bool:
    return "os" in given and "cpu" in given


def platform_warnings(items: Sequence[object]) -> Iterator[Finding]:
    """Yield the words of platforms that npm takes, and that no node has."""
    for index, item in enumerate(items):
        path: Path = ("platforms", index)
        if isinstance(item, str):
            yield from (Finding(path=path, text=text) for text in name_warnings(item, ("os", "cpu")))
        elif isinstance(item, dict) and isinstance(item.get("name"), str):
            asked = [key for key in ("os", "cpu") if key not in item]
            texts = name_warnings(item["name"], asked)
            yield from (Finding(path=(*path, "name"), text=text) for text in texts)
            for key in ("os", "cpu"):
                words = as_words(item.get(key))
                yield from (Finding(path=(*path, key), text=text) for text in word_warnings(key, words))


def _contradictions(name: str, words: Words, given: Mapping[str, tuple[str, ...]], path: Path) -> Iterator[Finding]:
    said = {"os": words.os, "cpu": words.cpu, "libc": words.libc}
    for key, own in given.items():
        if own and (missing := [word for word in said[key] if word not in own]):
            text = f"{key} is {', '.join(own)}, but the name {quoted(name)} says {missing[0]}; change one of them."
            yield Finding(path=(*path, key), text=text)


def _libc_findings(
    words: Words, given: Mapping[str, tuple[str, ...]], floors: Collection[str], path: Path
) -> Iterator[Finding]:
    os = given.get("os", words.os)
    linux = "linux" in os
    libc = given.get("libc", words.libc)
    if "libc" in given and not linux:
        yield Finding(path=(*path, "libc"), text="npm knows libc only on linux; leave it out.", on_key=True)
    if "glibc" in floors and (not linux or "musl" in libc):
        text = "a glibc version is only for linux with glibc; leave it out."
        yield Finding(path=(*path, "glibc"), text=text, on_key=True)
    if "glibcxx" in floors and not linux:
        yield Finding(path=(*path, "glibcxx"), text="a GLIBCXX version is only for linux; leave it out.", on_key=True)
    if "macos" in floors and "darwin" not in os:
        yield Finding(path=(*path, "macos"), text="a macOS version is only for darwin; leave it out.", on_key=True)
