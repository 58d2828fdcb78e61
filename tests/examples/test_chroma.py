"""The example: its build is reproducible and usable, and its files agree with each other and with the design."""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from flotilla.family import Family, Limits, parse_config
from flotilla.family.entry_points import launcher_files
from flotilla.packing import extract
from flotilla.rehearsal.node import node

EXAMPLE = Path(__file__).resolve().parents[2] / "examples/chroma"
HOST = {"x86_64": "linux-x64", "aarch64": "linux-arm64"}.get(platform.machine(), "")
PROGRAM = """
#include <chroma.h>
#include <stdio.h>
int main(void) {
    uint8_t luma[] = {50, 60, 60, 70};
    const int equalized = chroma_equalize(luma, sizeof luma);
    const chroma_rgb orange = {255, 128, 0}, back = chroma_to_rgb(chroma_from_rgb(orange, CHROMA_BT709), CHROMA_BT709);
    printf("%s %d %d %d %d\\n", chroma_variant(), equalized, back.r, back.g, back.b);
    return 0;
}
"""


def build(out: Path, *platforms: str) -> Path:
    """Return the artifacts of some platforms."""
    command = [sys.executable, str(EXAMPLE / "build.py"), "--out", str(out)]
    command += [word for name in platforms for word in ("--platform", name)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return out


def read_workflow(name: str) -> dict[str, Any]:
    document = yaml.safe_load((EXAMPLE / ".github/workflows" / name).read_text(encoding="utf-8"))
    assert isinstance(document, dict)
    return document


def read_family() -> Family:
    return Family(parse_config((EXAMPLE / "flotilla.yml").read_text(encoding="utf-8")), "1.0.0")


def run_node(script: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(node()), "-e", script], cwd=folder, capture_output=True, text=True, check=False)


def test_two_builds_make_the_same_bytes(tmp_path: Path) -> None:
    one, two = (build(tmp_path / name, "darwin-arm64", "linux-x64", "linuxmusl-x64") for name in ("one", "two"))
    files = sorted(path.relative_to(one) for path in one.rglob("*") if path.is_file())
    assert len(files) == 12
    for file in files:
        assert (one / file).read_bytes() == (two / file).read_bytes(), file


@pytest.mark.skipif(not HOST or shutil.which("cc") is None, reason="needs a C compiler, on Linux x64 or arm64")
@pytest.mark.parametrize(("variant", "said"), [("free", "free -1 255 128 0\n"), ("non-free", "non-free 0 255 128 0\n")])
def test_a_program_links_with_either_library_and_runs(tmp_path: Path, variant: str, said: str) -> None:
    name = f"chroma-{HOST}-{variant}"
    tree = tmp_path / "tree"
    extract(build(tmp_path, HOST) / name / f"{name}.tar.gz", tree, strip_components=1, limits=Limits())
    (tmp_path / "program.c").write_text(PROGRAM, encoding="utf-8")
    for library in (tree / "lib/libchroma.a", tree / "lib/libchroma.so"):
        compiler = ["cc", "-Wall", "-Werror", "program.c", f"-I{tree}/include", str(library), "-o", "program"]
        subprocess.run(compiler, cwd=tmp_path, check=True)
        environment = {**os.environ, "LD_LIBRARY_PATH": str(tree / "lib")}
        done = subprocess.run([tmp_path / "program"], env=environment, capture_output=True, text=True, check=True)
        assert done.stdout == said


def test_the_family_has_13_packages_and_ci_builds_each_of_its_artifacts() -> None:
    family, matrix = read_family(), read_workflow("ci.yml")["jobs"]["build"]["strategy"]["matrix"]
    assert len(family.packages) == 13
    assert {need.platform.build for need in family.artifacts if need.platform} == set(matrix["platform"])
    steps = read_workflow("ci.yml")["jobs"]["build"]["steps"]
    uploaded = {step["with"]["name"] for step in steps if "upload-artifact" in step.get("uses", "")}
    assert uploaded == {f"chroma-${{{{ matrix.platform }}}}-{variant}" for variant in ("free", "non-free")}


def test_the_release_workflow_has_the_designs_job_graph() -> None:
    jobs = read_workflow("release.yml")["jobs"]
    needs = {
        name: {job["needs"]} if isinstance(job.get("needs"), str) else set(job.get("needs", ()))
        for name, job in jobs.items()
    }
    assert needs == {
        "prepare": set(),
        "wait-for-ci": {"prepare"},
        "check-artifacts": {"prepare", "wait-for-ci"},
        "release": {"prepare", "check-artifacts"},
        "publish-platform": {"prepare", "release"},
        "publish-dev": {"release"},
        "publish-meta": {"publish-platform", "publish-dev"},
    }
    assert jobs["publish-platform"]["strategy"] == {
        "fail-fast": False,
        "max-parallel": 2,
        "matrix": {"platform": "${{ fromJSON(needs.prepare.outputs.platforms) }}"},
    }
    assert jobs["release"]["outputs"] == {
        name: f"${{{{ needs.check-artifacts.outputs.{name} }}}}" for name in ("run_id", "artifacts_digest")
    }


def test_each_job_of_the_release_has_the_least_permissions() -> None:
    workflow = read_workflow("release.yml")
    assert workflow["permissions"] == {}
    written = {
        name: {scope for scope, access in job["permissions"].items() if access == "write"}
        for name, job in workflow["jobs"].items()
    }
    assert written == {
        "prepare": {"contents"},
        "wait-for-ci": set(),
        "check-artifacts": set(),
        "release": {"contents"},
        "publish-platform": {"id-token"},
        "publish-dev": {"id-token"},
        "publish-meta": {"id-token"},
    }


@pytest.mark.parametrize("file", ["index.js", "index.d.ts"])
def test_both_metas_find_their_platform_package_in_the_same_way(file: str) -> None:
    assert (EXAMPLE / "npm/meta" / file).read_bytes() == (EXAMPLE / "npm/meta-non-free" / file).read_bytes()


def install_meta(folder: Path, name: str) -> Path:
    """Return a meta package as npm would lay it out, with no platform package beside it."""
    meta = folder / "node_modules" / name
    shutil.copytree(EXAMPLE / "npm/meta", meta)
    package = next(package for package in read_family().metas if package.name == name)
    for path, text in launcher_files(package, {}).items():
        (meta / path).write_text(text, encoding="utf-8")
    return folder


@pytest.mark.parametrize("suffix", ["", "-non-free"])
def test_a_meta_finds_the_platform_packages_files(tmp_path: Path, suffix: str) -> None:
    name, wanted = f"@acme/chroma{suffix}", f"@acme/chroma-{HOST}{suffix}"
    folder = install_meta(tmp_path, name)
    package = folder / "node_modules" / wanted
    package.joinpath("bin").mkdir(parents=True)
    package.joinpath("bin/chroma-info").touch()
    (package / "package.json").write_text("{}", encoding="utf-8")
    done = run_node(f"console.log(JSON.stringify(require('{name}')))", folder)
    assert json.loads(done.stdout) == {
        "folder": str(package),
        "library": str(package / "lib/libchroma.so"),
        "staticLibrary": str(package / "lib/libchroma.a"),
        "program": str(package / "bin/chroma-info"),
    }
