"""The files of a package: which go in, with which mode, and what is refused before any is packed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.packing.conftest import Zig, upx_program

from flotilla.errors import PackageError
from flotilla.family import Package, Platform
from flotilla.family.entry_points import launcher_fields
from flotilla.family.model import Binaries, Launcher, Variant
from flotilla.packing import PackageFiles, package_files

LINUX = Platform(name="linux-x64", os=("linux",), cpu=("x64",), libc=("glibc",), build="linux-x64")
MANIFEST = {"name": "@acme/tool-linux-x64", "version": "1.0.0", "description": "caf\u00e9", "license": "MIT"}

ARTIFACT = {"lib/libacme.so", "versions.json"}

Build = Callable[..., PackageFiles]


def package(**fields: Any) -> Package:
    given = {"kind": "platform", "name": MANIFEST["name"], "version": "1.0.0", "platform": LINUX, "variant": Variant()}
    return Package(**{**given, "artifact": "a", "template": "npm", **fields})


def put(root: Path, files: Mapping[str, bytes | str | Path]) -> Path:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        data = content.read_bytes() if isinstance(content, Path) else content
        path.write_bytes(data.encode() if isinstance(data, str) else data)
        path.chmod(0o644)
    root.mkdir(exist_ok=True)
    return root


def modes(files: PackageFiles) -> dict[str, int]:
    return {path: entry.mode for path, entry in files.contents.items()}


@pytest.fixture
def template(tmp_path: Path) -> Path:
    return put(tmp_path / "template", {"package.json": '{"name": "old"}', "README.md": "# tool", "LICENSE": "MIT"})


@pytest.fixture
def content(tmp_path: Path, zig: Zig) -> Path:
    return put(tmp_path / "content", {"lib/libacme.so": zig.shared("linux-x64"), "versions.json": "{}"})


@pytest.fixture
def build(template: Path, content: Path) -> Build:
    def run(manifest: Mapping[str, object] = MANIFEST, **fields: Any) -> PackageFiles:
        return package_files(package(**fields), manifest, template=template, content=content)

    return run


def refusals(build: Build, **arguments: Any) -> list[str]:
    """Return the faults of a build that must fail, without the package's name."""
    with pytest.raises(PackageError) as caught:
        build(**arguments)
    assert all(str(fault).startswith("@acme/tool-linux-x64: ") for fault in caught.value.faults)
    return [str(fault).removeprefix("@acme/tool-linux-x64: ") for fault in caught.value.faults]


def test_a_package_holds_the_template_the_content_and_the_rendered_manifest(build: Build) -> None:
    folder = build()
    assert set(folder.contents) == {"package.json", "README.md", "LICENSE", "lib/libacme.so", "versions.json"}
    assert (folder.name, folder.version) == ("@acme/tool-linux-x64", "1.0.0")
    written = folder.texts["package.json"]
    assert written == (json.dumps(MANIFEST, indent=2, ensure_ascii=False) + "\n").encode()
    assert list(json.loads(written)) == list(MANIFEST)


def test_each_file_is_known_by_its_size_and_digest_and_none_is_copied(build: Build, tmp_path: Path) -> None:
    before = sorted(tmp_path.rglob("*"))
    files = build()
    read = {path: file.read_bytes() for path, file in files.files.items()} | dict(files.texts)
    assert {path: (entry.size, entry.sha256) for path, entry in files.contents.items()} == {
        path: (len(data), hashlib.sha256(data).hexdigest()) for path, data in read.items()
    }
    assert sorted(tmp_path.rglob("*")) == before


def test_files_chooses_by_pattern_by_folder_and_with_dotfiles(build: Build, content: Path) -> None:
    put(content, {"lib/.hidden/x": "x", "include/acme.h": "", "include/deep/b.h": "", "src/a.c": "", "doc/a.md": ""})
    folder = build(files=("lib/**", "./include/", "*.json", "src/*.{c,h}"))
    chosen = set(folder.contents) - {"package.json", "README.md", "LICENSE"}
    assert chosen == {
        "lib/libacme.so",
        "lib/.hidden/x",
        "include/acme.h",
        "include/deep/b.h",
        "versions.json",
        "src/a.c",
    }


def test_what_is_plainly_executable_is_0755_and_all_else_0644(
    build: Build, content: Path, template: Path, zig: Zig
) -> None:
    put(
        content, {"program": zig.program("linux-x64"), "tools/own-bit": "x", "tools/plain": "x", "named/by-config": "x"}
    )
    put(template, {"cli.js": "#!/usr/bin/env node", "scripts/run": "x"})
    (content / "tools/own-bit").chmod(0o744)
    (template / "README.md").chmod(0o664)
    manifest = {**MANIFEST, "bin": {"acme": "./cli.js"}, "directories": {"bin": "scripts"}}
    folder = build(manifest, executables=("named/*",))
    executable = {path for path, bits in modes(folder).items() if bits == 0o755}
    assert executable == {"program", "tools/own-bit", "cli.js", "scripts/run", "named/by-config"}
    assert set(modes(folder).values()) == {0o755, 0o644}


def test_a_pattern_of_countless_patterns_is_refused(build: Build) -> None:
    with pytest.raises(PackageError, match="more than 1000 patterns"):
        build(files=("lib/{1..9999}",))


def test_a_shared_library_is_not_executable_for_being_elf(build: Build) -> None:
    assert modes(build())["lib/libacme.so"] == 0o644


@pytest.mark.parametrize("binaries", ["check", "unchecked"])
def test_a_packed_program_keeps_0755_and_its_libc_that_cannot_be_read_is_told(
    build: Build, content: Path, binaries: Binaries
) -> None:
    put(content, {"bin/acme": upx_program()})
    folder = build(platform=replace(LINUX, libc=("musl",), binaries=binaries))
    assert modes(folder)["bin/acme"] == 0o755
    assert [warning.split(" ")[0] for warning in folder.warnings] == (["bin/acme"] if binaries == "check" else [])


def test_a_meta_package_needs_no_content(template: Path) -> None:
    meta = package(kind="meta", platform=None, artifact=None, pins={"@acme/tool-linux-x64": LINUX})
    folder = package_files(meta, MANIFEST, template=template, content=None)
    assert set(folder.contents) == {"package.json", "README.md", "LICENSE"}


def test_a_meta_package_holds_its_generated_launcher(template: Path) -> None:
    launcher = Launcher(bin="acme")
    meta = package(kind="meta", platform=None, artifact=None, pins={"@acme/tool-linux-x64": LINUX}, launcher=launcher)
    manifest = {**MANIFEST, **launcher_fields(meta, {})}
    folder = package_files(meta, manifest, template=template, content=None)
    assert {path for path, mode in modes(folder).items() if mode == 0o755} == {"launcher.cjs"}
    assert {"index.cjs", "index.mjs", "index.d.cts", "index.d.mts"} < set(folder.contents)
    assert "@acme/tool-linux-x64" in folder.texts["launcher.cjs"].decode()


def test_a_file_of_the_templates_is_not_replaced_by_a_generated_one(template: Path) -> None:
    put(template, {"launcher.cjs": "mine"})
    meta = package(kind="meta", platform=None, artifact=None, launcher=Launcher(bin="acme"))
    with pytest.raises(PackageError, match=r"launcher\.cjs is generated"):
        package_files(meta, MANIFEST, template=template, content=None)


def test_a_platform_package_without_the_launchers_program_is_refused(build: Build) -> None:
    with pytest.raises(PackageError, match=r"packages\.meta\.launcher runs other, and none of bin/other\.exe"):
        build(launcher=Launcher(bin="other"))


def test_the_launchers_program_may_be_run(build: Build, content: Path) -> None:
    put(content, {"bin/script": "#!/bin/sh"})
    assert modes(build(launcher=Launcher(bin="script")))["bin/script"] == 0o755


def test_a_package_without_template_is_its_content_and_a_manifest(content: Path) -> None:
    folder = package_files(package(template=None), MANIFEST, template=None, content=content)
    assert set(folder.contents) == {"package.json", "lib/libacme.so", "versions.json"}


def test_what_npm_pack_leaves_out_is_left_out(build: Build, template: Path, content: Path) -> None:
    put(template, {".gitignore": "lib", ".npmignore": "", "package-lock.json": "{}", ".DS_Store": ""})
    put(content, {"lib/._libacme.so": "", "lib/.DS_Store": ""})
    assert set(build().contents) == {"package.json", "README.md", "LICENSE", "lib/libacme.so", "versions.json"}


def test_a_file_of_the_artifact_that_the_manifest_drops_is_left_out_as_npm_does(build: Build, content: Path) -> None:
    put(content, {"debug/secret.txt": "secret"})
    folder = build({**MANIFEST, "files": ["lib"]})
    assert set(folder.contents) == {"package.json", "README.md", "LICENSE", "lib/libacme.so"}
    (notice,) = folder.notices
    assert "debug/secret.txt, versions.json" in notice


def test_a_file_that_flotilla_yml_chooses_and_the_manifest_drops_is_refused_by_name(
    build: Build, content: Path
) -> None:
    put(content, {"debug/secret.txt": "secret"})
    (fault,) = refusals(build, manifest={**MANIFEST, "files": ["lib"]}, files=("lib/**", "debug/*"))
    assert "debug/secret.txt" in fault
    assert "lib/libacme.so" not in fault


def test_the_template_gives_what_npm_would_pack_of_its_folder(build: Build, template: Path) -> None:
    put(template, {"index.js": "", "test/a.js": "", "src/a.ts": "", ".npmignore": "test\n", "LICENSE": "MIT"})
    assert set(build().contents) == {"package.json", "README.md", "LICENSE", "index.js", "src/a.ts", *ARTIFACT}


def test_the_templates_ignore_files_say_nothing_of_the_artifact(build: Build, template: Path) -> None:
    put(template, {".gitignore": "lib\n*.json\n"})
    assert set(build().contents) == {"package.json", "README.md", "LICENSE", *ARTIFACT}


def test_files_of_the_manifest_chooses_among_the_templates_files(build: Build, template: Path) -> None:
    put(template, {"index.js": "", "scripts/pack.js": "", "cli.js": ""})
    folder = build({**MANIFEST, "files": ["lib", "*.json", "index.js"], "bin": "cli.js"})
    assert set(folder.contents) == {"package.json", "README.md", "LICENSE", "index.js", "cli.js", *ARTIFACT}
    assert folder.notices == ()


def test_a_script_of_the_artifact_that_nobody_could_run_is_told_unless_executables_names_it(content: Path) -> None:
    put(content, {"bin/tool": "#!/usr/bin/env node\n", "lib/plain.js": "1\n"})

    def told(*executables: str) -> tuple[str, ...]:
        made = package(template=None, executables=executables)
        return package_files(made, MANIFEST, template=None, content=content).notices

    (notice,) = told()
    assert notice.endswith(": bin/tool")
    assert "`executables`" in notice
    assert told("bin/*") == ()


PEM = "-----BEGIN {}PRIVATE KEY{}-----"
BASE64 = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQ"
KEYS = {
    "a key": f"{PEM.format('', '')}\n{BASE64}\n",
    "OpenSSH's": f"{PEM.format('OPENSSH ', '')}\r\n{BASE64}\r\n",
    "one with a password": f"{PEM.format('RSA ', '')}\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,AA\n\n{BASE64}",
    "OpenPGP's": f"{PEM.format('PGP ', ' BLOCK')}\nVersion: GnuPG v2\n\n{BASE64}",
    "one in JSON": json.dumps({"private_key": f"{PEM.format('', '')}\n{BASE64}"}),
    "PuTTY's": f"PuTTY-User-Key-File-3: ssh-ed25519\r\nEncryption: none\r\nComment: x\r\nPublic-Lines: 2\r\n{BASE64}",
    "PuTTY's of the older kind": f"PuTTY-User-Key-File-2: ssh-rsa\nEncryption: aes256-cbc\nComment: x\n{BASE64}",
    "one behind a megabyte": f"{'x' * ((1 << 20) - 7)}{PEM.format('EC ', '')}\n{BASE64}",
}


@pytest.mark.parametrize("kind", ["platform", "dev", "meta"])
@pytest.mark.parametrize(
    "path",
    [
        *(".env", ".env.local", "conf/.ENV", "id_rsa", "keys/id_ed25519", "a.p12", "a.PFX", ".npmrc"),
        *(".netrc", "home/.NetRC", "_netrc", ".git-credentials", "home/.git-credentials"),
    ],
)
def test_a_file_that_is_named_like_a_secret_is_refused_in_any_package(
    template: Path, content: Path, path: str, kind: str
) -> None:
    put(template, {path: "x"})
    made = package(kind=kind, platform=LINUX if kind == "platform" else None)
    with pytest.raises(PackageError) as caught:
        package_files(made, MANIFEST, template=template, content=content)
    assert [str(fault).split(" ")[1] for fault in caught.value.faults] == [path]


@pytest.mark.parametrize("key", KEYS.values(), ids=KEYS)
def test_a_file_that_holds_a_private_key_is_refused(build: Build, content: Path, key: str) -> None:
    put(content, {"share/notes.txt": key})
    (fault,) = refusals(build)
    assert fault.startswith("share/notes.txt contains a private key")


@pytest.mark.parametrize("form", ["utf-16-le", "utf-16-be"])
def test_a_private_key_that_powershell_redirected_is_refused(build: Build, content: Path, form: str) -> None:
    put(content, {"share/notes.txt": ("\ufeff" + KEYS["a key"]).encode(form)})
    (fault,) = refusals(build)
    assert fault.startswith("share/notes.txt contains a private key")


@pytest.mark.parametrize(
    "text",
    [
        f"{PEM.format('', '')}\0{BASE64}",
        f"{PEM.format('', '')}\n...\n",
        "-----BEGIN CERTIFICATE-----\n" + BASE64,
        "PuTTY-User-Key-File-3: ssh-rsa\n",
        "a file that begins with PuTTY-User-Key-File-2: is one of PuTTY's",
    ],
)
def test_what_only_speaks_of_a_private_key_is_taken(build: Build, content: Path, text: str) -> None:
    put(content, {"share/notes.txt": text, "id_rsa.pub": "ssh-rsa", "environment": ""})
    assert "share/notes.txt" in build().contents


def test_a_binary_that_holds_a_private_key_is_warned_of(build: Build, content: Path, zig: Zig) -> None:
    data = zig.shared("linux-x64").read_bytes() + KEYS["a key"].encode()
    (content / "lib/libacme.so").write_bytes(data)
    (warning,) = build().warnings
    assert warning.startswith("lib/libacme.so ")


def test_all_faults_are_told_at_once(build: Build, template: Path, content: Path, zig: Zig) -> None:
    put(template, {".npmrc": "token", "versions.json": "{}", "node_modules/x/index.js": ""})
    put(
        content,
        {"lib/wrong.node": zig.shared("darwin-arm64"), "lib/empty.node": "", "package.json": "{}", "Readme.md": ""},
    )
    (content / "link").symlink_to("lib")
    found = refusals(build, manifest={**MANIFEST, "main": "index.js"}, files=("**", "missing/**"))
    assert found == [
        "the artifact's link is a link, which npm does not pack",
        (
            '`files` names "missing/**", but nothing in the artifact matches it; it has Readme.md, lib/empty.node, '
            "lib/libacme.so, lib/wrong.node, package.json, versions.json"
        ),
        "both the template and the artifact contain versions.json",
        "the artifact contains a package.json; leave it out of `files` or of the artifact",
        ".npmrc may contain a token, and npm reads it; keep it out of packages",
        "node_modules/x/index.js is in npm's folder for dependencies and would be lost",
        "README.md and Readme.md are the same file on macOS and Windows",
        'main names "index.js", but the package does not contain it',
        "lib/empty.node is empty",
        "lib/wrong.node is Mach-O for darwin arm64, but the package is for linux x64 glibc",
    ]


def test_a_platform_package_without_binaries_is_refused(build: Build) -> None:
    (refusal,) = refusals(build, files=("versions.json",))
    assert refusal.startswith("it contains no binary for linux-x64: ")


@pytest.mark.parametrize("binaries", ["none", "unchecked"])
def test_a_platform_package_without_files_is_refused_however_its_binaries_are_checked(
    tmp_path: Path, binaries: Binaries
) -> None:
    empty = package(platform=replace(LINUX, binaries=binaries))
    with pytest.raises(PackageError, match=r"no file except package\.json"):
        package_files(empty, MANIFEST, template=None, content=put(tmp_path / "empty", {}))


def test_a_dev_package_may_be_without_binaries_but_not_empty(tmp_path: Path, content: Path) -> None:
    dev = package(kind="dev", files=("versions.json",))
    assert "versions.json" in package_files(dev, MANIFEST, template=None, content=content).contents
    empty = put(tmp_path / "empty", {})
    with pytest.raises(PackageError, match=r"no file except package\.json"):
        package_files(package(kind="dev"), MANIFEST, template=None, content=empty)


@pytest.mark.parametrize("name", ["a\\b", "a\nb", "C:x"])
def test_a_name_that_npm_cannot_carry_is_refused(build: Build, template: Path, name: str) -> None:
    put(template, {name: "x"})
    assert len(refusals(build)) == 1


@pytest.mark.parametrize("path", [".npmrc", "lib/.NPMRC", "lib/Node_Modules/x.js", ".GIT/config"])
def test_what_npm_would_read_or_lose_is_refused_in_any_case(build: Build, content: Path, path: str) -> None:
    put(content, {path: "x"})
    assert len(refusals(build)) == 1


@pytest.mark.parametrize("path", ["lib/libacme.so.", "lib./libacme.so", "Lib/libacme.so", "lib/libacme.so "])
def test_a_file_that_windows_or_macos_would_put_over_another_is_refused(
    build: Build, template: Path, path: str
) -> None:
    put(template, {path: "x"})
    assert any("are the same file on macOS and Windows" in fault for fault in refusals(build))


def test_a_gyp_file_among_ci_s_files_cannot_add_an_install_script(build: Build, content: Path) -> None:
    put(content, {"binding.gyp": "{}", "include/common.gypi": "{}", "src/other.gyp": "{}"})
    (fault,) = refusals(build)
    assert fault.startswith("binding.gyp makes npm run node-gyp")


@pytest.mark.parametrize("fields", [{"gypfile": False}, {"scripts": {"install": "node-gyp-build"}}])
def test_a_gyp_file_that_the_manifest_speaks_about_is_taken(
    build: Build, content: Path, fields: Mapping[str, object]
) -> None:
    put(content, {"binding.gyp": "{}"})
    assert "binding.gyp" in build({**MANIFEST, **fields}).contents


def test_a_template_that_is_not_there_is_refused(tmp_path: Path, content: Path) -> None:
    with pytest.raises(PackageError, match="the template's folder missing does not exist"):
        package_files(package(), MANIFEST, template=tmp_path / "missing", content=content)


def test_a_template_that_is_a_link_is_refused(build: Build, template: Path) -> None:
    (template / "NOTICE").symlink_to("/etc/passwd")
    assert refusals(build) == ["the template's NOTICE is a link, which npm does not pack"]


@pytest.mark.parametrize("value", ["\ud800", float("nan"), float("inf")])
def test_a_manifest_that_is_no_json_in_unicode_is_refused(build: Build, value: object) -> None:
    assert refusals(build, manifest={**MANIFEST, "author": value}) == [
        "package.json contains text that is not Unicode, or NaN, which is not JSON"
    ]
