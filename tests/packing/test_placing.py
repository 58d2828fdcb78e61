"""Where a package puts the files that it takes from an artifact."""

from __future__ import annotations

from pathlib import Path

import pytest

from flotilla.errors import PackageError
from flotilla.family import Package, Placed, Platform
from flotilla.family.model import FileChoice, Variant
from flotilla.packing import package_files
from flotilla.packing.choose_files import taken_files

FILES = ("LICENSE", "biome-linux-x64", "dist/a.node", "dist/lib/a.js", "dist/lib/b/c.js", "dist/lib/[x].js")


def placed(source: str, to: str) -> Placed:
    return Placed(source=source, to=to)


def taken(*choices: FileChoice) -> tuple[dict[str, str], list[str]]:
    files, faults = taken_files({path: Path("/artifact", path) for path in FILES}, choices)
    return {target: path.relative_to("/artifact").as_posix() for target, path in files.items()}, faults


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (placed("biome-linux-x64", "bin/biome"), {"bin/biome": "biome-linux-x64"}),
        (placed("biome-*", "./bin/biome"), {"bin/biome": "biome-linux-x64"}),
        (placed("biome-linux-x64", "bin/"), {"bin/biome-linux-x64": "biome-linux-x64"}),
        (placed("dist/*.node", "./"), {"a.node": "dist/a.node"}),
        (
            placed("dist/lib/**/*.js", "js/"),
            {"js/a.js": "dist/lib/a.js", "js/b/c.js": "dist/lib/b/c.js", "js/[x].js": "dist/lib/[x].js"},
        ),
        (placed("dist/lib/b", "js/"), {"js/c.js": "dist/lib/b/c.js"}),
        (placed("./dist/lib/b/", "js/"), {"js/c.js": "dist/lib/b/c.js"}),
        (placed("dist/{a,z}.node", "lib/"), {"lib/a.node": "dist/a.node"}),
        ("dist/a.node", {"dist/a.node": "dist/a.node"}),
    ],
)
def test_a_choice_puts_files_where_it_says(choice: FileChoice, expected: dict[str, str]) -> None:
    assert taken(choice) == (expected, [])


def test_choices_add_up_and_one_file_may_have_two_places() -> None:
    files, faults = taken("LICENSE", placed("LICENSE", "doc/"), placed("biome-*", "bin/biome"))
    assert files == {"LICENSE": "LICENSE", "doc/LICENSE": "LICENSE", "bin/biome": "biome-linux-x64"}
    assert faults == []


@pytest.mark.parametrize(
    ("pattern", "held"),
    [("a.node", "it has dist/a.node"), ("lib/*.js", "it has dist/lib/[x].js, dist/lib/a.js, dist/lib/b/c.js")],
)
def test_a_pattern_that_matches_nothing_is_told_where_files_of_that_name_are(pattern: str, held: str) -> None:
    _, (fault,) = taken(pattern)
    assert fault.endswith(held)


def test_a_pattern_that_matches_nothing_is_told_what_the_artifact_holds() -> None:
    _, (fault,) = taken("missing/**")
    assert all(name in fault for name in FILES)


@pytest.mark.parametrize(
    ("choices", "culprit"),
    [
        ((placed("biome-darwin", "bin/biome"),), "biome-darwin"),
        ((placed("dist/lib/**", "lib/a.js"),), "would put 3 files at lib/a.js"),
        (("LICENSE", placed("biome-*", "LICENSE")), "two files at LICENSE"),
        ((placed("LICENSE", "x/../../LICENSE"),), "not a path inside the package"),
        ((placed("LICENSE", "../"),), "not a path inside the package"),
        ((placed("LICENSE", "/etc/"),), "not a path inside the package"),
        ((placed("LICENSE", "."),), "not a path inside the package"),
        ((placed("LICENSE", "doc/.DS_Store"),), "npm never packs"),
    ],
)
def test_a_choice_that_cannot_be_is_refused_by_name(choices: tuple[FileChoice, ...], culprit: str) -> None:
    _files, (fault,) = taken(*choices)
    assert culprit in fault


def test_a_renamed_file_keeps_its_mode_and_executables_see_its_new_name(tmp_path: Path) -> None:
    content = tmp_path / "content"
    content.mkdir()
    for name, mode in (("tool-linux", 0o755), ("script", 0o644), ("notes", 0o644)):
        (content / name).write_text("#!/bin/sh\n", encoding="utf-8")
        (content / name).chmod(mode)
    package = Package(
        kind="platform",
        name="@acme/tool-linux-x64",
        version="1.0.0",
        platform=Platform(name="linux-x64", os=("linux",), cpu=("x64",), build="linux-x64", binaries="none"),
        variant=Variant(),
        artifact="a",
        template=None,
        files=(placed("tool-linux", "bin/tool"), placed("script", "scripts/run"), placed("notes", "doc/")),
        executables=("scripts/*",),
    )
    manifest = {"name": "@acme/tool-linux-x64", "version": "1.0.0"}
    folder = package_files(package, manifest, template=None, content=content)
    assert {path: entry.mode for path, entry in folder.contents.items()} == {
        "bin/tool": 0o755,
        "doc/notes": 0o644,
        "package.json": 0o644,
        "scripts/run": 0o755,
    }


def test_a_file_that_is_put_where_the_template_has_one_is_refused(tmp_path: Path) -> None:
    for folder, name in (("content", "a"), ("template", "index.js")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / name).write_text("x", encoding="utf-8")
    package = Package(
        kind="dev", name="d", version="1.0.0", platform=None, variant=None, artifact="a", template="t",
        files=(placed("a", "index.js"),),
    )  # fmt: skip
    with pytest.raises(PackageError, match=r"index\.js"):
        package_files(
            package,
            {"name": "d", "version": "1.0.0"},
            template=tmp_path / "template",
            content=tmp_path / "content",
        )
