"""dry-run: everything but the writes."""

from __future__ import annotations

import pytest
from tests.world.job_world import JobWorld

PHASES = ("all", "prepare", "wait-for-ci", "check-artifacts", "release")


@pytest.mark.parametrize("phase", PHASES)
def test_a_dry_run_of_a_phase_writes_nothing(jobs: JobWorld, phase: str) -> None:
    before = jobs.world.snapshot()
    done = jobs.run("release", phase=phase, dry_run="true")
    assert done.status == 0, done.log
    assert jobs.world.snapshot() == before
    assert done.outputs.get("release-id", "") == ""


def test_a_dry_run_asks_for_nothing_but_reads(jobs: JobWorld) -> None:
    jobs.world.plan.start()
    done = [jobs.run("release", dry_run="true"), *jobs.everything(dry_run="true")]
    assert [one.status for one in done] == [0] * 5
    assert {request.label for request in jobs.world.plan.requests if "GET" not in request.label} == {
        "github POST /releases/generate-notes"
    }  # it stores nothing


def test_a_dry_run_of_every_publishing_job_says_dry_run_of_every_package(jobs: JobWorld) -> None:
    before = jobs.world.snapshot()
    done = jobs.everything(dry_run="true")
    assert jobs.world.snapshot() == before
    assert [set(one.statuses.values()) for one in done] == [{"dry-run"}] * 4
    assert sum(len(one.packages) for one in done) == 7
    for one in done:
        assert "A dry run: nothing was written." in one.summary
        assert "| ○\N{NO-BREAK SPACE}would\N{NO-BREAK SPACE}be\N{NO-BREAK SPACE}published | " in one.summary


def test_a_dry_run_of_the_meta_says_what_is_not_there_yet(jobs: JobWorld) -> None:
    done = jobs.run("publish-meta", dry_run="true")
    (warning,) = done.annotations("warning")
    assert warning.title == "Dry run"
    assert warning.text.startswith("4 platform packages are not on the registry yet: @acme/chroma-linux-x64, ")
    assert "A release publishes them before the meta packages" in warning.text


def test_a_dry_run_finds_what_a_release_would_refuse(jobs: JobWorld) -> None:
    jobs.put_version("@acme/chroma-dev", "1.2.3")
    assert jobs.run("release", dry_run="true").status == 1
    assert "@acme/chroma-dev" in jobs.dev(dry_run="true").error.text


def test_a_dry_run_after_the_release_says_what_is_there_already(everything: JobWorld) -> None:
    done = everything.dev(dry_run="true")
    assert done.statuses == {"@acme/chroma-dev": "dry-run"}
    assert "| ○\N{NO-BREAK SPACE}already\N{NO-BREAK SPACE}published | " in done.summary
