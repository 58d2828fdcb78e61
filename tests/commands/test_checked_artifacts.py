"""Checks of the whole example."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from flotilla.errors import FlotillaError

Refused = Callable[..., FlotillaError]


@pytest.fixture
def copied(artifacts: Path, tmp_path: Path) -> Path:
    """Return the artifacts, to be changed."""
    shutil.copytree(artifacts, tmp_path / "artifacts")
    return tmp_path / "artifacts"


def test_a_check_without_artifacts_says_what_more_it_could_do(repository: Path, flotilla: Callable[..., str]) -> None:
    assert repository.is_dir()
    said = flotilla("check")
    assert "13 packages" in said
    assert "--artifacts" in said


def test_a_check_with_artifacts_builds_every_package(
    repository: Path, artifacts: Path, flotilla: Callable[..., str]
) -> None:
    before = sorted(repository.rglob("*"))
    shown = flotilla("check", "--artifacts", str(artifacts))
    rows = [line.split() for line in shown.splitlines() if line.startswith("@acme/")]
    assert len(rows) == 13
    assert all(row[-1].startswith("sha512-") for row in rows)
    assert sorted(repository.rglob("*")) == before


def test_a_check_with_artifacts_tells_the_floors(
    repository: Path, artifacts: Path, flotilla: Callable[..., str]
) -> None:
    assert repository.is_dir()
    lines = flotilla("check", "--artifacts", str(artifacts)).splitlines()
    (musl,) = (line for line in lines if line.startswith("needs musl: "))
    assert musl.endswith("@acme/chroma-linux-x64-musl, @acme/chroma-linux-x64-musl-non-free")
    assert "the family needs glibc 2.17, macOS 11.0, musl" in lines


def test_an_artifact_may_be_a_zip_too(repository: Path, copied: Path, flotilla: Callable[..., str]) -> None:
    assert repository.is_dir()
    folder = copied / "chroma-linux-x64-free"
    plain = flotilla("check", "--artifacts", str(copied))
    shutil.make_archive(str(folder), "zip", folder)
    shutil.rmtree(folder)
    assert flotilla("check", "--artifacts", str(copied)) == plain


def test_four_platforms_are_11_packages(repository: Path, artifacts: Path, flotilla: Callable[..., str]) -> None:
    config = repository / "flotilla.yml"
    config.write_text(config.read_text().replace("  - {name: linux-x64-musl, build: linuxmusl-x64}\n", ""))
    shown = flotilla("check", "--artifacts", str(artifacts))
    assert "11 packages" in shown
    assert sum(line.startswith("@acme/") for line in shown.splitlines()) == 11


def test_every_missing_artifact_is_named_at_once(repository: Path, copied: Path, refused: Refused) -> None:
    assert repository.is_dir()
    for name in ("chroma-linux-x64-free", "chroma-darwin-x64-non-free"):
        shutil.rmtree(copied / name)
    error = refused("check", "--artifacts", str(copied))
    assert "- artifact chroma-linux-x64-free: missing" in str(error)
    assert "- artifact chroma-darwin-x64-non-free: missing" in str(error)
    assert f"Each artifact must be a folder, a zip or a file in {copied}, named as in CI" in str(error)
    assert "contains chroma-darwin-arm64-free, " in str(error)
    assert "--version" not in str(error)


def test_archives_of_another_version_are_refused_with_the_option_that_names_it(
    repository: Path, artifacts: Path, refused: Refused
) -> None:
    config = repository / "flotilla.yml"
    config.write_text(config.read_text().replace('archive: "*.tar.gz"', 'archive: "*-{version}.tar.gz"'))
    error = refused("check", "--artifacts", str(artifacts))
    assert "*-1.0.0.tar.gz matches 0 files" in error.faults[0].text
    assert "--version" in error.advice


def test_a_file_that_is_not_what_its_sha256_says_is_refused(repository: Path, copied: Path, refused: Refused) -> None:
    assert repository.is_dir()
    sidecar = copied / "chroma-linux-x64-free/chroma-linux-x64-free.tar.gz.sha256"
    sidecar.write_text("0" * 64 + sidecar.read_text()[64:])
    assert "artifact chroma-linux-x64-free: " in str(refused("check", "--artifacts", str(copied)))


def test_binaries_of_another_platform_are_refused_by_file(repository: Path, artifacts: Path, refused: Refused) -> None:
    config = repository / "flotilla.yml"
    text = config.read_text().replace("build: linuxmusl-x64", "build: darwin-x64").replace("  - darwin-x64\n", "")
    config.write_text(text)
    error = str(refused("check", "--artifacts", str(artifacts)))
    assert "@acme/chroma-linux-x64-musl, @acme/chroma-linux-x64-musl-non-free: bin/chroma-info is " in error
    assert "linux x64 musl" in error
    assert "@acme/chroma-linux-x64-musl-non-free: bin/chroma-info is " in error


def test_files_that_nothing_matches_are_named_with_their_package_once(
    repository: Path, artifacts: Path, refused: Refused
) -> None:
    config = repository / "flotilla.yml"
    config.write_text(config.read_text().replace('"include/**"', '"headers/**"'))
    assert str(refused("check", "--artifacts", str(artifacts))).startswith(
        '@acme/chroma-dev: `files` names "headers/**", but nothing in the artifact matches it; it has '
    )
