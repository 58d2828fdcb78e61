"""What a maintainer meets who is called at midnight: each message says what to look at, and a re-run finishes."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.jobs.jobworld import JobWorld, ended, in_process
from tests.jobs.test_release_refusals import draft, put_asset

from flotilla.rehearsal.faults import Kind, PlannedFault
from flotilla.rehearsal.github import GitObject

OTHER = "f" * 40


def test_a_tag_on_a_commit_that_ci_never_saw_sends_its_reader_to_what_starts_ci(jobs: JobWorld) -> None:
    jobs.github.add_commit(OTHER)
    jobs.github.refs["refs/tags/v1.2.3"] = GitObject(sha=OTHER, type="commit")
    error = jobs.refused("release", timeout_minutes="1")
    assert f"waiting for a run of ci.yml on {OTHER}; there is none yet." in error.text
    assert "Nothing started CI there: look at the workflow's `on:`" in error.text
    assert "whether this is the commit that you mean" in error.text


def test_a_ci_run_that_goes_on_is_not_said_to_be_missing(jobs: JobWorld) -> None:
    jobs.github.runs[0].reads_until_done = 10**6
    error = jobs.refused("release", timeout_minutes="1")
    assert error.text.endswith("Re-run this job when CI is done, or give it more time with the input timeout-minutes.")


def test_a_draft_that_somebody_made_is_completed_and_what_lies_in_it_is_told(jobs: JobWorld) -> None:
    release = draft(jobs, body="By hand")
    for name in ("notes.pdf", "chroma-linux-x64-free.tar.gz"):
        put_asset(jobs, release, name, b"older")
    done = jobs.run("release")
    assert done.status == 0, done.log
    (notice,) = done.annotations("notice")
    assert notice.text == "the draft of v1.2.3 was there before, with assets that stay: notes.pdf"
    assert "chroma-linux-x64-free.tar.gz is there, broken or with other content, and is replaced" in done.log
    (made,) = jobs.github.releases
    assert (made.draft, made.body, len(made.assets)) == (False, "By hand", 10)
    assert {asset.name: asset.content for asset in made.assets}["notes.pdf"] == b"older"


def test_a_registry_that_is_down_for_minutes_is_waited_for(released: JobWorld) -> None:
    label = "registry GET /@acme/chroma-dev?write=true"
    released.world.plan.start([PlannedFault(kind=Kind.ERROR_503, label=label, times=30, retry_after=1)])
    done = released.dev(dry_run="true")
    assert done.status == 0, done.log
    assert sum(released.clock.slept) > 180
    assert "503; trying again in" in done.log


@pytest.mark.parametrize("dry_run", ["true", "false"])
def test_an_npm_that_is_too_old_is_said_to_be_that_before_it_publishes(
    released: JobWorld, tmp_path: Path, dry_run: str
) -> None:
    old = tmp_path / "old" / "npm"
    old.parent.mkdir()
    old.write_text("#!/bin/sh\necho 10.9.2\n", encoding="ascii")
    old.chmod(0o755)
    before = released.world.snapshot()
    variables, folder = released.environment("publish-dev", run_id=str(released.run_id), dry_run=dry_run)
    status, log = in_process(
        ["publish-dev"], {**variables, "PATH": f"{old.parent}:{variables['PATH']}"}, released.clock
    )
    error = ended(status, log, folder).error
    assert error.text == "npm is 10.9.2; flotilla needs 11.17 or newer.\nInstall it: npm install -g npm@latest"
    assert released.world.snapshot() == before
