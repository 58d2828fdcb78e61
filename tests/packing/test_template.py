"""A template that is the repository's root: what npm would pack of it, and nothing that only lies there."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from flotilla.errors import PackageError
from flotilla.family import Package
from flotilla.family.model import Variant
from flotilla.packing import PackageFiles, package_files
from flotilla.rehearsal.node import node, npm

META = Package(
    kind="meta",
    name="@acme/tool",
    version="1.0.0",
    platform=None,
    variant=Variant(),
    artifact=None,
    template=".",
)
MANIFEST: dict[str, object] = {
    "name": "@acme/tool",
    "version": "1.0.0",
    "main": "index.js",
    "napi": {"binaryName": "tool", "targets": ["x86_64-unknown-linux-gnu"]},
    "scripts": {"build": "napi build"},
    "devDependencies": {"@napi-rs/cli": "^3.0.0"},
}
FILES = {
    ".git/HEAD": "ref: refs/heads/main\n",
    ".github/workflows/ci.yml": "on: push\n",
    ".gitignore": "target/\n*.node\n/dist/\nnode_modules\n",
    "Cargo.toml": "[package]\n",
    "LICENSE": "MIT\n",
    "README.md": "# tool\n",
    "dist/cli.js": "1\n",
    "index.js": "module.exports = 1\n",
    "index.d.ts": "export {}\n",
    "node_modules/left-pad/index.js": "1\n",
    "node_modules/left-pad/package.json": "{}\n",
    "package-lock.json": "{}\n",
    "packages/other/package.json": '{"name": "other", "version": "1.0.0"}\n',
    "packages/other/.gitignore": "secret.txt\n",
    "packages/other/secret.txt": "x\n",
    "packages/other/index.js": "1\n",
    "src/lib.rs": "// 1\n",
    "target/release/tool": "built\n",
    "tool.linux-x64-gnu.node": "built\n",
    "yarn.lock": "\n",
}
SELECTIONS: Mapping[str, tuple[dict[str, object], dict[str, str]]] = {
    "nothing said": ({}, {}),
    "files": ({"files": ["index.d.ts", "dist", "packages/**"]}, {}),
    "files that name a folder which git ignores": ({"files": ["dist/*.js", "target"]}, {}),
    "an npmignore": ({}, {".npmignore": "src\n.github\nCargo.*\n"}),
    # npm reads no ignore file below the root of workspaces; such a file counts here, as it does anywhere else.
    "workspaces": ({"workspaces": ["packages/*"]}, {"packages/other/.gitignore": ""}),
    "an npmignore that forgets what git ignores": ({}, {".npmignore": "node_modules\n"}),
}


def repository(at: Path, manifest: Mapping[str, object], more: Mapping[str, str]) -> Path:
    for path, text in {**FILES, **more, "package.json": json.dumps(manifest)}.items():
        (at / path).parent.mkdir(parents=True, exist_ok=True)
        (at / path).write_text(text, encoding="utf-8")
    (at / "AGENTS.md").symlink_to("README.md")
    (at / "docs").symlink_to("src")
    return at


def built(root: Path, manifest: Mapping[str, object], **more: Path) -> PackageFiles:
    return package_files(META, manifest, template=root, content=more.get("content"), beside=[root / "out"])


def npm_packs(root: Path) -> set[str]:
    argv = [*npm(), "pack", "--dry-run", "--json", "--ignore-scripts", "--offline", "--loglevel=silent"]
    environment = {"HOME": str(root.parent), "PATH": f"{node().parent}:/usr/bin:/bin"}
    done = subprocess.run(argv, cwd=root, env=environment, capture_output=True, text=True, check=True)
    answer = json.loads(done.stdout)
    (report,) = answer.values() if isinstance(answer, dict) else answer
    return {file["path"] for file in report["files"]}


@pytest.mark.npm
@pytest.mark.parametrize("selection", SELECTIONS)
def test_the_repositorys_root_is_packed_as_npm_packs_it(selection: str, tmp_path: Path) -> None:
    fields, more = SELECTIONS[selection]
    manifest = {**MANIFEST, **fields}
    root = repository(tmp_path / "repository", manifest, more)
    assert set(built(root, manifest).contents) == npm_packs(root)


def test_the_roots_own_configuration_stays_in_the_manifest(tmp_path: Path) -> None:
    folder = built(repository(tmp_path / "repository", MANIFEST, {}), MANIFEST)
    assert json.loads(folder.texts["package.json"]) == MANIFEST


def test_what_lies_in_the_root_and_is_not_of_the_repository_is_not_packed(tmp_path: Path) -> None:
    root = repository(tmp_path / "repository", MANIFEST, {"out/flotilla-ledger.json": "{}", "lib/out/a.js": "1"})
    files = set(built(root, MANIFEST).contents)
    assert "lib/out/a.js" in files
    assert not [path for path in files if path.startswith(("out/", ".git/", "node_modules/", "target/"))]


def test_a_link_that_npm_would_drop_is_told(tmp_path: Path) -> None:
    (notice,) = built(repository(tmp_path / "repository", MANIFEST, {}), MANIFEST).notices
    assert "AGENTS.md, docs" in notice
    manifest = {**MANIFEST, "files": ["index.d.ts"]}
    assert built(repository(tmp_path / "other" / "repository", manifest, {}), manifest).notices == ()


def test_a_file_that_a_build_left_in_the_root_is_the_artifacts(tmp_path: Path) -> None:
    content = tmp_path / "content"
    content.mkdir()
    (content / "index.js").write_text("generated", encoding="utf-8")
    manifest = {**MANIFEST, "files": ["index.d.ts"]}
    folder = built(repository(tmp_path / "repository", manifest, {}), manifest, content=content)
    assert folder.files["index.js"].read_text(encoding="utf-8") == "generated"
    assert any("index.js" in notice for notice in folder.notices)


@pytest.mark.parametrize("path", [".env", "certs/id_rsa", "binding.gyp"])
def test_what_no_package_may_hold_is_refused_in_the_root_too(path: str, tmp_path: Path) -> None:
    with pytest.raises(PackageError, match=path):
        built(repository(tmp_path / "repository", MANIFEST, {path: "x"}), MANIFEST)
    manifest = {**MANIFEST, "files": ["index.d.ts"]}
    built(repository(tmp_path / "other" / "repository", manifest, {path: "x"}), manifest)
