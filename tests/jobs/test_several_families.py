"""Two families in one repository: each has its own flotilla.yml and its own form of tags."""

from __future__ import annotations

import shutil

import pytest
from tests.world.job_world import JobWorld

from flotilla.family import parse_config, previous_tag, tag_prefix
from flotilla.rehearsal.github import GitObject

CONFIG = 'schema: 1\nfamily: "@acme/tool"\nplatforms: [linux-x64]\nci: {workflow: ci.yml, artifact: "tool-{build}"}\n'


def tagged(jobs: JobWorld, *tags: str) -> None:
    for tag in tags:
        jobs.github.refs[f"refs/tags/{tag}"] = GitObject(sha=jobs.github.commit, type="commit")


@pytest.fixture
def encoder(jobs: JobWorld) -> str:
    """Return the example as one of two families, in a folder of its own."""
    folder = jobs.workspace / "encoder"
    folder.mkdir()
    for name in ("flotilla.yml", "npm"):
        shutil.move(jobs.workspace / name, folder / name)
    jobs.edit("encoder/flotilla.yml", lambda text: text.replace('"v{version}"', '"encoder-v{version}"'))
    return "encoder/flotilla.yml"


def test_a_family_in_a_folder_is_released_under_its_own_tag(jobs: JobWorld, encoder: str) -> None:
    tagged(jobs, "decoder-v1.2.3", "decoder-v1.2.4")
    done = jobs.run("release", config=encoder)
    assert (done.status, done.outputs["tag"]) == (0, "encoder-v1.2.3"), done.log
    assert jobs.platform(config=encoder, dry_run="true").status == 0


def test_a_pushed_tag_of_another_family_is_refused(jobs: JobWorld, encoder: str) -> None:
    tagged(jobs, "decoder-v1.2.3")
    assert "decoder-v1.2.3" in jobs.refused("release", config=encoder, version="decoder-v1.2.3").text


def test_the_notes_begin_at_the_familys_own_last_tag(jobs: JobWorld, encoder: str) -> None:
    tagged(jobs, "decoder-v1.2.2", "encoder-v1.0.0", "encoder-v1.1.0", "encoder-v2.0.0", "encoder-v1.2.3-rc.1")
    assert jobs.run("release", config=encoder).status == 0
    (release,) = jobs.github.releases
    assert "encoder-v1.1.0...encoder-v1.2.3" in (release.body or "")


@pytest.mark.parametrize(
    ("version", "tag"),
    [
        ("1.0.0", None),
        ("1.1.0", "tool-v1.0.0"),
        ("1.10.1", "tool-v1.10.0"),
        ("1.11.0-rc.2", "tool-v1.11.0-rc.1"),
        ("1.11.0", "tool-v1.10.0"),
    ],
)
def test_the_tag_before_is_of_the_highest_lower_version(version: str, tag: str | None) -> None:
    config = parse_config(f'{CONFIG}release: {{tag: "tool-v{{version}}"}}\n')
    tags = ["tool-v1.9.0", "tool-v1.10.0", "tool-v1.0.0", "tool-v1.11.0-rc.1", "tool-v2.0.0", "tool-vnext"]
    assert previous_tag(config, version, tags) == tag


@pytest.mark.parametrize(
    ("form", "prefix"),
    [("v{version}", ""), ("{version}", ""), ("tool-v{version}", "tool-v"), ("{family}@{version}", "@acme/tool@")],
)
def test_only_tags_of_an_own_form_are_listed(form: str, prefix: str) -> None:
    assert tag_prefix(parse_config(f'{CONFIG}release: {{tag: "{form}"}}\n')) == prefix
