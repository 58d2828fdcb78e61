from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.faults.artifacts import EXAMPLE

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


def test_init_writes_a_flotilla_yml_that_parses_and_a_workflow(empty: Path, flotilla: Callable[..., str]) -> None:
    said = flotilla("init", "--family", "@acme/ffmpeg")
    assert said.startswith(f"Wrote flotilla.yml and {WORKFLOW}. Next: flotilla plan, flotilla check.\n")
    family = Family(parse_config((empty / "flotilla.yml").read_text(encoding="utf-8")), "1.0.0")
    assert [package.name for package in family.packages] == [
        *("@acme/ffmpeg-darwin-arm64", "@acme/ffmpeg-darwin-x64", "@acme/ffmpeg-linux-arm64"),
        *("@acme/ffmpeg-linux-x64", "@acme/ffmpeg"),
    ]
    assert {need.artifact for need in family.artifacts} == {
        f"ffmpeg-{platform.name}" for platform in family.config.platforms
    }
    assert flotilla("plan").startswith("@acme/ffmpeg 1.0.0: 5 packages (4 platforms, 1 variant)")
    assert flotilla("check").startswith("flotilla.yml and the templates are valid: 5 packages.")


def test_a_new_family_is_told_that_users_can_import_nothing_yet(empty: Path, flotilla: Callable[..., str]) -> None:
    assert "packages.meta" in flotilla("init", "--family", "@acme/ffmpeg")
    for command in ("plan", "check"):
        assert "Warning: @acme/ffmpeg: users can neither import nor run" in flotilla(command)
    (empty / "npm" / "meta").mkdir(parents=True)
    (empty / "npm" / "meta" / "package.json").write_text('{"bin": "ffmpeg.js"}', encoding="utf-8")
    config = (empty / "flotilla.yml").read_text(encoding="utf-8")
    (empty / "flotilla.yml").write_text(config + "packages: {meta: {template: npm/meta}}\n", encoding="utf-8")
    for command in ("plan", "check"):
        assert "Warning" not in flotilla(command)


def test_the_platforms_asked_for_are_those_that_are_written(empty: Path, flotilla: Callable[..., str]) -> None:
    flotilla("init", "--family", "tool", "--platforms", "win32-x64", "linux-x64-musl")
    config = parse_config((empty / "flotilla.yml").read_text(encoding="utf-8"))
    assert [platform.name for platform in config.platforms] == ["win32-x64", "linux-x64-musl"]


def test_the_workflow_is_the_examples_less_the_headers(empty: Path, flotilla: Callable[..., str]) -> None:
    flotilla("init", "--family", "@acme/ffmpeg")
    written, example = workflow(empty / WORKFLOW), workflow(EXAMPLE / WORKFLOW)
    del example["jobs"]["publish-dev"]
    example["jobs"]["publish-meta"]["needs"] = "publish-platform"
    assert written == example


def test_the_workflow_uses_the_actions_of_the_repository_asked_for(empty: Path, flotilla: Callable[..., str]) -> None:
    flotilla("init", "--family", "@acme/ffmpeg", "--flotilla", "acme/actions")
    written = (empty / WORKFLOW).read_text(encoding="utf-8")
    assert "uses: acme/actions/action-release@v1" in written
    assert "OWNER/" not in written


@pytest.mark.parametrize("there", ["flotilla.yml", WORKFLOW])
def test_init_overwrites_nothing(empty: Path, refused: Refused, there: str) -> None:
    (empty / there).parent.mkdir(parents=True, exist_ok=True)
    (empty / there).write_text("mine")
    error = refused("init", "--family", "@acme/ffmpeg")
    assert str(error).startswith(f"{there} already exists\n")
    assert [path for path in empty.rglob("*") if path.is_file()] == [empty / there]
    assert (empty / there).read_text() == "mine"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--family", "@acme/ffmpeg", "--platforms", "linux-amd64"), 'did you mean "x64"?'),
        (("--family", "@Acme/FFmpeg"), "npm does not allow capital letters"),
        (("--family", "Foo/Bar"), "Correct --family or --platforms. Nothing was written."),
    ],
)
def test_what_npm_would_not_understand_is_refused_and_nothing_written(
    empty: Path, refused: Refused, arguments: tuple[str, ...], said: str
) -> None:
    assert said in str(refused("init", *arguments))
    assert list(empty.rglob("*")) == []
