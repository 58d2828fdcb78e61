"""What a maintainer meets who is called at midnight: each message says what to look at, and a re-run finishes."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from tests.jobs.test_release_refusals import draft, put_asset
from tests.simulator.faults import Kind, PlannedFault
from tests.world.ended import ended, in_process
from tests.world.job_world import JobWorld

from flotilla.errors import ConflictError, PackageError
from flotilla.rehearsal.github import GitObject

OTHER = "f" * 40


def test_a_tag_on_a_commit_that_ci_never_saw_sends_its_reader_to_what_starts_ci(jobs: JobWorld) -> None:
    jobs.github.add_commit(OTHER)
    jobs.github.refs["refs/tags/v1.2.3"] = GitObject(sha=OTHER, type="commit")
    error = jobs.refused("release", timeout_minutes="1")
    assert f"waiting for a run of ci.yml on {OTHER}; there is none yet." in error.text
    assert "the workflow's `on:`" in error.text


def test_a_ci_run_that_goes_on_is_not_said_to_be_missing(jobs: JobWorld) -> None:
    jobs.github.runs[0].reads_until_done = 10**6
    error = jobs.refused("release", timeout_minutes="1")
    assert "timeout-minutes" in error.text
    assert "`on:`" not in error.text


def test_a_draft_that_somebody_made_is_completed_and_what_lies_in_it_is_told(jobs: JobWorld) -> None:
    release = draft(jobs, body="By hand")
    for name in ("notes.pdf", "chroma-linux-x64-free.tar.gz"):
        put_asset(jobs, release, name, b"older")
    done = jobs.run("release")
    assert done.status == 0, done.log
    (notice,) = done.annotations("notice")
    assert notice.text.endswith(": notes.pdf")
    assert "chroma-linux-x64-free.tar.gz exists, but " in done.log
    (made,) = jobs.github.releases
    assert (made.draft, made.body, len(made.assets)) == (False, "By hand", 11)
    assert {asset.name: asset.content for asset in made.assets}["notes.pdf"] == b"older"


def test_a_registry_that_is_down_for_minutes_is_waited_for(released: JobWorld) -> None:
    label = "registry GET /@acme/chroma-dev?write=true"
    released.world.plan.start([PlannedFault(kind=Kind.ERROR_503, label=label, times=30, retry_after=1)])
    done = released.dev(dry_run="true")
    assert done.status == 0, done.log
    assert sum(released.clock.slept) > 180
    assert "503; retrying in" in done.log


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
    status, log, _ = in_process(
        ["publish-dev"], {**variables, "PATH": f"{old.parent}:{variables['PATH']}"}, released.clock
    )
    error = ended(status, log, folder).error
    assert "10.9.2" in error.text
    assert "npm install -g npm@latest" in error.text
    assert released.world.snapshot() == before


def test_a_tag_name_that_github_gives_out_no_more_says_what_it_left_behind(jobs: JobWorld) -> None:
    jobs.github.refs["refs/tags/v1.2.3"] = GitObject(sha=jobs.github.commit, type="commit")
    jobs.github.burnt_tags.add("v1.2.3")
    error = jobs.run("release").error
    assert error.title == ConflictError.title
    (draft,) = jobs.github.releases
    assert f"tag v1.2.3 on commit {jobs.github.commit}" in error.text
    assert "draft http" in error.text
    assert draft.draft


@pytest.mark.parametrize("token", [None, ""])
def test_prepare_promises_provenance_only_if_the_publishing_jobs_can_make_it(jobs: JobWorld, token: str | None) -> None:
    given: dict[str, Any] = {} if token is None else {"npm_token": token}
    done = jobs.run("release", phase="prepare", **given)
    said = {line for line in done.log.splitlines() if "provenance statement" in line}
    assert ("if the publishing jobs have" in " ".join(said)) is (token is None)


def test_a_fault_of_every_package_says_so_once(jobs: JobWorld) -> None:
    with patch("flotilla.jobs.build.package_files", side_effect=PackageError("cannot be packed")):
        error = jobs.refused("release")
    assert error.title == PackageError.title
    assert error.text.splitlines()[0] == "all 7 packages: cannot be packed"
