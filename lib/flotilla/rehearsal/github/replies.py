"""The simulated GitHub's objects in the form that its REST API gives them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from flotilla.rehearsal.github.records import (
    GitObject,
    Run,
    StoredArtifact,
    StoredAsset,
    StoredJob,
    StoredRelease,
    TagObject,
)
from flotilla.rehearsal.github.repository import BIRTH, Json, Surroundings, node_id, number

EXPIRY = "2099-01-01T00:00:00Z"


@dataclass(frozen=True, kw_only=True)
class Replies(Surroundings):
    """Renders one state for the origins it is served at."""

    def workflow(self, path: str) -> Json:
        """Return a workflow."""
        name = path.rsplit("/", 1)[1]
        return {
            "id": number(path),
            "node_id": node_id("workflow", path),
            "name": name.rsplit(".", 1)[0],
            "path": path,
            "state": "active",
            "created_at": BIRTH,
            "updated_at": BIRTH,
            "url": f"{self.here}/actions/workflows/{number(path)}",
            "html_url": f"{self.page}/blob/{self.state.default_branch}/{path}",
            "badge_url": f"{self.page}/workflows/{name}/badge.svg",
        }

    def run(self, run: Run) -> Json:
        """Return a workflow-run, as far as it has come."""
        url = f"{self.here}/actions/runs/{run.id}"
        busy = run.reads_until_done > 0
        parts = ("jobs", "logs", "artifacts", "cancel", "rerun")
        return {
            "id": run.id,
            "name": run.workflow.rsplit("/", 1)[1].rsplit(".", 1)[0],
            "node_id": node_id("run", run.id),
            "check_suite_id": run.id,
            "check_suite_node_id": node_id("suite", run.id),
            "head_branch": run.branch,
            "head_sha": run.commit,
            "path": run.workflow,
            "display_title": "A commit",
            "run_number": run.id,
            "run_attempt": run.attempt,
            "event": run.event,
            "status": "in_progress" if busy else run.status,
            "conclusion": None if busy else run.conclusion,
            "workflow_id": number(run.workflow),
            "url": url,
            "html_url": f"{self.page}/actions/runs/{run.id}",
            "pull_requests": [{"id": run.id, "head": {"sha": run.commit}, "base": {"sha": sha}} for sha in run.bases],
            "created_at": run.created_at,
            "updated_at": run.created_at,
            "run_started_at": run.started_at or run.created_at,
            "actor": self._actor(run.actor),
            "triggering_actor": self._actor(run.actor),
            **{f"{part}_url": f"{url}/{part}" for part in parts},
            "check_suite_url": f"{self.here}/check-suites/{run.id}",
            "previous_attempt_url": f"{url}/attempts/{run.attempt - 1}" if run.attempt > 1 else None,
            "workflow_url": f"{self.here}/actions/workflows/{number(run.workflow)}",
            "head_commit": self._head_commit(run.commit),
            "repository": self.minimal_repository(self.state.repository),
            "head_repository": self.minimal_repository(run.head_repository) if run.head_repository else None,
        }

    def job(self, run: Run, job: StoredJob) -> Json:
        """Return a job, as the attempt of its run lists it."""
        hosted = job.status != "queued"
        return {
            "id": job.id,
            "run_id": run.id,
            "run_url": f"{self.here}/actions/runs/{run.id}",
            "run_attempt": job.attempt,
            "node_id": node_id("job", job.id),
            "head_sha": run.commit,
            "url": f"{self.here}/actions/jobs/{job.id}",
            "html_url": f"{self.page}/actions/runs/{run.id}/job/{job.id}",
            "status": job.status,
            "conclusion": job.conclusion,
            "created_at": job.started_at,
            "started_at": job.started_at,
            "completed_at": job.completed_at,
            "name": job.name,
            "steps": [],
            "check_run_url": f"{self.here}/check-runs/{job.id}",
            "labels": ["ubuntu-latest"],
            "runner_id": 1 if hosted else None,
            "runner_name": "GitHub Actions 1" if hosted else None,
            "runner_group_id": 0 if hosted else None,
            "runner_group_name": "GitHub Actions" if hosted else None,
            "workflow_name": run.workflow.rsplit("/", 1)[1].rsplit(".", 1)[0],
            "head_branch": run.branch,
        }

    def _actor(self, login: str | None) -> Json:
        return self.user(login or self.state.owner, "Bot" if (login or "").endswith("[bot]") else "User")

    def _head_commit(self, sha: str) -> Json:
        person = {"name": self.state.owner, "email": f"{self.state.owner}@users.noreply.github.com"}
        return {
            "id": sha,
            "tree_id": hashlib.sha1(sha.encode(), usedforsecurity=False).hexdigest(),
            "message": self.state.commits.get(sha, ""),
            "timestamp": BIRTH,
            "author": person,
            "committer": person,
        }

    def artifact(self, artifact: StoredArtifact) -> Json:
        """Return an artifact."""
        run = next(run for run in self.state.runs if run.id == artifact.run_id)
        url = f"{self.here}/actions/artifacts/{artifact.id}"
        return {
            "id": artifact.id,
            "node_id": node_id("artifact", artifact.id),
            "name": artifact.name,
            "size_in_bytes": artifact.size,
            "url": url,
            "archive_download_url": f"{url}/zip",
            "expired": artifact.expired,
            "digest": artifact.digest,
            "created_at": artifact.created_at,
            "updated_at": artifact.created_at,
            "expires_at": BIRTH if artifact.expired else EXPIRY,
            "workflow_run": {
                "id": run.id,
                "repository_id": number(self.state.repository),
                "head_repository_id": number(run.head_repository or ""),
                "head_branch": run.branch,
                "head_sha": run.commit,
            },
        }

    def ref(self, name: str, target: GitObject) -> Json:
        """Return a git-ref."""
        return {
            "ref": name,
            "node_id": node_id("ref", name),
            "url": f"{self.here}/git/{name}",
            "object": self.object(target),
        }

    def object(self, target: GitObject) -> Json:
        """Return what a ref or a tag points at."""
        return {"sha": target.sha, "type": target.type, "url": f"{self.here}/git/{target.type}s/{target.sha}"}

    def tag(self, tag: TagObject) -> Json:
        """Return a git-tag: an annotated one."""
        return {
            "node_id": node_id("tag", tag.sha),
            "sha": tag.sha,
            "url": f"{self.here}/git/tags/{tag.sha}",
            "tag": tag.tag,
            "message": tag.message,
            "tagger": self._person(),
            "object": self.object(tag.target),
            "verification": _UNSIGNED,
        }

    def _person(self) -> Json:
        return {"name": "OWNER", "email": "owner@users.noreply.github.com", "date": BIRTH}

    def git_commit(self, sha: str) -> Json:
        """Return a git-commit."""
        tree = hashlib.sha1(sha.encode(), usedforsecurity=False).hexdigest()
        return {
            "sha": sha,
            "node_id": node_id("commit", sha),
            "url": f"{self.here}/git/commits/{sha}",
            "html_url": f"{self.page}/commit/{sha}",
            "author": self._person(),
            "committer": self._person(),
            "message": self.state.commits[sha],
            "tree": {"sha": tree, "url": f"{self.here}/git/trees/{tree}"},
            "parents": [],
            "verification": _UNSIGNED,
        }

    def commit(self, sha: str) -> Json:
        """Return a commit, with what surrounds the git-commit."""
        inner = self.git_commit(sha)
        outer = ("sha", "node_id", "html_url", "parents")
        return {
            **{key: inner[key] for key in outer},
            "url": f"{self.here}/commits/{sha}",
            "comments_url": f"{self.here}/commits/{sha}/comments",
            "commit": {**{key: inner[key] for key in inner if key not in outer}, "comment_count": 0},
            "author": self.user(self.state.owner),
            "committer": self.user(self.state.owner),
            "stats": {"additions": 0, "deletions": 0, "total": 0},
            "files": [],
        }

    def release(self, release: StoredRelease) -> Json:
        """Return a release; a draft's page is not named by its tag."""
        url = f"{self.here}/releases/{release.id}"
        page = f"untagged-{node_id(release.id)}" if release.draft else release.tag
        return {
            "url": url,
            "assets_url": f"{url}/assets",
            "upload_url": url.replace(self.origins.api, self.origins.uploads, 1) + "/assets{?name,label}",
            "html_url": f"{self.page}/releases/tag/{page}",
            "id": release.id,
            "author": self.bot(),
            "node_id": node_id("release", release.id),
            "tag_name": release.tag,
            "target_commitish": release.target,
            "name": release.name,
            "draft": release.draft,
            "immutable": release.immutable,
            "prerelease": release.prerelease,
            "created_at": release.created_at,
            "updated_at": release.created_at,
            "published_at": release.published_at,
            "assets": [self.asset(release, asset) for asset in release.assets],
            "tarball_url": None if release.draft else f"{self.here}/tarball/{release.tag}",
            "zipball_url": None if release.draft else f"{self.here}/zipball/{release.tag}",
            "body": release.body,
        }

    def asset(self, release: StoredRelease, asset: StoredAsset) -> Json:
        """Return a release-asset."""
        page = f"untagged-{node_id(release.id)}" if release.draft else release.tag
        return {
            "url": f"{self.here}/releases/assets/{asset.id}",
            "id": asset.id,
            "node_id": node_id("asset", asset.id),
            "name": asset.name,
            "label": asset.label,
            "uploader": self.bot(),
            "content_type": asset.content_type,
            "state": asset.state,
            "size": len(asset.content),
            "digest": asset.digest,
            "download_count": 0,
            "created_at": asset.created_at,
            "updated_at": asset.created_at,
            "browser_download_url": f"{self.page}/releases/download/{page}/{asset.name}",
        }


_UNSIGNED = {"verified": False, "reason": "unsigned", "signature": None, "payload": None, "verified_at": None}
