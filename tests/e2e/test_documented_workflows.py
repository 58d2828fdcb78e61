"""The workflows of the documentation for real, each in a repository as its page describes it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.e2e.images import ROOT
from tests.e2e.release import installed_program, release, world_of
from tests.e2e.workflow import Consumer, commit_all
from tests.layouts.binaries import SAYS, static_program
from tests.rehearsal.client import Client
from tests.rehearsal.publishing import put
from tests.simulator.world import Rehearsal

from flotilla.rehearsal.github import GitObject, StoredRelease

pytestmark = [pytest.mark.docker, pytest.mark.e2e, pytest.mark.registry, pytest.mark.npm, pytest.mark.timeout(1200)]

ENCODER = ("@acme/encoder", "@acme/encoder-linux-x64", "@acme/encoder-linux-x64-musl")
DECODER = ("@acme/decoder", "@acme/decoder-linux-x64")
TOOL = ("@acme/tool", "@acme/tool-linux-x64")
NOTES = "### Features\n\n* something new"
CLI = """#!/usr/bin/env node
const { platform, arch } = process;
const file = require.resolve(`@acme/NAME-${platform}-${arch}/bin/NAME`);
process.exit(require("node:child_process").spawnSync(file, { stdio: "inherit" }).status);
"""
RELEASE_PLEASE = """\
name: release-please
outputs:
  release_created: {value: "true"}
  tag_name: {value: v1.2.3}
inputs:
  release-type: {required: true}
runs:
  using: composite
  steps: [{run: "true", shell: bash}]
"""


def blocks(page: str) -> dict[str, str]:
    """The YAML of a page by the file name that stands before it; a workflow without one is release.yml."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    found = re.findall(r"(?:^`([^`]+)`:\n\n)?^```yaml\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    return {name or ".github/workflows/release.yml": block for name, block in found}


def write(root: Path, files: dict[str, str]) -> None:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content, encoding="utf-8")


def template(name: str) -> dict[str, str]:
    """The files of a meta package whose program starts the platform's."""
    manifest = {"bin": {name: "cli.js"}, "repository": "github:acme/chroma"}
    return {"npm/package.json": json.dumps(manifest), "npm/cli.js": CLI.replace("NAME", name)}


def built(artifacts: Path, name: str, *platforms: str) -> None:
    """CI's artifacts of a family, a folder each, with a program that says its name."""
    for platform in platforms:
        folder = artifacts / f"{name}-{platform}" / "bin"
        folder.mkdir(parents=True)
        (folder / name).write_bytes(static_program(platform.removesuffix("-musl")))


def publish_first_versions(world: Rehearsal, *names: str) -> None:
    """Trusted publishing needs packages that exist."""
    with Client(world.registry.url, token=next(iter(world.registry.state.tokens))) as client:
        for name in names:
            put(client, name, "0.1.0").raise_for_status()


@contextmanager
def world(consumer: Consumer, *, artifacts: Path, folder: Path, modules: Path, event: str) -> Iterator[Rehearsal]:
    with world_of(consumer, artifacts=artifacts, folder=folder, modules=modules) as made:
        made.github.state.release_run.event = event
        yield made


@pytest.mark.usefixtures("runner")
def test_two_families_of_one_repository_are_released_by_one_workflow(
    tmp_path: Path, actions: Path, modules: Path
) -> None:
    folder, artifacts = tmp_path / "chroma", tmp_path / "artifacts"
    write(folder, blocks("several-families.md"))
    families = {"encoder": ("linux-x64", "linux-x64-musl"), "decoder": ("linux-x64",)}
    for name, platforms in families.items():
        write(folder / name, template(name))
        built(artifacts, name, *platforms)
    consumer = commit_all(folder)
    with world(
        consumer, artifacts=artifacts, folder=tmp_path / "world", modules=modules, event="workflow_dispatch"
    ) as made:
        publish_first_versions(made, *ENCODER, *DECODER)
        for name, version in (("encoder", "1.0.0"), ("decoder", "2.0.0")):
            done = release(
                made,
                consumer,
                actions=actions,
                scratch=tmp_path / "act",
                version=version,
                inputs={"family": name},
            )
            assert done.succeeded, done.log
        github, registry = made.snapshot()["github"], made.snapshot()["registry"]
        assert github["tags"] == {"encoder-v1.0.0": consumer.commit, "decoder-v2.0.0": consumer.commit}
        assert {one["tag"] for one in github["releases"] if not one["draft"]} == {"encoder-v1.0.0", "decoder-v2.0.0"}
        released = {*(f"{name}@1.0.0" for name in ENCODER), *(f"{name}@2.0.0" for name in DECODER)}
        assert set(registry["provenance"]) == released
        assert {spec: registry["accepted"][spec] for spec in released} == dict.fromkeys(released, 1)
        for name in families:
            user = tmp_path / f"user-{name}"
            user.mkdir()
            assert installed_program(made, user, f"@acme/{name}").strip() == SAYS


@pytest.mark.usefixtures("runner")
def test_a_release_that_release_please_made_is_completed(tmp_path: Path, actions: Path, modules: Path) -> None:
    folder, artifacts = tmp_path / "chroma", tmp_path / "artifacts"
    family = (
        'schema: 1\nfamily: "@acme/tool"\nplatforms: [linux-x64]\nci: {workflow: ci.yml, artifact: "tool-{build}"}\n'
    )
    write(folder, blocks("release-please.md"))
    write(folder, {"flotilla.yml": f"{family}packages: {{meta: {{template: npm}}}}\nrelease: {{assets: [bin/tool]}}\n"})
    write(folder, template("tool"))
    built(artifacts, "tool", "linux-x64")
    write(tmp_path / "release-please", {"action.yml": RELEASE_PLEASE})
    consumer = commit_all(folder, {"googleapis/release-please-action@v4": tmp_path / "release-please"})
    with world(consumer, artifacts=artifacts, folder=tmp_path / "world", modules=modules, event="push") as made:
        state = made.github.state
        publish_first_versions(made, *TOOL)
        state.refs["refs/tags/v1.2.3"] = GitObject(sha=consumer.commit, type="commit")
        theirs = StoredRelease(
            id=state.new_id(),
            tag="v1.2.3",
            target="main",
            name="v1.2.3",
            body=NOTES,
            draft=False,
            prerelease=False,
            immutable=False,
            created_at="2026-01-01T00:00:00Z",
            published_at="2026-01-01T00:00:00Z",
        )
        state.releases.append(theirs)
        done = release(
            made,
            consumer,
            actions=actions,
            scratch=tmp_path / "act",
            version="1.2.3",
            inputs={},
        )
        assert done.succeeded, done.log
        assert done.jobs() == dict.fromkeys(("release-please", "release", "publish"), "succeeded")
        assert {asset.name for asset in theirs.assets} == {"tool", "SHA256SUMS", "flotilla-ledger.json"}
        assert (theirs.body, len(state.releases), state.tags()) == (NOTES, 1, {"v1.2.3": consumer.commit})
        registry = made.snapshot()["registry"]
        assert set(registry["provenance"]) == {f"{name}@1.2.3" for name in TOOL}
        user = tmp_path / "user"
        user.mkdir()
        assert installed_program(made, user, "@acme/tool").strip() == SAYS
