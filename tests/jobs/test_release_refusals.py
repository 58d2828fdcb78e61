"""What action-release refuses, naming the culprit; nothing is written then.

The messages themselves are in tests/messages/jobs-refused.txt.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.world.job_world import JobWorld, packed, unpacked

from flotilla.errors import (
    ArtifactError,
    ConfigError,
    ConflictError,
    DeadlineError,
    GitHubError,
    InputError,
    PackageError,
    RefusedError,
    RunError,
)
from flotilla.rehearsal.github import GitObject, StoredAsset, StoredRelease

OTHER = "f" * 40


def test_every_fault_of_a_wrong_flotilla_yml_is_said_with_its_place(jobs: JobWorld) -> None:
    jobs.edit("flotilla.yml", lambda text: text.replace("access: public", "access: publik").replace("notes:", "nodes:"))
    error = jobs.refused("release")
    lines = (jobs.workspace / "flotilla.yml").read_text(encoding="utf-8").splitlines()
    at = next(number for number, line in enumerate(lines, start=1) if "nodes:" in line)
    assert error.title == ConfigError.title
    assert (error.file, error.line, error.col) == ("flotilla.yml", str(at), "3")
    assert f'flotilla.yml:{at}:3: the key "nodes"' in error.text
    assert 'did you mean "notes"?' in error.text
    assert 'did you mean "public"?' in error.text


def test_a_flotilla_yml_that_is_not_there_is_a_checkout_forgotten(jobs: JobWorld) -> None:
    (jobs.workspace / "flotilla.yml").unlink()
    error = jobs.refused("release")
    assert error.title == ConfigError.title
    assert error.text.startswith("flotilla.yml ")
    assert "actions/checkout" in error.text


def test_a_config_outside_the_workspace_is_refused(jobs: JobWorld) -> None:
    shutil.copy(jobs.workspace / "flotilla.yml", jobs.workspace.parent / "flotilla.yml")
    error = jobs.refused("release", config="../flotilla.yml")
    assert error.title == InputError.title
    assert "../flotilla.yml" in error.text


def test_a_config_that_links_out_of_the_workspace_is_refused(jobs: JobWorld) -> None:
    outside = jobs.workspace.parent / "elsewhere.yml"
    (jobs.workspace / "flotilla.yml").rename(outside)
    (jobs.workspace / "flotilla.yml").symlink_to(outside)
    error = jobs.refused("release")
    assert error.title == InputError.title
    assert "input config" in error.text


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        ({"version": ""}, "input version"),
        ({"version": "1.2"}, '"1.2"'),
        ({"version": "1.2.3+build.1"}, "+build.1"),
        ({"version": "1.2.3\n::error::forged"}, "1.2.3\\n::error::forged"),
        ({"dry_run": "yes"}, "input dry-run is 'yes'"),
        ({"phase": "relase"}, "input phase is 'relase'"),
        ({"commit": "main"}, "input commit is 'main'"),
        ({"run_id": "0x1"}, "input run-id is '0x1'"),
    ],
)
def test_an_input_that_is_wrong_is_named(jobs: JobWorld, inputs: dict[str, str], said: str) -> None:
    error = jobs.refused("release", **inputs)
    assert error.title == InputError.title
    assert said in error.text


def test_a_refused_github_token_is_said_to_be_that(jobs: JobWorld) -> None:
    error = jobs.refused("release", github_token="ghs_wrong")  # noqa: S106 - nobody's
    assert error.title == GitHubError.title
    assert "HTTP 401, Bad credentials" in error.text
    assert "github-token" in error.text


def test_a_token_that_may_not_write_is_told_which_permission_it_lacks(jobs: JobWorld) -> None:
    jobs.github.permissions["contents"] = "read"
    assert "contents" in jobs.refused("release").text


def test_a_missing_artifact_is_said_with_what_the_run_has_instead(jobs: JobWorld) -> None:
    of_run = jobs.github.artifacts
    of_run[:] = [artifact for artifact in of_run if artifact.name != "chroma-linux-x64-free"]
    error = jobs.refused("release")
    assert error.title == ArtifactError.title
    assert f"/actions/runs/{jobs.run_id}" in error.text
    assert "- chroma-linux-x64-free: missing (the run has chroma-" in error.text
    assert "ci.artifact" in error.text


def test_expired_and_empty_artifacts_are_said_together_in_one_table(jobs: JobWorld) -> None:
    found = {artifact.name: artifact for artifact in jobs.github.artifacts}
    found["chroma-linux-x64-free"].expired = True
    found["chroma-linuxmusl-x64-free"].content = b""
    done = jobs.run("release", phase="check-artifacts")
    assert done.status == 1
    assert "- chroma-linux-x64-free: expired" in done.error.text
    assert "- chroma-linuxmusl-x64-free: empty" in done.error.text
    assert "| `chroma-linux-x64-non-free`     | found " in done.summary


def test_an_artifact_whose_bytes_are_not_those_that_github_recorded_is_refused(jobs: JobWorld) -> None:
    tampered = next(one for one in jobs.github.artifacts if one.name == "chroma-linux-x64-free")
    tampered.digest = "sha256:" + "0" * 64
    error = jobs.refused("release")
    assert error.title == ArtifactError.title
    assert "chroma-linux-x64-free: " in error.text
    assert tampered.digest in error.text


@pytest.mark.parametrize(
    ("of", "said"),
    [
        ({"head_repository": "mallory/chroma"}, "mallory/chroma"),
        ({"head_repository": None}, "deleted"),
        ({"workflow": "other.yml"}, ".github/workflows/other.yml"),
        ({"commit": OTHER}, OTHER),
        ({"conclusion": "failure"}, "(failure): https://"),
        ({"conclusion": "cancelled"}, "(cancelled): https://"),
        ({"event": "pull_request_target"}, "pull_request_target"),
    ],
)
def test_a_run_that_is_not_this_repositorys_ci_of_this_commit_is_refused(
    jobs: JobWorld, of: dict[str, Any], said: str
) -> None:
    run = jobs.github.add_run(**{"workflow": "ci.yml", **of})
    error = jobs.refused("release", run_id=str(run.id))
    assert error.title == RunError.title
    assert f"Run {run.id} " in error.text
    assert said in error.text


def test_a_run_that_does_not_exist_is_refused(jobs: JobWorld) -> None:
    error = jobs.refused("release", run_id="999999")
    assert error.title == RunError.title
    assert "999999" in error.text


def test_a_ci_run_that_failed_ends_the_wait_at_once_with_its_address(jobs: JobWorld) -> None:
    jobs.github.runs[0].conclusion = "failure"
    error = jobs.refused("release")
    assert error.title == RunError.title
    assert f"/actions/runs/{jobs.run_id} " in error.text
    assert jobs.clock.slept == []


def test_a_ci_run_that_does_not_end_in_time_says_what_it_waited_for(jobs: JobWorld) -> None:
    jobs.github.runs[0].reads_until_done = 10**6
    error = jobs.refused("release", timeout_minutes="2")
    assert error.title == DeadlineError.title
    assert f"/actions/runs/{jobs.run_id}: in_progress" in error.text
    assert "timeout-minutes" in error.text
    assert 60 < sum(jobs.clock.slept) <= 120


def test_a_tag_on_another_commit_is_never_moved(jobs: JobWorld) -> None:
    jobs.github.add_commit(OTHER)
    jobs.github.refs["refs/tags/v1.2.3"] = GitObject(sha=OTHER, type="commit")
    error = jobs.refused("release", commit=jobs.github.commit)
    assert error.title == RefusedError.title
    assert "tag v1.2.3 " in error.text
    assert OTHER in error.text
    assert jobs.github.commit in error.text


def draft(jobs: JobWorld, **fields: Any) -> StoredRelease:
    """Add a release of the tag that somebody made earlier."""
    given: dict[str, Any] = {
        "id": jobs.github.new_id(),
        "tag": "v1.2.3",
        "target": "main",
        "name": "v1.2.3",
        "body": "",
        "draft": True,
        "prerelease": False,
        "immutable": False,
        "created_at": "2026-01-01T00:00:00Z",
        "published_at": None,
    }
    made = StoredRelease(**(given | fields))
    jobs.github.releases.append(made)
    return made


def put_asset(jobs: JobWorld, release: StoredRelease, name: str, content: bytes) -> None:
    """Add an asset that somebody uploaded earlier."""
    made = StoredAsset(
        id=jobs.github.new_id(),
        name=name,
        label="",
        content_type="application/octet-stream",
        content=content,
        state="uploaded",
        created_at="2026-01-01T00:00:00Z",
    )
    release.assets.append(made)


def test_two_drafts_of_one_tag_are_refused_with_both_addresses(jobs: JobWorld) -> None:
    draft(jobs)
    draft(jobs)
    error = jobs.refused("release")
    assert error.title == RefusedError.title
    assert error.text.count("/releases/tag/untagged-") == 2


def test_a_published_release_with_another_asset_of_a_name_is_refused(jobs: JobWorld) -> None:
    jobs.github.refs["refs/tags/v1.2.3"] = GitObject(sha=jobs.github.commit, type="commit")
    release = draft(jobs, draft=False, immutable=True, published_at="2026-01-01T00:00:00Z")
    put_asset(jobs, release, "SHA256SUMS", b"others")
    error = jobs.refused("release")
    assert "SHA256SUMS" in error.text
    assert "v1.2.3" in error.text


def test_a_version_below_latest_without_a_dist_tag_is_said_once_for_all_packages(jobs: JobWorld) -> None:
    for name in ("@acme/chroma-linux-x64", "@acme/chroma"):
        jobs.put_version(name, "2.0.0")
    error = jobs.refused("release")
    assert error.title == RefusedError.title
    assert error.text.startswith("@acme/chroma-linux-x64, @acme/chroma: ")
    assert error.text.count("2.0.0") == 1
    assert "publish.dist-tag" in error.text


def test_a_version_below_latest_may_go_with_the_dist_tag_of_flotilla_yml(jobs: JobWorld) -> None:
    jobs.put_version("@acme/chroma", "2.0.0")
    jobs.edit("flotilla.yml", lambda text: text.replace("publish:\n", "publish:\n  dist-tag: v1-latest\n"))
    done = jobs.run("release", phase="prepare")
    assert (done.status, done.outputs["dist-tag"]) == (0, "v1-latest")


def test_new_names_under_trusted_publishing_are_one_fault_with_one_command(jobs: JobWorld) -> None:
    jobs.put_version("@acme/chroma", "1.0.0")
    done = jobs.run("release", npm_token="", id_token=True)
    assert done.error.title == RefusedError.title
    assert done.error.text.startswith(
        "@acme/chroma-linux-x64, @acme/chroma-linux-x64-non-free, @acme/chroma-linux-x64-musl, "
        "@acme/chroma-linux-x64-musl-non-free, @acme/chroma-dev, @acme/chroma-non-free: "
    )
    command = 'npm trust github "$name" --repo acme/chroma --file release.yml --allow-publish'
    assert done.error.text.count(command) == done.summary.count(command) == 1


def test_one_new_name_is_told_with_its_own_command(jobs: JobWorld) -> None:
    jobs.edit("flotilla.yml", lambda text: text.replace("  - {name: non-free, license: SEE LICENSE IN LICENSE}\n", ""))
    for name in ("-linux-x64", "-linux-x64-musl", "-dev"):
        jobs.put_version(f"@acme/chroma{name}", "1.0.0")
    error = jobs.refused("release", npm_token="")
    assert error.text.startswith("@acme/chroma: ")
    assert "npm trust github @acme/chroma --repo acme/chroma --file release.yml --allow-publish" in error.text


def test_a_version_there_with_another_manifest_is_refused_before_the_tag(jobs: JobWorld) -> None:
    jobs.put_version("@acme/chroma-linux-x64", "1.2.3")
    error = jobs.refused("release", phase="prepare")
    assert error.title == RefusedError.title
    assert "@acme/chroma-linux-x64: version 1.2.3 " in error.text
    assert "os " in error.text
    assert '["linux"]' in error.text


def test_a_version_there_with_other_files_is_refused_before_the_tag_with_each_file(
    begin: Callable[[Path], JobWorld], everything: JobWorld, tmp_path: Path
) -> None:
    ours = unpacked(everything.published("@acme/chroma-dev"))
    jobs = begin(tmp_path / "again")
    jobs.put(packed({**ours, "include/chroma.h": b"/* another */\n", "stray.txt": b"x"}))
    error = jobs.refused("release")
    assert error.title == ConflictError.title
    assert "@acme/chroma-dev@1.2.3 " in error.text
    assert "include/chroma.h: " in error.text
    assert "stray.txt: " in error.text
    assert "README.md" not in error.text


@pytest.mark.parametrize(
    ("private", "runner", "why"),
    [
        (True, "github-hosted", "private"),
        (False, "self-hosted", "self-hosted"),
    ],
)
def test_provenance_that_is_asked_for_and_cannot_be_made_is_refused_before_the_tag(
    jobs: JobWorld, *, private: bool, runner: str, why: str
) -> None:
    jobs.edit("flotilla.yml", lambda text: text.replace("publish:\n", "publish:\n  provenance: true\n"))
    jobs.github.private, jobs.github.release_run.runner_environment = private, runner
    error = jobs.refused("release")
    assert error.title == RefusedError.title
    assert why in error.text
    assert "publish.provenance" in error.text


def test_provenance_left_to_auto_is_left_out_with_the_reason(jobs: JobWorld) -> None:
    jobs.github.private = True
    done = jobs.run("release", phase="prepare")
    assert done.status == 0
    assert "repository is private" in done.log


def test_a_repository_that_provenance_would_refuse_is_said_once_for_all_packages(jobs: JobWorld) -> None:
    jobs.manifest("npm/platform", repository="github:OWNER/other")
    error = jobs.refused("release")
    assert error.text.count("github:OWNER/other") == 1
    assert error.text.startswith("@acme/chroma-linux-x64, @acme/chroma-linux-x64-non-free, ")
    assert "https://github.com/acme/chroma" in error.text


def test_a_package_over_the_budget_is_refused_with_its_size(jobs: JobWorld) -> None:
    jobs.edit("flotilla.yml", lambda text: text.replace("publish:\n", "publish:\n  size-limit-mb: 0.004\n"))
    error = jobs.refused("release")
    assert error.title == PackageError.title
    assert "@acme/chroma-linux-x64: " in error.text
    assert "4000" in error.text
    assert "publish.size-limit-mb" in error.text
    assert "@acme/chroma-dev: " not in error.text


def test_a_manifest_that_names_a_missing_file_is_refused_naming_the_package_once(jobs: JobWorld) -> None:
    jobs.manifest("npm/platform", main="lib/missing.js")
    error = jobs.refused("release")
    names = [
        f"@acme/chroma-{platform}{suffix}"
        for platform in ("linux-x64", "linux-x64-musl")
        for suffix in ("", "-non-free")
    ]
    assert error.text.startswith(f"{', '.join(names)}: main ")
    assert error.text.count("lib/missing.js") == 1


def test_a_binary_of_another_platform_is_refused_with_its_file(jobs: JobWorld) -> None:
    found = {artifact.name: artifact for artifact in jobs.github.artifacts}
    jobs.edit("flotilla.yml", lambda text: text.replace("build: linuxmusl-x64", "build: darwin-arm64"))
    assert "chroma-darwin-arm64-free" in found
    error = jobs.refused("release")
    assert error.title == PackageError.title
    assert "@acme/chroma-linux-x64-musl, @acme/chroma-linux-x64-musl-non-free: " in error.text
    assert "lib/libchroma.dylib" in error.text
    assert "@acme/chroma-linux-x64, " not in error.text


def test_a_binary_that_needs_a_newer_glibc_than_the_floor_is_refused_before_the_tag(jobs: JobWorld) -> None:
    jobs.edit(
        "flotilla.yml", lambda text: text.replace('{name: linux-x64, glibc: "2.28"', '{name: linux-x64, glibc: "2.1"')
    )
    error = jobs.refused("release")
    assert error.title == PackageError.title
    assert "@acme/chroma-linux-x64, @acme/chroma-linux-x64-non-free: bin/chroma-info is ELF" in error.text
    assert "needs glibc 2.2.5, but linux-x64 allows 2.1 at most" in error.text
    assert (jobs.github.tags(), jobs.github.releases) == ({}, [])


def test_an_assets_pattern_that_matches_nothing_is_refused(jobs: JobWorld) -> None:
    jobs.edit("flotilla.yml", lambda text: text.replace('"*.sha256"', '"*.sig"'))
    error = jobs.refused("release")
    assert "release.assets" in error.text
    assert "*.sig" in error.text


def test_every_refusal_of_prepare_comes_at_once(jobs: JobWorld) -> None:
    jobs.github.add_commit(OTHER)
    jobs.github.refs["refs/tags/v1.2.3"] = GitObject(sha=OTHER, type="commit")
    jobs.put_version("@acme/chroma", "2.0.0")
    jobs.manifest("npm/dev", repository="github:OWNER/other")
    draft(jobs)
    draft(jobs)
    done = jobs.run("release", commit=jobs.github.commit)
    for culprit in ("tag v1.2.3 ", "release v1.2.3: ", "@acme/chroma: ", "@acme/chroma-dev: "):
        assert culprit in done.error.text
        assert culprit.strip() in done.summary
    assert done.summary.startswith(f"### ✗ {RefusedError.title}\n")
