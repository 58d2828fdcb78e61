"""The whole example, released with the real npm into a real registry, and looked at file by file."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
from tests.faults.artifacts import EXAMPLE, example_artifacts
from tests.simulator.world import Rehearsal
from tests.world.npm_packages import installed

from flotilla.family import Family, Package, parse_config
from flotilla.family.entry_points import launcher_files
from flotilla.rehearsal.github import GitHubState, add_artifact
from flotilla.rehearsal.job_graph import Graph, JobRun
from flotilla.rehearsal.node import node_bin
from flotilla.rehearsal.users import install_everywhere

VERSION = "3.1.4"
ROOT = Path(__file__).parents[2]
PLATFORMS_OF_ITS_OWN = 4
FILES: dict[str, set[str]] = {
    "dev": {"LICENSE", "README.md", "include/chroma.h", "index.d.ts", "index.js", "package.json"},
    "meta": {"README.md", "index.d.ts", "index.js", "launcher.cjs", "package.json"},
    "platform": {"LICENSE", "README.md", "bin/chroma-info", "lib/libchroma.a", "package.json", "versions.json"},
}
EXECUTABLE = {"platform": {"bin/chroma-info"}, "meta": {"launcher.cjs"}, "dev": set[str]()}
# Packs every package of the example into a folder, and says each tarball's integrity.
PACK = """
import json, os, sys
from pathlib import Path
from flotilla.commands import check
from flotilla.family import Family
from flotilla.jobs.inputs import read_config
from flotilla.jobs.prepare import render_all
from flotilla.jobs.build import PackageBuilder

os.umask(int(sys.argv[1], 8))
root, artifacts, scratch = map(Path, sys.argv[2:])
family = Family(read_config(root, "flotilla.yml"), "3.1.4")
builder = PackageBuilder(family=family, root=root, scratch=scratch)
manifests = render_all(family.packages, root=root, repository="git+https://github.com/acme/chroma.git")
built = builder.pack(builder.build(family.packages, manifests, check._unpacked_artifacts(builder, artifacts)))
print(json.dumps({one.package.name: [one.packed.integrity, one.packed.size] for one in built}))
"""


@dataclass(frozen=True, kw_only=True)
class Released:
    """The example, released."""

    world: Rehearsal
    family: Family
    runs: tuple[JobRun, ...]
    folder: Path

    def document(self, name: str) -> dict[str, Any]:
        """Return what the registry says of a package."""
        answer = requests.get(f"{self.world.registry.url}{name.replace('/', '%2f')}", timeout=10)
        found: dict[str, Any] = answer.json()
        return found

    def manifest(self, name: str) -> dict[str, Any]:
        """Return what the registry says of the version."""
        found: dict[str, Any] = self.document(name)["versions"][VERSION]
        return found

    def tarball(self, name: str) -> bytes:
        """Return the version's tarball."""
        return requests.get(self.manifest(name)["dist"]["tarball"], timeout=10).content


def example() -> Family:
    return Family(parse_config((EXAMPLE / "flotilla.yml").read_text(encoding="utf-8")), VERSION)


PACKAGES = example().packages
each_package = pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.name)


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Released]:
    """Yield every job of the release, each a process, with the real npm, verdaccio and signatures."""
    folder = tmp_path_factory.mktemp("example")
    shutil.copytree(EXAMPLE, folder / "workspace")
    github = GitHubState(repository="acme/chroma")
    run = github.add_run(workflow="ci.yml")
    for path in sorted(example_artifacts().iterdir()):
        add_artifact(github, run, path)
    modules = installed()
    with Rehearsal(folder / "world", github=github, modules=modules, verdaccio=True, sigstore=True) as world:
        inputs = {"version": VERSION, "npm-token": next(iter(world.registry.state.tokens)), "pause-seconds": "0"}
        graph = Graph(world=world, workspace=folder / "workspace", inputs=inputs, told=lambda _run: None)
        runs = tuple(graph.run(has_dev=True))
        assert [run.status for run in runs] == [0] * 8, "\n".join(run.log for run in runs if run.status)
        yield Released(world=world, family=example(), runs=runs, folder=folder)


@pytest.mark.registry
def test_each_of_the_13_packages_is_published_once(released: Released) -> None:
    accepted = released.world.registry.state.snapshot()["accepted"]
    assert accepted == {f"{package.name}@{VERSION}": 1 for package in PACKAGES}
    assert len(accepted) == 13


@pytest.mark.registry
@each_package
def test_a_published_tarball_holds_the_right_files_with_the_right_modes(released: Released, package: Package) -> None:
    wanted = set(FILES[package.kind])
    if package.kind == "platform":
        assert package.platform is not None
        wanted.add("lib/libchroma.dylib" if "darwin" in package.platform.os else "lib/libchroma.so")
    with tarfile.open(fileobj=io.BytesIO(released.tarball(package.name))) as tar:
        members = tar.getmembers()
    assert {member.name for member in members} == {f"package/{name}" for name in wanted}
    assert all(member.isfile() for member in members)
    modes = {member.name.removeprefix("package/"): member.mode for member in members}
    executable = {name for name, mode in modes.items() if mode == 0o755}
    assert executable == EXECUTABLE[package.kind]
    assert set(modes.values()) <= {0o755, 0o644}
    assert {(member.uid, member.gid, member.uname, member.gname) for member in members} == {(0, 0, "", "")}


@pytest.mark.registry
@each_package
def test_a_published_file_is_byte_for_byte_the_artifacts_or_the_templates(released: Released, package: Package) -> None:
    generated = {path: text.encode() for path, text in launcher_files(package, {}).items()}
    sources = {**template_files(package), **artifact_files(package), **generated}
    with tarfile.open(fileobj=io.BytesIO(released.tarball(package.name))) as tar:
        for member in tar.getmembers():
            name = member.name.removeprefix("package/")
            stream = tar.extractfile(member)
            assert stream is not None
            if name != "package.json":
                assert stream.read() == sources[name], name


@pytest.mark.registry
@each_package
def test_the_manifest_says_what_npm_installs_by(released: Released, package: Package) -> None:
    published = released.manifest(package.name)
    assert published["license"] == (package.variant.license if package.variant else "MIT")
    assert published["repository"]["url"] == "git+https://github.com/acme/chroma.git"
    platform = package.platform if package.kind == "platform" else None
    words = {key: published.get(key, []) for key in ("os", "cpu", "libc")}
    wanted = {key: list(getattr(platform, key)) if platform else [] for key in words}
    assert words == wanted
    assert published.get("optionalDependencies", {}) == dict.fromkeys(package.depends_on, VERSION)
    assert len(package.depends_on) == (5 if package.kind == "meta" else 0)


@pytest.mark.registry
@each_package
def test_the_public_manifest_says_what_the_tarballs_says_and_nothing_of_the_builder(
    released: Released, package: Package
) -> None:
    published = released.manifest(package.name)
    with tarfile.open(fileobj=io.BytesIO(released.tarball(package.name))) as tar:
        stream = tar.extractfile("package/package.json")
        assert stream is not None
        packed = json.load(stream)
    assert {key: published.get(key) for key in packed} | {"repository": packed["repository"]} == packed
    told = json.dumps(released.document(package.name))
    # npm notes where it found a tarball; it always found ours under this one name.
    assert published.get("_resolved") in (None, "/proc/self/cwd/package.tgz")
    for secret in (str(released.folder), str(Path.home()), "flotilla-npm-", "npm_rehearsal"):
        assert secret not in told, secret


@pytest.mark.registry
@each_package
def test_the_provenance_is_stored_and_is_about_the_tarball(released: Released, package: Package) -> None:
    tarball, published = released.tarball(package.name), released.manifest(package.name)
    digest = hashlib.sha512(tarball).digest()
    assert published["dist"]["integrity"] == f"sha512-{base64.b64encode(digest).decode()}"
    attestations = requests.get(published["dist"]["attestations"]["url"], timeout=10).json()["attestations"]
    provenance = next(one for one in attestations if "slsa.dev/provenance" in one["predicateType"])
    statement = json.loads(base64.b64decode(provenance["bundle"]["dsseEnvelope"]["payload"]))
    purl = f"pkg:npm/{package.name.replace('@', '%40')}@{VERSION}"
    assert statement["subject"] == [{"name": purl, "digest": {"sha512": digest.hex()}}]
    built_by = statement["predicate"]["buildDefinition"]["externalParameters"]["workflow"]
    assert built_by["repository"].endswith("/acme/chroma")
    assert built_by["path"] == ".github/workflows/release.yml"


@pytest.mark.registry
def test_every_user_gets_the_packages_of_their_platform_and_no_other(released: Released) -> None:
    users = install_everywhere(
        released.family,
        registry=released.world.registry.url,
        folder=released.folder / "users",
        path=f"{node_bin(released.folder)}:{os.environ['PATH']}",
        told=lambda _user: None,
    )
    got = {(user.meta, user.platform.name): set(user.packages) for user in users}
    assert got == {
        (f"@acme/chroma{suffix}", platform.name): {
            f"@acme/chroma{suffix}",
            f"@acme/chroma-{platform.name}{suffix}",
        }
        for suffix in ("", "-non-free")
        for platform in released.family.config.platforms
    }


@pytest.mark.registry
def test_the_job_summaries_show_the_provenance_of_every_package(released: Released) -> None:
    publishing = [run for run in released.runs if run.title != "release"]
    lines = [
        line for run in publishing for line in run.summary.splitlines() if line.startswith("| ✓\N{NO-BREAK SPACE}")
    ]
    proven = {line.split("|")[2].strip() for line in lines if "✓" in line.split("|")[-2]}
    assert len(proven) == 13


def test_two_packings_are_byte_identical_whatever_the_machine(tmp_path: Path) -> None:
    plain = pack(tmp_path / "one", umask="022", variables={"TZ": "UTC", "LC_ALL": "C", "PYTHONHASHSEED": "1"})
    other = pack(
        tmp_path / "elsewhere" / "two",
        umask="077",
        variables={"TZ": "Pacific/Auckland", "LC_ALL": "C.UTF-8", "PYTHONHASHSEED": "2"},
        touched=1_600_000_000,
    )
    assert len(plain) == 13
    assert other == plain


@pytest.mark.registry
def test_what_was_published_is_what_a_local_build_packs(released: Released, tmp_path: Path) -> None:
    here = pack(tmp_path / "local", umask="022", variables={})
    there = {package.name: released.manifest(package.name)["dist"]["integrity"] for package in PACKAGES}
    assert there == {name: integrity for name, (integrity, _size) in here.items()}


def test_four_platforms_in_two_variants_are_11_packages() -> None:
    config = (EXAMPLE / "flotilla.yml").read_text(encoding="utf-8")
    four = config.replace("  - {name: linux-x64-musl, build: linuxmusl-x64}\n", "")
    family = Family(parse_config(four), VERSION)
    assert (len(family.config.platforms), len(family.packages)) == (PLATFORMS_OF_ITS_OWN, 11)


def pack(
    folder: Path, *, umask: str, variables: Mapping[str, str], touched: int | None = None
) -> dict[str, tuple[str, int]]:
    """Return each package's integrity and size, packed in a process of its own, in a folder of its own."""
    shutil.copytree(EXAMPLE, folder / "root")
    shutil.copytree(example_artifacts(), folder / "artifacts")
    if touched is not None:
        for number, file in enumerate(sorted(folder.rglob("*"))):
            os.utime(file, (touched + number, touched + number))
            if file.is_file():
                file.chmod(0o600 | (file.stat().st_mode & 0o111))
    scratch = folder / "scratch"
    scratch.mkdir()
    command = [sys.executable, "-c", PACK, umask, str(folder / "root"), str(folder / "artifacts"), str(scratch)]
    done = subprocess.run(command, env={**os.environ, **variables}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, tuple[str, int]] = {name: (one[0], one[1]) for name, one in json.loads(done.stdout).items()}
    return found


def template_files(package: Package) -> dict[str, bytes]:
    if package.template is None:
        return {}
    folder = EXAMPLE / package.template
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def artifact_files(package: Package) -> dict[str, bytes]:
    if package.artifact is None:
        return {}
    with tarfile.open(example_artifacts() / package.artifact / f"{package.artifact}.tar.gz") as tar:
        found = {member.name.partition("/")[2]: tar.extractfile(member) for member in tar if member.isfile()}
        return {name: stream.read() for name, stream in found.items() if stream}
