"""Ours against what npm makes of it on the way: its additions are no difference, anything else is."""

from __future__ import annotations

import io
import json
import os
import re
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.npm.conftest import Make
from tests.npm.scripted_registry import ScriptedRegistry, ScriptedSigstore

from flotilla.npm import Npm, PublishedVersion, version_differences
from flotilla.npm.manifest_diff import NOT_COMPARED, as_published, manifest_differences
from flotilla.rehearsal.node import default_cache, node, node_modules

OURS: dict[str, Any] = {"name": "@acme/tool", "version": "1.0.0"}
REGISTRY = "https://registry.example/"
TARBALL = "https://registry.example/@acme/tool/-/tool-1.0.0.tgz"


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ({}, {"types": "./index.d.ts"}),
        ({"main": "lib/tool.cjs"}, {"main": "lib/tool.cjs", "types": "./lib/tool.d.ts"}),
        ({"directories": {"bin": "./cmd/"}}, {"directories": {"bin": "./cmd/"}, "bin": {"tool": "cmd/tool"}}),
        ({"bin": "cli.js"}, {"bin": {"@acme/tool": "cli.js"}}),
        ({"bin": "cli.js"}, {"bin": {"tool": "cli.js"}}),
        ({"bin": ["./cmd/a", "cmd/b"]}, {"bin": {"a": "cmd/a", "b": "cmd/b"}}),
        ({"dependencies": {"x": "acme/x#v1"}}, {"dependencies": {"x": "github:acme/x#v1"}}),
        ({"dependencies": {"x": "https://github.com/acme/x"}}, {"dependencies": {"x": "git+https://github.com/acme/x.git"}}),
        ({"dependencies": {"x": "git@github.com:acme/x.git#v1"}}, {"dependencies": {"x": "git+ssh://git@github.com/acme/x.git#v1"}}),
        ({"dependencies": {}, "os": []}, {"_id": "@acme/tool@1.0.0", "dist": {}, "gitHead": "x"}),
        ({}, {"_npmUser": {"name": "x"}, "maintainers": [{"name": "x"}], "directories": {}, "deprecated": "use 2"}),
        ({}, {"_hasShrinkwrap": False, "hasInstallScript": False, "contributors": [], "readme": "x"}),
        ({"scripts": {"install": "x"}}, {"scripts": {"install": "x"}, "hasInstallScript": True}),
        ({}, {"scripts": {"start": "node server.js"}}),
    ],
)  # fmt: skip
def test_what_npm_adds_or_writes_in_another_way_is_no_difference(ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    assert manifest_differences(OURS | ours, OURS | theirs) == []


@pytest.mark.parametrize(
    ("ours", "theirs", "field"),
    [
        ({}, {"scripts": {"postinstall": "node evil.js"}}, "scripts.postinstall"),
        ({}, {"scripts": {"install": "node evil.js"}, "gypfile": True}, "scripts.install"),
        ({}, {"scripts": {"install": "node-gyp rebuild"}}, "scripts.install"),
        ({}, {"scripts": {"install": "node-gyp rebuild"}, "gypfile": True}, "scripts.install"),
        ({}, {"scripts": {"install": "node-gyp rebuild"}, "gypfile": True, "hasInstallScript": True}, "gypfile"),
        ({"gypfile": False}, {"scripts": {"install": "node-gyp rebuild"}, "gypfile": True}, "gypfile"),
        ({}, {"hasInstallScript": True}, "hasInstallScript"),
        ({}, {"bundleDependencies": ["evil"]}, "bundleDependencies"),
        ({}, {"bundledDependencies": ["evil"]}, "bundleDependencies"),
        ({}, {"name": "@acme/other"}, "name"),
        ({}, {"version": "1.0.1"}, "version"),
        ({}, {"overrides": {"x": "1"}}, "overrides.x"),
        ({}, {"publishConfig": {"registry": "https://evil.example/"}}, "publishConfig.registry"),
        ({}, {"repository": {"type": "git", "url": "https://github.com/evil/x"}}, "repository.type"),
        ({}, {"homepage": "https://evil.example/"}, "homepage"),
        ({}, {"something": 1}, "something"),
        ({"something": True}, {"something": 1}, "something"),
        ({"scripts": {"postinstall": "x"}}, {}, "scripts.postinstall"),
        ({"repository": "acme/x"}, {"repository": {"type": "git", "url": "github:evil/x"}}, "repository.url"),
        ({}, {"types": "./evil.d.ts"}, "types"),
        ({"typings": "a.d.ts"}, {"typings": "a.d.ts", "types": "./index.d.ts"}, "types"),
        ({}, {"bin": {"tool": "cmd/tool"}}, "bin.tool"),
        ({"directories": {"bin": "cmd"}}, {"directories": {"bin": "cmd"}, "bin": {"tool": "evil/tool"}}, "bin.tool"),
        ({"directories": {"bin": "cmd"}}, {"directories": {"bin": "cmd"}, "bin": {"node": "cmd/tool"}}, "bin.node"),
        ({"dependencies": {"x": "acme/x"}}, {"dependencies": {"x": "github:evil/x"}}, "dependencies.x"),
        ({"dependencies": {"x": "acme/x"}}, {"dependencies": {"x": "gitlab:acme/x"}}, "dependencies.x"),
        ({"dependencies": {"x": "acme/x#v1"}}, {"dependencies": {"x": "github:acme/x#v2"}}, "dependencies.x"),
        ({"dependencies": {"x": "npm:@acme/x@1"}}, {"dependencies": {"x": "npm:@evil/x@1"}}, "dependencies.x"),
        ({"main": "a.js"}, {"main": "b.js"}, "main"),
        ({"os": ["linux"]}, {}, "os"),
    ],
)  # fmt: skip
def test_anything_else_is_a_difference(ours: dict[str, Any], theirs: dict[str, Any], field: str) -> None:
    found = manifest_differences(OURS | ours, OURS | theirs)
    assert field in [one.split()[0] for one in found]


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ({}, {"scripts": {"install": "node-gyp rebuild"}, "gypfile": True}),
        ({}, {"scripts": {"install": "node-gyp rebuild"}, "gypfile": True, "hasInstallScript": True}),
        ({}, {"scripts": {"start": "node server.js"}}),
        ({}, {"types": "./index.d.ts"}),
        ({"directories": {"bin": "cmd"}}, {"directories": {"bin": "cmd"}, "bin": {"tool": "cmd/tool"}}),
        ({"directories": {"man": "man"}}, {"directories": {"man": "man"}, "man": ["man/tool.1"]}),
        ({}, {"description": "words"}),
    ],
)
def test_what_npm_adds_by_a_file_is_a_difference_if_the_package_has_no_such_file(
    ours: dict[str, Any], theirs: dict[str, Any]
) -> None:
    there = {"binding.gyp", "server.js", "index.d.ts", "cmd/tool", "man/tool.1", "README.md"}
    assert manifest_differences(OURS | ours, OURS | theirs, there) == []
    assert manifest_differences(OURS | ours, OURS | theirs, {"package.json", "lib/binding.gyp"}) != []


def test_a_value_of_somebody_else_s_is_shown_short_and_escaped() -> None:
    (line,) = manifest_differences(OURS, OURS | {"x\x1b[2J": "\x1b" + "y" * 10_000})
    assert "\x1b" not in line
    assert len(line) < 300
    many = {f"k{number}": "1" for number in range(100)}
    assert len(manifest_differences(OURS, OURS | {"dependencies": many})) == 6


@pytest.mark.parametrize(
    "url",
    [
        "",
        "x",
        "ftp://registry.example/@acme/tool/-/tool-1.0.0.tgz",
        "https://evil.example/@acme/tool/-/tool-1.0.0.tgz",
        "https://registry.example.evil.example/@acme/tool/-/tool-1.0.0.tgz",
        "https://registry.example@evil.example/@acme/tool/-/tool-1.0.0.tgz",
        "https://x@registry.example/@acme/tool/-/tool-1.0.0.tgz",
        "https://registry.example:8443/@acme/tool/-/tool-1.0.0.tgz",
        "https://registry.example/@acme/other/-/tool-1.0.0.tgz",
        "https://registry.example/@acme/tool/-/tool-1.0.1.tgz",
        "https://registry.example/@acme/tool/-/other-1.0.0.tgz",
        "https://registry.example/@evil/x/-/../../../@acme/tool/-/tool-1.0.0.tgz",
        "https://registry.example/evil/@acme/tool/-/tool-1.0.0.tgz",
        "https://registry.example/@acme/tool/-/tool-1.0.0.tgz?x",
        "https://registry.example/@acme/tool/-/tool-1.0.0.tgz#x",
        "https://registry.example:x/@acme/tool/-/tool-1.0.0.tgz",
    ],
)
def test_a_tarball_elsewhere_beside_the_same_bytes_is_a_difference(url: str) -> None:
    published = PublishedVersion(
        name="@acme/tool", version="1.0.0", integrity="sha512-AAAA", tarball=url, manifest=OURS
    )
    (line,) = version_differences(OURS, "sha512-AAAA", published, registry=REGISTRY)
    assert line.startswith("dist.tarball")


def test_another_integrity_is_a_difference() -> None:
    published = PublishedVersion(
        name="@acme/tool", version="1.0.0", integrity="sha512-BBBB", tarball=TARBALL, manifest=OURS
    )
    (line,) = version_differences(OURS, "sha512-AAAA", published, registry=REGISTRY)
    assert line.startswith("dist.integrity")
    assert version_differences(OURS, "sha512-BBBB", published, registry=REGISTRY) == []


# What npm fills in, cleans up or leaves as it is, in many forms.
PACKAGES: dict[str, tuple[dict[str, Any], dict[str, str]]] = {
    "nothing": ({}, {}),
    "filled": (
        {
            "main": "index.js",
            "directories": {"bin": "cmd", "man": "man"},
            "dependencies": {"x": "acme/x", "y": "^1.0.0", "z": "https://github.com/acme/z.git#v1"},
            "repository": "acme/tool",
        },
        {
            **dict.fromkeys(("index.js", "index.d.ts", "cmd/tool", "server.js", "binding.gyp", "man/tool.1"), ""),
            "README.md": "# tool\n\nDoes things.\n",
            "AUTHORS": "A Maintainer <a@acme.example>\n# no one\n",
        },
    ),
    "cleaned": (
        {
            "_private": "x",
            "bin": "./cli.js",
            "man": "./man/a.1",
            "author": "A Maintainer <a@acme.example> (https://acme.example)",
            "contributors": ["B <b@acme.example>"],
            "maintainers": [{"name": "C", "mail": "c@acme.example"}],
            "bugs": "https://acme.example/bugs",
            "homepage": "acme.example",
            "keywords": "a, b",
            "files": ["x", 1, ""],
            "scripts": {"test": "node_modules/.bin/x", "bad": 1},
            "description": "Does things",
            "funding": "https://acme.example/fund",
            "repository": {"type": "git", "url": "git://github.com/acme/tool"},
            "bundledDependencies": ["x"],
            "dependencies": {"x": "1"},
        },
        {"cli.js": "", "node_modules/x/package.json": '{"name": "x", "version": "1.0.0"}'},
    ),
    "objects": (
        {
            "bin": {"@acme/a": "/a.js", "b": "..\\b.js"},
            "author": {"name": "A", "email": "a@acme.example", "web": "https://acme.example"},
            "bugs": {"web": "https://acme.example/bugs", "email": "bugs@acme.example"},
            "repository": {"type": "git", "url": "git@gitlab.com:acme/tool.git", "directory": "npm"},
            "bundleDependencies": False,
            "optionalDependencies": {"@acme/b": "1.0.0"},
            "dependencies": {"g": "gitlab:acme/g", "h": "git+ssh://git@bitbucket.org/acme/h.git#v1", "i": "file:x"},
            "devDependencies": {"d": "https://www.github.com/acme/d/"},
            "peerDependencies": {"p": ">=1"},
            "peerDependenciesMeta": {"p": {"optional": True}},
            "exports": {".": {"types": "./i.d.ts", "default": "./i.js"}},
            "os": ["linux"], "cpu": ["x64"], "libc": ["glibc"], "engines": {"node": ">=20"},
            "publishConfig": {"access": "public"}, "config": {"a": 1}, "overrides": {"y": "2"}, "workspaces": ["w"],
            "license": "MIT", "sideEffects": False, "type": "module", "scripts": {"install": "node i.js"},
        },
        {"a.js": "", "b.js": "", "i.js": "", "i.d.ts": "", "binding.gyp": ""},
    ),
    "odd": (
        {
            "repository": {"type": "git", "url": "https://git.acme.example/tool.git"},
            "bugs": "bugs@acme.example",
            "bundleDependencies": True,
            "dependencies": {"x": "1"},
            "types": "",
            "gypfile": False,
            "modules": ["x"],
            "homepage": 1,
            "description": 1,
            "keywords": ["a", 1],
            "scripts": "x",
            "repositories": ["acme/tool"],
        },
        {"x.gyp": "", "index.d.ts": "", "README": "Words.", "node_modules/x/package.json": '{"name": "x"}'},
    ),
}  # fmt: skip


@pytest.fixture(params=["npm 11", "npm 12"])
def either_npm(request: pytest.FixtureRequest, environment: dict[str, str], compile_cache: str) -> Npm:
    """Return the npm of the image, and the newest one."""
    if request.param == "npm 11":
        executable: tuple[str, ...] = request.getfixturevalue("npm_executable")
    else:
        modules = node_modules(
            default_cache(os.environ), environment=os.environ, locks=Path(__file__).with_name("npm12")
        )
        executable = (str(node()), str(modules / "npm" / "bin" / "npm-cli.js"))
    sigstore: ScriptedSigstore = request.getfixturevalue("sigstore")
    npm = Npm(
        executable=executable, environment=environment | sigstore.environment | {"NODE_COMPILE_CACHE": compile_cache}
    )
    assert npm.version().startswith(request.param.removeprefix("npm "))
    return npm


@pytest.mark.npm
@pytest.mark.parametrize("package", PACKAGES)
def test_what_the_real_npm_uploads_is_ours_and_nothing_else_is(
    either_npm: Npm, registry: ScriptedRegistry, make: Make, tmp_path: Path, package: str
) -> None:
    manifest, rest = OURS | PACKAGES[package][0], PACKAGES[package][1]
    files = {"package.json": json.dumps(manifest), **rest}
    tarball = packed(files, tmp_path / "package-to-send.tgz")
    answer = either_npm.publish(make(manifest, tarball=tarball), timeout=60)
    assert answer.ok, answer.log
    published = registry.documents[0]["versions"]["1.0.0"]
    assert manifest_differences(manifest, published, files) == []
    unknown = [line.split()[0] for line in manifest_differences(manifest, published)]
    assert unknown == (["gypfile", "scripts.install"] if "gypfile" in published.keys() - manifest.keys() else [])
    assert as_published(as_published(published)) == as_published(published)
    added = {key for key in published.keys() - manifest.keys() if not key.startswith("_")}
    assert added <= NOT_COMPARED | {
        "types",
        "bin",
        "man",
        "description",
        "homepage",
        "bugs",
        "gypfile",
        "scripts",
        "bundleDependencies",
    }
    others: dict[type, object] = {str: "evil", list: ["evil"], dict: {"url": "evil", "evil": "evil"}}
    for key, value in published.items():
        if not (key.startswith("_") or key in NOT_COMPARED | {"description"}):
            evil = others.get(type(value), "evil")
            assert manifest_differences(manifest, published | {key: evil}, files) != [], key
    assert NOT_COMPARED & added <= {"dist", "readme", "readmeFilename", "contributors"}
    with_script = {**(published.get("scripts") or {}), "postinstall": "node evil.js"}
    assert [
        line.split()[0] for line in manifest_differences(manifest, published | {"scripts": with_script}, files)
    ] == ["scripts.postinstall"]


@pytest.mark.npm
def test_what_npm_is_known_to_add_it_does_add(npm: Npm, registry: ScriptedRegistry, make: Make, tmp_path: Path) -> None:
    manifest, others = OURS | PACKAGES["filled"][0], PACKAGES["filled"][1]
    npm.publish(
        make(manifest, tarball=packed({"package.json": json.dumps(manifest), **others}, tmp_path / "f.tgz")), timeout=60
    )
    published: Mapping[str, Any] = registry.documents[0]["versions"]["1.0.0"]
    assert published["types"] == "./index.d.ts"
    assert published["bin"] == {"tool": "cmd/tool"}
    assert published["man"] == ["man/tool.1"]
    assert published["dependencies"]["x"] == "github:acme/x"
    assert published["scripts"] == {"install": "node-gyp rebuild", "start": "node server.js"}
    assert published["description"] == "Does things."
    assert re.match("https://github.com/acme/tool", published["homepage"])


def packed(files: Mapping[str, str], tarball: Path) -> Path:
    with tarfile.open(tarball, "w:gz") as archive:
        for name, text in files.items():
            entry = tarfile.TarInfo(f"package/{name}")
            entry.size = len(text)
            archive.addfile(entry, io.BytesIO(text.encode()))
    return tarball
