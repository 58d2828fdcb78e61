"""What the simulated GitHub knows, as plain data that can be copied, restored and compared."""

from __future__ import annotations

import copy
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flotilla.rehearsal.github.records import (
    GitObject,
    ReleaseRun,
    Run,
    StoredArtifact,
    StoredJob,
    StoredRelease,
    TagObject,
    raw_bytes,
    sha256,
    zipped,
)

CI_WORKFLOW = ".github/workflows/ci.yml"
FIRST_ID = 1001


@dataclass(kw_only=True)
class GitHubState:
    """One repository on GitHub, its CI runs, tags and releases.

    Args:
        repository: owner/name.
        token: the job's GITHUB_TOKEN.
        id_token_bearer: the job's ACTIONS_ID_TOKEN_REQUEST_TOKEN.
        permissions: what the token may do, by GitHub's names ("contents": "write").
        head: the commit of the default branch.
        immutable_releases: whether a release that is published becomes immutable.
        workflow_changes: commits that change workflow files, which GITHUB_TOKEN may not release by name.
        immutable_subject: whether id-tokens carry the owner's and repository's ids in `sub`.
        rate_remaining: calls left in this hour; None for no limit.
        rate_reset: epoch seconds of the next hour.
        blob_reads: how many requests one signed URL answers; None for as many as come.
        blob_seconds: how long a signed URL lives.
    """

    repository: str = "acme/tool"
    commit: str = "0123456789abcdef0123456789abcdef01234567"
    private: bool = False
    default_branch: str = "main"
    head: str = ""
    token: str = "ghs_rehearsal"  # noqa: S105 - the simulator's own, worth nothing
    id_token_bearer: str = "runner-token"  # noqa: S105 - as above
    permissions: dict[str, str] = field(default_factory=lambda: {"contents": "write", "actions": "read"})
    release_run: ReleaseRun = field(default_factory=ReleaseRun)
    workflows: list[str] = field(default_factory=lambda: [CI_WORKFLOW, ".github/workflows/release.yml"])
    immutable_releases: bool = False
    immutable_subject: bool = False
    workflow_changes: set[str] = field(default_factory=set)
    rate_remaining: int | None = None
    rate_reset: int = 0
    blob_reads: int | None = None
    blob_seconds: float = 60.0
    runs: list[Run] = field(default_factory=list)
    jobs: list[StoredJob] = field(default_factory=list)
    artifacts: list[StoredArtifact] = field(default_factory=list)
    commits: dict[str, str] = field(default_factory=dict)
    parents: dict[str, str] = field(default_factory=dict)
    refs: dict[str, GitObject] = field(default_factory=dict)
    tag_objects: dict[str, TagObject] = field(default_factory=dict)
    releases: list[StoredRelease] = field(default_factory=list)
    burnt_tags: set[str] = field(default_factory=set)
    latest: int | None = None
    next_id: int = FIRST_ID

    def __post_init__(self) -> None:
        """Add a commit, which heads the default branch unless another does."""
        self.head = self.head or self.commit
        for sha in (self.commit, self.head):
            self.add_commit(sha)
        self.refs.setdefault(f"refs/heads/{self.default_branch}", GitObject(sha=self.head, type="commit"))

    @property
    def owner(self) -> str:
        """Return the part before the slash."""
        return self.repository.split("/")[0]

    def new_id(self) -> int:
        """Return the next free id."""
        self.next_id += 1
        return self.next_id - 1

    def add_commit(self, sha: str, message: str = "A commit", *, parent: str = "") -> None:
        """Make a commit known; also its parent, if that matters."""
        self.commits.setdefault(sha, message)
        if parent:
            self.parents[sha] = parent

    def holds(self, sha: str, base: str) -> bool:
        """Return whether base is that commit or an ancestor of it."""
        while sha and sha != base:
            sha = self.parents.get(sha, "")
        return sha == base

    def add_run(  # noqa: PLR0913 - keyword-only, and each is a field of the run
        self,
        *,
        commit: str | None = None,
        workflow: str = CI_WORKFLOW,
        event: str = "push",
        status: str = "completed",
        conclusion: str | None = "success",
        head_repository: str | None = "",
        attempt: int = 1,
        reads_until_done: int = 0,
        actor: str | None = None,
        bases: Sequence[str] = (),
    ) -> Run:
        """Add a workflow run.

        Args:
            commit: its head commit; the state's own by default.
            workflow: the file, with or without its folder.
            head_repository: owner/name of a fork, None for a deleted one; this repository by default.
            reads_until_done: for how many reads the run is shown as in progress first.
            actor: who started it; the repository's owner by default.
            bases: the base commits of its open pull requests.
        """
        path = workflow if "/" in workflow else f".github/workflows/{workflow}"
        if path not in self.workflows:
            self.workflows.append(path)
        run = Run(
            id=self.new_id(),
            workflow=path,
            commit=commit or self.commit,
            event=event,
            status=status,
            conclusion=conclusion if status == "completed" else None,
            branch=self.default_branch,
            head_repository=self.repository if head_repository == "" else head_repository,
            attempt=attempt,
            created_at=now(),
            reads_until_done=reads_until_done,
            actor=actor,
            bases=list(bases),
        )
        self.add_commit(run.commit)
        self.runs.append(run)
        return run

    def add_job(
        self, run: Run, name: str, conclusion: str | None = "success", *, status: str = "", started_at: str = ""
    ) -> StoredJob:
        """Add a job to a run's attempt as it stands.

        Args:
            conclusion: None for a job that has not ended.
            status: by default completed, or in_progress without a conclusion.
            started_at: now by default.
        """
        started = started_at or now()
        job = StoredJob(
            id=self.new_id(),
            run_id=run.id,
            attempt=run.attempt,
            name=name,
            status=status or ("completed" if conclusion else "in_progress"),
            conclusion=conclusion,
            started_at=started,
            completed_at=started if conclusion else None,
        )
        self.jobs.append(job)
        return job

    def add_artifact(
        self,
        run: Run,
        name: str,
        content: Path | bytes | Mapping[str, bytes],
        *,
        raw: bool = False,
        expired: bool = False,
        digest: str | None = "",
    ) -> StoredArtifact:
        """Add an artifact to a run.

        Args:
            content: what upload-artifact was given: a folder, a file, or names with their bytes, all of them
                zipped unless `raw`; a zip (a .zip file, or bytes) is served as it is.
            raw: `archive: false`: one file, served as it is; GitHub names such an artifact after the file.
            digest: what GitHub recorded; the true one by default, None for an old upload-artifact.
        """
        served = raw_bytes(content) if raw else zipped(content)
        artifact = StoredArtifact(
            id=self.new_id(),
            run_id=run.id,
            name=name,
            content=served,
            raw=raw,
            digest=sha256(served) if digest == "" else digest,
            expired=expired,
            created_at=now(),
        )
        self.artifacts.append(artifact)
        return artifact

    def dereferenced(self, target: GitObject) -> str:
        """Return the commit that a ref's object leads to."""
        while target.type == "tag":
            target = self.tag_objects[target.sha].target
        return target.sha

    def tags(self) -> dict[str, str]:
        """Return each tag's commit."""
        prefix = "refs/tags/"
        return {
            ref.removeprefix(prefix): self.dereferenced(target)
            for ref, target in sorted(self.refs.items())
            if ref.startswith(prefix)
        }

    def saved(self) -> GitHubState:
        """Return a copy to restore later."""
        return copy.deepcopy(self)

    def restore(self, saved: GitHubState) -> None:
        """Restore the saved copy."""
        self.__dict__.update(copy.deepcopy(saved).__dict__)

    def snapshot(self) -> dict[str, Any]:
        """Return what a release leaves behind, without ids and times: equal for two releases that did the same."""
        return {"tags": self.tags(), "releases": sorted((self._release(r) for r in self.releases), key=repr)}

    def _release(self, release: StoredRelease) -> dict[str, Any]:
        return {
            "tag": release.tag,
            "name": release.name,
            "body": release.body,
            "draft": release.draft,
            "prerelease": release.prerelease,
            "immutable": release.immutable,
            "latest": release.id == self.latest,
            "assets": {
                asset.name: {"digest": asset.digest, "size": len(asset.content), "state": asset.state}
                for asset in sorted(release.assets, key=lambda asset: asset.name)
            },
        }


def add_artifact(state: GitHubState, run: Run, path: Path, raw: Collection[str] = ()) -> None:
    """Add a folder or a zip as an artifact of its name, any other file as a raw one.

    Args:
        raw: names of artifacts that are a file of that name, though it be a zip.
    """
    zips = path.is_dir() or (path.suffix == ".zip" and path.name not in raw)
    state.add_artifact(run, path.name.removesuffix(".zip") if zips else path.name, path, raw=not zips)


def now() -> str:
    """Return the moment, as GitHub writes it."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
