from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from flotilla.errors import RESUMES, CancelledError, DeadlineError
from flotilla.family import Package, PackedPackage
from flotilla.jobs.build import Built
from flotilla.jobs.ledger import Record
from flotilla.jobs.publish_summary import (
    Pages,
    Report,
    approval_commands,
    done_row,
    family_table,
    publish_summary,
    with_progress,
)
from flotilla.npm import Packument, PublishedVersion, Statement
from flotilla.packing import PackageFiles
from flotilla.packing.package import FileEntry

NPM_HOST = ".".join(["registry", "npmjs", "org"])  # noqa: FLY002 - no file holds the host of a registry
NPM_PAGES = ".".join(["www", "npmjs", "com"])  # noqa: FLY002 - likewise
REGISTRY = "http://127.0.0.1:4873/"
PAGES = Pages(registry=REGISTRY, repository="https://github.com/acme/tool")


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
    summary = publish_summary(half_done, PAGES, seconds=12.4)
    rows = [line for line in summary.splitlines() if line.startswith("| ")]
    assert [row.split("|")[1].strip() for row in rows[1:3]] == [
        "✓\N{NO-BREAK SPACE}published",
        "○\N{NO-BREAK SPACE}waiting",
    ]
    assert summary.startswith("### ✗ Platform x: 1 published, 1 waiting\n")
    assert "3.0 kB packed; 12 s." in summary
    assert "Next: " not in summary


def test_a_publish_that_was_cut_off_is_not_said_to_be_undone(half_done: Report) -> None:
    half_done.begun = {"@acme/a", "@acme/b"}
    half_done.failure = CancelledError("the job was cancelled", advice=RESUMES)
    told = with_progress(half_done.failure, half_done)
    assert [str(fault) for fault in told.faults[1:]] == ["done: @acme/a", "started, not confirmed: @acme/b"]
    assert "1 published, 1 started, not confirmed" in publish_summary(half_done, PAGES, seconds=1)


def test_the_summary_of_a_job_that_is_done_says_what_comes_next_and_of_what_it_was_made(half_done: Report) -> None:
    half_done.planned, half_done.commit = half_done.planned[:1], "c" * 40
    half_done.packages = half_done.packages[:1]
    summary = publish_summary(half_done, PAGES, seconds=12.4)
    assert summary.startswith(
        "### ✓ Platform x: 1 published\n\nCommit [`cccccccccccc`](https://github.com/acme/tool/commit/"
        f"{'c' * 40}). Dist-tag `latest`.\n\n| status"
    )
    assert summary.endswith("1.5 kB packed; 12 s.\n\nNext: the others.\n")


@pytest.mark.parametrize(
    ("registry", "page"),
    [
        (f"https://{NPM_HOST}/", f"https://{NPM_PAGES}/package/@acme/tool/v/1.0.0"),
        ("https://npm.pkg.github.com/", "https://github.com/acme/tool/pkgs/npm/tool"),
        ("https://registry.acme.example/npm/", ""),
        ("https://npm.pkg.acme.example/", ""),
        (REGISTRY, ""),
    ],
)
def test_a_package_is_linked_to_its_page_where_the_registry_is_known_to_have_pages(registry: str, page: str) -> None:
    assert replace(PAGES, registry=registry).package("@acme/tool", "1.0.0") == page


def packument(name: str, **sizes: object) -> Packument:
    versions = {version.replace("_", "."): size for version, size in sizes.items()}
    return Packument(
        name=name,
        dist_tags={"latest": "1.0.0"},
        versions={
            version: PublishedVersion(
                name=name,
                version=version,
                integrity="sha512-bb==",
                tarball="",
                manifest={"dist": {"unpackedSize": size}},
            )
            for version, size in versions.items()
        },
    )


@pytest.mark.parametrize(
    ("before", "told"),
    [
        (
            3000,
            "1.0 kB (-2.0 kB)",
        ),
        (100, "1.0 kB (+900 B)"),
        (1000, "1.0 kB (±0 B)"),
        (None, "1.0 kB"),
        ("9`|<b>", "1.0 kB"),
        (-5, "1.0 kB"),
    ],
)
def test_a_size_is_told_with_its_change_since_the_last_version(before: object, told: str) -> None:
    versions = packument("@acme/a", **{"0_8_0": 1, "0_9_0": before, "1_1_0": 7, "1_0_0-beta": 9})
    entry = FileEntry(mode=0o644, size=1000, sha256="00")
    one = built("@acme/a")
    one = replace(one, files=replace(one.files, contents={"lib/a": entry}))
    record = Record(built=one, status="published", dist_tag="latest", integrity="sha512-aa==")
    assert ("| size (since `0.9.0`) " in family_table([done_row(record, versions)], PAGES)) == ("(" in told)
    assert f"| {told} |" in " ".join(family_table([done_row(record, versions)], PAGES).split())


def test_the_rest_of_the_family_is_in_the_table_as_the_registry_has_it(half_done: Report) -> None:
    half_done.others = [built(name).package for name in ("@acme/there", "@acme/new", "@acme/later")]
    half_done.packuments = {
        "@acme/there": packument("@acme/there", **{"1_0_0": 2000}),
        "@acme/new": None,
        "@acme/later": packument("@acme/later", **{"0_9_0": 2000}),
    }
    summary = publish_summary(half_done, PAGES, seconds=1)
    rows = [" ".join(line.split()) for line in summary.splitlines() if "@1.0.0`" in line]
    assert rows[2:] == [
        "| ✓ already there | `@acme/there@1.0.0` | 2.0 kB | `sha512-bb==` |",
        "| ○ waiting | `@acme/new@1.0.0` | | |",
        "| ○ waiting | `@acme/later@1.0.0` | | |",
    ]
    assert summary.startswith("### ○ Platform x: 1 published, 1 waiting\n")  # the job's own


def test_a_run_that_provenance_names_in_another_repository_is_not_linked() -> None:
    statement = Statement(
        predicate="", subject="", sha512="", repository="", commit="", workflow="", run="https://evil.example/runs/1"
    )
    record = Record(built=built("@acme/a"), status="already-published", dist_tag="", integrity="", provenance=statement)
    shown = family_table([done_row(record, None)], PAGES)
    assert "evil" not in shown
    assert "| ✓" in shown


def test_staged_packages_are_approved_platforms_first() -> None:
    records = [staged("@acme/meta", "id-2", "meta"), staged("@acme/a", "id-1"), staged("@acme/b", "")]
    assert approval_commands(records, REGISTRY).splitlines() == [
        f"npm stage approve id-1 --registry {REGISTRY}  # @acme/a",
        f"npm stage list @acme/b --registry {REGISTRY}  # then approve the listed id",
        f"npm stage approve id-2 --registry {REGISTRY}  # @acme/meta",
    ]
