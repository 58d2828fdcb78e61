"""The commands, as somebody who never saw flotilla types them."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from flotilla.commands import command_line
from flotilla.errors import ConfigError, FlotillaError
from flotilla.runner import Runner

DESK: Mapping[str, str] = {}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def typed(*arguments: str) -> str:
    out = io.StringIO()
    assert command_line.run(arguments, DESK, Runner(DESK, out)) == 0
    return out.getvalue()


@pytest.mark.parametrize("command", ["plan", "check"])
def test_a_folder_without_flotilla_yml_is_told_how_to_begin(command: str) -> None:
    with pytest.raises(ConfigError, match=r"flotilla\.yml") as caught:
        typed(command)
    assert "flotilla init" in caught.value.advice


def test_what_init_writes_is_what_plan_and_check_take() -> None:
    said = typed("init", "--family", "@acme/tool", "--platforms", "linux-x64", "win32-x64")
    assert {"flotilla.yml", ".github/workflows/release.yml"} <= set(re.findall(r"[\w./]*\w", said))
    assert "OWNER/flotilla" in said
    assert typed("plan").startswith("@acme/tool 1.0.0: 3 packages (2 platforms, 1 variant)\n")
    assert typed("check").startswith("flotilla.yml and the templates are valid: 3 packages.\n")


def test_init_with_the_actions_repository_leaves_no_owner_to_fill_in(folder: Path) -> None:
    said = typed("init", "--family", "tool", "--flotilla", "acme/flotilla")
    assert "OWNER" not in said + (folder / ".github/workflows/release.yml").read_text(encoding="utf-8")


def test_init_writes_nothing_where_a_platform_is_wrong(folder: Path) -> None:
    with pytest.raises(FlotillaError, match=re.escape("In npm's words: win32-x64.")):
        typed("init", "--family", "tool", "--platforms", "windows-x64")
    assert not [*folder.iterdir()]


def test_init_overwrites_nothing(folder: Path) -> None:
    typed("init", "--family", "tool")
    before = (folder / "flotilla.yml").read_bytes()
    with pytest.raises(FlotillaError, match=r"flotilla\.yml already exists"):
        typed("init", "--family", "other")
    assert (folder / "flotilla.yml").read_bytes() == before


def test_a_rehearsal_of_missing_artifacts_says_so_before_it_installs_anything(folder: Path) -> None:
    typed("init", "--family", "@acme/tool", "--platforms", "linux-x64", "linux-arm64")
    (folder / "dist" / "tool-linux-x64").mkdir(parents=True)
    with pytest.raises(FlotillaError) as caught:
        typed("rehearse", "--artifacts", "dist")
    (fault,) = caught.value.faults
    assert "tool-linux-arm64" in fault.text
    assert "tool-linux-x64" in caught.value.advice


def test_a_place_in_a_subfolder_is_named_from_the_top(folder: Path) -> None:
    root = folder / "packages" / "tool"
    (root / "npm").mkdir(parents=True)
    text = 'schema: 1\nfamily: "@acme/tool"\nplatforms: [linux-x64]\nci: {workflow: ci.yml, artifact: "tool-{build}"}\n'
    (root / "flotilla.yml").write_text(text + "packages: {platform: {template: npm}}\n", encoding="utf-8")
    (root / "npm" / "package.json").write_text("{", encoding="utf-8")
    with pytest.raises(FlotillaError) as caught:
        typed("check", "--config", "packages/tool/flotilla.yml")
    assert str(caught.value).startswith("packages/tool/npm/package.json:1:2: is not JSON")
    (root / "flotilla.yml").write_text("schema: 2\n", encoding="utf-8")
    with pytest.raises(FlotillaError, match=r"packages/tool/flotilla\.yml:1:9: schema is"):
        typed("check", "--config", "packages/tool/flotilla.yml")


def test_a_flotilla_yml_that_is_a_link_is_read_and_templates_are_found_beside_the_link(folder: Path) -> None:
    (folder / "config").mkdir()
    typed("init", "--family", "@acme/tool", "--platforms", "linux-x64")
    (folder / "flotilla.yml").rename(folder / "config" / "family.yml")
    (folder / "flotilla.yml").symlink_to("config/family.yml")
    assert typed("check").startswith("flotilla.yml and the templates are valid: 2 packages.")


def family_file(folder: Path, *platforms: str) -> None:
    listed = "".join(f"  - {platform}\n" for platform in platforms)
    text = (
        f'schema: 1\nfamily: "@acme/tool"\nplatforms:\n{listed}ci: {{workflow: ci.yml, artifact: "tool-{{build}}"}}\n'
    )
    (folder / "flotilla.yml").write_text(text, encoding="utf-8")


@pytest.mark.parametrize("command", ["plan", "check"])
def test_a_platform_word_that_node_lacks_is_warned_of_with_its_place(folder: Path, command: str) -> None:
    family_file(folder, "darwn-arm64", "linux-x64")
    first = typed(command).splitlines()[0]
    assert first.startswith("warning: ")
    assert "flotilla.yml:4:5: " in first
    assert 'did you mean "darwin"?' in first


def test_a_plan_for_machines_holds_the_warnings(folder: Path) -> None:
    family_file(folder, "darwn-arm64")
    warning, *_ = json.loads(typed("plan", "--json"))["warnings"]
    assert "darwn" in warning


def test_a_plan_tells_whose_binaries_are_not_checked(folder: Path) -> None:
    family_file(folder, "linux-x64", "{name: android-arm, binaries: none}", "{name: win32-arm64, binaries: unchecked}")
    said = typed("plan").splitlines()
    assert [line.split(":")[0] for line in said if "binaries: " in line] == [
        "@acme/tool-android-arm",
        "@acme/tool-win32-arm64",
    ]
    packages = json.loads(typed("plan", "--json"))["packages"]
    assert [package.get("binaries") for package in packages] == ["check", "none", "unchecked", None]
