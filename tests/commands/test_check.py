"""flotilla check: the packages that the release would make, from artifacts in a folder."""

from __future__ import annotations

import io
import json
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.packing.conftest import upx_program, xcoff
from tests.world.job_world import packed

from flotilla.commands.check import check, check_text, manifest_doubts
from flotilla.errors import ArtifactError, ConfigError, FlotillaError
from flotilla.family import Family, parse_config
from flotilla.rehearsal.registry import integrity_of

WASM = b"\0asm\x01\0\0\0"


def family(artifact: str, more: str = "") -> Family:
    ci = f'ci: {{workflow: ci.yml, artifact: "{artifact}"{more}}}'
    return Family(parse_config(f'schema: 1\nfamily: "@acme/tool"\nplatforms: [wasm32]\n{ci}\n'), "1.2.3")


def checked(of: Family, root: Path, artifacts: Path | None, *, listing: bool = False) -> str:
    url = "git+https://github.com/acme/tool.git"
    return check_text(check(of, root=root, repository_url=url, artifacts=artifacts), listing=listing)


def zipped(name: str, content: bytes) -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        archive.writestr(name, content)
    return sink.getvalue()


def test_a_folders_modes_count_as_little_as_they_do_after_an_upload(tmp_path: Path) -> None:
    folder = tmp_path / "dist" / "tool-wasm32"
    folder.mkdir(parents=True)
    (folder / "tool.wasm").write_bytes(WASM)
    plain = checked(family("tool-wasm32"), tmp_path, tmp_path / "dist")
    (folder / "tool.wasm").chmod(0o755)
    assert checked(family("tool-wasm32"), tmp_path, tmp_path / "dist") == plain


@pytest.mark.parametrize("name", ["tool.zip", "tool.tgz"])
def test_a_file_of_an_artifacts_whole_name_is_a_raw_artifact(tmp_path: Path, name: str) -> None:
    content = zipped("tool.wasm", WASM) if name.endswith(".zip") else packed({"tool.wasm": WASM})
    (tmp_path / "dist").mkdir()
    (tmp_path / "dist" / name).write_bytes(content)
    said = checked(family(name, f', archive: "*.{name[-3:]}"'), tmp_path, tmp_path / "dist")
    assert "@acme/tool-wasm32  2 " in said


def test_artifacts_that_are_not_there_are_said_together_with_how_they_are_named(tmp_path: Path) -> None:
    (tmp_path / "dist").mkdir()
    with pytest.raises(ArtifactError) as caught:
        checked(family("tool-{build}"), tmp_path, tmp_path / "dist")
    (fault,) = caught.value.faults
    assert "tool-wasm32" in fault.text
    assert str(tmp_path / "dist") in caught.value.advice


def test_a_folder_of_artifacts_that_is_none_is_named(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="nowhere"):
        checked(family("tool-{build}"), tmp_path, tmp_path / "nowhere")


def test_a_link_to_nothing_among_the_artifacts_is_named(tmp_path: Path) -> None:
    (tmp_path / "dist" / "tool-wasm32" / "lib").mkdir(parents=True)
    (tmp_path / "dist" / "tool-wasm32" / "lib" / "tool.so").symlink_to("nowhere.so")
    with pytest.raises(ArtifactError, match=r"tool-wasm32: lib/tool\.so cannot be read: a dangling link"):
        checked(family("tool-wasm32"), tmp_path, tmp_path / "dist")


def settled(tmp_path: Path, more: str) -> str:
    """Return a family of one platform with these sections besides, checked with its artifact."""
    (tmp_path / "dist" / "tool-wasm32").mkdir(parents=True)
    (tmp_path / "dist" / "tool-wasm32" / "tool.wasm").write_bytes(WASM)
    text = 'schema: 1\nfamily: "@acme/tool"\nplatforms: [wasm32]\nci: {workflow: ci.yml, artifact: "tool-{build}"}\n'
    return checked(Family(parse_config(text + more), "1.2.3"), tmp_path, tmp_path / "dist")


def test_what_the_release_refuses_of_assets_and_notes_is_refused_here(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"release\.assets: \*\.tgz matches no file"):
        settled(tmp_path / "a", 'release: {assets: ["*.tgz"]}\n')
    with pytest.raises(ConfigError, match=r"CHANGES\.md: release\.notes cannot be read"):
        settled(tmp_path / "b", "release: {notes: CHANGES.md}\n")
    assert "would have 1 assets" in settled(tmp_path / "c", 'release: {assets: ["*.wasm"], notes: "{tag}.md"}\n')


def test_a_pattern_of_executables_that_matches_nothing_is_told(tmp_path: Path) -> None:
    said = settled(tmp_path, 'packages: {platform: {executables: ["bn/*", "*.wasm"]}}\n')
    assert said.endswith("Warning: packages.platform.executables: bn/* matches no file of any platform package.")


def test_a_packed_program_is_warned_of_by_file_unless_its_binaries_are_unchecked(tmp_path: Path) -> None:
    folder = tmp_path / "dist" / "tool"
    folder.mkdir(parents=True)
    (folder / "acme").write_bytes(upx_program())
    for binaries, warned in (("check", True), ("unchecked", False)):
        item = f"{{name: linux-x64-musl, binaries: {binaries}}}"
        text = f'schema: 1\nfamily: "@acme/tool"\nplatforms: [{item}]\nci: {{workflow: ci.yml, artifact: tool}}\n'
        said = checked(Family(parse_config(text), "1.2.3"), tmp_path, tmp_path / "dist")
        assert ("Warning: @acme/tool-linux-x64-musl: acme is packed" in said) == warned


def test_list_shows_every_file_of_each_package_with_its_size_and_mode(tmp_path: Path) -> None:
    folder = tmp_path / "dist" / "tool"
    (folder / "bin").mkdir(parents=True)
    (folder / "tool.wasm").write_bytes(WASM)
    (folder / "bin" / "run").write_bytes(b"#!/bin/sh")
    made = family("tool", '}\npackages: {platform: {executables: ["bin/*"]}')
    lines = [line.split() for line in checked(made, tmp_path, tmp_path / "dist", listing=True).splitlines()]
    listed = lines[lines.index(["@acme/tool-wasm32:"]) : lines.index(["@acme/tool:"])]
    assert ["tool.wasm", "8", "0644"] in listed
    assert ["bin/run", "9", "0755"] in listed
    assert "package.json" in {line[0] for line in lines[lines.index(["@acme/tool:"]) :] if line}


@pytest.mark.parametrize("options", [["--list"], ["--out", "packages"]])
def test_what_is_about_files_says_without_artifacts_what_it_needs(
    repository: Path, refused: Callable[..., FlotillaError], options: list[str]
) -> None:
    error = refused("check", *options)
    assert error.faults[0].text.startswith(options[0])
    assert "--artifacts DIR" in error.advice
    assert not (repository / "packages").exists()


def test_the_tarballs_are_written_as_npm_pack_names_them_and_are_those_that_are_told(
    repository: Path, artifacts: Path, flotilla: Callable[..., str]
) -> None:
    out = repository.parent / "new" / "packages"
    told = json.loads(flotilla("check", "--artifacts", str(artifacts), "--out", str(out), "--json"))
    assert {file.name for file in out.iterdir()} == {
        f"{one['name'].removeprefix('@').replace('/', '-')}-1.0.0.tgz" for one in told["packages"]
    }
    assert len(told["packages"]) == 13
    for one in told["packages"]:
        data = (out / f"{one['name'].removeprefix('@').replace('/', '-')}-1.0.0.tgz").read_bytes()
        assert (len(data), integrity_of(data)) == (one["size"], one["integrity"])
    assert all(isinstance(one["files"], int) for one in told["packages"])
    floors = {one["name"]: one["floors"] for one in told["packages"]}
    assert floors["@acme/chroma-darwin-x64"]["macos"] == "11.0"
    assert floors["@acme/chroma"] == {}
    listed = json.loads(flotilla("check", "--artifacts", str(artifacts), "--list", "--json"))
    assert ("package.json", "0644") in [(file["path"], file["mode"]) for file in listed["packages"][0]["files"]]
    assert "packages" not in json.loads(flotilla("check", "--json"))


def test_a_folder_for_tarballs_that_cannot_be_one_is_named(
    repository: Path, artifacts: Path, refused: Callable[..., FlotillaError]
) -> None:
    (repository.parent / "taken").write_text("")
    error = refused("check", "--artifacts", str(artifacts), "--out", str(repository.parent / "taken" / "packages"))
    assert "taken" in error.faults[0].text


def test_a_workflow_of_ci_that_is_not_there_is_told_with_the_nearest(
    repository: Path, flotilla: Callable[..., str]
) -> None:
    assert "ci.workflow" not in flotilla("check")
    (repository / ".github/workflows/ci.yml").rename(repository / ".github/workflows/ci.yaml")
    assert "Warning: ci.workflow: .github/workflows/ci.yml does not exist; the nearest is ci.yaml." in flotilla("check")


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        (
            {"scripts": {"postinstall": "x", "install": "y", "test": "z"}},
            "has the scripts install, postinstall; npm",
        ),
        ({"scripts": {"preinstall": "x"}}, "has the script preinstall; npm 12 runs none"),
        ({"license": "Apache 2"}, 'license "Apache 2" in package.json is not an SPDX expression'),
        ({"license": "mit or apache-2.0"}, 'license "mit or apache-2.0" in package.json is written MIT OR Apache-2.0'),
        ({"license": {"type": "MIT"}}, "license in package.json is an object or a list"),
        ({"license": "a" * 500}, "…"),
    ],
)
def test_what_npm_would_not_run_or_understand_of_a_manifest_is_told(fields: dict[str, object], told: str) -> None:
    (doubt,) = manifest_doubts({"@acme/a": fields, "@acme/b": fields})
    assert doubt.startswith("@acme/a, @acme/b: ")
    assert told in doubt
    assert len(doubt) < 300


@pytest.mark.parametrize(
    "license",
    [
        "MIT",
        "(MIT OR Apache-2.0) AND Zlib",
        "UNLICENSED",
        "SEE LICENSE IN LICENSE.md",
        "LicenseRef-Acme",
        "GPL-2.0-or-later",
    ],
)
def test_a_license_that_npm_knows_is_not_doubted(license: str) -> None:  # noqa: A002 - as npm calls it
    assert manifest_doubts({"@acme/a": {"license": license, "scripts": {"test": "x", "prepare": "y"}}}) == []


def test_a_library_that_links_made_several_of_is_told_with_its_cost(tmp_path: Path) -> None:
    folder = tmp_path / "dist" / "tool"
    folder.mkdir(parents=True)
    for name in ("libacme.so", "libacme.so.1", "libacme.so.1.2"):
        (folder / name).write_bytes(xcoff("ppc64"))
    (folder / "libother.so").write_bytes(xcoff("ppc64", flags=0x2002))
    text = 'schema: 1\nfamily: "@acme/tool"\nplatforms: [aix-ppc64]\nci: {workflow: ci.yml, artifact: tool}\n'
    text += "packages: {meta: false}\n"
    (told,) = [
        line
        for line in checked(Family(parse_config(text), "1.2.3"), tmp_path, tmp_path / "dist").splitlines()
        if line.startswith("Warning: ")
    ]
    assert "libacme.so, libacme.so.1, libacme.so.1.2 are full copies" in told
    assert f" {2 * len(xcoff('ppc64'))} bytes" in told


@pytest.mark.parametrize(("name", "doubted"), [("index.js", False), ("loader.js", True)])
def test_a_meta_package_is_doubted_if_its_artifact_brings_nothing_to_import(
    tmp_path: Path,
    name: str,
    doubted: bool,  # noqa: FBT001
) -> None:
    for file in ("tool/tool.wasm", f"javascript/{name}"):
        (tmp_path / "dist" / file).parent.mkdir(parents=True)
        (tmp_path / "dist" / file).write_bytes(WASM)
    made = family("tool", "}\npackages: {meta: {artifact: javascript}")
    said = checked(made, tmp_path, tmp_path / "dist")
    assert ("Warning: @acme/tool: users can neither import nor run" in said) == doubted


def test_a_link_to_nothing_in_an_archive_matters_only_to_a_package_that_takes_it(tmp_path: Path) -> None:
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w:bz2") as archive:
        link = tarfile.TarInfo("share/man/tool.1")
        link.type, link.linkname = tarfile.SYMTYPE, "gone.1"
        archive.addfile(link)
        file = tarfile.TarInfo("tool.wasm")
        file.size = len(WASM)
        archive.addfile(file, io.BytesIO(WASM))
    (tmp_path / "dist").mkdir()
    (tmp_path / "dist" / "tool.tar.bz2").write_bytes(sink.getvalue())
    made = family("tool.tar.bz2", ', archive: "*.bz2"}\npackages: {platform: {files: ["*.wasm"]}')
    assert "@acme/tool-wasm32  2 " in checked(made, tmp_path, tmp_path / "dist")
    made = family("tool.tar.bz2", ', archive: "*.bz2"}\npackages: {platform: {files: ["*.wasm", "share/**"]}')
    with pytest.raises(ArtifactError, match=r"share/man/tool\.1"):
        checked(made, tmp_path, tmp_path / "dist")


PLATFORMS = ("wasm32-a", "wasm32-b")
TO = 'packages: {platform: {files: [{from: "%s", to: "lib/tool.wasm"}]}}'
# How CI uploads the same two files: the config, and what lies in the folder of artifacts.
UPLOADS: dict[str, tuple[str, str, dict[str, bytes]]] = {
    "a folder for each": (
        'artifact: "tool-{build}"',
        TO % "tool.wasm",
        {f"tool-{name}/tool.wasm": WASM for name in PLATFORMS},
    ),
    "a zip for each": (
        'artifact: "tool-{build}"',
        TO % "out/*.wasm",
        {f"tool-{name}.zip": zipped("out/x.wasm", WASM) for name in PLATFORMS},
    ),
    "a raw file for each": (
        'artifact: "tool-{build}.wasm"',
        TO % "tool-{build}.wasm",
        {f"tool-{name}.wasm": WASM for name in PLATFORMS},
    ),
    "a raw archive for each": (
        'artifact: "tool-{build}.tgz", archive: "*.tgz", strip-components: 1',
        TO % "tool.wasm",
        {f"tool-{name}.tgz": packed({"tool.wasm": WASM}) for name in PLATFORMS},
    ),
    "one with all files": (
        "artifact: dist",
        TO % "tool-{build}.wasm",
        {f"dist/tool-{name}.wasm": WASM for name in PLATFORMS},
    ),
    "one with all folders": (
        'artifact: dist, root: "{build}/release"',
        TO % "tool.wasm",
        {f"dist/{name}/release/tool.wasm": WASM for name in PLATFORMS},
    ),
    "one with all archives": (
        'artifact: dist, archive: "tool_{version}_{build}.{tgz,zip}", root: package',
        TO % "tool.wasm",
        {f"dist/tool_1.2.3_{name}.tgz": packed({"tool.wasm": WASM}) for name in PLATFORMS} | {"dist/other.txt": b""},
    ),
}


def uploaded(folder: Path, upload: str) -> list[str]:
    """Return the line of each package with its integrity, after CI has uploaded in a way."""
    ci, packages, files = UPLOADS[upload]
    for name, content in files.items():
        path = folder / "artifacts" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    family_of = f'schema: 1\nfamily: "@acme/tool"\nplatforms: [{", ".join(PLATFORMS)}]\n'
    of = Family(parse_config(f"{family_of}ci: {{workflow: ci.yml, {ci}}}\n{packages}\n"), "1.2.3")
    said = checked(of, folder, folder / "artifacts", listing=True)
    assert said.count("lib/tool.wasm") == len(PLATFORMS)
    return [line for line in said.splitlines() if "sha512" in line]


@pytest.mark.parametrize("upload", UPLOADS)
def test_however_ci_uploads_the_files_the_packages_are_the_same(tmp_path: Path, upload: str) -> None:
    assert uploaded(tmp_path / "this", upload) == uploaded(tmp_path / "that", "a folder for each")
