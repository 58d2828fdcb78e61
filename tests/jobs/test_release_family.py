"""release-family: the whole release in one job, decided before anything is written, and completed by a re-run."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from unittest.mock import patch

import pytest
from tests.simulator.faults import Kind, PlannedFault
from tests.world.ended import Ended
from tests.world.job_world import JobWorld, packed

from flotilla.npm import Registry
from flotilla.npm.registry import READ_ONLY

JOB = "release-family"
FAMILY = "@acme/chroma"
PLATFORMS = tuple(
    f"{FAMILY}-{name}{suffix}" for name in ("linux-x64", "linux-x64-musl") for suffix in ("", "-non-free")
)
DEV = f"{FAMILY}-dev"
METAS = (FAMILY, f"{FAMILY}-non-free")
PACKAGES = (*PLATFORMS, DEV, *METAS)


def writes(jobs: JobWorld) -> list[str]:
    """Return what was written, in order: the tag, the release, its assets, the packages."""
    labels = [request.label for request in jobs.world.plan.requests]
    return [label for label in labels if any(f" {method} " in label for method in ("POST", "PUT", "PATCH"))]


def released(jobs: JobWorld, **inputs: Any) -> Ended:
    jobs.world.plan.start()
    done = jobs.run(JOB, **inputs)
    assert done.status == 0, done.log
    return done


@pytest.mark.npm
def test_one_job_releases_the_whole_family(jobs: JobWorld) -> None:
    done = released(jobs)
    assert done.statuses == dict.fromkeys(PACKAGES, "published")
    assert list(done.statuses) == list(PACKAGES)
    (release,) = jobs.github.releases
    assert not release.draft
    assert done.outputs["release-id"] == str(release.id)
    assert done.outputs["run-id"] == str(jobs.run_id)
    assert done.outputs["artifacts-digest"].startswith("sha256:")
    assert jobs.clock.slept.count(5) == len(PACKAGES) - 1


@pytest.mark.npm
def test_one_ledger_and_one_page_tell_all_of_it(jobs: JobWorld) -> None:
    done = released(jobs)
    ledger = json.loads((jobs.workspace / done.outputs["ledger"]).read_text(encoding="utf-8"))
    (release,) = jobs.github.releases
    assert [(one["name"], one["status"]) for one in ledger["packages"]] == [(name, "published") for name in PACKAGES]
    assert (ledger["release"], ledger["ci-run"]["id"]) == (release.id, jobs.run_id)
    assert ledger["artifacts-digest"] == done.outputs["artifacts-digest"]
    assert len(ledger["assets"]) == len(release.assets) - 1  # a ledger does not list itself
    assert done.summary.count("###") == 1
    assert "Next:" not in done.summary
    assert all(done.summary.count(f"| ✓\N{NO-BREAK SPACE}published | `{name}@1.2.3` ") == 1 for name in PACKAGES)


@pytest.mark.npm
def test_what_is_published_is_what_the_separate_jobs_publish(jobs: JobWorld, everything: JobWorld) -> None:
    """The fixtures share one world: everything is its state after the graph of jobs."""
    separate = {name: everything.published(name) for name in PACKAGES}
    again = released(everything)
    assert jobs is everything
    assert again.statuses == dict.fromkeys(PACKAGES, "already-published")
    assert {name: everything.published(name) for name in PACKAGES} == separate


@pytest.mark.npm
def test_a_draft_is_published_after_the_last_package(jobs: JobWorld) -> None:
    done = released(jobs, draft="true")
    order = writes(jobs)
    last_package = max(number for number, label in enumerate(order) if " PUT " in label and FAMILY in label)
    published = [number for number, label in enumerate(order) if " PATCH " in label and "/releases/" in label]
    assert published
    assert min(published) > last_package
    (release,) = jobs.github.releases
    assert not release.draft
    assert "Release [" in done.summary


@pytest.mark.npm
def test_staged_packages_keep_the_release_a_draft(jobs: JobWorld) -> None:
    done = released(jobs, draft="true", staged="true")
    assert set(done.statuses.values()) == {"staged"}
    (release,) = jobs.github.releases
    assert release.draft
    assert "stays a draft" in done.summary


@pytest.mark.npm
def test_a_dry_run_decides_everything_and_writes_nothing(jobs: JobWorld) -> None:
    before = jobs.world.snapshot()
    done = jobs.run(JOB, dry_run="true")
    assert done.status == 0, done.log
    assert done.statuses == dict.fromkeys(PACKAGES, "dry-run")
    assert jobs.world.snapshot() == before
    assert "A dry run: nothing was written." in done.summary


def other_content(jobs: JobWorld) -> None:
    jobs.put(packed({"package.json": json.dumps({"name": PLATFORMS[3], "version": "1.2.3"}).encode()}))


def no_artifact(jobs: JobWorld) -> None:
    jobs.github.artifacts.pop()
    jobs.github.artifacts[:] = [one for one in jobs.github.artifacts if one.name != "chroma-linuxmusl-x64-free"]


def no_file(jobs: JobWorld) -> None:
    jobs.edit("flotilla.yml", lambda text: text.replace('"bin/*"', '"nowhere/*"'))


@pytest.mark.npm
@pytest.mark.parametrize(
    ("prepare", "title"),
    [
        (other_content, "Release refused"),
        (no_artifact, "Artifact check failed"),
        (no_file, "Package check failed"),
    ],
)
def test_whatever_forbids_a_package_forbids_the_tag(
    jobs: JobWorld, prepare: Callable[[JobWorld], None], title: str
) -> None:
    prepare(jobs)
    error = jobs.refused(JOB)
    assert error.title == title, error.text


@pytest.mark.parametrize(
    ("inputs", "culprit"), [({"npm_token": ""}, "trusted publishing"), ({"provenance": "true"}, "id-token")]
)
def test_a_job_that_could_not_publish_is_refused_before_the_tag_exists(
    jobs: JobWorld, inputs: dict[str, str], culprit: str
) -> None:
    assert culprit in jobs.refused(JOB, **inputs).text


def test_a_read_only_token_is_refused_before_the_tag_exists(jobs: JobWorld) -> None:
    with patch.object(Registry, "token_fault", lambda _self: READ_ONLY):
        assert "read-only" in jobs.refused(JOB).text


@pytest.mark.npm
@pytest.mark.parametrize("failing", [PLATFORMS[1], DEV, METAS[0]])
@pytest.mark.parametrize("draft", ["true", "false"])
def test_a_re_run_completes_what_a_failure_left(jobs: JobWorld, failing: str, draft: str) -> None:
    jobs.world.plan.start([PlannedFault(kind=Kind.TOO_MANY, label=f"registry PUT /{failing}", retry_after=7200)])
    first = jobs.run(JOB, draft=draft)
    done = PACKAGES[: PACKAGES.index(failing)]
    assert first.status == 1
    assert first.error.title == "Out of time"
    assert first.statuses == dict.fromkeys(done, "published")
    (release,) = jobs.github.releases
    assert release.draft == (draft == "true")
    again = released(jobs, draft=draft)
    left = PACKAGES[len(done) :]
    assert again.statuses == {**dict.fromkeys(done, "already-published"), **dict.fromkeys(left, "published")}
    (release,) = jobs.github.releases
    assert not release.draft


@pytest.mark.npm
def test_a_family_without_dev_and_meta_packages_is_released(jobs: JobWorld) -> None:
    jobs.edit(
        "flotilla.yml",
        lambda text: text.replace(text[text.index("  dev:\n") : text.index("release:\n")], "  meta: false\n\n"),
    )
    assert released(jobs, draft="true").statuses == dict.fromkeys(PLATFORMS, "published")
