"""Families with other extra packages than one dev and one meta package: the jobs of the same workflow release them."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from tests.world.job_world import JobWorld, unpacked

from flotilla.jobs.ledger import inner_faults, read_ledger


@pytest.fixture
def without_meta(jobs: JobWorld) -> JobWorld:
    jobs.edit("flotilla.yml", lambda text: re.sub(r"(?m)^  meta:\n(    .*\n)+", "  meta: false\n", text))
    return jobs


@pytest.mark.npm
def test_a_family_without_a_meta_package_is_released_by_the_same_jobs(without_meta: JobWorld) -> None:
    done = without_meta.run("release", draft="true")
    assert done.status == 0, done.log
    assert "action-publish-meta" not in done.summary
    for done in without_meta.everything(pause_seconds="0"):
        assert done.status == 0, done.log
        assert "action-publish-meta" not in done.summary
    assert json.loads(done.outputs["packages"]) == []
    assert "no meta package" in done.summary
    accepted = without_meta.registry.snapshot()["accepted"]
    names = ("dev", "linux-x64", "linux-x64-musl", "linux-x64-musl-non-free", "linux-x64-non-free")
    assert set(accepted) == {f"@acme/chroma-{name}@1.2.3" for name in names}
    done = without_meta.run("release", phase="finish", run_id=str(without_meta.run_id))
    assert done.status == 0, done.log


def test_publish_meta_of_a_family_without_meta_package_comes_after_the_tag(without_meta: JobWorld) -> None:
    assert "v1.2.3 does not exist" in without_meta.refused("publish-meta").text
    done = without_meta.run("publish-meta", dry_run="true")
    assert (done.status, json.loads(done.outputs["packages"])) == (0, [])


@pytest.mark.parametrize(
    ("job", "more"),
    [("release", {"phase": "prepare"}), pytest.param("release-family", {"dry_run": "true"}, marks=pytest.mark.npm)],
)
def test_a_meta_package_that_gives_users_nothing_is_told_before_the_tag_exists(
    jobs: JobWorld, job: str, more: dict[str, Any]
) -> None:
    jobs.edit("flotilla.yml", lambda text: re.sub(r"(?m)^  meta:\n(    .*\n)+", "  meta: {}\n", text))
    done = jobs.run(job, **more)
    told = [one.text.split(":")[0] for one in done.annotations("warning") if one.title == "Check the meta package"]
    assert (done.status, told) == (0, ["@acme/chroma", "@acme/chroma-non-free"]), done.log


@pytest.mark.npm
def test_publish_dev_publishes_every_dev_package_in_order(released: JobWorld) -> None:
    old = '  dev:\n    name: "{family}-dev"\n    template: npm/dev\n    files: ["include/**", "LICENSE"]\n'
    new = (
        "  dev:\n"
        '    - {name: "{family}-license", files: [LICENSE]}\n'
        '    - {name: "{family}-dev", from: {platform: linux-x64-musl}, files: ["include/**"]}\n'
    )
    released.edit("flotilla.yml", lambda text: text.replace(old, new))
    done = released.dev(pause_seconds="0")
    assert done.status == 0, done.log
    published = [(one["name"], one["status"]) for one in json.loads(done.outputs["packages"])]
    assert published == [("@acme/chroma-license", "published"), ("@acme/chroma-dev", "published")]
    again = released.dev(pause_seconds="0")
    assert [one["status"] for one in json.loads(again.outputs["packages"])] == ["already-published"] * 2


@pytest.mark.npm
def test_a_meta_package_that_is_the_repositorys_root_is_the_same_in_every_job(platforms: JobWorld) -> None:
    """What the jobs write into the workspace is not of the repository, and does not change the package."""
    platforms.edit("flotilla.yml", lambda text: text.replace('"npm/meta{suffix}"', "."))
    root = {"name": "{family}{suffix}", "version": "0.0.0", "main": "npm/meta/index.js", "napi": {"binaryName": "x"}}
    (platforms.workspace / "package.json").write_text(json.dumps(root), encoding="utf-8")
    (platforms.workspace / ".gitignore").write_text("/ci-out/\n", encoding="utf-8")
    (platforms.workspace / "ci-out").mkdir()
    (platforms.workspace / "ci-out" / "tool").write_text("x", encoding="utf-8")
    done = platforms.run("publish-meta", pause_seconds="0")
    assert done.status == 0, done.log
    assert (platforms.workspace / "flotilla-output").is_dir()
    files = set(unpacked(platforms.published("@acme/chroma")))
    assert {"package.json", "flotilla.yml", "npm/meta/index.js"} <= files
    assert not [path for path in files if path.startswith(("flotilla-output/", "ci-out/"))]
    again = platforms.run("publish-meta")
    assert [one["status"] for one in json.loads(again.outputs["packages"])] == ["already-published"] * 2


@pytest.mark.npm
def test_a_dev_package_with_a_version_of_its_own_is_published_once(jobs: JobWorld) -> None:
    jobs.edit("flotilla.yml", lambda text: text.replace("    template: npm/dev\n", "    version: 0.9.0\n"))
    statuses = []
    for version in ("1.2.3", "1.2.4"):
        done = jobs.run("release", version=version)
        assert done.status == 0, done.log
        done = jobs.dev(version=version)
        assert done.status == 0, done.log
        ((name, its, status),) = [
            (one["name"], one["version"], one["status"]) for one in json.loads(done.outputs["packages"])
        ]
        statuses.append((name, its, status))
        ledger = read_ledger(jobs.workspace / done.outputs["ledger"])
        assert not list(inner_faults(ledger))
    assert statuses == [
        ("@acme/chroma-dev", "0.9.0", "published"),
        ("@acme/chroma-dev", "0.9.0", "already-published"),
    ]
    jobs.edit("flotilla.yml", lambda text: text.replace('files: ["include/**", "LICENSE"]', 'files: ["include/**"]'))
    assert (
        "0.9.0 is on the registry with other content"
        in jobs.refused("publish-dev", version="1.2.4", run_id=str(jobs.run_id)).text
    )


def test_a_version_of_its_own_does_not_make_the_release_an_older_one(jobs: JobWorld) -> None:
    """What counts for a package is whether its own version is below its own latest."""
    jobs.edit("flotilla.yml", lambda text: text.replace("    template: npm/dev\n", "    version: 9.0.0\n"))
    jobs.put_version("@acme/chroma-dev", "8.0.0")
    done = jobs.run("release")
    assert done.status == 0, done.log
    (release,) = jobs.github.snapshot()["releases"]
    assert release["latest"]
