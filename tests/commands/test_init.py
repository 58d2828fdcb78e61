"""What `flotilla init` writes, refuses and leaves alone; tests/init has whole repositories."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from flotilla.errors import FlotillaError
from flotilla.family import Family, parse_config

Refused = Callable[..., FlotillaError]
WORKFLOW = ".github/workflows/release.yml"


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def workflow(path: Path) -> dict[str, Any]:
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert isinstance(document, dict)
    return document


def written(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_an_empty_folder_gets_files_that_parse_and_marks_for_all_that_is_not_known(
    empty: Path, flotilla: Callable[..., str]
) -> None:
    said = flotilla("init", "--family", "@acme/ffmpeg")
    text = (empty / "flotilla.yml").read_text(encoding="utf-8")
    family = Family(parse_config(text), "1.0.0")
    assert [package.name for package in family.packages] == [
        *("@acme/ffmpeg-darwin-arm64", "@acme/ffmpeg-darwin-x64", "@acme/ffmpeg-linux-arm64"),
        *("@acme/ffmpeg-linux-x64", "@acme/ffmpeg"),
    ]
    marked = [line.split(":")[0].strip() for line in text.splitlines() if "# TODO: " in line]
    assert marked == ["platforms", "workflow", "artifact", "launcher"]
    assert all(f"{key}: " in said for key in ("platforms", "ci.workflow", "ci.artifact", "packages.meta.launcher"))
    assert flotilla("plan").startswith("@acme/ffmpeg 1.0.0: 5 packages (4 platforms, 1 variant)")
    warnings = [line for line in flotilla("check").splitlines() if line.startswith("Warning: ")]
    assert warnings == ["Warning: ci.workflow: .github/workflows/ci.yml does not exist."]  # marked, too


def test_the_editor_is_told_the_schema_of_this_version(empty: Path, flotilla: Callable[..., str]) -> None:
    flotilla("init", "--family", "tool", "--flotilla", "acme/flotilla")
    first = (empty / "flotilla.yml").read_text(encoding="utf-8").splitlines()[0]
    assert first.startswith("# yaml-language-server: $schema=https://raw.githubusercontent.com/acme/flotilla/v")
    assert first.endswith("/lib/flotilla/family/flotilla.schema.json")
    assert Path(__file__).parents[2].joinpath("lib/flotilla/family/flotilla.schema.json").is_file()


def test_the_platforms_asked_for_are_those_that_are_written(empty: Path, flotilla: Callable[..., str]) -> None:
    flotilla("init", "--family", "tool", "--platforms", "win32-x64", "linux-x64-musl")
    config = parse_config((empty / "flotilla.yml").read_text(encoding="utf-8"))
    assert [platform.name for platform in config.platforms] == ["win32-x64", "linux-x64-musl"]


def test_the_workflow_calls_the_family_workflow_of_the_repository_asked_for(
    empty: Path, flotilla: Callable[..., str]
) -> None:
    flotilla("init", "--family", "@acme/ffmpeg", "--flotilla", "acme/actions")
    job = workflow(empty / WORKFLOW)["jobs"]["release"]
    assert job["uses"] == "acme/actions/.github/workflows/release-family.yml@v1"
    assert "OWNER/" not in (empty / WORKFLOW).read_text(encoding="utf-8")


@pytest.mark.parametrize("config", ["flotilla.yml", "packages/tool/tool.yml"])
def test_init_overwrites_nothing(empty: Path, flotilla: Callable[..., str], refused: Refused, config: str) -> None:
    (empty / config).parent.mkdir(parents=True, exist_ok=True)
    (empty / config).write_text("mine", encoding="utf-8")
    error = refused("init", "--config", config, "--family", "@acme/ffmpeg")
    assert f"{Path(config).name} already exists" in str(error)
    for preview in ("--diff", "--dry-run"):
        assert "Nothing was written." in flotilla("init", preview, "--config", config, "--family", "@acme/ffmpeg")
    assert written(empty) == {config}
    assert (empty / config).read_text(encoding="utf-8") == "mine"


def test_a_release_workflow_that_exists_is_left_alone_and_another_name_is_taken(
    empty: Path, flotilla: Callable[..., str], refused: Refused
) -> None:
    for name in ("release.yml", "release-npm.yml", "flotilla-release.yml"):
        said = flotilla("init", "--dry-run", "--family", "tool")
        assert f"--- .github/workflows/{name}\n" in said
        (empty / WORKFLOW).parent.mkdir(parents=True, exist_ok=True)
        (empty / WORKFLOW).with_name(name).write_text("on: push\n", encoding="utf-8")
    assert "release-npm.yml already exists" in str(refused("init", "--family", "tool"))


def test_a_workflow_that_uses_flotilla_already_stays_and_gets_no_second_one(
    empty: Path, flotilla: Callable[..., str]
) -> None:
    (empty / WORKFLOW).parent.mkdir(parents=True)
    (empty / WORKFLOW).write_text("jobs: {a: {steps: [{uses: acme/flotilla/action-release@v1}]}}\n", encoding="utf-8")
    assert flotilla("init", "--family", "tool").count("Wrote flotilla.yml.") == 1
    assert written(empty) == {WORKFLOW, "flotilla.yml"}


@pytest.mark.usefixtures("empty")
def test_the_difference_is_what_diff_shows(flotilla: Callable[..., str]) -> None:
    flotilla("init", "--family", "tool")
    assert "No difference." in flotilla("init", "--diff", "--family", "tool")
    said = flotilla("init", "--diff", "--family", "@acme/tool")
    assert '-family: tool\n+family: "@acme/tool"' in said


def test_what_cannot_be_read_is_told_and_the_rest_is_read(empty: Path, flotilla: Callable[..., str]) -> None:
    (empty / "package.json").write_text(json.dumps({"name": "@acme/tool"}), encoding="utf-8")
    (empty / ".goreleaser.yml").write_text("builds: [", encoding="utf-8")
    (empty / "Cargo.toml").write_text("[package", encoding="utf-8")
    (empty / ".github/workflows").mkdir(parents=True)
    (empty / ".github/workflows/ci.yml").write_text("on: {push", encoding="utf-8")
    said = flotilla("init", "--dry-run")
    assert "name in package.json" in said
    assert all(f"- {name}: " in said for name in (".goreleaser.yml", "Cargo.toml", "ci.yml"))


def test_a_link_out_of_the_repository_is_not_read(empty: Path, flotilla: Callable[..., str]) -> None:
    (empty / "secret.json").write_text(json.dumps({"name": "@acme/secret"}), encoding="utf-8")
    (empty / "repository").mkdir()
    (empty / "repository/package.json").symlink_to("../secret.json")
    said = flotilla("init", "--config", "repository/flotilla.yml")
    assert "- package.json: a link to another folder" in said
    assert "@acme/secret" not in said


def test_init_does_not_write_through_a_link(empty: Path, refused: Refused) -> None:
    outside = empty / "outside.yml"
    (empty / "repository").mkdir()
    (empty / "repository/flotilla.yml").symlink_to(outside)
    assert "already exists" in str(refused("init", "--config", "repository/flotilla.yml", "--family", "tool"))
    assert not outside.exists()
    (empty / "elsewhere").mkdir()
    (empty / "other").mkdir()
    (empty / "other/.github").symlink_to("../elsewhere")
    assert "leads out of the repository" in str(refused("init", "--config", "other/flotilla.yml", "--family", "tool"))
    assert written(empty) == set()


def test_no_text_of_a_repository_is_interpreted(empty: Path, flotilla: Callable[..., str]) -> None:
    evil = "a\x1b[2J\u202e\n::error::x ${{ secrets.TOKEN }} # {evil: yes}"
    (empty / "npm").mkdir()
    (empty / "npm/package.json").write_text(json.dumps({"name": "tool", "bin": {evil: "x"}, "license": evil}))
    (empty / ".github/workflows").mkdir(parents=True)
    upload = {"uses": "actions/upload-artifact@v4", "with": {"name": f"{evil}-linux-x64", "path": evil}}
    other = {"uses": "actions/upload-artifact@v4", "with": {"name": f"{evil}-darwin-x64", "path": evil}}
    document = {"on": "push", "jobs": {"build": {"steps": [upload, other, {"run": f"npm publish {evil}"}]}}}
    (empty / ".github/workflows/ci.yml").write_text(json.dumps(document), encoding="utf-8")
    said = flotilla("init")
    assert "\x1b" not in said
    assert "\u202e" not in said
    assert not any(line.startswith("::") for line in said.splitlines())
    parsed = yaml.safe_load((empty / "flotilla.yml").read_text(encoding="utf-8"))
    assert parsed["ci"]["artifact"].endswith("-{build}")
    assert "evil" not in parsed
    assert "secrets.TOKEN" not in (empty / WORKFLOW).read_text(encoding="utf-8").replace("secrets.NPM_TOKEN", "")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--family", "@acme/ffmpeg", "--platforms", "linux-amd64"), 'did you mean "x64"?'),
        (("--family", "@Acme/FFmpeg"), "npm does not allow capital letters"),
        (("--family", "Foo/Bar"), "Correct the answers, --family or --platforms. Nothing was written."),
    ],
)
def test_what_npm_would_not_understand_is_refused_and_nothing_written(
    empty: Path, refused: Refused, arguments: tuple[str, ...], said: str
) -> None:
    assert said in str(refused("init", *arguments))
    assert list(empty.rglob("*")) == []
