"""Whole jobs under attack: each test is named after what it stops."""

from __future__ import annotations

import json
from typing import Any
from unittest.mock import patch

import pytest
import requests
from tests.jobs.jobworld import TOKEN, VERSION, JobWorld

from flotilla.github import GitHub, WorkflowRun

META = "@acme/chroma"


def test_release_notes_that_link_out_of_the_repository_are_refused(jobs: JobWorld) -> None:
    outside = jobs.workspace.parent / "environ"
    outside.write_text("INPUT_NPM-TOKEN=s3cret", encoding="utf-8")
    jobs.edit("flotilla.yml", lambda text: text.replace("notes: generate", "notes: NOTES.md"))
    (jobs.workspace / "NOTES.md").symlink_to(outside)
    error = jobs.refused("release")
    assert error.text.startswith("NOTES.md: release.notes lies outside the repository")
    assert "s3cret" not in error.text


def test_artifacts_of_an_attempt_that_began_after_the_run_was_checked_are_refused(jobs: JobWorld) -> None:
    """Somebody re-runs CI between the look at the run and the list of its artifacts."""
    listed = GitHub.artifacts

    def swapped(github: GitHub, run_id: int) -> Any:
        run = jobs.github.runs[0]
        run.attempt, run.status, run.conclusion = 2, "in_progress", None
        jobs.github.add_artifact(run, "chroma-linux-x64-free", {"evil.tar.gz": b"of a run that may fail"})
        return listed(github, run_id)

    with patch.object(GitHub, "artifacts", swapped):
        error = jobs.refused("release")
    assert error.title == "CI run"
    assert "was started again while its artifacts were looked up" in error.text


def test_a_registrys_manifest_that_says_otherwise_than_the_tarball_is_not_already_published(
    released: JobWorld,
) -> None:
    """The tarball is ours byte by byte; what npm installs by is the packument, and that has one dependency more."""
    ended = released.dev()
    assert ended.statuses == {"@acme/chroma-dev": "published"}
    tarball = released.published("@acme/chroma-dev")
    confused = _with_manifest(released, dependencies={"evil": "1.0.0"})
    with patch("flotilla.npm.registry.parse_packument", confused):
        again = released.dev()
    assert tarball == released.published("@acme/chroma-dev")
    assert again.status == 1
    assert "package.json" in again.error.text
    assert "evil" in again.error.text


def test_a_binding_gyp_among_cis_files_cannot_add_an_install_script(jobs: JobWorld) -> None:
    jobs.edit("flotilla.yml", lambda text: text)
