"""Which version may come next, what its notes are, and which tags follow it."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from scripts.release.repository import WORKFLOW, pin, pin_own_actions
from scripts.release.settings import ReleaseError
from scripts.release.versions import Version, check, is_latest, moving_tags

ROOT = Path(__file__).resolve().parents[2]
CHANGELOG = """# Changelog

## [Unreleased]

## [1.4.0] - 2026-02-01

### Added

- New.

## [1.3.2] - 2026-01-01

- Old.

[Unreleased]: https://example.invalid/compare/v1.4.0...HEAD
[1.4.0]: https://example.invalid/releases/tag/v1.4.0
"""
PINNED = f"ghcr.io/owner/flotilla@sha256:{'a' * 64}"


def pyproject(version: str) -> str:
    return f'[project]\nname = "flotilla"\nversion = "{version}"\n'


def test_the_notes_of_a_version_are_its_part_of_the_changelog() -> None:
    assert check("1.4.0", changelog=CHANGELOG, pyproject=pyproject("1.4.0")) == "### Added\n\n- New."


@pytest.mark.parametrize("version", ["1.4", "v1.4.0", "01.4.0", "1.4.0+build", "1.4.0-", "1.4.0\n", "", "latest"])
def test_what_is_no_version_is_refused(version: str) -> None:
    with pytest.raises(ReleaseError, match="expected a version"):
        check(version, changelog=CHANGELOG, pyproject=pyproject(version.strip()))


@pytest.mark.parametrize(
    ("changelog", "declared", "culprit"),
    [
        (CHANGELOG, "1.3.2", "pyproject.toml"),
        (CHANGELOG.replace("### Added\n\n- New.\n\n", ""), "1.4.0", r'nothing under "\[1.4.0\]"'),
        (CHANGELOG.replace("## [Unreleased]\n", "## [Unreleased]\n\n- Later.\n"), "1.4.0", "Unreleased"),
        (CHANGELOG.replace("1.3.2", "1.2.0"), "1.4.0", "after 1.2.0"),
        (CHANGELOG.replace("## [Unreleased]\n", "## [1.5.0] - 2026-03-01\n\n- Later.\n"), "1.4.0", "1.5.0"),
    ],
)
def test_a_commit_that_is_not_ready_is_refused(changelog: str, declared: str, culprit: str) -> None:
    with pytest.raises(ReleaseError, match=culprit):
        check("1.4.0", changelog=changelog, pyproject=pyproject(declared))


def test_versions_are_in_semvers_order() -> None:
    ordered = [
        "0.9.0",
        "1.0.0-alpha",
        "1.0.0-alpha.1",
        "1.0.0-alpha.beta",
        "1.0.0-rc.2",
        "1.0.0-rc.11",
        "1.0.0",
        "1.0.10",
    ]
    for lower, higher in itertools.combinations(ordered, 2):
        assert Version.parse(lower) < Version.parse(higher)


@pytest.mark.parametrize(
    ("version", "there", "moved"),
    [
        ("1.0.0", [], ["v1.0", "v1"]),
        ("1.4.0", ["v1.3.9", "v1.3", "v1", "v0.9.0"], ["v1.4", "v1"]),
        ("1.10.0", ["v1.9.0"], ["v1.10", "v1"]),
        ("1.3.10", ["v1.4.0", "v1.3.9"], ["v1.3"]),
        ("1.3.8", ["v1.4.0", "v1.3.9"], []),
        ("1.4.0", ["v2.0.0"], ["v1.4", "v1"]),
        ("1.4.0", ["v1.5.0-rc.1"], ["v1.4", "v1"]),
        ("1.4.0-rc.1", [], []),
        ("1.4.0", ["v1.4.0", "v1.4", "v1", "release-9.9.9"], ["v1.4", "v1"]),
    ],
)
def test_vx_and_vx_y_move_forward_only(version: str, there: list[str], moved: list[str]) -> None:
    assert moving_tags(version, there) == moved


@pytest.mark.parametrize(
    ("version", "there", "latest"),
    [("1.4.0", ["v1.3.0"], True), ("1.3.1", ["v1.4.0"], False), ("2.0.0-rc.1", ["v1.4.0"], False)],
)
def test_only_the_highest_stable_version_is_the_latest(version: str, there: list[str], *, latest: bool) -> None:
    assert is_latest(version, there) is latest


def test_an_action_names_the_image_by_digest_and_is_else_unchanged() -> None:
    action = "name: a\nruns:\n  using: docker\n  image: ../Dockerfile\n  args: [release]\n"
    assert pin(action, PINNED) == action.replace("../Dockerfile", f"docker://{PINNED}")


@pytest.mark.parametrize("line", [f"  image: docker://{PINNED}\n", "", "  image: Dockerfile\n  image: Dockerfile\n"])
def test_an_action_that_is_pinned_or_has_no_single_image_is_refused(line: str) -> None:
    with pytest.raises(ReleaseError, match="Dockerfile"):
        pin(f"name: a\nruns:\n  using: docker\n{line}", PINNED)


def test_the_reusable_workflow_names_its_own_actions_at_the_releases_tag_and_no_others() -> None:
    text = (ROOT / WORKFLOW).read_text(encoding="utf-8")
    pinned = pin_own_actions(text, repository="acme/flotilla", tag="v1.4.0")
    assert "OWNER/flotilla/action" not in pinned
    assert pinned.count("uses: acme/flotilla/action-") == pinned.count("@v1.4.0\n") == 5
    assert pinned.count("actions/checkout@") == text.count("actions/checkout@")


def test_a_reusable_workflow_without_own_actions_is_refused() -> None:
    with pytest.raises(ReleaseError, match="OWNER/flotilla"):
        pin_own_actions("jobs: {}\n", repository="acme/flotilla", tag="v1.4.0")
