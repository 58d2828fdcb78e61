"""The release workflow only calls the steps, in their order, and no job may do more than its step."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from scripts.release.__main__ import STEPS

ROOT = Path(__file__).resolve().parents[2]
CALL = "python3 -m scripts.release "
ORDER = ["check", "test", "build", "index", "e2e", "sbom", "attest", "release"]


def jobs() -> dict[str, Any]:
    document = yaml.safe_load((ROOT / ".github/workflows/release.yml").read_text(encoding="utf-8"))
    found = document["jobs"]
    assert isinstance(found, dict)
    return found


def commands(job: dict[str, Any]) -> list[str]:
    return [step["run"] for step in job["steps"] if "run" in step]


def needs(job: dict[str, Any]) -> set[str]:
    named = job.get("needs", [])
    return {named} if isinstance(named, str) else set(named)


def test_the_jobs_stand_in_the_order_in_which_they_need_each_other() -> None:
    found = jobs()
    assert list(found) == ORDER
    for number, name in enumerate(ORDER):
        assert needs(found[name]) <= set(ORDER[:number])
    assert needs(found["build"]) == {"check", "test"}
    assert {"e2e", "sbom"} <= needs(found["attest"])
    assert "attest" in needs(found["release"])


def test_every_command_is_a_step_or_a_make_target() -> None:
    run = [command for job in jobs().values() for command in commands(job)]
    steps = [name for command in run if command.startswith(CALL) for name in command.removeprefix(CALL).split()]
    assert {command for command in run if not command.startswith(CALL)} == {"make lint", "make test", "make e2e"}
    assert set(steps) == set(STEPS)


def test_the_tags_move_last_and_after_the_release_is_published() -> None:
    [command] = commands(jobs()["release"])
    ours = command.removeprefix(CALL).split()
    assert ours[-6:] == ["attested", "draft", "name", "tag", "publish", "move"]


def test_the_release_runs_from_main_and_in_its_environment() -> None:
    found = jobs()
    assert found["check"]["if"] == "github.ref == 'refs/heads/main'"
    writing = {name for name, job in found.items() if "write" in job["permissions"].values()}
    assert writing == {"build", "index", "attest", "release"}
    assert all(found[name]["environment"] == "release" for name in writing)


def test_a_job_that_may_write_runs_mains_scripts_and_no_code_of_the_released_commit() -> None:
    for name, job in jobs().items():
        [checkout] = [s for s in job["steps"] if s.get("uses", "").startswith("actions/checkout@")] or [{"with": {}}]
        if "write" in job["permissions"].values():
            assert "ref" not in checkout["with"], name
            assert not any(command.startswith("make") for command in commands(job)), name
        elif name in {"test", "e2e"}:
            assert checkout["with"]["ref"] == "${{ needs.check.outputs.commit }}"


def test_only_the_release_job_may_write_to_the_repository() -> None:
    assert [name for name, job in jobs().items() if job["permissions"].get("contents") == "write"] == ["release"]


def test_the_end_to_end_tests_run_the_pushed_digest() -> None:
    [tested] = [step for step in jobs()["e2e"]["steps"] if step.get("run") == "make e2e"]
    image = tested["env"]["FLOTILLA_E2E_IMAGE"]
    assert image == "${{ needs.index.outputs.image }}@${{ needs.index.outputs.digest }}"


def test_dependabot_looks_after_everything_that_is_pinned_and_waits() -> None:
    document = yaml.safe_load((ROOT / ".github/dependabot.yml").read_text(encoding="utf-8"))
    updates = {one["package-ecosystem"]: one for one in document["updates"]}
    assert set(updates) == {"docker", "github-actions", "pip", "npm"}
    assert all(one["cooldown"]["default-days"] >= 7 for one in updates.values())
    assert updates["pip"]["directory"] == "/requirements"
    locks = {f"/{lock.parent.relative_to(ROOT).as_posix()}" for lock in locked()}
    assert set(updates["npm"]["directories"]) == locks


def locked() -> list[Path]:
    found = [lock for part in ("benchmarks", "lib", "tests") for lock in (ROOT / part).rglob("package-lock.json")]
    return [lock for lock in found if "node_modules" not in lock.parts]
