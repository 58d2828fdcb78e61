"""What a binary is for, in npm's words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Format = Literal["ELF", "Mach-O", "PE"]


@dataclass(frozen=True, kw_only=True)
class Binary:
    """A binary, or an object in a static library.

    Args:
        member: the object's name in its library, None for a file of its own.
        format: how it is written.
        os: what it runs on, None where it does not say (an ELF object or static program may run on several).
        cpus: what it runs on; several in a universal one.
        libc: glibc or musl, None where it does not say or needs none.
        glibc_needed: the newest glibc version that it asks for ("2.28").
        executable: whether it is a program, and no library or object.
    """

    member: str | None = None
    format: Format
    os: str | None
    cpus: tuple[str, ...]
    libc: str | None = None
    glibc_needed: str | None = None
    executable: bool = False

    def __str__(self) -> str:
        """What it is in a few words: "ELF for linux x64 glibc"."""
        words = [self.os, "+".join(self.cpus), self.libc]
        return f"{self.format} for {' '.join(word for word in words if word)}"


def version_key(version: str) -> tuple[int, ...]:
    """Orders versions made of numbers and dots."""
    return tuple(int(number) for number in version.split("."))
