"""A version without a tag and a release, such as a nightly: everything but these two is as in any release."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from tests.jobs.test_same_run import joined
from tests.world.job_world import JobWorld

from flotilla.errors import InputError
from flotilla.jobs.inputs import ReleaseInputs, read_inputs
from flotilla.jobs.verify import verify
from flotilla.rehearsal.github import GitObject
from flotilla.runner import Runner

NIGHTLY = "1.4.0-nightly.20261125"
OTHER_COMMIT = "f" * 40


def nightly(jobs: JobWorld) -> dict[str, Any]:
    return {"version": NIGHTLY, "tag": "none", "run_id": str(jobs.run_id), "pause_seconds": "0"}


def ledger_of(jobs: JobWorld, path: str) -> dict[str, object]:
    ledger: dict[str, object] = json.loads(Path(jobs.workspace / path).read_text(encoding="utf-8"))
    return ledger


def verified(jobs: JobWorld, ledger: str) -> None:
    """Check that every link of the ledger holds, except those to a tag and a release."""
    out, environment = io.StringIO(), jobs.environment("verify")[0]
    runner = Runner(environment, out)
    assert verify(jobs.workspace / ledger, environment, runner, registry=jobs.world.registry.url) == 0, out.getvalue()
    (note,) = [line for line in out.getvalue().splitlines() if "no tag" in line]
    assert note.startswith("note")


@pytest.mark.npm
def test_a_nightly_is_published_and_nothing_is_written_on_github(jobs: JobWorld) -> None:
    before = jobs.github.snapshot()
    done = jobs.run("release", version=NIGHTLY, tag="none")
    assert done.status == 0, done.log
    empty = ("tag", "release-id", "release-url", "checksums")
    assert {name: done.outputs[name] for name in empty} == dict.fromkeys(empty, "")
    assert (done.outputs["commit"], done.outputs["dist-tag"]) == (jobs.github.commit, "nightly")
    assert ledger_of(jobs, done.outputs["ledger"])["tag"] is None
    given = nightly(jobs) | {"artifacts_digest": done.outputs["artifacts-digest"]}
    platforms = [jobs.platform(name, **given) for name in ("linux-x64", "linux-x64-musl")]
    listed = json.dumps([one.packages for one in platforms])
    published = [*platforms, jobs.dev(**given), jobs.run("publish-meta", **given, packages=listed)]
    assert "`finish`" not in published[-1].summary
    for one in published:
        assert one.status == 0, one.log
        assert one.annotations("warning") == []
    assert jobs.github.snapshot() == before
    verified(jobs, platforms[0].outputs["ledger"])
    for package in jobs.registry.snapshot()["packages"].values():
        assert (*package["versions"],) == (NIGHTLY,)
        assert package["dist-tags"]["nightly"] == NIGHTLY
    assert jobs.run("release", version=NIGHTLY, tag="none").status == 0, "a release can be run again"


@pytest.mark.npm
def test_a_nightly_after_a_release_leaves_latest_alone(everything: JobWorld) -> None:
    for name in ("linux-x64", "linux-x64-musl"):
        assert everything.platform(name, **nightly(everything)).status == 0
    (tags,) = {
        tuple(package["dist-tags"].items())
        for name, package in everything.registry.snapshot()["packages"].items()
        if "linux" in name
    }
    assert dict(tags) == {"latest": "1.2.3", "nightly": NIGHTLY}


def test_flotilla_yml_says_it_once_for_all_jobs(jobs: JobWorld) -> None:
    jobs.edit("flotilla.yml", lambda text: text.replace('"v{version}"', "none"))
    done = jobs.run("release", version=NIGHTLY, phase="prepare")
    assert (done.status, done.outputs["tag"]) == (0, ""), done.log
    assert f"no tag, commit [`{jobs.github.commit[:12]}`](" in done.summary
    assert jobs.platform(version=NIGHTLY, dry_run="true").status == 0


@pytest.mark.parametrize("event", ["schedule", "workflow_dispatch"])
def test_a_nightly_is_released_in_the_run_that_built_it(jobs: JobWorld, event: str) -> None:
    run = joined(jobs)
    run.event = jobs.github.release_run.event = event
    done = jobs.run("release", version=NIGHTLY, tag="none", run_id=str(run.id))
    assert done.status == 0, done.log
    assert "Released from this run: " in done.summary
    assert jobs.github.tags() == {}


def test_a_commit_that_is_not_the_runs_own_is_refused(jobs: JobWorld) -> None:
    error = jobs.refused("release", version=NIGHTLY, tag="none", commit=OTHER_COMMIT)
    assert OTHER_COMMIT in error.text
    assert jobs.github.commit in error.text


def test_a_run_of_another_commit_is_refused_by_the_publishing_jobs(jobs: JobWorld) -> None:
    run = jobs.github.add_run(workflow="ci.yml", commit=OTHER_COMMIT)
    error = jobs.refused("publish-platform", platform="linux-x64", **(nightly(jobs) | {"run_id": str(run.id)}))
    assert OTHER_COMMIT in error.text


def test_a_tag_of_the_same_version_on_another_commit_is_not_asked(jobs: JobWorld) -> None:
    jobs.github.refs[f"refs/tags/v{NIGHTLY}"] = GitObject(sha=OTHER_COMMIT, type="commit")
    assert jobs.run("release", version=NIGHTLY, tag="none", phase="prepare").outputs["commit"] == jobs.github.commit


def test_without_the_input_a_publishing_job_still_wants_a_tag_and_names_the_input(jobs: JobWorld) -> None:
    assert (
        "`tag: none`"
        in jobs.refused("publish-platform", platform="linux-x64", version=NIGHTLY, run_id=str(jobs.run_id)).text
    )


@pytest.mark.parametrize("action", ["release", "publish-platform", "publish-dev", "publish-meta"])
def test_a_stable_version_does_not_become_latest_unless_somebody_says_so(jobs: JobWorld, action: str) -> None:
    more: dict[str, Any] = {} if action == "release" else {"run_id": str(jobs.run_id), "platform": "linux-x64"}
    assert "`latest`" in jobs.refused(action, tag="none", **more).text


def test_a_stable_version_becomes_what_flotilla_yml_says(jobs: JobWorld) -> None:
    jobs.edit("flotilla.yml", lambda text: text.replace("publish:\n", "publish:\n  dist-tag: latest\n"))
    done = jobs.run("release", tag="none", phase="prepare")
    assert (done.status, done.outputs["dist-tag"]) == (0, "latest"), done.log


def test_flotilla_yml_does_not_make_a_nightly_latest(jobs: JobWorld) -> None:
    jobs.edit("flotilla.yml", lambda text: text.replace("publish:\n", "publish:\n  dist-tag: latest\n"))
    assert "publish.dist-tag" in jobs.refused("release", version=NIGHTLY, tag="none").text
    assert jobs.run("release", version=NIGHTLY, phase="prepare").status == 0, "with a tag it means what it always meant"


def test_the_dist_tag_of_a_publishing_job_goes_first(jobs: JobWorld) -> None:
    done = jobs.platform(tag="none", dist_tag="latest", dry_run="true")
    assert done.status == 0, done.log


def test_a_new_name_that_a_nightly_makes_latest_is_warned_of(platforms: JobWorld) -> None:
    done = platforms.run("release", version=NIGHTLY, tag="none")
    (warning,) = done.annotations("warning")
    assert "@acme/chroma-dev" in warning.text
    assert "linux" not in warning.text


def test_there_is_nothing_to_finish(jobs: JobWorld) -> None:
    done = jobs.run("release", version=NIGHTLY, tag="none", phase="finish", draft="true")
    assert done.status == 0, done.log
    assert "nothing to finish" in done.summary
    assert (done.outputs["release-url"], done.outputs["checksums"]) == ("", "")


def test_an_asset_that_matches_nothing_is_refused_as_ever(jobs: JobWorld) -> None:
    jobs.edit("flotilla.yml", lambda text: text.replace("  assets: [", '  assets: ["*.nothing", '))
    assert "*.nothing" in jobs.refused("release", version=NIGHTLY, tag="none").text


def test_notes_of_a_release_that_is_not_made_are_not_read(jobs: JobWorld) -> None:
    jobs.edit("flotilla.yml", lambda text: text.replace("notes: generate", 'notes: "notes/{version}.md"'))
    assert jobs.run("release", version=NIGHTLY, tag="none", phase="prepare").status == 0


@pytest.mark.parametrize("given", ["v1.2.3", "true", "None"])
def test_a_tag_cannot_be_named_by_the_input(given: str) -> None:
    with pytest.raises(InputError, match=r"input tag is .*: expected none"):
        read_inputs(ReleaseInputs, {"INPUT_VERSION": "1.2.3", "INPUT_TAG": given})
