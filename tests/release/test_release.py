"""The release's steps: each creates or verifies, resumes after any failure, and moves nothing back."""

from __future__ import annotations

import json

import pytest
import yaml
from scripts.release.__main__ import STEPS
from scripts.release.repository import WORKFLOW
from tests.release.oci import MemoryRegistry
from tests.release.world import ACTIONS, REPOSITORY, StoppedError, World

pytestmark = pytest.mark.slow

STAGES = 13


def test_a_release_pins_the_image_in_every_action_and_publishes_its_notes(world: World, images: MemoryRegistry) -> None:
    commit = world.commit("0.2.0")
    assert world.release("0.2.0", commit) == STAGES
    tags = world.tags()
    assert set(tags) == {"v0.2.0", "v0.2", "v0"}
    assert len(set(tags.values())) == 1
    digest = images.tags["0.2.0"]
    for action in ACTIONS:
        document = yaml.safe_load(world.git("show", f"{tags['v0.2.0']}:{action}"))
        assert document["runs"]["image"] == f"docker://{world.image}@{digest}"
    changed = world.git("diff", "--name-only", commit, tags["v0.2.0"]).splitlines()
    assert changed == sorted((WORKFLOW, *ACTIONS))
    assert f"uses: {REPOSITORY}/action-release@v0.2.0" in world.git("show", f"{tags['v0.2.0']}:{WORKFLOW}")
    assert world.git("rev-parse", f"{tags['v0.2.0']}^") == commit
    assert world.git("ls-remote", "origin", "refs/heads/main").split()[0] == commit
    release = world.releases()["v0.2.0"]
    assert not release["draft"]
    assert release["latest"]
    assert "- What 0.2.0 changes." in release["body"]
    assert set(release["assets"]) == {"flotilla-0.2.0.intoto.jsonl"}


def test_the_index_holds_both_architectures_of_the_commit(world: World, images: MemoryRegistry) -> None:
    commit = world.commit("0.2.0")
    world.release("0.2.0", commit)
    index = json.loads(images.blobs[images.tags["0.2.0"]])
    assert [one["platform"]["architecture"] for one in index["manifests"]] == ["amd64", "arm64"]
    for one in index["manifests"]:
        config = json.loads(images.blobs[json.loads(images.blobs[one["digest"]])["config"]["digest"]])
        assert config["config"]["Labels"]["org.opencontainers.image.revision"] == commit
    built = json.loads((world.folder / "built.json").read_text(encoding="utf-8"))
    assert "Dockerfile" in built["files"]
    assert ".git" not in built["files"]


@pytest.mark.parametrize("ran", range(1, STAGES + 1))
def test_a_second_run_completes_after_a_failure_behind_any_step(world: World, images: MemoryRegistry, ran: int) -> None:
    commit = world.commit("0.2.0")
    with pytest.raises(StoppedError):
        world.release("0.2.0", commit, stop_after=ran)
    tag = world.tags().get("v0.2.0")
    attested = images.tags.get(f"build-{commit}-amd64") if ran > 2 else None
    world.release("0.2.0", commit)
    assert set(world.tags()) == {"v0.2.0", "v0.2", "v0"}
    assert tag in (None, world.tags()["v0.2.0"])
    assert attested in (None, images.tags[f"build-{commit}-amd64"])
    assert not world.releases()["v0.2.0"]["draft"]
    assert len(world.releases()) == 1


def test_a_third_run_changes_nothing(world: World, images: MemoryRegistry) -> None:
    commit = world.commit("0.2.0")
    world.release("0.2.0", commit)
    before = (world.tags(), dict(images.tags), world.github.state.snapshot())
    world.release("0.2.0", commit)
    assert (world.tags(), images.tags, world.github.state.snapshot()) == before


def test_a_backport_moves_its_minor_tag_and_neither_the_major_tag_nor_latest(world: World) -> None:
    first = world.commit("0.2.0")
    world.release("0.2.0", first)
    world.release("0.3.0", world.commit("0.3.0"))
    before = world.tags()
    world.git("checkout", "-q", "-b", "backport", first)
    world.release("0.2.1", world.commit("0.2.1", branch="release/0.2"))
    after = world.tags()
    assert after["v0.2"] == after["v0.2.1"] != before["v0.2"]
    assert after["v0"] == before["v0"] == after["v0.3.0"]
    assert after["v0.3"] == before["v0.3"]
    assert [tag for tag, one in world.releases().items() if one["latest"]] == ["v0.3.0"]


def test_a_prerelease_moves_no_tag_and_is_not_the_latest(world: World) -> None:
    world.release("0.2.0-rc.1", world.commit("0.2.0-rc.1"))
    assert set(world.tags()) == {"v0.2.0-rc.1"}
    release = world.releases()["v0.2.0-rc.1"]
    assert release["prerelease"]
    assert not release["latest"]


def test_another_commit_never_takes_over_a_published_version(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.release("0.2.0", world.commit("0.2.0"))
    before = world.tags()
    world.write({"lib.py": "changed\n"})
    world.git("add", "--all")
    world.git("commit", "-q", "-m", "Change")
    world.git("push", "-q", "origin", "main")
    with pytest.raises(StoppedError, match="name"):
        world.release("0.2.0", world.git("rev-parse", "HEAD"))
    assert "A published version never changes" in capsys.readouterr().out
    assert world.tags() == before


def test_an_image_that_somebody_else_pushed_under_the_builds_tag_is_built_again(
    world: World, images: MemoryRegistry
) -> None:
    commit = world.commit("0.2.0")
    environment = world.environment("0.2.0", commit)
    first = world.step(environment, "build", ARCHITECTURE="amd64")["amd64"]
    assert world.step(environment, "build", ARCHITECTURE="amd64")["amd64"] != first
    again = images.tags[f"build-{commit}-amd64"]
    world.attest(again, commit)
    assert world.step(environment, "build", ARCHITECTURE="amd64")["amd64"] == again


def test_a_digest_without_an_attestation_is_not_released(world: World) -> None:
    commit = world.commit("0.2.0")
    environment = world.environment("0.2.0", commit)
    with pytest.raises(StoppedError):
        world.step(environment, "attested", DIGEST=f"sha256:{'0' * 64}")


def test_an_attested_image_of_another_commit_is_not_released(
    world: World, images: MemoryRegistry, capsys: pytest.CaptureFixture[str]
) -> None:
    older = world.commit("0.2.0")
    world.release("0.2.0", older)
    newer = world.environment("0.2.1", world.commit("0.2.1"))
    with pytest.raises(StoppedError):
        world.step(newer, "attested", DIGEST=images.tags["0.2.0"])
    assert f"of commit {older}" in capsys.readouterr().out


def test_an_image_of_the_other_architecture_does_not_enter_the_index(world: World) -> None:
    commit = world.commit("0.2.0")
    environment = world.environment("0.2.0", commit)
    amd64 = world.step(environment, "build", ARCHITECTURE="amd64")["amd64"]
    with pytest.raises(StoppedError):
        world.step(environment, "index", AMD64=amd64, ARM64=amd64)


@pytest.mark.parametrize("ref", ["refs/heads/feature", "refs/tags/v0.2.0", "refs/pull/1/merge", ""])
def test_a_release_runs_from_main_only(world: World, ref: str) -> None:
    environment = world.environment("0.2.0", world.commit("0.2.0"))
    with pytest.raises(StoppedError):
        world.step(environment, "check", GITHUB_REF=ref)


def test_a_commit_of_another_branch_is_not_released(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.commit("0.2.0")
    world.git("checkout", "-q", "-b", "feature")
    commit = world.commit("0.3.0", branch="feature")
    with pytest.raises(StoppedError):
        world.step(world.environment("0.3.0", commit), "check")
    assert "neither on main nor on release/0.3" in capsys.readouterr().out


def test_the_token_reaches_no_output_and_no_argument(
    world: World, capsys: pytest.CaptureFixture[str], images: MemoryRegistry
) -> None:
    images.token = world.github.state.token
    commit = world.commit("0.2.0")
    with pytest.raises(StoppedError):  # the stand-in for docker does not sign in
        world.release("0.2.0", commit)
    world.step({**world.environment("0.2.0", commit), "VERSION": "bad"} | {"GITHUB_REPOSITORY": REPOSITORY}, "login")
    assert world.github.state.token not in capsys.readouterr().out


def test_a_registry_that_asks_for_a_sign_in_gets_the_token_exchanged(world: World, images: MemoryRegistry) -> None:
    commit = world.commit("0.2.0")
    environment = world.environment("0.2.0", commit)
    digests = {one.upper(): world.step(environment, "build", ARCHITECTURE=one)[one] for one in ("amd64", "arm64")}
    images.token = world.github.state.token
    assert world.step(environment, "index", **digests)["digest"] == images.tags[f"build-{commit}"]
    with pytest.raises(StoppedError):
        world.step({**environment, "GITHUB_TOKEN": "another"}, "index", **digests)


def test_two_drafts_of_one_tag_stop_the_release(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    commit = world.commit("0.2.0")
    with pytest.raises(StoppedError):
        world.release("0.2.0", commit, stop_after=9)
    state = world.github.state
    [only] = state.releases
    copied = state.saved().releases[0]
    copied.id = only.id + 1
    state.releases.append(copied)
    with pytest.raises(StoppedError):
        world.release("0.2.0", commit)
    assert "delete the drafts among them" in capsys.readouterr().out


@pytest.mark.parametrize("steps", [(), ("nothing",), ("check", "nothing")])
def test_an_unknown_step_lists_the_known_ones(
    world: World, capsys: pytest.CaptureFixture[str], steps: tuple[str, ...]
) -> None:
    with pytest.raises(StoppedError):
        world.step(world.environment("0.2.0", "0" * 40), *steps)
    assert ", ".join(STEPS) in capsys.readouterr().out
