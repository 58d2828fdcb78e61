"""npm's words for platforms, and the platforms of a flotilla.yml in them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from flotilla.family.model import Platform
from flotilla.family.words import did_you_mean, nearest
from flotilla.text import quoted

# process.platform and process.arch of node, which npm compares a manifest's os and cpu with.
OS = (
    "aix", "android", "cygwin", "darwin", "freebsd", "haiku", "linux", "netbsd", "openbsd", "openharmony", "os400",
    "sunos", "win32",
)  # fmt: skip
CPU = (
    "arm", "arm64", "ia32", "loong64", "mips", "mipsel", "ppc", "ppc64", "riscv64", "s390", "s390x", "wasm32", "x64",
)  # fmt: skip
LIBC = ("glibc", "musl")

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
    """What a platform's name says, in npm's words; empty where it says nothing."""

    os: tuple[str, ...] = ()
    cpu: tuple[str, ...] = ()
    libc: tuple[str, ...] = ()


def read_name(name: str) -> tuple[Words | None, list[str]]:
    """The words of a name such as linux-x64-musl, or what is wrong with them."""
    if name == "wasm32" or name.startswith("wasm32-"):
        return Words(cpu=("wasm32",)), []
    parts = name.split("-")
    suggested = _suggested(name)
    if not SHORTEST <= len(parts) <= LONGEST:
        return None, [f"the platform {quoted(name)} is not <os>-<cpu>[-<libc>] in npm's words.{suggested}"]
    faults = _wrong_words(parts)
    if faults:
        return None, [f"the platform {quoted(name)}: {fault}{suggested}" for fault in faults]
    libc = ENDINGS[parts[2]][0] if len(parts) == LONGEST else None
    return Words(os=(parts[0],), cpu=(parts[1],), libc=(libc,) if libc else ()), []


def _wrong_words(parts: Sequence[str]) -> list[str]:
    faults = [*word_faults("os", parts[:1]), *word_faults("cpu", parts[1:2])]
    if len(parts) == LONGEST and not faults:
        faults = _wrong_ending(parts[0], parts[2])
    return faults


def _wrong_ending(os: str, ending: str) -> list[str]:
    if ending not in ENDINGS:
        return [f"{quoted(ending)} is no libc; {did_you_mean(ending, tuple(ENDINGS), LIBC_ALIASES)}"]
    systems = ENDINGS[ending][1]
    return [] if os in systems else [f"-{ending} belongs to {systems[0]} only; leave it out."]


def word_faults(field: str, words: Sequence[str]) -> list[str]:
    """What is wrong with the words of a platform's os, cpu or libc."""
    known, aliases = {"os": (OS, OS_ALIASES), "cpu": (CPU, CPU_ALIASES), "libc": (LIBC, LIBC_ALIASES)}[field]
    wrong = [word for word in words if word not in known]
    faults = [f"{quoted(word)} is no {field} that npm knows; {did_you_mean(word, known, aliases)}" for word in wrong]
    twice = sorted({word for word in words if words.count(word) > 1})
    return [*faults, *(f"{field} has {quoted(word)} twice." for word in twice)]


def _suggested(name: str) -> str:
    """The whole name in npm's words, where it can be guessed: win64 would be win32-x64."""
    pieces = re.split(r"[-_.]", name.lower().replace("x86_64", "x64").replace("x86-64", "x64"))
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
    """The platforms, with glibc where a linux one stands beside a musl one of the same cpu, or has a glibc floor.

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
