"""Artifacts of the dev and the meta package: checked, downloaded and compared like those of the platforms."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping

import pytest
from tests.world.job_world import JobWorld, packed, unpacked

META = '    template: "npm/meta{suffix}"\n'
JAVASCRIPT = {"dist/loader.js": b"module.exports = 1\n", "dist/loader.d.ts": b"export {}\n", "other/notes.txt": b"x"}


def zipped(files: Mapping[str, bytes]) -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return sink.getvalue()


def meta_artifact(jobs: JobWorld) -> None:
    """Let the meta packages take the built JavaScript from an artifact of their own."""
    jobs.edit("flotilla.yml", lambda text: text.replace(META, f"{META}{OWN_META}"))
    jobs.github.add_artifact(jobs.github.runs[0], "javascript", zipped(JAVASCRIPT))


OWN_META = '    artifact: javascript\n    files: ["dist/*.d.ts", {from: "dist/*.js", to: "./"}]\n'


def files_of(jobs: JobWorld, name: str) -> dict[str, bytes]:
    return unpacked(jobs.published(name))


@pytest.mark.npm
def test_a_meta_package_holds_the_files_of_its_own_artifact(jobs: JobWorld) -> None:
    meta_artifact(jobs)
    done = jobs.run("release")
    assert done.status == 0, done.log
    for platform in ("linux-x64", "linux-x64-musl"):
        assert jobs.platform(platform, pause_seconds="0").status == 0
    done = jobs.run("publish-meta", run_id=str(jobs.run_id), pause_seconds="0")
    assert done.status == 0, done.log
    for name in ("@acme/chroma", "@acme/chroma-non-free"):
        files = files_of(jobs, name)
        assert (files["loader.js"], files["dist/loader.d.ts"]) == (b"module.exports = 1\n", b"export {}\n")
        assert "index.js" in files
        assert not any("notes.txt" in path for path in files)
    ledger = json.loads((jobs.workspace / done.outputs["ledger"]).read_text(encoding="utf-8"))
    assert [artifact["name"] for artifact in ledger["artifacts"]] == ["javascript"]


def test_a_meta_package_with_an_artifact_needs_the_run_that_it_is_of(platforms: JobWorld) -> None:
    meta_artifact(platforms)
    error = platforms.refused("publish-meta")
    assert "input run-id is required" in error.text
    assert "javascript" in error.text


@pytest.mark.npm
def test_a_run_id_that_no_meta_package_needs_is_not_looked_at(platforms: JobWorld) -> None:
    done = platforms.run("publish-meta", run_id="999999", dry_run="true")
    assert done.status == 0, done.log


def test_an_artifact_of_a_meta_package_that_is_missing_is_refused_before_the_tag(jobs: JobWorld) -> None:
    jobs.edit("flotilla.yml", lambda text: text.replace(META, f"{META}{OWN_META}"))
    error = jobs.refused("release", phase="check-artifacts", run_id=str(jobs.run_id))
    assert "javascript: missing" in error.text


def test_an_artifact_of_a_meta_package_with_another_digest_is_refused(jobs: JobWorld) -> None:
    meta_artifact(jobs)
    stored = jobs.github.artifacts[-1]
    stored.content = zipped({**JAVASCRIPT, "dist/loader.js": b"evil()"})
    error = jobs.refused("release")
    assert "javascript" in error.text
    assert "sha256:" in error.text


def test_check_artifacts_lists_the_artifacts_of_every_package(jobs: JobWorld) -> None:
    meta_artifact(jobs)
    done = jobs.run("release", phase="check-artifacts")
    assert done.status == 0, done.log
    assert "javascript" in done.summary


@pytest.mark.npm
def test_a_dev_package_holds_the_files_of_its_own_artifact(jobs: JobWorld) -> None:
    headers = packed({"include/chroma/own.h": b"#define OWN 1\n", "docs/own.md": b"x"})
    jobs.github.add_artifact(jobs.github.runs[0], "headers", zipped({"headers-1.2.3.tgz": headers}))
    own = '    artifact: headers\n    archive: "headers-{version}.tgz"\n'
    own += '    files: [{from: "package/include/**", to: "include/"}]\n'
    jobs.edit("flotilla.yml", lambda text: text.replace('    files: ["include/**", "LICENSE"]\n', own))
    done = jobs.run("release")
    assert done.status == 0, done.log
    jobs.world.plan.start()
    done = jobs.dev()
    assert done.status == 0, done.log
    assert files_of(jobs, "@acme/chroma-dev")["include/chroma/own.h"] == b"#define OWN 1\n"
    downloads = [one.label for one in jobs.world.plan.requests if "/zip" in one.label and " GET " in one.label]
    assert len(downloads) == 1, downloads
