"""What GitHub told us, as frozen values: nothing here fetches anything later."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Repository:
    """A repository; full_name is "owner/name" as GitHub spells it."""

    full_name: str
    private: bool
    html_url: str
    default_branch: str


@dataclass(frozen=True, kw_only=True)
class WorkflowRun:
    """One run of a workflow, as its latest attempt stands.

    Args:
        url: the page that a person opens.
        status: queued, in_progress, completed, …
        conclusion: success, failure, cancelled, …; None until the run is completed.
        commit: head_sha, 40 hexadecimal digits.
        path: the workflow file, ".github/workflows/ci.yml", without the ref that GitHub may append.
        repository: "owner/name" that the run belongs to.
        head_repository: "owner/name" that the commit comes from; None where that is deleted.
        attempt: counts from 1; a re-run of a run is its next attempt.
        created_at: when the run was first queued.
        started_at: when the latest attempt started.
        bot: login of the bot that started the run or its latest attempt; None for a person.
        bases: of a run of a pull request, the commits that it was to be merged into; empty once it is closed.
    """

    id: int
    url: str
    status: str
    conclusion: str | None
    commit: str
    event: str
    path: str
    repository: str
    head_repository: str | None
    attempt: int
    created_at: datetime
    started_at: datetime
    bot: str | None = None
    bases: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Artifact:
    """An artifact of a workflow run.

    Args:
        size: bytes as GitHub stores it (the zip's, unless it was uploaded raw).
        digest: "sha256:…" of the stored bytes; None where the upload told none.
    """

    id: int
    name: str
    size: int
    expired: bool
    digest: str | None
    run_id: int
    created_at: datetime


@dataclass(frozen=True, kw_only=True)
class Download:
    """An artifact on this disk.

    Args:
        raw: the bytes are the one file that was uploaded, not a zip around files (upload-artifact's archive: false).
        name: the raw file's own name, safe as a file name; of a zip, the artifact's name with .zip.
        digest: "sha256:…" of the bytes.
        digest_checked: GitHub had recorded a digest, and it is this one.
        size: bytes.
    """

    artifact: Artifact
    path: Path
    raw: bool
    name: str
    digest: str
    digest_checked: bool
    size: int


@dataclass(frozen=True, kw_only=True)
class Asset:
    """A file of a release.

    Args:
        digest: "sha256:…"; None for assets older than GitHub's digests.
        state: "uploaded", or "starter" for what a broken upload left behind.
        url: where a browser downloads it.
    """

    id: int
    name: str
    size: int
    digest: str | None
    state: str
    url: str


@dataclass(frozen=True, kw_only=True)
class Release:
    """A release, draft or published, with its assets.

    Args:
        target: what GitHub would tag if the tag did not exist; says nothing once it does.
        immutable: published, and closed to any change of tag and assets.
        url: the page that a person opens.
        upload_url: where assets are sent, without GitHub's URI template.
    """

    id: int
    tag: str
    name: str
    body: str
    target: str
    draft: bool
    prerelease: bool
    immutable: bool
    url: str
    upload_url: str
    assets: tuple[Asset, ...]
