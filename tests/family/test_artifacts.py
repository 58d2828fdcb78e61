"""Artifacts as CI makes them: one for each platform, one for all, with archives or with folders."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from flotilla.family import Archive, Family, Placed, parse_config

FAMILY = """\
schema: 1
family: "@acme/tool"
platforms: [{name: linux-x64, build: linux_amd64}, {name: darwin-arm64, build: darwin_arm64}]
"""


def family(ci: str, more: str = "") -> Family:
    return Family(parse_config(f"{FAMILY}ci: {{workflow: ci.yml, {ci}}}\n{more}"), "1.2.3")


@pytest.mark.parametrize(
    ("ci", "more"),
    [
        ('artifact: "tool-{build}"', ""),
        ('artifact: dist, archive: "tool_{version}_{build}.{tar.gz,zip}"', ""),
        ('artifact: dist, root: "{platform}/release"', ""),
        ("artifact: dist", 'packages: {platform: {files: ["tool-{build}", LICENSE]}}\n'),
    ],
)
def test_platforms_may_share_an_artifact_if_something_tells_their_files_apart(ci: str, more: str) -> None:
    assert len(family(ci, more).packages) == 3


@pytest.mark.parametrize(
    "ci",
    [
        "artifact: dist",
        'artifact: dist, archive: "*.tar.gz"',
        "artifact: dist, root: bin",
        'artifact: dist, archive: "tool_{version}.zip"',
    ],
)
def test_platforms_that_would_have_the_very_same_files_are_refused(ci: str, faults: Callable[[str], list[str]]) -> None:
    (fault,) = faults(f"{FAMILY}ci: {{workflow: ci.yml, {ci}}}\n")
    assert fault.startswith("flotilla.yml:4:34: 2 packages would have the same files")
    assert "linux-x64, darwin-arm64" in fault
    assert "add {build}" in fault


def test_what_is_taken_from_an_artifact_is_rendered_for_each_package() -> None:
    made = family(
        'artifact: dist, archive: "tool_{version}_{build}.tar.gz", strip-components: 1, root: "./{build}/"',
        'packages: {platform: {files: ["lib/{platform}.{a,b}"], executables: ["bin/{os}"]}}\n',
    )
    linux, darwin = made.packages[:2]
    assert linux.archive == Archive(pattern="tool_1.2.3_linux_amd64.tar.gz", strip_components=1)
    assert (linux.artifact, linux.root, linux.files) == ("dist", "linux_amd64", ("lib/linux-x64.{a,b}",))
    assert darwin.executables == ("bin/darwin",)
    assert [need.artifact for need in made.artifacts] == ["dist", "dist"]
    assert [need.archive for need in made.needs_of([darwin])] == [darwin.archive]


def test_the_value_of_a_placeholder_stands_for_itself_in_a_pattern() -> None:
    made = Family(
        parse_config(
            FAMILY.replace("linux_amd64", '"linux[1]"')
            + "ci: {workflow: ci.yml, artifact: x, archive: '{build}.zip'}\n"
        ),
        "1.2.3",
    )
    archive = made.packages[0].archive
    assert archive is not None
    assert archive.pattern == r"linux\[1\].zip"


def test_assets_are_the_archives_of_every_platform_unless_flotilla_yml_says_otherwise() -> None:
    made = family('artifact: dist, archive: "tool_{build}.zip"')
    assert made.asset_patterns == {"tool_{build}.zip": ("tool_linux_amd64.zip", "tool_darwin_arm64.zip")}


def test_the_dev_packages_patterns_are_those_of_the_platform_that_its_files_come_from() -> None:
    made = family(
        'artifact: "tool-{build}"',
        'packages: {dev: {from: {platform: darwin-arm64}, files: ["include-{build}/**"]}}\n',
    )
    (dev,) = made.devs
    assert dev.files == ("include-darwin_arm64/**",)


@pytest.mark.parametrize("pattern", ["{unknown}", "lib/{biuld}"])
def test_an_unknown_placeholder_in_a_pattern_is_refused_with_its_place(
    pattern: str, faults: Callable[[str], list[str]]
) -> None:
    text = (
        f'{FAMILY}ci: {{workflow: ci.yml, artifact: "{{build}}"}}\npackages:\n  platform:\n    files: ["{pattern}"]\n'
    )
    (fault,) = faults(text)
    assert fault.startswith("flotilla.yml:7:13: the placeholder {")


def test_the_same_files_under_other_names_are_the_same_files(faults: Callable[[str], list[str]]) -> None:
    files = 'packages: {platform: {files: [{from: tool, to: "{build}"}]}}'
    (fault,) = faults(f"{FAMILY}ci: {{workflow: ci.yml, artifact: dist}}\n{files}\n")
    assert "2 packages would have the same files" in fault


def test_a_choice_of_files_is_rendered_for_each_package() -> None:
    made = family(
        "artifact: dist",
        'packages: {platform: {files: [{from: "tool-{build}{exe}", to: "bin/tool{exe}"}]}}\n',
    )
    assert made.packages[0].files == (Placed(source="tool-linux_amd64", to="bin/tool"),)
    assert made.packages[0].sources == ("tool-linux_amd64",)


def test_exe_is_the_ending_of_programs_on_windows() -> None:
    text = FAMILY.replace("darwin-arm64", "win32-arm64")
    made = Family(
        parse_config(text + "ci: {workflow: ci.yml, artifact: x}\npackages: {platform: {files: ['{build}{exe}']}}\n"),
        "1.0.0",
    )
    assert [package.files for package in made.packages[:2]] == [("linux_amd64",), ("darwin_arm64.exe",)]


def test_a_placeholder_cannot_lead_the_root_out_of_the_artifact(faults: Callable[[str], list[str]]) -> None:
    text = f"{FAMILY.replace('linux_amd64', '..')}ci: {{workflow: ci.yml, artifact: x, root: '{{build}}'}}\n"
    (fault,) = faults(text)
    assert fault.startswith("flotilla.yml:4:")
    assert "leaves the repository" in fault
