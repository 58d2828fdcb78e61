"""Ours against what npm makes of it on the way: its additions are no difference, anything else is."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest
from tests.npm.conftest import Make
from tests.npm.scripted_registry import ScriptedRegistry

from flotilla.npm import Npm, manifest_differences

OURS: dict[str, Any] = {"name": "@acme/tool", "version": "1.0.0"}


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
    ],
)  # fmt: skip
def test_what_npm_adds_or_writes_in_another_way_is_no_difference(ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    assert manifest_differences(OURS | ours, OURS | theirs) == []


@pytest.mark.parametrize(
    ("ours", "theirs", "field"),
    [
        ({}, {"types": "./evil.d.ts"}, "types"),
        ({"typings": "a.d.ts"}, {"typings": "a.d.ts", "types": "./index.d.ts"}, "types"),
        ({}, {"bin": {"tool": "cmd/tool"}}, "bin"),
        ({"directories": {"bin": "cmd"}}, {"bin": {"tool": "evil/tool"}}, "bin"),
        ({"directories": {"bin": "cmd"}}, {"bin": {"node": "cmd/tool"}}, "bin"),
        ({"dependencies": {"x": "acme/x"}}, {"dependencies": {"x": "github:evil/x"}}, "dependencies"),
        ({"dependencies": {"x": "acme/x"}}, {"dependencies": {"x": "gitlab:acme/x"}}, "dependencies"),
        ({"dependencies": {"x": "acme/x#v1"}}, {"dependencies": {"x": "github:acme/x#v2"}}, "dependencies"),
        ({"dependencies": {"x": "npm:@acme/x@1"}}, {"dependencies": {"x": "npm:@evil/x@1"}}, "dependencies"),
        ({"main": "a.js"}, {"main": "b.js"}, "main"),
        ({"os": ["linux"]}, {}, "os"),
    ],
)
def test_anything_else_is_a_difference(ours: dict[str, Any], theirs: dict[str, Any], field: str) -> None:
    found = manifest_differences(OURS | ours, OURS | theirs)
    assert [one.split()[0] for one in found] == [field]


@pytest.mark.npm
def test_a_package_to_which_the_real_npm_adds_fields_is_the_same_afterwards(
    npm: Npm, registry: ScriptedRegistry, make: Make, tmp_path: Path
) -> None:
    manifest = OURS | {
        "main": "index.js",
        "directories": {"bin": "cmd"},
        "dependencies": {"x": "acme/x", "y": "^1.0.0", "z": "https://github.com/acme/z.git#v1"},
    }
    files = {"package.json": json.dumps(manifest), "index.js": "", "index.d.ts": "", "cmd/tool": "", "server.js": ""}
    tarball = tmp_path / "filled.tgz"
    with tarfile.open(tarball, "w:gz") as archive:
        for name, text in files.items():
            entry = tarfile.TarInfo(f"package/{name}")
            entry.size = len(text)
            archive.addfile(entry, io.BytesIO(text.encode()))
    assert npm.publish(make(manifest, tarball=tarball), timeout=60).ok
    published = registry.documents[0]["versions"]["1.0.0"]
    assert published["types"] == "./index.d.ts"
    assert published["bin"] == {"tool": "cmd/tool"}
    assert published["dependencies"]["x"] == "github:acme/x"
    assert manifest_differences(manifest, published) == []
