"""The publishing actions: what they refuse, in the words that their reader gets, and that nothing is written then."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import pytest
from tests.simulator.world import Saved
from tests.world.job_world import JobWorld, packed, repacked, unpacked

from flotilla.errors import NOTHING_WRITTEN, RESUMES, ConflictError, InputError, RefusedError, RegistryError
from flotilla.rehearsal.github import GitObject
from flotilla.rehearsal.registry import Grant, TrustedPublisher, integrity_of


def test_an_unknown_platform_is_answered_with_the_nearest(released: JobWorld) -> None:
    error = released.refused("publish-platform", platform="linux-x86", run_id=str(released.run_id))
    assert error.title == InputError.title
    assert error.text.startswith('The family @acme/chroma has no platform "linux-x86"; did you mean "linux-x64"?\n')


def test_empty_required_inputs_are_said_together(released: JobWorld) -> None:
    error = released.refused("publish-platform", platform="", run_id="")
    assert error.title == InputError.title
    assert "- input platform " in error.text
    assert "- input run-id " in error.text


def test_a_family_without_dev_package_says_so(released: JobWorld) -> None:
    released.edit("flotilla.yml", lambda text: text[: text.index("  dev:")] + text[text.index("  meta:") :])
    error = released.refused("publish-dev", run_id=str(released.run_id))
    assert error.title == InputError.title
    assert "packages.dev" in error.text


def test_nothing_is_published_before_the_tag(jobs: JobWorld) -> None:
    error = jobs.refused("publish-dev", run_id=str(jobs.run_id))
    assert error.title == RefusedError.title
    assert "tag v1.2.3 does not exist" in error.text


def test_a_run_of_another_commit_than_the_tags_is_refused(jobs: JobWorld) -> None:
    jobs.github.add_commit("f" * 40)
    jobs.github.refs["refs/tags/v1.2.3"] = GitObject(sha="f" * 40, type="commit")
    error = jobs.refused("publish-platform", platform="linux-x64", run_id=str(jobs.run_id))
    assert f"Run {jobs.run_id} built commit {jobs.github.commit}, not {'f' * 40}." in error.text


@pytest.mark.npm
def test_a_dead_npm_token_is_not_called_a_missing_package(released: JobWorld) -> None:
    token = "npm_dead"  # noqa: S105 - nobody's
    error = released.refused("publish-platform", platform="linux-x64", run_id=str(released.run_id), npm_token=token)
    assert error.title == RegistryError.title

    assert error.text.count("@acme/chroma-linux-x64@1.2.3") == 1


@pytest.mark.npm
def test_a_first_publish_that_npm_refuses_outright_says_that_nothing_was_written(released: JobWorld) -> None:
    done = released.platform(npm_token="npm_dead")  # noqa: S106 - nobody's
    assert done.status == 1
    assert NOTHING_WRITTEN in done.summary
    assert RESUMES not in done.log + done.summary


@pytest.mark.npm
def test_a_second_publish_that_npm_refuses_outright_says_that_the_first_stays(released: JobWorld) -> None:
    released.registry.tokens["npm_first"] = Grant(package="@acme/chroma-linux-x64")
    done = released.platform(npm_token="npm_first")  # noqa: S106 - nobody's
    assert done.status == 1
    assert RESUMES in done.summary
    assert NOTHING_WRITTEN not in done.summary


@pytest.mark.npm
def test_a_token_that_wants_a_one_time_password_is_told_from_a_dead_one(released: JobWorld) -> None:
    released.registry.tokens["npm_otp"] = Grant(otp=True)
    error = released.refused("publish-dev", run_id=str(released.run_id), npm_token="npm_otp")  # noqa: S106 - nobody's
    assert error.title == RegistryError.title
    assert "one-time password" in error.text


def test_a_missing_id_token_permission_is_said_before_anything_else(released: JobWorld) -> None:
    released.github.runs.clear()
    error = released.refused("publish-platform", platform="linux-x64", run_id=str(released.run_id), npm_token="")
    assert error.title == RefusedError.title
    assert "`permissions: id-token: write`" in error.text
    assert "run" not in error.text


def test_trusted_publishing_on_a_self_hosted_runner_is_refused(released: JobWorld) -> None:
    released.github.release_run.runner_environment = "self-hosted"
    error = released.refused("publish-dev", run_id=str(released.run_id), npm_token="", id_token=True)
    assert error.title == RefusedError.title
    assert "self-hosted" in error.text


@pytest.mark.npm
def test_another_workflow_than_the_trusted_one_is_shown_what_npm_compares(released: JobWorld) -> None:
    released.put_version("@acme/chroma-dev", "1.0.0")
    released.registry.trusts_all = TrustedPublisher(repository="acme/chroma", workflow="publish.yml")
    error = released.refused(
        "publish-dev", run_id=str(released.run_id), npm_token="", id_token=True, provenance="false"
    )
    assert "repository acme/chroma, workflow file release.yml, environment none" in error.text
    assert "npm trust github @acme/chroma-dev --repo acme/chroma --file release.yml --allow-publish" in error.text


def test_new_names_under_trusted_publishing_are_said_once_for_the_whole_job(released: JobWorld) -> None:
    error = released.refused(
        *("publish-platform",),
        platform="linux-x64",
        run_id=str(released.run_id),
        npm_token="",
        id_token=True,
        provenance="false",
        staged="true",
    )
    assert error.title == RefusedError.title
    assert error.text.startswith("@acme/chroma-linux-x64, @acme/chroma-linux-x64-non-free: ")
    names = "@acme/chroma-linux-x64 @acme/chroma-linux-x64-non-free"
    command = 'npm trust github "$name" --repo acme/chroma --file release.yml --allow-stage-publish'
    assert error.text.count(f"for name in {names}; do {command}") == 1


@pytest.mark.parametrize(("private", "runner"), [(True, "github-hosted"), (False, "self-hosted")])
def test_provenance_true_is_refused_where_it_cannot_be_made(released: JobWorld, *, private: bool, runner: str) -> None:
    released.github.private, released.github.release_run.runner_environment = private, runner
    error = released.refused("publish-dev", run_id=str(released.run_id), provenance="true", id_token=True)
    assert error.title == RefusedError.title
    assert ("private" if private else "self-hosted") in error.text
    assert "provenance: auto" in error.text


def test_one_conflict_stops_the_whole_job_and_lists_the_files_that_differ(
    stages: Mapping[str, Saved], one_platform: JobWorld
) -> None:
    name = "@acme/chroma-linux-x64-non-free"
    ours = unpacked(one_platform.published(name))
    one_platform.world.restore(stages["released"])
    one_platform.put(packed({**ours, "versions.json": b"{}", "lib/more.so": b"x"}, {"bin/chroma-info": 0o755}))
    error = one_platform.refused("publish-platform", platform="linux-x64", run_id=str(one_platform.run_id))
    assert error.title == ConflictError.title
    assert f"{name}@1.2.3 " in error.text
    assert "versions.json: " in error.text
    assert "lib/more.so: " in error.text
    assert "README.md" not in error.text


def test_a_tarball_repacked_by_another_zlib_is_already_published(
    stages: Mapping[str, Saved], everything: JobWorld
) -> None:
    ours = everything.published("@acme/chroma-dev")
    theirs = repacked(ours)
    assert hashlib.sha512(ours).digest() != hashlib.sha512(theirs).digest()
    everything.world.restore(stages["released"])
    everything.put(theirs)
    before = everything.world.snapshot()
    done = everything.dev()
    assert done.statuses == {"@acme/chroma-dev": "already-published"}
    assert done.packages[0]["integrity"] == integrity_of(theirs)
    assert "the same files in another tarball" in done.summary
    assert everything.world.snapshot() == before


def test_an_executable_bit_that_differs_is_a_conflict(stages: Mapping[str, Saved], everything: JobWorld) -> None:
    ours = unpacked(everything.published("@acme/chroma-dev"))
    everything.world.restore(stages["released"])
    everything.put(packed(ours, {"index.js": 0o755}))
    assert "index.js: mode" in everything.refused("publish-dev", run_id=str(everything.run_id)).text


def test_a_dist_tag_that_an_older_version_holds_is_told_and_not_moved(everything: JobWorld) -> None:
    everything.put_version("@acme/chroma-dev", "1.0.0")
    done = everything.dev()
    assert done.statuses == {"@acme/chroma-dev": "already-published"}
    assert "npm dist-tag add @acme/chroma-dev@1.2.3 latest" in done.summary
    assert [package["dist-tag"] for package in done.packages] == [""]
    assert any("npm dist-tag add" in warning.text for warning in done.annotations("warning"))
    assert everything.registry.tags["@acme/chroma-dev"] == {"latest": "1.0.0"}


def test_a_re_run_after_a_newer_release_leaves_the_dist_tag_there_and_advises_no_one_to_move_it(
    everything: JobWorld,
) -> None:
    everything.put_version("@acme/chroma-dev", "1.9.0")
    done = everything.dev()
    assert done.statuses == {"@acme/chroma-dev": "already-published"}
    assert '"latest" points to 1.9.0, a newer version, and stays there' in done.summary
    assert "npm dist-tag add" not in done.summary
    assert everything.registry.tags["@acme/chroma-dev"] == {"latest": "1.9.0"}


def test_a_version_below_latest_needs_a_dist_tag_and_goes_there(released: JobWorld) -> None:
    released.put_version("@acme/chroma-dev", "2.0.0")
    error = released.refused("publish-dev", run_id=str(released.run_id))
    assert "@acme/chroma-dev: version 1.2.3 is lower than the registry's latest, 2.0.0" in error.text
    done = released.dev(dist_tag="v1-latest")
    assert (done.statuses, done.packages[0]["dist-tag"]) == ({"@acme/chroma-dev": "published"}, "v1-latest")
    assert released.registry.tags["@acme/chroma-dev"] == {"latest": "2.0.0", "v1-latest": "1.2.3"}


@pytest.mark.parametrize("dist_tag", ["1.x", "v1", "--force", "a b"])
def test_a_dist_tag_that_npm_would_take_for_something_else_is_refused(released: JobWorld, dist_tag: str) -> None:
    error = released.refused("publish-dev", run_id=str(released.run_id), dist_tag=dist_tag)
    assert "Correct the input dist-tag, or publish.dist-tag in flotilla.yml." in error.text


def test_a_ci_run_repeated_after_the_release_cannot_give_npm_other_bytes(released: JobWorld) -> None:
    (release,) = released.github.releases
    asset = next(one for one in release.assets if one.name == "chroma-linux-x64-free.tar.gz")
    asset.content = b"what the first attempt of the run built"
    error = released.refused("publish-platform", platform="linux-x64", run_id=str(released.run_id))
    assert "chroma-linux-x64-free.tar.gz is sha256:" in error.text
    assert "CI was run again after the release was made." in error.text
