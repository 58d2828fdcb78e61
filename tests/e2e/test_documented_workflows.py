"""The workflows of the documentation for real, each in a repository as its page describes it."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from tests.e2e.github import (
    ARTIFACTS_URL,
    JobReport,
    artifact_actions,
    artifact_store,
    begin_attempt,
    begin_run,
    of_an_earlier_attempt,
)
from tests.e2e.images import ROOT
from tests.e2e.release import installed_program, release, world_of
from tests.e2e.workflow import Consumer, WorkflowResult, commit_all, make_consumer
from tests.layouts.binaries import SAYS, static_program
from tests.rehearsal.client import Client
from tests.rehearsal.publishing import put
from tests.simulator.world import Rehearsal

from flotilla.rehearsal.github import GitObject, StoredRelease
from flotilla.rehearsal.registry.provenance import SLSA, statement

pytestmark = [pytest.mark.docker, pytest.mark.e2e, pytest.mark.registry, pytest.mark.npm, pytest.mark.timeout(1200)]

WORKFLOW = ".github/workflows/release.yml"
ENCODER = ("@acme/encoder", "@acme/encoder-linux-x64", "@acme/encoder-linux-x64-musl")
DECODER = ("@acme/decoder", "@acme/decoder-linux-x64")
TOOL = ("@acme/tool", "@acme/tool-linux-x64")
DROPPED = ("darwin-arm64", "darwin-x64", "linux-arm64")
CHROMA = {f"@acme/chroma{of}{suffix}" for of in ("", "-linux-x64", "-linux-x64-musl") for suffix in ("", "-non-free")}
NOTES = "### Features\n\n* something new"
CLI = """#!/usr/bin/env node
const { platform, arch } = process;
const file = require.resolve(`@acme/NAME-${platform}-${arch}/bin/NAME`);
process.exit(require("node:child_process").spawnSync(file, { stdio: "inherit" }).status);
"""
BUILT_HERE = ("darwin-arm64", "linux-x64", "win32-x64")
MAKE = """#!/bin/sh
# make build PLATFORM=…
case $1 in build) mv "prebuilt/tool-${2#PLATFORM=}" build ;; esac
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
    """Return the YAML of a page by the file name that stands before it; a workflow without one is release.yml."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    found = re.findall(r"(?:^`([^`]+)`:\n\n)?^```yaml\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    return {name or WORKFLOW: block for name, block in found}


def write(root: Path, files: dict[str, str]) -> None:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content, encoding="utf-8")


def template(name: str) -> dict[str, str]:
    """Return the files of a meta package whose program starts the platform's."""
    manifest = {"bin": {name: "cli.js"}, "repository": "github:acme/chroma"}
    return {"npm/package.json": json.dumps(manifest), "npm/cli.js": CLI.replace("NAME", name)}


def built(artifacts: Path, name: str, *platforms: str) -> None:
    """Make CI's artifacts of a family, a folder each, with a program that says its name."""
    for platform in platforms:
        folder = artifacts / f"{name}-{platform}" / "bin"
        folder.mkdir(parents=True)
        (folder / (f"{name}.exe" if platform.startswith("win32") else name)).write_bytes(
            static_program(platform.removesuffix("-musl"))
        )


def invocation(world: Rehearsal, spec: str) -> str:
    """Return the attempt of the workflow run that a package's provenance names."""
    with Client(world.registry.url) as client:
        attestations = client.get(f"/-/npm/v1/attestations/{spec}").json()["attestations"]
    [bundle] = [one["bundle"] for one in attestations if one["predicateType"] == SLSA]
    return str(statement(bundle)["predicate"]["runDetails"]["metadata"]["invocationId"])


def publish_first_versions(world: Rehearsal, *names: str) -> None:
    """Publish a first version of each package; trusted publishing needs packages that exist."""
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
    shutil.copytree(ROOT / "examples/two-families", folder)
    families = {"encoder": ("linux-x64", "linux-x64-musl"), "decoder": ("linux-x64",)}
    for name, platforms in families.items():
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


@pytest.mark.usefixtures("runner")
def test_the_reusable_workflow_releases_the_family_and_then_a_nightly_without_a_tag(
    tmp_path: Path, actions: Path, artifacts: Path, modules: Path
) -> None:
    workflow = blocks("one-step.md")[WORKFLOW].replace(
        "environment: npm\n", "environment: npm\n      draft: true\n      pause-seconds: 0\n"
    )
    without_tag = tmp_path / "nightly.yml"
    without_tag.write_text(workflow.replace("draft: true\n", "draft: true\n      tag: none\n"), encoding="utf-8")
    made_of = make_consumer(tmp_path / "chroma", without_platforms=DROPPED, workflow=workflow)
    called = (actions / ".github/workflows/release-family.yml").read_text(encoding="utf-8")
    consumer = replace(made_of, others=artifact_actions(tmp_path / "others", called))
    with world_of(consumer, artifacts=artifacts, folder=tmp_path / "world", modules=modules) as made:
        run = begin_run(made, consumer, event="workflow_dispatch", ref="refs/heads/main")
        token = next(iter(made.registry.state.tokens))
        for version, npm_token, file in (("1.0.0", token, Path(WORKFLOW)), ("1.1.0-nightly.1", "", without_tag)):
            with artifact_store(made.github.state, run) as store:
                done = release(
                    made,
                    consumer,
                    actions=actions,
                    scratch=tmp_path / "act",
                    version=version,
                    npm_token=npm_token,
                    inputs={},
                    variables={ARTIFACTS_URL: store},
                    workflow=file,
                )
            assert done.succeeded, done.log
            assert "4 of 4 platform packages have the integrity from the input packages" in done.log
        github, registry = made.snapshot()["github"], made.snapshot()["registry"]
        assert github["tags"] == {"v1.0.0": consumer.commit}
        assert [(one["tag"], one["draft"]) for one in github["releases"]] == [("v1.0.0", False)]
        both = {
            f"{name}@{version}" for name in {*CHROMA, "@acme/chroma-dev"} for version in ("1.0.0", "1.1.0-nightly.1")
        }
        assert registry["accepted"] == dict.fromkeys(both, 1)
        assert {str(one["dist-tags"]) for one in registry["packages"].values()} == {
            str({"latest": "1.0.0", "nightly": "1.1.0-nightly.1"})
        }
        user = tmp_path / "user"
        user.mkdir()
        assert "(free)" in installed_program(made, user, "@acme/chroma")


class SameRun:
    """The repository of docs/same-run.md, and the one run of its workflow for the tag v1.2.3."""

    tag = "v1.2.3"
    specs = frozenset(f"@acme/tool{platform}@1.2.3" for platform in ("", *(f"-{one}" for one in BUILT_HERE)))

    def __init__(self, tmp_path: Path, actions: Path) -> None:
        files = blocks("same-run.md")
        workflow = files[WORKFLOW] = files[WORKFLOW].replace("run: make", "run: sh ./make")
        self.folder, self.actions, self.workflow = tmp_path, actions, workflow
        write(tmp_path / "tool", {**files, "make": MAKE})
        built(tmp_path / "tool/prebuilt", "tool", *BUILT_HERE)
        self.consumer = commit_all(tmp_path / "tool", artifact_actions(tmp_path / "others", workflow))

    @contextmanager
    def world(self, modules: Path) -> Iterator[Rehearsal]:
        """Yield GitHub when the tag has been pushed and nothing is built yet."""
        nothing = self.folder / "nothing"
        nothing.mkdir()
        with world_of(self.consumer, artifacts=nothing, folder=self.folder / "world", modules=modules) as made:
            publish_first_versions(made, *(spec.rpartition("@")[0] for spec in self.specs))
            made.github.state.refs[f"refs/tags/{self.tag}"] = GitObject(sha=self.consumer.commit, type="commit")
            self.run = begin_run(made, self.consumer, event="push", ref=f"refs/tags/{self.tag}")
            yield made

    def attempt(
        self, made: Rehearsal, report: JobReport, *, workflow: str = "", more: Sequence[str] = ()
    ) -> WorkflowResult:
        """Return one attempt of the run."""
        file = self.folder / "release.yml"
        file.write_text(workflow or self.workflow, encoding="utf-8")
        with artifact_store(made.github.state, self.run) as store:
            return release(
                made,
                self.consumer,
                actions=self.actions,
                scratch=self.folder / "act",
                version="1.2.3",
                inputs={},
                variables={ARTIFACTS_URL: store},
                workflow=file,
                more=more,
                told=report,
            )

    def check_released(self, made: Rehearsal) -> None:
        """Check that the whole family is released once, and can be installed."""
        github, registry = made.snapshot()["github"], made.snapshot()["registry"]
        assert github["tags"] == {self.tag: self.consumer.commit}
        assert [(one["tag"], one["draft"]) for one in github["releases"]] == [(self.tag, False)]
        assert {spec: registry["accepted"].get(spec) for spec in self.specs} == dict.fromkeys(self.specs, 1)
        assert set(registry["provenance"]) == self.specs
        user = self.folder / "user"
        user.mkdir()
        assert installed_program(made, user, "@acme/tool").strip() == SAYS


@pytest.mark.usefixtures("runner")
def test_one_run_of_a_pushed_tag_builds_and_releases(tmp_path: Path, actions: Path, modules: Path) -> None:
    same = SameRun(tmp_path, actions)
    with same.world(modules) as made:
        report = JobReport(state=made.github.state, run=same.run)
        done = same.attempt(made, report)
        assert done.succeeded, done.log
        assert {job.name: job.conclusion for job in made.github.state.jobs} == dict.fromkeys(
            ("test", "release", "publish-meta", *(f"{of} {one}" for of in ("build", "publish") for one in BUILT_HERE)),
            "success",
        )
        assert report.outputs["release"]["run-id"] == str(same.run.id)
        assert invocation(made, "@acme/tool@1.2.3").endswith(f"/actions/runs/{same.run.id}/attempts/1")
        same.check_released(made)


@pytest.mark.usefixtures("runner")
def test_a_re_run_of_the_failed_jobs_completes_what_one_run_builds_and_releases(
    tmp_path: Path, actions: Path, modules: Path
) -> None:
    same = SameRun(tmp_path, actions)
    failing = BUILT_HERE[-1]
    with same.world(modules) as made:
        state, refused = made.github.state, made.registry.state.exchanges
        refused[f"@acme/tool-{failing}"] = (404, '{"message": "no trusted publisher"}')
        report = JobReport(state=state, run=same.run)
        first = same.attempt(made, report)
        assert not first.succeeded
        assert [job.name for job in state.jobs if job.conclusion == "failure"] == [f"publish {failing}"], first.log
        assert "publish-meta" not in first.jobs()
        artifacts, released = len(state.artifacts), made.snapshot()["github"]

        refused.clear()
        begin_attempt(made, same.run, (f"publish {failing}", "publish-meta"))
        outputs = {name: report.outputs.get(name, {}) for name in ("test", "build", "release")}
        second = same.attempt(
            made,
            JobReport(state=state, run=same.run, not_run=outputs),
            workflow=of_an_earlier_attempt(same.workflow, outputs),
            more=("--matrix", f"platform:{failing}"),
        )
        assert second.succeeded, second.log
        assert [job.name for job in state.jobs if job.attempt == 2] == [f"publish {failing}", "publish-meta"]
        assert (len(state.artifacts), made.snapshot()["github"]) == (artifacts, released)
        for platform, attempt in zip(BUILT_HERE, (1, 1, 2), strict=True):
            assert invocation(made, f"@acme/tool-{platform}@1.2.3").endswith(f"/attempts/{attempt}")
        same.check_released(made)
