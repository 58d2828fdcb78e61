"""The things that the simulated GitHub keeps: runs, artifacts, tags, releases, assets."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from flotilla.rehearsal.content import sha256


@dataclass(kw_only=True)
class Run:
    """A workflow run; shown as in progress for so many reads before it has its status.

    Args:
        actor: who started it; None for the repository's owner.
        bases: the base commits of its open pull requests.
    """

    id: int
    workflow: str
    commit: str
    event: str
    status: str
    conclusion: str | None
    branch: str
    head_repository: str | None
    attempt: int
    created_at: str
    reads_until_done: int = 0
    actor: str | None = None
    bases: list[str] = field(default_factory=list)


@dataclass(kw_only=True)
class StoredArtifact:
    """An artifact, and the bytes that its download serves."""

    id: int
    run_id: int
    name: str
    content: bytes
    raw: bool
    digest: str | None
    expired: bool
    created_at: str

    @property
    def size(self) -> int:
        """Bytes served."""
        return len(self.content)


@dataclass(frozen=True, kw_only=True)
class GitObject:
    """What a ref points at."""

    sha: str
    type: Literal["commit", "tag"]


@dataclass(frozen=True, kw_only=True)
class TagObject:
    """An annotated tag."""

    sha: str
    tag: str
    message: str
    target: GitObject


@dataclass(kw_only=True)
class StoredAsset:
    """A release's asset; `starter` where its upload never ended."""

    id: int
    name: str
    label: str
    content_type: str
    content: bytes
    state: Literal["uploaded", "starter"]
    created_at: str

    @property
    def digest(self) -> str | None:
        """sha256:…, None for what never arrived."""
        return sha256(self.content) if self.state == "uploaded" else None


@dataclass(kw_only=True)
class StoredRelease:
    """A release or a draft of one."""

    id: int
    tag: str
    target: str
    name: str | None
    body: str | None
    draft: bool
    prerelease: bool
    immutable: bool
    created_at: str
    published_at: str | None
    assets: list[StoredAsset] = field(default_factory=list)


@dataclass(kw_only=True)
class ReleaseRun:
    """The workflow run that releases: what its id-tokens claim."""

    id: int = 77
    attempt: int = 1
    workflow: str = "release.yml"
    ref: str = "refs/heads/main"
    event: str = "push"
    environment: str | None = None
    runner_environment: str = "github-hosted"
