"""Other people's published families: what npm's users install today must be known for what it is."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
import requests
from tests.packing.published import (
    MOST_BYTES,
    Published,
    corpus,
    fetch,
    judge,
    manifest_of,
    platforms,
    read_all,
    table,
)

from flotilla.errors import RegistryError
from flotilla.family import Limits
from flotilla.packing import read_contents
from flotilla.packing.floors import floor_faults, floor_warnings, floors_of
from flotilla.packing.platform_check import Inspected, platform_faults

pytestmark = [pytest.mark.npm, pytest.mark.timeout(300)]

Files = Mapping[str, Mapping[str, Inspected]]
NEEDED = {
    *("openharmony-arm64", "sunos-x64", "aix-ppc64", "linux-arm64-musl", "linux-riscv64-musl", "linux-loong64-musl"),
    *("linux-s390x-glibc", "linux-ppc64-glibc", "linux-mips64el", "android-arm64", "android-arm", "win32-arm64"),
    *("freebsd-x64", "netbsd-x64", "openbsd-arm64", "darwin-arm64", "darwin-arm64+x64"),
}


@pytest.fixture(scope="module")
def tarballs() -> Mapping[str, Path]:
    """Return the tarballs by their specs; skipped where no registry is reachable."""
    if not (shutil.which("npm", path=str(Path(sys.executable).parent)) or shutil.which("npm")):
        pytest.skip("no npm here")
    try:
        return fetch(corpus())
    except (requests.RequestException, RegistryError) as failure:
        pytest.skip(f"the registry does not have them, or is not reachable ({type(failure).__name__})")


@pytest.fixture(scope="module")
def files(tarballs: Mapping[str, Path]) -> Files:
    return read_all(tarballs)


def test_the_corpus_is_wide_and_its_downloads_are_bounded() -> None:
    assert len(corpus()) >= 40
    assert len({package.family for package in corpus()}) >= 12
    assert {platform.name for platform in platforms()} >= NEEDED
    assert sum(package.size for package in corpus()) < MOST_BYTES


@pytest.mark.parametrize("package", corpus(), ids=lambda package: package.spec)
def test_a_published_package_is_right_for_its_own_platform_and_wrong_for_every_other(
    files: Files, package: Published
) -> None:
    verdict = judge(package, files[package.spec])
    assert verdict.own == ()
    assert verdict.taken == ()
    assert len(verdict.refused) >= len(platforms()) - 4


@pytest.mark.parametrize("package", corpus(), ids=lambda package: package.spec)
def test_nothing_of_the_builders_machine_is_found_in_a_published_package(
    tarballs: Mapping[str, Path], files: Files, package: Published
) -> None:
    manifest = manifest_of(tarballs[package.spec])
    assert floor_faults(package.name, package.platform, manifest, files[package.spec]) == []
    doubts = floor_warnings(package.name, package.platform, manifest, files[package.spec])
    assert [
        doubt for doubt in doubts if not doubt.startswith("engines.node allows node 1")
    ] == []  # 10 and 12: old, but true


def test_a_published_addon_without_the_package_that_holds_its_library_is_refused(files: Files) -> None:
    addons = [package for package in corpus() if package.name.startswith("@img/sharp-linux")]
    assert len(addons) == 3
    for addon in addons:
        (fault,) = floor_faults(addon.name, addon.platform, {}, files[addon.spec])
        assert "needs libvips-cpp.so.8.18.7" in fault


def test_the_floors_of_published_packages_are_told(files: Files) -> None:
    by_name = {package.name: package for package in corpus()}
    for name, told in (
        ("@img/sharp-linux-ppc64", "glibc 2.34, GLIBCXX 3.4.29, CXXABI 1.3.9, Node-API 5"),
        ("@parcel/watcher-linux-arm64-glibc", "glibc 2.17, GLIBCXX 3.4.22, CXXABI 1.3.9, Node-API 5"),
        ("@rollup/rollup-darwin-arm64", "macOS 11.0, Node-API 4"),
        ("fsevents", "macOS 10.15, Node-API 4"),
        ("@rollup/rollup-win32-arm64-msvc", "ucrt, vcruntime140, Node-API unknown"),
        ("@esbuild/linux-x64", ""),
    ):
        assert str(floors_of(files[by_name[name].spec], by_name[name].platform)) == told


def test_a_wasm_shim_under_a_real_cpu_is_refused_unless_flotilla_yml_says_that_it_holds_no_binary(files: Files) -> None:
    shims = [package for package in corpus() if package.platform.binaries == "none"]
    assert {package.name for package in shims} == {"@esbuild/android-arm", "@esbuild/openharmony-arm64"}
    for shim in shims:
        (fault,) = platform_faults(files[shim.spec], replace(shim.platform, binaries="check"))
        assert "it contains no binary" in fault


def test_the_glibc_floor_of_a_published_package_is_seen(files: Files) -> None:
    package = next(package for package in corpus() if package.name == "@rollup/rollup-linux-x64-gnu")
    inspected = files[package.spec]
    assert platform_faults(inspected, replace(package.platform, glibc="2.28")) == []
    (fault,) = platform_faults(inspected, replace(package.platform, glibc="2.5"))
    assert "needs glibc 2." in fault


def test_every_published_tarball_can_be_read_back(tarballs: Mapping[str, Path], files: Files) -> None:
    small = [package for package in corpus() if package.size < 300_000]
    assert len(small) > 10
    for package in small:
        assert set(read_contents(tarballs[package.spec], limits=Limits())) == set(files[package.spec])


def test_the_table_has_a_row_for_each_package(files: Files) -> None:
    rows = table([judge(package, files[package.spec]) for package in corpus()]).splitlines()
    assert len(rows) == len(corpus()) + 2
