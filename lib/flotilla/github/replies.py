"""GitHub's documents made into our values."""

from __future__ import annotations

import re

from flotilla.github.document import Document, unusable
from flotilla.github.values import Artifact, Asset, Release, Repository, WorkflowRun

DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
# GitHub writes ".github/workflows/ci.yml@refs/heads/main" in some answers. Something that itself ends like a workflow
# file is not taken for a ref, so that a file named "ci.yml@x.yml" cannot pass for ci.yml.
WITH_REF = re.compile(r"(?P<file>[^@]+\.ya?ml)@(?!.*\.ya?ml$).+", re.DOTALL)


def repository(document: Document) -> Repository:
    return Repository(
        full_name=document.text("full_name"),
        private=document.flag("private"),
        html_url=document.text("html_url"),
        default_branch=document.text("default_branch"),
    )


def workflow_run(document: Document) -> WorkflowRun:
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


def artifact(document: Document, run_id: int) -> Artifact:
    """An artifact of that run; GitHubError where the document says another run."""
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


def asset(document: Document) -> Asset:
    return Asset(
        id=document.number("id"),
        name=document.text("name"),
        size=document.number("size"),
        digest=_digest(document),
        state=document.text("state"),
        url=document.text("browser_download_url"),
    )


def release(document: Document) -> Release:
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
        assets=tuple(asset(found) for found in document.inners("assets")),
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
        raise unusable(document.about, f"{digest[:80]!r} is no sha256 digest")
    return digest.lower() if digest else None
