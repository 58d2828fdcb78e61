"""What other people do while a release goes on: publish a draft, delete a tag, publish a version."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from typing import Any
from unittest.mock import patch

import pytest
from tests.conftest import RecordedClock
from tests.jobs.test_release_refusals import draft, put_asset
from tests.simulator.faults import Phase, Request
from tests.world.job_world import JobWorld

from flotilla.errors import RunError
from flotilla.jobs.wait_for_ci import check_artifacts
from flotilla.npm import Packument, Registry
from flotilla.rehearsal.github import GitObject, StoredRelease, sha256

ASSET = "chroma-linux-x64-free.tar.gz"
OTHER = "f" * 40

During = Callable[[Callable[[], object]], None]


@pytest.fixture
def during_ci(monkeypatch: pytest.MonkeyPatch, shared_clock: RecordedClock) -> During:
    """Return what makes something happen, and a minute pass, between prepare and release of one job."""

    def happens(change: Callable[[], object]) -> None:
        def then(*given: Any) -> Any:
            change()
            shared_clock.sleep(60)
            return check_artifacts(*given)

        monkeypatch.setattr("flotilla.jobs.release.check_artifacts", then)

    return happens


def test_an_asset_of_a_draft_that_is_published_during_the_wait_for_ci_is_not_replaced(
    jobs: JobWorld, during_ci: During
) -> None:
    release = draft(jobs)
    put_asset(jobs, release, ASSET, b"the maintainer's own build")

    def published() -> None:
        release.draft, release.published_at = False, "2026-01-02T00:00:00Z"
        jobs.github.refs["refs/tags/v1.2.3"] = GitObject(sha=jobs.github.commit, type="commit")

    during_ci(published)
    done = jobs.run("release")
    assert done.status == 1
    assert f"{ASSET} has 26 bytes" in done.error.text
    assert [asset.content for asset in release.assets] == [b"the maintainer's own build"]


def test_the_registry_is_asked_again_after_the_wait_for_ci(jobs: JobWorld, during_ci: During) -> None:
    during_ci(lambda: jobs.put_version("@acme/chroma", "2.0.0"))
    done = jobs.run("release")
    assert done.status == 1
    assert "the registry's latest, 2.0.0" in done.error.text
    assert (jobs.github.tags(), jobs.github.releases) == ({}, [])


def test_the_registry_is_asked_once_about_each_package_if_nothing_was_waited_for(jobs: JobWorld) -> None:
    read, asked = Registry.fresh, list[str]()

    def fresh(registry: Registry, name: str) -> Packument | None:
        asked.append(name)
        return read(registry, name)

    with patch.object(Registry, "fresh", fresh):
        assert jobs.run("release").status == 0
    assert len(asked) == len(set(asked)) == 7


def test_a_tag_that_is_made_on_another_commit_during_the_wait_for_ci_is_a_conflict(
    jobs: JobWorld, during_ci: During
) -> None:
    during_ci(lambda: jobs.github.refs.update({"refs/tags/v1.2.3": GitObject(sha=OTHER, type="commit")}))
    done = jobs.run("release")
    assert done.status == 1
    assert f"tag v1.2.3 is on commit {OTHER}" in done.error.text
    assert jobs.github.releases == []


@pytest.mark.parametrize("now", ["deleted", "moved"])
def test_finish_publishes_no_release_whose_tag_is_gone(jobs: JobWorld, now: str) -> None:
    assert jobs.run("release", draft="true").status == 0
    if now == "deleted":
        del jobs.github.refs["refs/tags/v1.2.3"]
    else:
        jobs.github.refs["refs/tags/v1.2.3"] = GitObject(sha=OTHER, type="commit")
    error = jobs.refused("release", phase="finish", commit=jobs.github.commit)
    assert "tag v1.2.3" in error.text
    assert jobs.github.releases[0].draft


def test_a_draft_for_another_commit_is_refused_before_the_tag_exists(jobs: JobWorld) -> None:
    draft(jobs, target=OTHER, body="notes of another commit")
    error = jobs.refused("release", phase="prepare")
    assert f"is a draft for commit {OTHER}, but this release is of {jobs.github.commit}" in error.text
    jobs.github.refs["refs/tags/v1.2.3"] = GitObject(sha=jobs.github.commit, type="commit")
    assert jobs.run("release").status == 0  # the tag says what is released, and the draft's target nothing


@pytest.mark.parametrize(("version", "prerelease"), [("1.2.3", False), ("1.3.0-beta.1", True)])
def test_a_draft_that_a_person_made_is_published_as_its_version_says(
    jobs: JobWorld, version: str, *, prerelease: bool
) -> None:
    made = draft(jobs, tag=f"v{version}", prerelease=not prerelease)
    done = jobs.run("release", version=version)
    assert done.status == 0, done.log
    assert (made.draft, made.prerelease) == (False, prerelease)
    assert (jobs.github.latest == made.id) is not prerelease


def besides(jobs: JobWorld, name: str) -> None:
    """Add another file of that name to every artifact of CI's run."""
    for number, artifact in enumerate(jobs.github.artifacts):
        packed = io.BytesIO(artifact.content)
        with zipfile.ZipFile(packed, "a") as uploaded:
            uploaded.writestr(name, f"of artifact {number}")
        artifact.content = packed.getvalue()
        artifact.digest = sha256(artifact.content)


@pytest.mark.parametrize("dry_run", ["true", "false"])
@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("build-info.txt", "asset build-info.txt"),
        ("read me.txt", 'asset name "read me.txt"'),
        ("flotilla-ledger.json", "flotilla"),
        ("SHA256SUMS", "flotilla"),
    ],
)
def test_what_github_would_not_take_as_an_asset_is_refused_before_the_tag_exists(
    jobs: JobWorld, name: str, why: str, dry_run: str
) -> None:
    besides(jobs, name)
    jobs.edit("flotilla.yml", lambda text: text.replace('assets: ["*.tar.gz"', f'assets: ["{name}", "*.tar.gz"'))
    error = jobs.refused("release", dry_run=dry_run)
    assert why in error.text


def test_notes_that_are_not_there_or_too_long_are_refused_before_ci_is_waited_for(jobs: JobWorld) -> None:
    jobs.edit("flotilla.yml", lambda text: text.replace("notes: generate", "notes: CHANGES.md"))
    error = jobs.refused("release", phase="prepare")
    assert (error.file, "release.notes cannot be read" in error.text) == ("CHANGES.md", True)
    (jobs.workspace / "CHANGES.md").write_text("x" * 125_001)
    assert "125001 characters; GitHub accepts at most 125000" in jobs.refused("release", phase="prepare").text


def test_notes_that_are_gone_since_keep_nobody_from_running_again(jobs: JobWorld) -> None:
    jobs.edit("flotilla.yml", lambda text: text.replace("notes: generate", "notes: CHANGES.md"))
    (jobs.workspace / "CHANGES.md").write_text("Faster.")
    assert jobs.run("release").status == 0
    (jobs.workspace / "CHANGES.md").unlink()
    before = jobs.world.snapshot()
    assert (jobs.run("release").status, jobs.world.snapshot()) == (0, before)
    assert jobs.github.releases[0].body == "Faster."


def lost(release: StoredRelease) -> None:
    del release.assets[0]


def cut(release: StoredRelease) -> None:
    release.assets[0].content, release.assets[0].state = b"", "starter"


def altered(release: StoredRelease) -> None:
    release.assets[0].content += b"x"


@pytest.mark.npm
@pytest.mark.parametrize("change", [lost, cut, altered])
def test_finish_publishes_no_draft_that_lacks_an_asset(
    everything: JobWorld, change: Callable[[StoredRelease], None]
) -> None:
    (release,) = everything.github.releases
    release.draft, release.published_at = True, None
    change(release)
    error = everything.refused("release", phase="finish")
    assert "/releases/" in error.text
    assert release.draft


@pytest.mark.parametrize(
    ("attempt", "status", "conclusion"),
    [
        (2, "completed", "failure"),
        (2, "completed", "success"),
        (1, "completed", "failure"),
        (1, "in_progress", None),
    ],
)
def test_a_ci_run_that_is_run_again_once_it_was_checked_gives_no_artifacts(
    released: JobWorld, attempt: int, status: str, conclusion: str | None
) -> None:
    """What the run had while it was checked may be replaced by then; only failed jobs are told apart by their end."""

    def run_again(request: Request, phase: Phase) -> None:
        if phase == "before" and request.path.partition("?")[0].endswith(f"/actions/runs/{released.run_id}/artifacts"):
            run = next(run for run in released.github.runs if run.id == released.run_id)
            run.attempt, run.status, run.conclusion = attempt, status, conclusion

    released.world.plan.on_request = run_again
    try:
        error = released.refused("publish-platform", platform="linux-x64", run_id=str(released.run_id))
    finally:
        released.world.plan.on_request = lambda _request, _phase: None
    assert error.title == RunError.title
    assert f"/actions/runs/{released.run_id}" in error.text
