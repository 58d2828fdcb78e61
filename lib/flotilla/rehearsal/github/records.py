"""The things that the simulated GitHub keeps: runs, artifacts, tags, releases, assets, and their bytes."""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

ZIP_DATE = (2020, 1, 1, 0, 0, 0)


def sha256(content: bytes) -> str:
    """Return the digest as GitHub writes it."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def raw_bytes(content: Path | bytes | Mapping[str, bytes]) -> bytes:
    """Return the one file that a raw artifact is."""
    if isinstance(content, bytes):
        return content
    if isinstance(content, Path):
        return content.read_bytes()
    (only,) = content.values()
    return only


def zipped(content: Path | bytes | Mapping[str, bytes]) -> bytes:
    """Return the zip that upload-artifact would have made: every file 0644, as its README warns."""
    if isinstance(content, bytes):
        return content
    if isinstance(content, Path) and content.is_file() and content.suffix == ".zip":
        return content.read_bytes()
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, data in sorted(_files(content).items()):
            entry = zipfile.ZipInfo(name, ZIP_DATE)
            entry.external_attr = 0o100644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, data)
    return sink.getvalue()


def _files(content: Path | Mapping[str, bytes]) -> dict[str, bytes]:
    if not isinstance(content, Path):
        return dict(content)
    if content.is_file():
        return {content.name: content.read_bytes()}
    return {path.relative_to(content).as_posix(): path.read_bytes() for path in content.rglob("*") if path.is_file()}


@dataclass(kw_only=True)
class Run:
    """A workflow run; shown as in progress for so many reads before it has its status.

    Args:
        actor: who started it; None for the repository's owner.
        bases: the base commits of its open pull requests.
        started_at: when its latest attempt started; empty for when it was created.
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
    started_at: str = ""


@dataclass(kw_only=True)
class StoredJob:
    """A job of one attempt of a run; a later attempt that does not run it again shows it as it was."""

    id: int
    run_id: int
    attempt: int
    name: str
    status: str
    conclusion: str | None
    started_at: str
    completed_at: str | None


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
        """Return the number of bytes served."""
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
    _hashed: tuple[bytes, str] = field(default=(b"", ""), repr=False, compare=False)

    @property
    def digest(self) -> str | None:
        """Return sha256:…, or None if nothing arrived; it is computed once, however often the asset is shown."""
        if self.state != "uploaded":
            return None
        if self._hashed[0] is not self.content or not self._hashed[1]:
            self._hashed = (self.content, sha256(self.content))
        return self._hashed[1]


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
