"""A tag and a release that another tool has made before: flotilla completes them, and changes nothing else of them."""

from __future__ import annotations

import json

import pytest
from tests.jobs.test_release_refusals import draft
from tests.world.job_world import JobWorld

from flotilla.rehearsal.github import GitObject, StoredRelease

NOTES = "### Features\n\n* something new"
PUBLISHED = {"draft": False, "published_at": "2026-01-01T00:00:00Z", "body": NOTES, "name": "tool: v1.2.3"}
LEDGER = "flotilla-ledger.json"


@pytest.fixture
def made_first(jobs: JobWorld) -> StoredRelease:
    """Return a published release without assets, and its tag."""
    jobs.github.refs["refs/tags/v1.2.3"] = GitObject(sha=jobs.github.commit, type="commit")
    return draft(jobs, **PUBLISHED)


def names(release: StoredRelease) -> set[str]:
    return {asset.name for asset in release.assets}


@pytest.mark.npm
def test_a_published_release_gets_its_assets_and_its_ledger_and_keeps_its_notes(
    jobs: JobWorld, made_first: StoredRelease
) -> None:
    done = jobs.run("release")
    assert done.status == 0, done.log
    assert done.annotations("warning") == []
    assert done.outputs["release-id"] == str(made_first.id)
    assert {"SHA256SUMS", LEDGER, "chroma-linux-x64-free.tar.gz"} <= names(made_first)
    assert (made_first.body, made_first.name, made_first.draft) == (NOTES, "tool: v1.2.3", False)
    before = jobs.world.snapshot()
    assert jobs.run("release").status == 0
    assert jobs.world.snapshot() == before
    assert jobs.platform().annotations("warning") == [], "the build is compared with the ledger"


def test_a_run_that_was_cut_off_is_completed_with_the_ledger(jobs: JobWorld, made_first: StoredRelease) -> None:
    assert jobs.run("release").status == 0
    whole = names(made_first)
    made_first.assets[:] = [asset for asset in made_first.assets if asset.name == "SHA256SUMS"]
    assert jobs.run("release").status == 0
    assert names(made_first) == whole
    next(asset for asset in made_first.assets if asset.name == LEDGER).state = "starter"
    assert jobs.run("release").status == 0
    assert {asset.state for asset in made_first.assets} == {"uploaded"}


def test_another_build_does_not_complete_what_one_began(jobs: JobWorld, made_first: StoredRelease) -> None:
    assert jobs.run("release").status == 0
    ledger = next(asset for asset in made_first.assets if asset.name == LEDGER)
    made_first.assets[:] = [ledger]
    document = json.loads(ledger.content)
    for artifact in document["artifacts"]:
        artifact["digest"] = artifact["recorded-digest"] = f"sha256:{'0' * 64}"
    document["assets"] = []
    ledger.content = json.dumps(document).encode()
    assert "chroma-linux-x64-free" in jobs.refused("release").text


def test_a_published_release_of_another_commit_is_refused(jobs: JobWorld, made_first: StoredRelease) -> None:
    assert made_first.assets == []
    jobs.github.add_commit("f" * 40)
    jobs.github.refs["refs/tags/v1.2.3"] = GitObject(sha="f" * 40, type="commit")
    assert "f" * 40 in jobs.refused("release", run_id=str(jobs.run_id)).text


@pytest.mark.parametrize("target", ["main", "$COMMIT"])
def test_a_draft_without_a_tag_is_tagged_completed_and_published(jobs: JobWorld, target: str) -> None:
    release = draft(jobs, body=NOTES, target=target.replace("$COMMIT", jobs.github.commit))
    done = jobs.run("release")
    assert done.status == 0, done.log
    assert jobs.github.tags() == {"v1.2.3": jobs.github.commit}
    assert (release.body, release.draft) == (NOTES, False)
    assert LEDGER in names(release)


def test_an_immutable_release_without_assets_is_refused_with_the_way_out(
    jobs: JobWorld, made_first: StoredRelease
) -> None:
    made_first.immutable = True
    assert "let it make drafts" in jobs.refused("release").text
