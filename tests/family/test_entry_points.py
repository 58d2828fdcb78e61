"""The files that a manifest names."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flotilla.family import nothing_to_use
from flotilla.family.entry_points import NamedFile, is_there, missing_files, named_files


def paths_of(manifest: dict[str, object]) -> list[tuple[str, str]]:
    return [(named.field, named.path) for named in named_files(manifest)]


def test_every_field_that_names_files_is_read() -> None:
    manifest: dict[str, object] = {
        "main": "./lib/index.js",
        "module": "lib/index.mjs",
        "browser": "browser.js",
        "types": "./lib/index.d.ts",
        "typings": "lib/index",
        "bin": "./bin/tool",
        "man": ["./man/tool.1", "man/tool.2"],
        "exports": "./lib/index.js",
        "files": ["lib", "bin/", "/share/**", "!lib/x"],
        "description": "./not/a/file",
    }
    assert paths_of(manifest) == [
        ("main", "lib/index.js"),
        ("types", "lib/index.d.ts"),
        ("typings", "lib/index"),
        ("module", "lib/index.mjs"),
        ("browser", "browser.js"),
        ("bin", "bin/tool"),
        ("exports", "lib/index.js"),
        ("man", "man/tool.1"),
        ("man", "man/tool.2"),
        ("files", "lib"),
        ("files", "bin"),
        ("files", "share/**"),
    ]


def test_exports_are_followed_through_subpaths_conditions_and_fallbacks() -> None:
    exports = {
        ".": {"import": {"types": "./a.d.mts", "default": "./a.mjs"}, "require": ["./a.cjs", None]},
        "./lib/*": "./lib/*.js",
        "./internal/*": None,
        "./package.json": "./package.json",
    }
    assert paths_of({"exports": exports}) == [
        ('exports["."].import.types', "a.d.mts"),
        ('exports["."].import.default', "a.mjs"),
        ('exports["."].require', "a.cjs"),
        ('exports["./lib/*"]', "lib/*.js"),
        ('exports["./package.json"]', "package.json"),
    ]


def test_browser_replacements_name_only_files_of_this_package() -> None:
    assert paths_of({"browser": {"./a.js": "./b.js", "fs": False, "x": "other-package"}}) == [
        ('browser["./a.js"]', "b.js")
    ]


def test_bin_names_a_file_for_each_command() -> None:
    assert paths_of({"bin": {"a": "bin/a", "b": "./bin/b"}}) == [("bin.a", "bin/a"), ("bin.b", "bin/b")]


@pytest.mark.parametrize(
    ("main", "file"),
    [("lib", "lib/index.js"), ("lib", "lib.js"), ("./lib/", "lib/index.node"), (".", "index.js"), ("a.node", "a.node")],
)
def test_main_is_found_as_node_completes_it(main: str, file: str) -> None:
    assert missing_files({"main": main}, [file]) == ()
    assert missing_files({"main": main}, ["other.txt"]) != ()


@pytest.mark.parametrize(
    "entry", ["lib", "lib/", "./lib", "/lib", "lib/**", "lib/*.so", "**/*.so", "lib/x.{so,dll}", "."]
)
def test_an_entry_of_files_may_be_a_file_a_folder_or_a_pattern(entry: str) -> None:
    assert missing_files({"files": [entry]}, ["lib/x.so"]) == ()


@pytest.mark.parametrize("entry", ["include", "lib/*.dll", "x.so", "lib/x"])
def test_an_entry_of_files_that_selects_nothing_is_missing(entry: str) -> None:
    assert missing_files({"files": [entry]}, ["lib/x.so"]) == (
        f'files names "{entry}", but the package does not contain it.',
    )


def test_all_missing_files_are_named_at_once_with_their_fields() -> None:
    assert missing_files({"main": "a.js", "bin": {"x": "../x"}, "exports": {"./y/*": "./y/*.js"}}, ["index.js"]) == (
        'main names "a.js", but the package does not contain it.',
        'bin.x names "../x", but the package does not contain it.',
        'exports["./y/*"] names "y/*.js", but the package does not contain it.',
    )


@pytest.mark.parametrize(
    ("manifest", "paths", "nothing"),
    [
        ({}, [], True),
        ({"main": "", "exports": {}, "bin": None}, ["lib/index.js"], True),
        ({"files": ["x"], "directories": {"lib": "x"}}, ["x"], True),
        ({}, ["index.js"], False),
        ({}, ["index.node"], False),
        ({"main": "a.js"}, [], False),
        ({"exports": {".": "./a.js"}}, [], False),
        ({"bin": {"a": "a.js"}}, [], False),
        ({"directories": {"bin": "bin"}}, [], False),
        ({"types": "a.d.ts"}, [], False),
    ],
)
def test_a_package_without_entry_points_and_index_is_of_no_use(
    manifest: dict[str, object],
    paths: list[str],
    nothing: bool,  # noqa: FBT001
) -> None:
    assert nothing_to_use(manifest, paths) is nothing


@given(st.text("a*/", min_size=1, max_size=8).filter(lambda text: "*" in text), st.text("a/", max_size=8))
def test_a_pattern_of_exports_matches_as_its_regular_expression_would(pattern: str, path: str) -> None:
    expected = re.fullmatch(".+".join(map(re.escape, pattern.split("*"))), path) is not None
    assert is_there(NamedFile(field="exports", path=pattern, form="pattern"), [path]) == expected


def test_a_hostile_manifest_cannot_make_the_search_hang() -> None:
    paths = ["a" * 2_000 + "b"]
    deep: dict[str, object] = {"x": "./a.js"}
    for _level in range(500):
        deep = {"x": deep}
    assert missing_files({"exports": {".": "./" + "a*" * 50 + "c"}}, paths) != ()
    assert missing_files({"files": ["a*" * 50 + "c"]}, paths) != ()
    assert missing_files({"files": ["{a,b}" * 30]}, paths) != ()
    assert named_files({"exports": deep}) == ()


@pytest.mark.parametrize("field", ["main", "module", "browser", "bin", "exports", "types", "typings", "man", "files"])
@pytest.mark.parametrize("value", [None, 1, True, [], {}, [1], {"a": 1}, "", [None], {"": {}}])
def test_a_field_of_another_shape_names_nothing_and_harms_nothing(field: str, value: object) -> None:
    assert named_files({field: value}) == ()
