"""Whole jobs under attack: each test is named after what it stops."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import pytest
from tests.world.job_world import VERSION, JobWorld

from flotilla.errors import RunError
from flotilla.family import Family, parse_config
from flotilla.github import Artifact
from flotilla.github.artifacts import Artifacts
from flotilla.jobs.build import PackageBuilder
from flotilla.jobs.prepare import render_all
from flotilla.npm import Packument, Registry


def test_release_notes_that_link_out_of_the_repository_are_refused(jobs: JobWorld) -> None:
    outside = jobs.workspace.parent / "environ"
    outside.write_text("INPUT_NPM-TOKEN=s3cret", encoding="utf-8")
    jobs.edit("flotilla.yml", lambda text: text.replace("notes: generate", "notes: NOTES.md"))
    (jobs.workspace / "NOTES.md").symlink_to(outside)
    error = jobs.refused("release")
    assert error.text.startswith("NOTES.md: release.notes is outside the repository")
    assert "s3cret" not in error.text


@pytest.mark.parametrize(
    ("status", "conclusion"),
    [("queued", None), ("in_progress", None), ("completed", "failure"), ("completed", "success")],
)
def test_artifacts_of_an_attempt_that_began_after_the_run_was_checked_are_refused(
    jobs: JobWorld, status: str, conclusion: str | None
) -> None:
    """Somebody re-runs CI between the look at the run and the list of its artifacts, and it fails, or not."""
    listed = Artifacts.of

    def swapped(artifacts: Artifacts, run_id: int) -> tuple[Artifact, ...]:
        run = jobs.github.runs[0]
        run.attempt, run.status, run.conclusion = 2, status, conclusion
        jobs.github.add_artifact(run, "chroma-linux-x64-free", {"evil.tar.gz": b"of a run that may fail"})
        return listed(artifacts, run_id)

    with patch.object(Artifacts, "of", swapped):
        error = jobs.refused("release", run_id=str(jobs.run_id))
    assert error.title == RunError.title
    assert "was started again while" in error.text


@pytest.mark.npm
def test_a_registrys_manifest_that_says_otherwise_than_our_tarball_is_not_already_published(
    released: JobWorld,
) -> None:
    """The tarball is ours byte by byte; what npm installs by is the packument, and that has one dependency more."""
    assert released.dev().statuses == {"@acme/chroma-dev": "published"}
    assert released.dev().statuses == {"@acme/chroma-dev": "already-published"}
    fresh = Registry.fresh

    def confused(registry: Registry, name: str) -> Packument | None:
        packument = fresh(registry, name)
        assert packument is not None
        version = packument.versions[VERSION]
        other = replace(version, manifest={**version.manifest, "dependencies": {"evil": "1.0.0"}})
        return replace(packument, versions={VERSION: other})

    with patch.object(Registry, "fresh", confused):
        again = released.dev()
    assert again.status == 1
    assert "@acme/chroma-dev@1.2.3" in again.error.text
    assert "dependencies.evil" in again.error.text
    assert "evil" in again.error.text


def test_a_package_s_tarball_is_not_overwritten_by_another_of_the_same_tarball_s_name(tmp_path: Path) -> None:
    """Both are acme-a-b-1.0.0.tgz to npm pack; the first would be published with the second's bytes."""
    config = """
        {schema: 1, family: "@acme/b", platforms: [linux-x64], ci: {workflow: ci.yml, artifact: "{variant}"},
         variants: [{name: a-b, suffix: ""}, {name: b, suffix: -a}],
         packages: {meta: {name: "@acme{suffix}/{variant}"}}}
    """
    family = Family(parse_config(config), "1.0.0")
    manifests = render_all(family.metas, root=tmp_path, repository="git+https://github.com/acme/b.git")
    builder = PackageBuilder(family=family, root=tmp_path, scratch=tmp_path)
    built = builder.pack(builder.build(family.metas, manifests, {}))
    assert [one.package.name for one in built] == ["@acme/a-b", "@acme-a/b"]
    for one in built:
        digest = hashlib.sha512(one.packed.path.read_bytes()).digest()
        assert one.packed.integrity == f"sha512-{base64.b64encode(digest).decode()}"
