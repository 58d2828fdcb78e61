"""The public interface changes only on purpose: recorded, in the CHANGELOG, and with the version that it takes."""

from __future__ import annotations

import copy
import shutil
from pathlib import Path

import pytest
from scripts import interface
from scripts.interface import BREAKING, MAJOR, MINOR, changes, faults, leaf

CHANGELOG = "# Changelog\n\n## [Unreleased]\n\n{entries}\n\n## [1.0.0] - 2026-01-01\n\n- First.\n"
INPUT = "action-release input"


def test_the_snapshot_is_the_interface_of_today() -> None:
    recorded, now = interface.read(interface.ROOT, interface.SNAPSHOT), interface.interface()
    assert recorded == now, f"the interface changed: {changes(recorded, now)}; run `make snapshot` and do what it says"


def test_every_change_since_the_release_is_in_the_changelog_and_has_its_version() -> None:
    assert interface.open_faults() == []


def test_the_snapshot_holds_all_that_a_consumer_builds_on() -> None:
    now = interface.interface()
    assert now["action-publish-platform input platform"] == {"required": True}
    assert now["action-release input config"] == {"default": "flotilla.yml"}
    assert "action-release output run-id" in now
    assert now["flotilla.yml schema"] == {"required": True, "const": 1}
    assert "flotilla.yml platforms[].glibc" in now
    assert {"exit code 0", "exit code 1", "exit code 70"} <= now.keys()
    assert "description" not in str(list(now.values()))


@pytest.mark.parametrize(
    ("old", "new", "size"),
    [
        ({}, {f"{INPUT} x": {"default": ""}}, MINOR),
        ({f"{INPUT} y": {}}, {f"{INPUT} y": {}, f"{INPUT} x": {"required": True}}, MAJOR),
        ({}, {f"{INPUT} x": {"required": True}}, MINOR),
        ({f"{INPUT} x": {"default": ""}}, {}, MAJOR),
        ({f"{INPUT} x": {"default": "a"}}, {f"{INPUT} x": {"default": "b"}}, MAJOR),
        ({f"{INPUT} x": {"required": True}}, {f"{INPUT} x": {"required": False}}, MINOR),
        ({"action-release output x": {}}, {}, MAJOR),
        ({}, {"action-release output x": {}}, MINOR),
        ({}, {"flotilla.yml x": {"required": True}}, MAJOR),
        ({}, {"flotilla.yml x": {"required": False}}, MINOR),
        ({}, {"flotilla.yml new": {"required": False}, "flotilla.yml new.x": {"required": True}}, MINOR),
        ({"flotilla.yml ci.y": {}}, {"flotilla.yml ci.y": {}, "flotilla.yml ci.x": {"required": True}}, MAJOR),
        ({"flotilla.yml files": {}}, {"flotilla.yml files": {}, "flotilla.yml files[].to": {"required": True}}, MINOR),
        ({"flotilla.yml x": {}}, {"flotilla.yml x": {"dependentRequired": {"y": ["z"]}}}, MINOR),
        (
            {"flotilla.yml x": {}, "flotilla.yml x.y": {}},
            {"flotilla.yml x": {"dependentRequired": {"y": ["z"]}}, "flotilla.yml x.y": {}},
            MAJOR,
        ),
        ({"flotilla.yml x": {"enum": ["a"]}}, {"flotilla.yml x": {"enum": ["b", "a"]}}, MINOR),
        ({"flotilla.yml x": {"enum": ["a", "b"]}}, {"flotilla.yml x": {"enum": ["a"]}}, MAJOR),
        ({"flotilla.yml x": {"type": "string"}}, {"flotilla.yml x": {"type": ["string", "object"]}}, MINOR),
        ({"flotilla.yml x": {"maximum": 10}}, {"flotilla.yml x": {"maximum": 9}}, MAJOR),
        ({"flotilla.yml x": {"maximum": 10}}, {"flotilla.yml x": {"maximum": 11}}, MINOR),
        ({"flotilla.yml x": {}}, {"flotilla.yml x": {"pattern": "^a"}}, MAJOR),
        ({"flotilla.yml x": {"pattern": "^a"}}, {"flotilla.yml x": {}}, MINOR),
        ({"exit code 1": "FlotillaError"}, {"exit code 2": "FlotillaError"}, MAJOR),
    ],
)
def test_what_breaks_a_consumer_takes_a_major_version(
    old: interface.Interface, new: interface.Interface, size: int
) -> None:
    assert max(changes(old, new).values()) == size


def said(entries: str, changed: dict[str, int], version: str = "1.0.0") -> list[str]:
    return faults(changed, released="1.0.0", version=version, changelog=CHANGELOG.format(entries=entries))


def test_a_change_without_an_entry_says_what_to_write_and_where() -> None:
    [fault] = said("- Something else: `y`.", {f"{INPUT} dry-run": MINOR})
    assert "`dry-run`" in fault
    assert "[Unreleased] in CHANGELOG.md" in fault


def test_a_change_with_its_entry_is_fine_until_it_is_released() -> None:
    assert said("- The input `dry-run`.", {f"{INPUT} dry-run": MINOR}) == []


def test_an_entry_of_an_older_version_does_not_count() -> None:
    entries = "\n## [0.9.0] - 2025-01-01\n\n- The input `dry-run`."
    assert said(entries, {f"{INPUT} dry-run": MINOR}) != []


def test_a_breaking_change_says_so() -> None:
    [fault] = said("- `x` is gone.", {f"{INPUT} x": MAJOR})
    assert BREAKING in fault
    assert said(f"- {BREAKING} `x` is gone.", {f"{INPUT} x": MAJOR}) == []


@pytest.mark.parametrize(
    ("size", "version", "enough"),
    [
        (MINOR, "1.0.1", False),
        (MINOR, "1.1.0", True),
        (MINOR, "2.0.0", True),
        (MAJOR, "1.1.0", False),
        (MAJOR, "2.0.0", True),
    ],
)
def test_a_release_has_the_version_that_its_changes_take(size: int, version: str, *, enough: bool) -> None:
    changelog = f"# Changelog\n\n## [{version}] - 2026-01-02\n\n- {BREAKING} `x`.\n"
    found = faults({f"{INPUT} x": size}, released="1.0.0", version=version, changelog=changelog)
    assert (found == []) is enough, found


def test_the_names_of_nested_keys_are_their_whole_path() -> None:
    assert leaf("flotilla.yml platforms[].pin") == "platforms[].pin"
    assert said("- `platforms[].pin`: new.", {"flotilla.yml platforms[].pin": MINOR}) == []
    assert said("- `platforms[].pinned`: new.", {"flotilla.yml platforms[].pin": MINOR}) != []


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Return the files that the snapshot is made of, and a snapshot that fits them, released as 1.0.0."""
    names = [interface.SCHEMA, "lib/flotilla/errors.py"]
    names += [str(file.relative_to(interface.ROOT)) for file in interface.ROOT.glob("action-*/action.yml")]
    names.append("action.yml")
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(interface.ROOT / name, tmp_path / name)
    (tmp_path / "tests/interface").mkdir(parents=True)
    now = interface.interface(tmp_path)
    interface.write(tmp_path, interface.SNAPSHOT, now)
    interface.write(tmp_path, interface.RELEASED, {"version": "1.0.0", "interface": now})
    prepare(tmp_path, "1.0.0", CHANGELOG.format(entries=""))
    return tmp_path


def prepare(root: Path, version: str, changelog: str) -> None:
    (root / "pyproject.toml").write_text(f'[project]\nversion = "{version}"\n', encoding="utf-8")
    (root / "CHANGELOG.md").write_text(changelog, encoding="utf-8")


def test_the_snapshot_of_a_released_version_becomes_the_base_of_the_next(repository: Path) -> None:
    recorded = interface.read(repository, interface.RELEASED)
    older = copy.deepcopy(recorded)
    del older["interface"][f"{INPUT} dry-run"]
    interface.write(repository, interface.RELEASED, older)
    assert interface.main([], repository) == 1
    prepare(repository, "1.0.1", "# Changelog\n\n## [1.0.1] - 2026-01-02\n\n- The input `dry-run`.\n")
    assert interface.main([], repository) == 1
    assert interface.read(repository, interface.RELEASED) == older
    prepare(repository, "1.1.0", "# Changelog\n\n## [1.1.0] - 2026-01-02\n\n- The input `dry-run`.\n")
    assert interface.main([], repository) == 0
    assert interface.read(repository, interface.RELEASED) == {**recorded, "version": "1.1.0"}


def test_a_changed_default_needs_an_entry_that_says_it_breaks(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    action = repository / "action-release/action.yml"
    action.write_text(
        action.read_text(encoding="utf-8").replace("default: flotilla.yml", "default: f.yml"), encoding="utf-8"
    )
    assert interface.main([], repository) == 1
    printed = capsys.readouterr().out
    assert "`config`" in printed
    assert BREAKING in printed
