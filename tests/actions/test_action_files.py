"""Each action.yml and its README say the same, and what GitHub asks of an action file."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
ONE_STEP = "."  # the action in the root
JOBS = {
    ONE_STEP: "release-family",
    "action-release": "release",
    "action-publish-platform": "publish-platform",
    "action-publish-dev": "publish-dev",
    "action-publish-meta": "publish-meta",
}
COMMON = {"version", "config", "github-token", "npm-token", "registry", "dry-run", "artifacts-digest", "tag"}
PUBLISH = {"dist-tag", "provenance", "staged", "pause-seconds", "timeout-minutes"}
RELEASE = {"commit", "run-id", "timeout-minutes", "draft"}
INPUTS = {
    ONE_STEP: COMMON | RELEASE | PUBLISH,
    "action-release": COMMON | RELEASE | {"phase"},
    "action-publish-platform": COMMON | PUBLISH | {"platform", "run-id"},
    "action-publish-dev": COMMON | PUBLISH | {"run-id"},
    "action-publish-meta": COMMON | PUBLISH | {"packages", "run-id"},
}
REQUIRED = {
    ONE_STEP: {"version"},
    "action-release": {"version"},
    "action-publish-platform": {"version", "platform", "run-id"},
    "action-publish-dev": {"version", "run-id"},
    "action-publish-meta": {"version"},
}
RELEASE_OUTPUTS = {"version", "tag", "commit", "run-id", "dist-tag", "prerelease", "has-dev", "platforms", "release-id"}
OUTPUTS = {
    ONE_STEP: RELEASE_OUTPUTS | {"release-url", "checksums", "artifacts-digest", "packages", "ledger"},
    "action-release": RELEASE_OUTPUTS | {"release-url", "checksums", "artifacts-digest", "ledger"},
    "action-publish-platform": {"packages", "ledger"},
    "action-publish-dev": {"packages", "ledger"},
    "action-publish-meta": {"packages", "ledger"},
}

each_action = pytest.mark.parametrize("action", JOBS)


def read_action(action: str) -> dict[str, Any]:
    document = yaml.safe_load((ROOT / action / "action.yml").read_text(encoding="utf-8"))
    assert isinstance(document, dict)
    return document


def read_table(action: str, heading: str) -> list[tuple[str, ...]]:
    """Return the cells of the table under a heading of an action's README, without its head."""
    readme = (ROOT / ("docs/one-step.md" if action == ONE_STEP else f"{action}/README.md")).read_text(encoding="utf-8")
    section = readme.split(f"## {heading}\n")[1].split("\n## ")[0]
    rows = [re.split(r"(?<!\\)\|", line)[1:-1] for line in section.splitlines() if line.startswith("|")]
    return [tuple(cell.strip().replace(r"\|", "|") for cell in row) for row in rows[2:]]


def shown_default(one: dict[str, Any]) -> str:
    if one.get("required"):
        return "required"
    return f"`{one['default']}`" if one["default"] else "empty"


@each_action
def test_the_readme_lists_every_input_with_its_default_and_meaning(action: str) -> None:
    declared = [
        (f"`{name}`", shown_default(one), one["description"]) for name, one in read_action(action)["inputs"].items()
    ]
    assert read_table(action, "Inputs") == declared


@each_action
def test_the_readme_lists_every_output_with_its_meaning(action: str) -> None:
    declared = [(f"`{name}`", one["description"]) for name, one in read_action(action)["outputs"].items()]
    assert read_table(action, "Outputs") == declared


@each_action
def test_the_inputs_and_outputs_are_those_that_are_promised(action: str) -> None:
    document = read_action(action)
    assert set(document["inputs"]) == INPUTS[action]
    assert set(document["outputs"]) == OUTPUTS[action]
    assert {name for name, one in document["inputs"].items() if one.get("required")} == REQUIRED[action]


@each_action
def test_every_action_runs_its_job_in_the_one_image(action: str) -> None:
    image = "Dockerfile" if action == ONE_STEP else "../Dockerfile"
    assert read_action(action)["runs"] == {"using": "docker", "image": image, "args": [JOBS[action]]}


@each_action
def test_every_action_can_be_told_apart_on_the_marketplace(action: str) -> None:
    document = read_action(action)
    assert document["branding"]["icon"]
    assert len({read_action(other)["name"] for other in JOBS}) == len(JOBS)
    assert len({read_action(other)["branding"]["icon"] for other in JOBS}) == len(JOBS)


@each_action
def test_no_default_is_a_secret_but_the_jobs_own_token(action: str) -> None:
    defaults = {name: one.get("default", "") for name, one in read_action(action)["inputs"].items()}
    assert {name for name, default in defaults.items() if "${{" in default} == {"github-token"}
    assert defaults["npm-token"] == ""


def test_the_reusable_workflow_uses_inputs_and_outputs_that_exist_with_a_limit_and_permissions_for_each_job() -> None:
    text = (ROOT / ".github/workflows/release-family.yml").read_text(encoding="utf-8")
    workflow = yaml.safe_load(text)
    assert workflow["permissions"] == {}
    given = set(workflow[True]["workflow_call"]["inputs"])  # YAML 1.1 reads `on` as true
    assert set(re.findall(r"inputs\.([a-z-]+)", text)) == given
    for name, job in workflow["jobs"].items():
        assert job["timeout-minutes"], name
        assert ("id-token" in job["permissions"]) == name.startswith("publish-")
        assert ("environment" in job) == name.startswith("publish-")
        assert not ({"id-token", "contents"} <= {key for key, right in job["permissions"].items() if right == "write"})
        (step,) = [step for step in job["steps"] if "OWNER/flotilla" in step.get("uses", "")]
        action = step["uses"].split("/")[2].removesuffix("@v1")
        assert REQUIRED[action] <= set(step["with"]) <= INPUTS[action], name
        if name != "finish":  # it writes nothing that an input could change
            assert given & INPUTS[action] <= set(step["with"]), name
            assert (COMMON & INPUTS[action]) - set(step["with"]) <= {"github-token", "artifacts-digest"}, name
        if name.startswith("publish-"):
            assert step["with"]["artifacts-digest"], name
    read = set(re.findall(r"steps\.release\.outputs\.([a-z-]+)", text))
    assert read <= OUTPUTS["action-release"]
    assert workflow["jobs"]["publish-meta"]["steps"][-1]["with"]["packages"]


def test_the_page_lists_every_input_of_the_reusable_workflow() -> None:
    workflow = yaml.safe_load((ROOT / ".github/workflows/release-family.yml").read_text(encoding="utf-8"))
    declared = {f"`{name}`": one["description"] for name, one in workflow[True]["workflow_call"]["inputs"].items()}
    rows = read_table(ONE_STEP, "All jobs in one `uses:`")
    assert {name: meaning for name, _default, meaning in rows} == declared
