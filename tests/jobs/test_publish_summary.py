from __future__ import annotations

from pathlib import Path

import pytest

from flotilla.errors import RESUMES, CancelledError, DeadlineError
from flotilla.family import Package, PackedPackage
from flotilla.jobs.build import Built
from flotilla.jobs.ledger import Record
from flotilla.jobs.publish_summary import Report, approval_commands, publish_summary, with_progress
from flotilla.packing import PackageFiles

REGISTRY = "http://127.0.0.1:4873/"


def built(name: str, kind: str = "platform") -> Built:
    package = Package(
        kind="meta" if kind == "meta" else "platform",
        name=name,
        version="1.0.0",
        platform=None,
        variant=None,
        artifact=None,
        template=None,
    )
    packed = PackedPackage(
        name=name,
        version="1.0.0",
        path=Path("x.tgz"),
        integrity="sha512-aa==",
        shasum="00",
        size=1500,
        manifest={},
    )
    files = PackageFiles(name=name, version="1.0.0", manifest={}, texts={}, files={}, contents={})
    return Built(package=package, files=files, tarball=packed, source=None)


def staged(name: str, stage_id: str, kind: str = "platform") -> Record:
    return Record(
        built=built(name, kind), status="staged", dist_tag="latest", integrity="sha512-aa==", stage_id=stage_id
    )


@pytest.fixture
def half_done() -> Report:
    first, second = built("@acme/a"), built("@acme/b")
    record = Record(built=first, status="published", dist_tag="latest", integrity="sha512-aa==")
    return Report(
        title="Platform x",
        then="Next: the others.",
        packages=[first.package, second.package],
        started=0,
        planned=[first, second],
        records=[record],
    )


def test_a_job_that_stops_half_way_says_what_is_done_and_what_is_left(half_done: Report) -> None:
    told = with_progress(DeadlineError("publish @acme/b: 429", advice="Re-run the job."), half_done)
    assert isinstance(told, DeadlineError)
    assert str(told) == "- publish @acme/b: 429\n- done: @acme/a\n- not done: @acme/b\nRe-run the job."


def test_the_summary_of_a_stopped_job_names_what_is_not_done(half_done: Report) -> None:
    half_done.failure = DeadlineError("publish @acme/b: 429")
    summary = publish_summary(half_done, registry=REGISTRY, seconds=12.4)
    rows = [line for line in summary.splitlines() if line.startswith("| `")]
    assert ["published" in rows[0], "not done" in rows[1]] == [True, True]
    assert "1 published, 1 not done; 3.0 kB packed; 12 s." in summary
    assert "Next: " not in summary


def test_a_publish_that_was_cut_off_is_not_said_to_be_undone(half_done: Report) -> None:
    half_done.begun = {"@acme/a", "@acme/b"}
    half_done.failure = CancelledError("the job was cancelled", advice=RESUMES)
    told = with_progress(half_done.failure, half_done)
    assert [str(fault) for fault in told.faults[1:]] == ["done: @acme/a", "started, not confirmed: @acme/b"]
    assert "1 published, 1 started, not confirmed" in publish_summary(half_done, registry=REGISTRY, seconds=1)


def test_the_summary_of_a_job_that_is_done_says_what_comes_next_and_of_what_it_was_made(half_done: Report) -> None:
    half_done.planned, half_done.commit = half_done.planned[:1], "c" * 40
    half_done.packages = half_done.packages[:1]
    summary = publish_summary(half_done, registry=REGISTRY, seconds=12.4)
    assert summary.startswith(f"### Platform x\n\nCommit `{'c' * 40}`.\n\n| package")
    assert summary.endswith("1 published; 1.5 kB packed; 12 s.\n\nNext: the others.\n")


def test_staged_packages_are_approved_platforms_first() -> None:
    records = [staged("@acme/meta", "id-2", "meta"), staged("@acme/a", "id-1"), staged("@acme/b", "")]
    assert approval_commands(records, REGISTRY).splitlines() == [
        f"npm stage approve id-1 --registry {REGISTRY}  # @acme/a",
        f"npm stage list @acme/b --registry {REGISTRY}  # then approve the listed id",
        f"npm stage approve id-2 --registry {REGISTRY}  # @acme/meta",
    ]
