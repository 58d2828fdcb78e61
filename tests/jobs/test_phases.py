"""A whole release, phase by phase and job by job: outputs, job summaries, and what is left in the world."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from unittest.mock import patch

import pytest
import yaml
from tests.simulator.world import Saved
from tests.world.ended import Ended
from tests.world.job_world import JobWorld

from flotilla.errors import RESUMES
from flotilla.family import Family, parse_config
from flotilla.jobs.ledger import schema_faults
from flotilla.rehearsal.github import GitObject
from flotilla.rehearsal.registry import Grant

ROOT = Path(__file__).parents[2]
NAMES = {"version", "tag", "commit", "dist-tag", "prerelease", "platforms", "has-dev"}
OF_PHASE = {
    "prepare": NAMES,
    "wait-for-ci": NAMES | {"run-id"},
    "check-artifacts": NAMES | {"run-id", "artifacts-digest"},
    "release": NAMES | {"run-id", "release-id", "release-url", "checksums", "artifacts-digest", "ledger"},
    "all": NAMES | {"run-id", "release-id", "release-url", "checksums", "artifacts-digest", "ledger"},
}
PUBLISHING = ("publish-platform", "publish-dev", "publish-meta")


def declared_outputs(action: str) -> set[str]:
    document = yaml.safe_load((ROOT / f"action-{action}/action.yml").read_text(encoding="utf-8"))
    return set(document["outputs"])


def family_of(jobs: JobWorld, version: str = "1.2.3") -> Family:
    return Family(parse_config((jobs.workspace / "flotilla.yml").read_text(encoding="utf-8")), version)


@pytest.mark.parametrize("phase", OF_PHASE)
def test_each_phase_alone_sets_its_outputs(jobs: JobWorld, phase: str) -> None:
    done = jobs.run("release", phase=phase)
    assert done.status == 0, done.log
    assert set(done.outputs) == OF_PHASE[phase]
    expected = {
        "version": "1.2.3",
        "tag": "v1.2.3",
        "commit": jobs.github.commit,
        "dist-tag": "latest",
        "prerelease": "false",
        "platforms": '["linux-x64", "linux-x64-musl"]',
        "has-dev": "true",
    }
    assert {name: done.outputs[name] for name in NAMES} == expected
    assert done.outputs.get("run-id", str(jobs.run_id)) == str(jobs.run_id)


def test_the_phases_in_order_leave_what_all_leaves(jobs: JobWorld) -> None:
    before = jobs.world.saved()
    whole = jobs.run("release")
    wanted = jobs.world.snapshot()
    jobs.world.restore(before)
    parts = [jobs.run("release", phase=phase) for phase in ("prepare", "wait-for-ci", "check-artifacts", "release")]
    assert [part.status for part in (whole, *parts)] == [0] * 5
    assert jobs.world.snapshot() == wanted


def test_action_release_sets_exactly_the_outputs_of_its_action_file(jobs: JobWorld) -> None:
    assert set(jobs.run("release").outputs) == declared_outputs("release")


@pytest.mark.parametrize("action", PUBLISHING)
def test_a_publishing_action_sets_exactly_the_outputs_of_its_action_file(jobs: JobWorld, action: str) -> None:
    runs: dict[str, Callable[..., Ended]] = {
        "publish-platform": jobs.platform,
        "publish-dev": jobs.dev,
        "publish-meta": partial(jobs.run, "publish-meta"),
    }
    done = runs[action](dry_run="true")
    assert set(done.outputs) == declared_outputs(action)
    assert set(done.packages[0]) == {"name", "version", "status", "integrity", "size", "dist-tag"}


def test_a_prerelease_goes_to_the_dist_tag_of_its_identifier(jobs: JobWorld) -> None:
    done = jobs.run("release", version="v2.0.0-beta.1")
    assert (done.outputs["version"], done.outputs["dist-tag"], done.outputs["prerelease"]) == (
        *("2.0.0-beta.1", "beta"),
        "true",
    )
    (release,) = jobs.world.snapshot()["github"]["releases"]
    assert (release["tag"], release["prerelease"], release["latest"]) == ("v2.0.0-beta.1", True, False)


def test_the_release_holds_every_asset_and_its_checksums(released: JobWorld) -> None:
    (release,) = released.world.snapshot()["github"]["releases"]
    assert released.github.tags() == {"v1.2.3": released.github.commit}
    assert (release["draft"], release["latest"], len(release["assets"])) == (False, True, 10)
    assets = {asset.name: asset.content for asset in released.github.releases[0].assets}
    assert "flotilla-ledger.json" in assets
    del assets["flotilla-ledger.json"]
    listed = assets.pop("SHA256SUMS").decode().splitlines()
    assert listed == [f"{hashlib.sha256(content).hexdigest()}  {name}" for name, content in sorted(assets.items())]


def test_the_checksums_output_is_a_file_of_the_workspace(jobs: JobWorld) -> None:
    done = jobs.run("release")
    (release,) = jobs.github.releases
    (sums,) = (asset.content for asset in release.assets if asset.name == "SHA256SUMS")
    assert (jobs.workspace / done.outputs["checksums"]).read_bytes() == sums


def test_the_release_checks_every_package_and_packs_none(jobs: JobWorld) -> None:
    with patch("flotilla.jobs.build.write_tarball", side_effect=AssertionError):
        assert jobs.run("release").status == 0


def test_the_job_summary_of_a_release_reads_as_its_phases(jobs: JobWorld) -> None:
    summary, commit = jobs.run("release").summary, jobs.github.commit
    parts = [
        "### ✓ `@acme/chroma` `1.2.3` is ready to release",
        "| `@acme/chroma-linux-x64`               | platform | new name",
        f"✓ CI succeeded on [`{commit[:12]}`](https://github.com/acme/chroma/commit/{commit}): run [`{jobs.run_id}`](",
        "### ✓ All 4 artifacts are in CI run ",
        "### ✓ [`v1.2.3`](https://github.com/acme/chroma/releases/tag/v1.2.3) is released",
        "| `chroma-linux-x64-free.tar.gz`                | 5.6 kB | `sha256:",
        "7 packages with ",
        "Next: action-publish-platform for each platform, action-publish-dev, then action-publish-meta. This took ",
    ]
    places = [summary.find(part) for part in parts]
    assert -1 not in places, parts[places.index(-1)]
    assert places == sorted(places)


def test_draft_then_publishing_then_finish_ends_where_a_release_does(
    stages: Mapping[str, Saved], jobs: JobWorld
) -> None:
    drafted = jobs.run("release", draft="true")
    assert jobs.github.releases[0].draft
    assert "is a draft" in drafted.summary
    assert drafted.outputs["release-id"] == str(jobs.github.releases[0].id)

    early = jobs.refused("release", phase="finish")
    assert early.text.count("is not on the registry") == 7
    assert "Run the publishing jobs first; the release stays a draft." in early.text

    jobs.world.registry.restore(stages["everything"].registry)
    before = jobs.world.snapshot()
    dry = jobs.run("release", phase="finish", dry_run="true")
    assert (dry.status, jobs.world.snapshot()) == (0, before), dry.log
    assert "A dry run: nothing was written. This took " in dry.summary
    finished = jobs.run("release", phase="finish")
    assert finished.status == 0, finished.log
    (release,) = jobs.world.snapshot()["github"]["releases"]
    assert (release["draft"], release["latest"]) == (False, True)
    assert "flotilla-ledger.json" in release["assets"]
    assert "Every package of the family is on the registry." in finished.summary
    assert set(finished.outputs) == declared_outputs("release")

    before = jobs.world.snapshot()
    again = jobs.run("release", phase="finish")
    assert again.status == 0, again.log
    assert jobs.world.snapshot() == before


def test_finish_without_a_release_says_how_to_begin(jobs: JobWorld) -> None:
    error = jobs.refused("release", phase="finish")
    assert error.text.startswith("there is no tag v1.2.3, ")
    assert "Run action-release with draft: true first" in error.text
    jobs.github.refs["refs/tags/v1.2.3"] = GitObject(sha=jobs.github.commit, type="commit")
    error = jobs.refused("release", phase="finish")
    assert error.text.startswith("there is no release of v1.2.3, ")


def test_every_job_again_changes_nothing(everything: JobWorld) -> None:
    before = everything.world.snapshot()
    assert before["registry"]["accepted"] == {f"{one.name}@1.2.3": 1 for one in family_of(everything).packages}
    release, *publishing = everything.run("release"), *everything.everything()
    assert (release.status, release.outputs["release-id"]) == (0, str(everything.github.releases[0].id))
    assert everything.world.snapshot() == before
    assert {status for done in publishing for status in done.statuses.values()} == {"already-published"}
    assert {request.label for request in everything.world.plan.requests if "GET" not in request.label} == {
        "github POST /git/refs"  # answered 422
    }
    integrities = {name: package["versions"]["1.2.3"] for name, package in before["registry"]["packages"].items()}
    assert integrities == {one["name"]: one["integrity"] for done in publishing for one in done.packages}


@pytest.mark.npm
def test_the_job_summary_of_a_publish_tells_what_became_of_each_package(released: JobWorld) -> None:
    done = released.platform()
    site, commit = "https://github.com/acme/chroma", released.github.commit
    made = f"Commit [`{commit[:12]}`]({site}/commit/{commit}), built by CI run [`{released.run_id}`]({site}/actions/"
    assert done.summary.startswith(f"### ✓ Platform linux-x64: 2 published\n\n{made}")
    assert done.summary.endswith("Next: the jobs of the other platforms, then action-publish-meta.\n\n")
    for package in done.packages:
        assert f"| ✓\N{NO-BREAK SPACE}published | `{package['name']}@1.2.3`" in done.summary
        assert f"`{package['integrity']}`" in done.summary
    assert "\n10.6 kB packed; 5 s.\n" in done.summary


@pytest.mark.npm
def test_what_was_published_before_a_failure_is_told_beside_what_is_left(released: JobWorld) -> None:
    released.registry.tokens["npm_one"] = Grant(package="@acme/chroma-linux-x64")
    done = released.platform(npm_token="npm_one")  # noqa: S106 - nobody's
    assert done.status == 1
    assert done.statuses == {"@acme/chroma-linux-x64": "published"}
    assert "| ✓\N{NO-BREAK SPACE}published | `@acme/chroma-linux-x64@1.2.3` " in done.summary
    assert "| ✗\N{NO-BREAK SPACE}failed    | `@acme/chroma-linux-x64-non-free@1.2.3` " in done.summary
    assert done.summary.count(RESUMES) == 1
    assert "Next: " not in done.summary
    assert "### ✗ Platform linux-x64: 1 published, 1 failed\n" in done.summary
    resumed = released.platform()
    assert resumed.statuses == {
        "@acme/chroma-linux-x64": "already-published",
        "@acme/chroma-linux-x64-non-free": "published",
    }


def test_the_outputs_are_one_line_of_json_that_a_matrix_can_take(jobs: JobWorld) -> None:
    platforms = jobs.run("release", phase="prepare").outputs["platforms"]
    assert json.loads(platforms) == ["linux-x64", "linux-x64-musl"]
    assert "\n" not in platforms


def test_a_release_of_another_commit_than_the_workflows_is_said(jobs: JobWorld) -> None:
    elsewhere = replace(jobs, variables={**jobs.variables, "GITHUB_SHA": "e" * 40})
    done = elsewhere.run("release", phase="wait-for-ci", commit=jobs.github.commit)
    assert done.status == 0, done.log
    [notice] = done.annotations("notice")
    assert f"the release is of commit {jobs.github.commit}, but this workflow runs on {'e' * 40}." in notice.text


def test_a_pattern_of_executables_that_matches_nothing_is_warned_of(jobs: JobWorld) -> None:
    jobs.edit("flotilla.yml", lambda text: text.replace("  platform:\n", '  platform:\n    executables: ["bn/*"]\n', 1))
    done = jobs.run("release", dry_run="true")
    assert done.status == 0, done.log
    (warning,) = done.annotations("warning")
    assert warning.text.startswith("packages.platform.executables: bn/* matches no file of any platform package; ")


def test_the_floors_of_binaries_are_told_in_summary_and_ledger(jobs: JobWorld) -> None:
    done = jobs.run("release", dry_run="true")
    assert done.status == 0, done.log
    assert "needs musl: @acme/chroma-linux-x64-musl" in done.summary
    ledger = json.loads((jobs.workspace / done.outputs["ledger"]).read_text(encoding="utf-8"))
    assert list(schema_faults(ledger)) == []
    floors = {package["name"]: package.get("floors") for package in ledger["packages"]}
    assert floors["@acme/chroma-linux-x64-musl"]["musl"] is True
    assert floors["@acme/chroma-linux-x64"]["libraries"]
    assert floors["@acme/chroma"] is None


@pytest.mark.parametrize("ledger", ["lower floors", "same floors", "no floors", "no JSON", "none"])
def test_a_floor_higher_than_the_last_releases_is_warned_of_by_name(jobs: JobWorld, ledger: str) -> None:
    assert jobs.run("release", version="1.2.2").status == 0
    (last,) = jobs.github.releases
    (asset,) = (asset for asset in last.assets if asset.name == "flotilla-ledger.json")
    document = json.loads(asset.content)
    for package in document["packages"]:
        if ledger == "no floors":
            package.pop("floors", None)
        elif ledger == "lower floors" and package["name"] == "@acme/chroma-linux-x64":
            package["floors"]["glibc"] = "2.1.9"
    changed = b"{" if ledger == "no JSON" else json.dumps(document).encode()
    last.assets.remove(asset)
    if ledger != "none":
        last.assets.append(replace(asset, content=changed))
    done = jobs.run("release", version="1.2.3", dry_run="true")
    assert done.status == 0, done.log
    told = [one.text for one in done.annotations("warning") if one.title == "A floor has risen"]
    assert told == (
        ["@acme/chroma-linux-x64 needs glibc 2.2.5, but only 2.1.9 in v1.2.2"] if ledger == "lower floors" else []
    )
    noticed = [one.text for one in done.annotations("notice") if "are not compared" in one.text]
    assert len(noticed) == (ledger == "no JSON")


def test_binaries_that_are_not_checked_are_told_in_summary_and_ledger_and_odd_words_warned_of(jobs: JobWorld) -> None:
    odd = "{name: linux-x64, os: [linux, linxu], binaries: unchecked, "
    jobs.edit("flotilla.yml", lambda text: text.replace("{name: linux-x64, ", odd, 1))
    prepared = jobs.run("release", phase="prepare")
    (warning,) = prepared.annotations("warning")
    assert "linxu" in warning.text
    released = jobs.run("release")
    sent = jobs.platform("linux-x64", dry_run="true")
    for done in (prepared, released, sent):
        assert done.status == 0, done.log
        assert "@acme/chroma-linux-x64: its binaries are not checked" in done.summary
    for done in (released, sent):
        ledger = json.loads((jobs.workspace / done.outputs["ledger"]).read_text(encoding="utf-8"))
        said = {package["name"]: package.get("binaries") for package in ledger["packages"]}
        assert list(schema_faults(ledger)) == []
        assert said["@acme/chroma-linux-x64"] == "unchecked"
        assert said.get("@acme/chroma-linux-x64-musl") is None
