"""GitHub's answers as frozen values; nothing here makes a request."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from flotilla.documents import Document
from flotilla.errors import GitHubError

DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
# GitHub writes ".github/workflows/ci.yml@refs/heads/main" in some answers. Something that itself ends like a workflow
# file is not taken for a ref, so that a file named "ci.yml@x.yml" cannot pass for ci.yml.
WITH_REF = re.compile(r"(?P<file>[^@]+\.ya?ml)@(?!.*\.ya?ml$).+", re.DOTALL)
ADVICE = (
    "Re-run the job. If that does not help, GITHUB_API_URL may be wrong, or GitHub's API has changed: please report it."
)


def unusable(what: str, why: str) -> GitHubError:
    """Return the error for an answer that cannot be read."""
    return GitHubError(f"GitHub's answer to {what} cannot be used: {why}.", advice=ADVICE)


@dataclass(frozen=True, kw_only=True)
class Repository:
    """A repository; full_name is "owner/name" as GitHub spells it."""

    full_name: str
    private: bool
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
        head_repository: "owner/name" that the commit comes from; None if it was deleted.
        attempt: counts from 1; a re-run of a run is its next attempt.
        created_at: when the run was first queued.
        started_at: when the latest attempt started.
        bot: login of the bot that started the run or its latest attempt; None for a person.
        bases: for a pull request, the base commits; empty once it is closed.
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
class WorkflowJob:
    """A job of a workflow run.

    Args:
        name: as the run's page shows it, with the values of its matrix.
        url: the page that a person opens; empty if it has none yet.
        completed_at: None until it has ended.
    """

    name: str
    url: str
    status: str
    conclusion: str | None
    started_at: datetime
    completed_at: datetime | None

    @property
    def ended(self) -> bool:
        """Return whether it has ended, however."""
        return self.status == "completed"


@dataclass(frozen=True, kw_only=True)
class Artifact:
    """An artifact of a workflow run.

    Args:
        size: bytes as GitHub stores it (the zip's, unless it was uploaded raw).
        digest: "sha256:…" of the stored bytes; None if the upload recorded none.
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
        raw: the bytes are the one uploaded file, not a zip of files (upload-artifact's archive: false).
        name: the raw file's own name, safe as a file name; for a zip, the artifact's name with .zip.
        digest: "sha256:…" of the bytes.
        digest_checked: GitHub recorded a digest, and this is it.
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
        target: what GitHub would tag if the tag did not exist; meaningless once it does.
        immutable: published, so that tag and assets can no longer change.
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


def parse_repository(document: Document) -> Repository:
    """Return the repository of a document."""
    return Repository(
        full_name=document.text("full_name"),
        private=document.flag("private"),
        default_branch=document.text("default_branch"),
    )


def parse_workflow_run(document: Document) -> WorkflowRun:
    """Return the workflow run of a document."""
    head = document.optional_inner("head_repository")
    return WorkflowRun(
        id=document.number("id"),
        url=document.text("html_url"),
        status=document.optional_text("status") or "unknown",
        conclusion=document.optional_text("conclusion"),
        commit=document.text("head_sha").lower(),
        event=document.text("event"),
        path=_without_ref(document.text("path")),
        repository=document.inner("repository").text("full_name"),
        head_repository=head.text("full_name") if head else None,
        attempt=document.number("run_attempt") if document.has("run_attempt") else 1,
        created_at=document.moment("created_at"),
        started_at=document.moment("run_started_at" if document.has("run_started_at") else "created_at"),
        bot=_bot(document),
        bases=_bases(document),
    )


def parse_workflow_job(document: Document) -> WorkflowJob:
    """Return the job of a document."""
    return WorkflowJob(
        name=document.text("name"),
        url=document.optional_text("html_url") or "",
        status=document.text("status"),
        conclusion=document.optional_text("conclusion"),
        started_at=document.moment("started_at"),
        completed_at=document.moment("completed_at") if document.has("completed_at") else None,
    )


def parse_artifact(document: Document, run_id: int) -> Artifact:
    """Return an artifact of that run; raise GitHubError if the document says another run."""
    owner = document.optional_inner("workflow_run")
    if owner and owner.has("id") and owner.number("id") != run_id:
        raise unusable(document.about, f"it belongs to run {owner.number('id')}, not to {run_id}")
    return Artifact(
        id=document.number("id"),
        name=document.text("name"),
        size=document.number("size_in_bytes"),
        expired=document.flag("expired"),
        digest=_digest(document),
        run_id=run_id,
        created_at=document.moment("created_at"),
    )


def parse_asset(document: Document) -> Asset:
    """Return the asset of a document."""
    return Asset(
        id=document.number("id"),
        name=document.text("name"),
        size=document.number("size"),
        digest=_digest(document),
        state=document.text("state"),
        url=document.text("browser_download_url"),
    )


def parse_release(document: Document) -> Release:
    """Return the release of a document, its assets included."""
    return Release(
        id=document.number("id"),
        tag=document.text("tag_name"),
        name=document.optional_text("name") or "",
        body=document.optional_text("body") or "",
        target=document.optional_text("target_commitish") or "",
        draft=document.flag("draft"),
        prerelease=document.flag("prerelease"),
        immutable=document.flag("immutable") if document.has("immutable") else False,
        url=document.text("html_url"),
        upload_url=document.text("upload_url").partition("{")[0],
        assets=tuple(parse_asset(found) for found in document.inners("assets")),
    )


def _bot(run: Document) -> str | None:
    for key in ("actor", "triggering_actor"):
        actor = run.optional_inner(key)
        if actor and (actor.optional_text("type") == "Bot" or actor.text("login").endswith("[bot]")):
            return actor.text("login")
    return None


def _bases(run: Document) -> tuple[str, ...]:
    pull_requests = run.inners("pull_requests") if run.has("pull_requests") else ()
    return tuple(request.inner("base").text("sha").lower() for request in pull_requests)


def _without_ref(path: str) -> str:
    match = WITH_REF.fullmatch(path)
    return match["file"] if match else path


def _digest(document: Document) -> str | None:
    digest = document.optional_text("digest")
    if digest is not None and not DIGEST.fullmatch(digest.lower()):
        raise unusable(document.about, f"{digest[:80]!r} is not a sha256 digest")
    return digest.lower() if digest else None
