"""What is there for the next contributor, held against the code."""

from __future__ import annotations

import re
import subprocess
import sysconfig
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = Path(sysconfig.get_path("scripts"))
FORMS = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml"))


def text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def project() -> dict[str, Any]:
    return tomllib.loads(text("pyproject.toml"))


@pytest.mark.parametrize("page", ["CONTRIBUTING.md", "docs/architecture.md", ".github/pull_request_template.md"])
def test_every_file_and_command_that_a_page_for_contributors_names_is_there(page: str) -> None:
    said = text(page)
    named = set(re.findall(r"(?<![\w/.])(?:lib|tests|docs|requirements|\.github)/[\w./-]*\w", said))
    assert not {name for name in named if not (ROOT / name).exists()}
    targets = set(re.findall(r"\bmake ([a-z0-9-]+)", said.replace("make` sets", "")))
    assert targets <= set(re.findall(r"^([a-z0-9-]+):", text("Makefile"), re.MULTILINE))


def test_every_runtime_dependency_is_explained_and_no_other() -> None:
    needed = {re.split(r"[^\w.-]", one, maxsplit=1)[0] for one in project()["project"]["dependencies"]}
    table = text("CONTRIBUTING.md").split("| runtime dependency |")[1]
    assert set(re.findall(r"^\| `([\w.-]+)` \|", table, re.MULTILINE)) == needed


def test_the_package_says_who_made_it_and_where_to_find_more() -> None:
    metadata = project()["project"]
    assert metadata["authors"] == [{"name": "flotilla contributors"}]
    assert {"Source", "Documentation", "Changelog", "Issues"} <= set(metadata["urls"])
    assert metadata["classifiers"]


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.name)
def test_every_issue_form_is_one_that_github_accepts(form: Path) -> None:
    kind = "config" if form.name == "config.yml" else "forms"
    program: list[str | Path] = [SCRIPTS / "check-jsonschema", "--builtin-schema", f"vendor.github-issue-{kind}", form]
    run = subprocess.run(program, capture_output=True, text=True, check=False, timeout=60)
    assert run.returncode == 0, run.stdout + run.stderr


def test_a_report_asks_for_the_ledger_and_warns_of_tokens() -> None:
    form = yaml.safe_load(text(".github/ISSUE_TEMPLATE/bug.yml"))
    asked = {one["id"]: one.get("validations", {}).get("required") for one in form["body"] if "id" in one}
    assert asked["ledger"] is True
    assert "token" in form["body"][0]["attributes"]["value"]


def test_the_hooks_run_the_pinned_programs() -> None:
    hooks = yaml.safe_load(text(".pre-commit-config.yaml"))["repos"][0]["hooks"]
    programs = {hook["entry"].split()[0] for hook in hooks}
    assert programs
    assert all(hook["language"] == "system" for hook in hooks)
    assert not {
        name for name in programs if not name.startswith(".venv/bin/") or not (SCRIPTS / Path(name).name).exists()
    }
