"""What comes from elsewhere is pinned and checked, and workflows may do no more than they must."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[1]
INIT = [*ROOT.glob("lib/flotilla/*/templates/release.yml")]  # what `flotilla init` writes
WORKFLOWS = sorted([*ROOT.glob(".github/workflows/*.yml"), *ROOT.glob("examples/*/.github/workflows/*.yml"), *INIT])
LOCKS = sorted(
    lock for part in ("benchmarks", "lib", "tests", "examples") for lock in (ROOT / part).glob("**/package-lock.json")
)
OURS = [file for file in WORKFLOWS if file.is_relative_to(ROOT / ".github")]
LENDING = {
    "pull_request_target",
    "workflow_run",
    "issue_comment",
    "issues",
    "discussion",
    "discussion_comment",
    "fork",
    "watch",
}

each_workflow = pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: str(file.relative_to(ROOT)))


def workflow(file: Path) -> dict[Any, Any]:
    document = yaml.safe_load(file.read_text(encoding="utf-8"))
    assert isinstance(document, dict)
    return document


def steps(file: Path) -> Iterator[dict[str, Any]]:
    for job in workflow(file)["jobs"].values():
        yield job
        yield from job.get("steps", [])


def test_there_are_workflows_and_locks_to_look_at() -> None:
    assert len(OURS) == 5
    assert len(INIT) == 1
    assert len(WORKFLOWS) == 10
    assert len(LOCKS) == 6


@pytest.mark.parametrize("name", ["runtime.txt", "dev.txt"])
def test_every_python_package_is_pinned_with_its_hashes(name: str) -> None:
    text = (ROOT / "requirements" / name).read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    assert len(lines) > 10
    for line in lines:
        assert re.match(r"[a-z0-9._-]+(\[[a-z,]+\])?==[^\s;]+", line, re.IGNORECASE), line
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", line), line


@pytest.mark.parametrize("lock", LOCKS, ids=lambda file: str(file.relative_to(ROOT)))
def test_every_npm_package_is_locked_with_its_integrity(lock: Path) -> None:
    packages = json.loads(lock.read_text(encoding="utf-8"))["packages"]
    assert len(packages) > 1
    for name, package in packages.items():
        # A bundled package lies in the tarball of the one that bundles it, under that one's integrity.
        if name and not package.get("inBundle"):
            assert package["integrity"].startswith("sha512-"), name


def test_every_base_image_is_pinned_by_its_digest_and_version_and_npm_by_its_version() -> None:
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    bases = re.findall(r"^FROM (\S+)", text, re.MULTILINE)
    assert len(bases) == 3
    for base in bases:
        assert re.fullmatch(r"(python|node):\d+\.\d+\.\d+-[a-z-]+@sha256:[0-9a-f]{64}", base), base
    assert re.search(r"^ARG NPM_VERSION=\d+\.\d+\.\d+$", text, re.MULTILINE)
    assert '[ "$(npm --version)" != "$NPM_VERSION" ]' in text


@each_workflow
def test_no_job_runs_without_a_time_limit(file: Path) -> None:
    for name, job in workflow(file)["jobs"].items():
        limit = str(job.get("timeout-minutes"))  # a number, or an expression that always is one
        assert "uses" in job or re.fullmatch(r"\d+|\$\{\{ .+ && \d+ \|\| \d+ \}\}", limit), name


@each_workflow
def test_every_action_is_pinned_by_its_commit(file: Path) -> None:
    used = [step["uses"] for step in steps(file) if "uses" in step]
    assert used
    for uses in used:
        ours = uses.startswith(("./", "OWNER/flotilla/"))
        assert ours or re.fullmatch(r"[\w.-]+/[\w./-]+@[0-9a-f]{40}", uses), uses


@each_workflow
def test_workflows_have_no_permissions_and_each_job_says_its_own(file: Path) -> None:
    document = workflow(file)
    assert document["permissions"] == {}
    for name, job in document["jobs"].items():
        assert isinstance(job.get("permissions"), dict), name


@each_workflow
def test_no_workflow_runs_on_an_event_that_lends_our_rights_to_a_stranger(file: Path) -> None:
    events = workflow(file)[True]  # YAML 1.1 takes the key `on` for a boolean
    assert not LENDING & set(events)


@each_workflow
def test_no_expression_stands_in_a_script(file: Path) -> None:
    for step in steps(file):
        assert "${{" not in step.get("run", ""), step


@each_workflow
def test_a_checkout_leaves_no_credential_behind(file: Path) -> None:
    for step in steps(file):
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step.get("with", {}).get("persist-credentials") is False, step
