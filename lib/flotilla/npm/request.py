"""What a publish is asked to do, and with which credential."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from flotilla.errors import InputError

# Whatever else a line of npmrc could mean (a comment, a variable, a quote) is no part of a token.
_TOKEN = re.compile(r"[A-Za-z0-9_.~+/=:|-]+")


@dataclass(frozen=True, kw_only=True)
class Token:
    """An npm token; the credential where npm-token is given."""

    value: str = field(repr=False)

    def __post_init__(self) -> None:
        if not _TOKEN.fullmatch(self.value):
            raise InputError(
                "npm-token holds a character that no npm token has (a blank, a quote, a line break, $ or the like).",
                advice="Store the secret again, without anything around it.",
            )


@dataclass(frozen=True, kw_only=True)
class TrustedPublishing:
    """The job's id-token, which npm exchanges for a token of one package."""


Credential = Token | TrustedPublishing


@dataclass(frozen=True, kw_only=True)
class PublishRequest:
    """One tarball to send.

    Args:
        integrity: of the tarball; the registry's must be the same afterwards.
        shasum: sha1 of the tarball in hexadecimal; staged versions show no better.
        registry: URL, with a slash at its end.
        provenance: whether npm shall make a provenance statement; never left to npm.
        staged: `npm stage publish`.
    """

    name: str
    version: str
    tarball: Path
    integrity: str
    shasum: str
    registry: str
    dist_tag: str
    credential: Credential
    provenance: bool
    access: str = "public"
    staged: bool = False

    def __str__(self) -> str:
        """name@version."""
        return f"{self.name}@{self.version}"
