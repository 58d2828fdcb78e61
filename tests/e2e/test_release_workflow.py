"""The example's release workflow for real: every job in its container, against a simulated GitHub and a registry."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.e2e.release import installed_program, release, world_of
from tests.e2e.workflow import make_consumer

pytestmark = [pytest.mark.docker, pytest.mark.e2e, pytest.mark.registry, pytest.mark.npm, pytest.mark.timeout(1200)]

FAMILY = "@acme/chroma"
FOUR_PLATFORMS = ("darwin-arm64", "darwin-x64", "linux-arm64", "linux-x64")
PLATFORMS = (*FOUR_PLATFORMS, "linux-x64-musl")
MUSL = "linux-x64-musl"


def packages(platforms: tuple[str, ...]) -> set[str]:
    """Return every package of the family."""
    binaries = {f"{FAMILY}-{platform}{suffix}" for platform in platforms for suffix in ("", "-non-free")}
    return binaries | {f"{FAMILY}-dev", FAMILY, f"{FAMILY}-non-free"}


def assets(builds: tuple[str, ...]) -> set[str]:
    """Return every asset of the release."""
    archives = {f"chroma-{build}-{variant}.tar.gz" for build in builds for variant in ("free", "non-free")}
    return archives | {f"{archive}.sha256" for archive in archives} | {"SHA256SUMS", "flotilla-ledger.json"}


def jobs(platforms: tuple[str, ...]) -> set[str]:
    """Return every job of the graph, as act names it."""
    matrix = {f"publish-platform ({platform})-{number}" for number, platform in enumerate(platforms, 1)}
    return {"prepare", "wait-for-ci", "check-artifacts", "release", "publish-dev", "publish-meta"} | matrix


@pytest.mark.usefixtures("runner")
def test_the_workflow_releases_13_packages_with_a_token_and_then_by_trusted_publishing(
    tmp_path: Path, actions: Path, artifacts: Path, modules: Path
) -> None:
    consumer = make_consumer(tmp_path / "chroma")
    with world_of(consumer, artifacts=artifacts, folder=tmp_path / "world", modules=modules) as world:
        token = next(iter(world.registry.state.tokens))
        for version, npm_token in (("1.0.0", token), ("1.1.0", "")):
            result = release(
                world, consumer, actions=actions, scratch=tmp_path / "act", version=version, npm_token=npm_token
            )
            assert result.succeeded, result.log
            assert result.jobs() == dict.fromkeys(jobs(PLATFORMS), "succeeded")

        github, registry = world.snapshot()["github"], world.snapshot()["registry"]
        assert len(packages(PLATFORMS)) == 13
        assert set(registry["packages"]) == packages(PLATFORMS)
        assert all(one["dist-tags"] == {"latest": "1.1.0"} for one in registry["packages"].values())
        everything = {f"{name}@{version}" for name in packages(PLATFORMS) for version in ("1.0.0", "1.1.0")}
        assert registry["accepted"] == dict.fromkeys(everything, 1)
        assert set(registry["provenance"]) == everything

        assert github["tags"] == {"v1.0.0": consumer.commit, "v1.1.0": consumer.commit}
        assert [one["tag"] for one in github["releases"] if not one["draft"]] == ["v1.0.0", "v1.1.0"]
        for one in github["releases"]:
            assert set(one["assets"]) == assets((*FOUR_PLATFORMS, "linuxmusl-x64"))

        user = tmp_path / "user"
        user.mkdir()
        assert "(free)" in installed_program(world, user, FAMILY)
        assert "(non-free)" in installed_program(world, user, f"{FAMILY}-non-free")


@pytest.mark.usefixtures("runner")
def test_the_designs_four_platforms_make_11_packages(
    tmp_path: Path, actions: Path, artifacts: Path, modules: Path
) -> None:
    consumer = make_consumer(tmp_path / "chroma", without_platforms=(MUSL,))
    with world_of(consumer, artifacts=artifacts, folder=tmp_path / "world", modules=modules) as world:
        token = next(iter(world.registry.state.tokens))
        result = release(world, consumer, actions=actions, scratch=tmp_path / "act", version="1.0.0", npm_token=token)
        assert result.succeeded, result.log
        assert result.jobs() == dict.fromkeys(jobs(FOUR_PLATFORMS), "succeeded")
        assert len(packages(FOUR_PLATFORMS)) == 11
        assert set(world.snapshot()["registry"]["packages"]) == packages(FOUR_PLATFORMS)
        [published] = world.snapshot()["github"]["releases"]
        assert set(published["assets"]) == assets(FOUR_PLATFORMS)
        assert token not in result.log


ONE_STEP = """
on: {workflow_dispatch: {inputs: {version: {type: string}, dry-run: {type: string}}}}
jobs:
  release:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v6
      - uses: OWNER/flotilla@v1
        with:
          version: ${{ inputs.version }}
          draft: true
          pause-seconds: 0
          npm-token: ${{ secrets.NPM_TOKEN }}
"""


@pytest.mark.usefixtures("runner")
def test_the_action_in_the_root_releases_the_family_in_one_step(
    tmp_path: Path, actions: Path, artifacts: Path, modules: Path
) -> None:
    consumer = make_consumer(tmp_path / "chroma", workflow=ONE_STEP)
    with world_of(consumer, artifacts=artifacts, folder=tmp_path / "world", modules=modules) as world:
        token = next(iter(world.registry.state.tokens))
        result = release(world, consumer, actions=actions, scratch=tmp_path / "act", version="1.0.0", npm_token=token)
        assert result.succeeded, result.log
        assert result.jobs() == {"release": "succeeded"}
        github, registry = world.snapshot()["github"], world.snapshot()["registry"]
        assert registry["accepted"] == dict.fromkeys((f"{name}@1.0.0" for name in packages(PLATFORMS)), 1)
        assert [(one["tag"], one["draft"]) for one in github["releases"]] == [("v1.0.0", False)]
        user = tmp_path / "user"
        user.mkdir()
        assert "(free)" in installed_program(world, user, FAMILY)
