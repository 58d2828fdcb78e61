"""What the throwaway registry knows beyond its packages' documents, as plain data to copy, restore and compare."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import Any, Literal, Self

Json = dict[str, Any]
Action = Literal["publish", "stage"]
LARGEST_TARBALL = 200 * 1024**2
BOTH_ACTIONS: frozenset[Action] = frozenset({"publish", "stage"})


@dataclass(frozen=True, kw_only=True)
class TrustedPublisher:
    """Who may publish a package without a token: what npm compares with the id-token's claims.

    Args:
        repository: owner/name.
        workflow: the calling workflow's file name.
        environment: the job's environment, if one is required.
        actions: what the publisher may do; stage-only ones are the default for new ones.
    """

    repository: str
    workflow: str
    environment: str | None = None
    actions: frozenset[Action] = BOTH_ACTIONS


@dataclass(frozen=True, kw_only=True)
class Grant:
    """What a token may do.

    Args:
        kind: how it came to be; only a person's or a granular token may see and approve what is staged.
        package: the one package it is for, None for all.
        expires: epoch seconds, None for never.
        otp: whether publishing asks for a one-time password.
    """

    kind: Literal["granular", "oidc"] = "granular"
    package: str | None = None
    actions: frozenset[Action] = BOTH_ACTIONS
    expires: float | None = None
    otp: bool = False


@dataclass(frozen=True, kw_only=True)
class Accepted:
    """One version that the registry took."""

    name: str
    version: str
    integrity: str
    tag: str
    provenance: str | None


@dataclass(frozen=True, kw_only=True)
class Staged:
    """A version that waits for approval."""

    id: str
    name: str
    version: str
    tag: str
    integrity: str
    shasum: str
    created_at: str
    actor: str
    document: bytes


@dataclass(kw_only=True)
class Bucket:
    """A token bucket: so many publishes at once, then one each so many seconds.

    Args:
        burst: how many it holds.
        seconds: how long one more takes to come.
        level: how many are in it now.
        updated: when that was last true, epoch seconds.
    """

    burst: int
    seconds: float
    level: float = -1.0
    updated: float = 0.0

    def take(self, now: float) -> float:
        """Take one, or say how many seconds until there is one."""
        if self.level < 0:
            self.level, self.updated = float(self.burst), now
        self.level = min(self.burst, self.level + (now - self.updated) / self.seconds)
        self.updated = now
        if self.level >= 1:
            self.level -= 1
            return 0.0
        return (1 - self.level) * self.seconds

    def floor(self, publishes: int) -> float:
        """Return seconds that so many publishes take at the least, from a full bucket."""
        return max(0, publishes - self.burst) * self.seconds


@dataclass(kw_only=True)
class Cached:
    """A packument's answer as a cache still gives it."""

    status: int
    body: bytes
    content_type: str
    stored: float
    reads: int = 0


@dataclass(kw_only=True)
class RegistryState:
    """An npm registry's tokens, rules and records.

    Args:
        tokens: what each token may do.
        trusted: the trusted publisher of each package.
        trusts_all: the trusted publisher of every package that `trusted` does not name.
        allow_new_names: whether a package that does not exist yet may be published by trusted publishing.
        exchanges: what the exchange of an id-token answers for a package instead of what it should: status and body.
        refuse_immutable_subjects: whether id-tokens with ids in `sub` are not understood (npm/cli#9969).
        staging: whether the registry has staged publishing.
        provenance_rules: whether provenance is held against the manifest and the certificate.
        bucket: how fast publishes are taken; None for no limit.
        cache_seconds: for how long a plain packument, or its 404, is answered from the cache.
        cache_reads: for how many further reads it is.
        largest_tarball: bytes packed.
        published: each package's versions.
        unpacked: the bytes of each version's files, by name@version.
    """

    tokens: dict[str, Grant] = field(default_factory=lambda: {"npm_rehearsal": Grant()})
    trusted: dict[str, TrustedPublisher] = field(default_factory=dict)
    trusts_all: TrustedPublisher | None = None
    exchanges: dict[str, tuple[int, str]] = field(default_factory=dict)
    allow_new_names: bool = False
    refuse_immutable_subjects: bool = False
    staging: bool = True
    provenance_rules: bool = True
    bucket: Bucket | None = None
    cache_seconds: float = 0.0
    cache_reads: int = 0
    largest_tarball: int = LARGEST_TARBALL
    published: dict[str, dict[str, Accepted]] = field(default_factory=dict)
    tags: dict[str, dict[str, str]] = field(default_factory=dict)
    accepted: list[Accepted] = field(default_factory=list)
    bundles: dict[str, Json] = field(default_factory=dict)
    unpacked: dict[str, int] = field(default_factory=dict)
    staged: dict[str, Staged] = field(default_factory=dict)
    cache: dict[str, Cached] = field(default_factory=dict)

    def saved(self) -> Self:
        """Return a copy to restore later."""
        return copy.deepcopy(self)

    def restore(self, saved: RegistryState) -> None:
        """Restore the saved copy."""
        self.__dict__.update(copy.deepcopy(saved).__dict__)

    def accept(self, accepted: Accepted) -> None:
        """Record a version that was taken; a package's first one is `latest`, whatever its tag."""
        tags = self.tags.setdefault(accepted.name, {"latest": accepted.version})
        tags[accepted.tag] = accepted.version
        self.published.setdefault(accepted.name, {})[accepted.version] = accepted
        self.accepted.append(accepted)

    def snapshot(self) -> Json:
        """Return what a release leaves behind, equal for two releases that did the same.

        Returns:
            packages (versions by integrity, dist-tags), provenance (subject digest of each), accepted (how often
            each was taken), staged (tag and integrity of each).
        """
        return {
            "packages": {
                name: {
                    "versions": {version: taken.integrity for version, taken in sorted(versions.items())},
                    "dist-tags": dict(sorted(self.tags[name].items())),
                }
                for name, versions in sorted(self.published.items())
            },
            "provenance": {
                _spec(taken): taken.provenance for taken in sorted(self.accepted, key=_spec) if taken.provenance
            },
            "accepted": self.accepted_counts(),
            "staged": {
                f"{staged.name}@{staged.version}": {"tag": staged.tag, "integrity": staged.integrity}
                for staged in sorted(self.staged.values(), key=lambda staged: (staged.name, staged.version))
            },
        }

    def accepted_counts(self) -> dict[str, int]:
        """Return how often each name@version was taken: once, if all is well."""
        specs = [_spec(taken) for taken in self.accepted]
        return {spec: specs.count(spec) for spec in sorted(set(specs))}


def _spec(taken: Accepted) -> str:
    return f"{taken.name}@{taken.version}"
