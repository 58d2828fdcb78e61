"""platform: all, or a list: one job, decided together before its first publish, in order, and resumed by a re-run."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

import pytest
from tests.jobs.test_shared_artifacts import with_archives
from tests.simulator.faults import Kind, PlannedFault
from tests.world.job_world import JobWorld, packed

from flotilla.errors import ConflictError
from flotilla.jobs import build

GLIBC = ("@acme/chroma-linux-x64", "@acme/chroma-linux-x64-non-free")
MUSL = ("@acme/chroma-linux-x64-musl", "@acme/chroma-linux-x64-musl-non-free")


@pytest.mark.npm
@pytest.mark.parametrize(
    ("platform", "names"),
    [("all", GLIBC + MUSL), ('["linux-x64-musl", "linux-x64"]', MUSL + GLIBC), ('["linux-x64"]', GLIBC)],
)
def test_one_job_publishes_them_in_order_with_a_pause_between_two(
    released: JobWorld, platform: str, names: tuple[str, ...]
) -> None:
    done = released.platform(platform)
    assert done.statuses == dict.fromkeys(names, "published")
    assert list(done.statuses) == list(names)
    assert released.clock.slept == [5] * (len(names) - 1)
    ledger = json.loads((released.workspace / done.outputs["ledger"]).read_text(encoding="utf-8"))
    assert [one["name"] for one in ledger["packages"]] == list(names)
    assert all(name in done.summary for name in names)


@pytest.mark.npm
def test_one_platform_with_other_content_stops_all_before_the_first_publish(released: JobWorld) -> None:
    manifest = json.dumps({"name": MUSL[1], "version": "1.2.3"}).encode()
    released.put(packed({"package.json": manifest}))
    error = released.refused("publish-platform", platform="all", run_id=str(released.run_id))
    assert error.title == ConflictError.title
    assert MUSL[1] in error.text


@pytest.mark.npm
def test_a_re_run_goes_on_from_where_the_job_stopped(released: JobWorld) -> None:
    released.world.plan.start([PlannedFault(kind=Kind.TOO_MANY, label=f"registry PUT /{MUSL[0]}", retry_after=3600)])
    first = released.platform("all")
    assert first.status == 1
    assert first.statuses == dict.fromkeys(GLIBC, "published")
    assert f"done: {', '.join(GLIBC)}" in first.error.text
    released.world.plan.start()
    again = released.platform("all")
    assert again.status == 0, again.log
    assert again.statuses == {**dict.fromkeys(GLIBC, "already-published"), **dict.fromkeys(MUSL, "published")}


def test_the_faults_of_all_platforms_are_said_at_once(released: JobWorld) -> None:
    released.edit("flotilla.yml", lambda text: text.replace('"bin/*"', '"nowhere/*"'))
    error = released.refused("publish-platform", platform="all", run_id=str(released.run_id))
    assert error.title == "Package check failed"
    assert all(name in error.text for name in (GLIBC[0], MUSL[0]))


@pytest.mark.parametrize("shared", [False, True])
def test_the_disk_holds_the_artifacts_of_one_platform_at_a_time(jobs: JobWorld, *, shared: bool) -> None:
    if shared:
        with_archives(jobs)
    with seen_artifacts() as seen:
        done = jobs.platform("all", dry_run="true")
    assert done.status == 0, done.log
    assert seen == ([1] if shared else [2, 2])


@contextmanager
def seen_artifacts() -> Iterator[list[int]]:
    """Yield how many unpacked artifacts lay on the disk, whenever packages were built."""
    seen: list[int] = []
    real = build.PackageBuilder.build

    def watched(builder: build.PackageBuilder, *arguments: object) -> object:
        seen.append(len(list((builder.scratch / "contents").iterdir())))
        assert list(builder.scratch.rglob("*.tar.gz")) == []  # nor an archive beside what was in it
        return real(builder, *arguments)  # type: ignore[arg-type]

    with patch.object(build.PackageBuilder, "build", watched):
        yield seen
