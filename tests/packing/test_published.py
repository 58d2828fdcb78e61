"""Other people's published families: what npm's users install today must be known for what it is."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from flotilla.family import Limits, Platform
from flotilla.packing import binary_faults, extract, read_contents

pytestmark = [pytest.mark.npm, pytest.mark.timeout(180)]

PUBLISHED = [
    ("@esbuild/linux-x64@0.25.0", "linux", "x64", ""),
    ("@esbuild/win32-arm64@0.25.0", "win32", "arm64", ""),
    ("@esbuild/darwin-arm64@0.25.0", "darwin", "arm64", ""),
    ("@esbuild/freebsd-x64@0.25.0", "freebsd", "x64", ""),
    ("@rollup/rollup-android-arm64@4.40.0", "android", "arm64", ""),
    ("@rollup/rollup-linux-x64-gnu@4.40.0", "linux", "x64", "glibc"),
    ("@rollup/rollup-linux-x64-musl@4.40.0", "linux", "x64", "musl"),
    ("@rollup/rollup-win32-x64-msvc@4.40.0", "win32", "x64", ""),
    ("@rollup/rollup-linux-s390x-gnu@4.40.0", "linux", "s390x", "glibc"),
    ("@img/sharp-libvips-linuxmusl-x64@1.1.0", "linux", "x64", "musl"),
    ("fsevents@2.3.3", "darwin", "arm64 x64", ""),
]
LIMITS = Limits()


def platform(os: str, cpu: str, libc: str, glibc: str | None = None) -> Platform:
    libcs = (libc,) if libc else ()
    return Platform(name=f"{os}-{cpu}", os=(os,), cpu=tuple(cpu.split()), libc=libcs, build="build", glibc=glibc)


@pytest.fixture(scope="module")
def fetched(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The tarballs by their specs, from the registry that npm is configured for; skipped where there is none."""
    npm = shutil.which("npm", path=str(Path(sys.executable).parent)) or shutil.which("npm")
    if npm is None:
        pytest.skip("no npm here")
    folder = tmp_path_factory.mktemp("published")
    specs = [spec for spec, *_ in PUBLISHED]
    argv = [
        npm,
        "pack",
        "--json",
        "--fetch-retries=0",
        "--fetch-timeout=20000",
        "--cache",
        str(folder / "cache"),
        *specs,
    ]
    try:
        done = subprocess.run(argv, cwd=folder, capture_output=True, text=True, check=False, timeout=150)
    except subprocess.TimeoutExpired:
        pytest.skip("the registry does not answer")
    if done.returncode:
        pytest.skip("the registry does not have them, or is not reachable")
    answer = json.loads(done.stdout)
    packed = answer.values() if isinstance(answer, dict) else answer
    return {f"{package['name']}@{package['version']}": folder / package["filename"] for package in packed}


@pytest.fixture(scope="module")
def unpacked(fetched: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    roots = {}
    for number, (spec, tarball) in enumerate(fetched.items()):
        roots[spec] = tmp_path_factory.mktemp("unpacked") / str(number)
        extract(tarball, roots[spec], strip_components=1, limits=LIMITS)
    return roots


@pytest.mark.parametrize(("spec", "os", "cpu", "libc"), PUBLISHED)
def test_a_published_package_is_right_for_its_own_platform_and_wrong_for_every_other(
    unpacked: dict[str, Path], spec: str, os: str, cpu: str, libc: str
) -> None:
    assert binary_faults(unpacked[spec], platform(os, cpu, libc)) == []
    for _, other_os, other_cpu, other_libc in PUBLISHED:
        same_libc = not libc or not other_libc or libc == other_libc
        fits = same_libc and (os, cpu) == (other_os, other_cpu)
        go_runs_anywhere = spec.startswith("@esbuild/linux") and other_os in ("linux", "android", "freebsd")
        if not fits and cpu != "arm64 x64" and not (go_runs_anywhere and other_cpu == cpu):
            assert binary_faults(unpacked[spec], platform(other_os, other_cpu, other_libc)), (other_os, other_cpu)


def test_the_glibc_floor_of_a_published_package_is_seen(unpacked: dict[str, Path]) -> None:
    root = unpacked["@rollup/rollup-linux-x64-gnu@4.40.0"]
    assert binary_faults(root, platform("linux", "x64", "glibc", "2.17")) == []
    (fault,) = binary_faults(root, platform("linux", "x64", "glibc", "2.5"))
    assert "needs glibc 2." in fault


def test_every_published_tarball_can_be_read_back(fetched: dict[str, Path], unpacked: dict[str, Path]) -> None:
    for spec, tarball in fetched.items():
        there = {path.relative_to(unpacked[spec]).as_posix() for path in unpacked[spec].rglob("*") if path.is_file()}
        assert set(read_contents(tarball, limits=LIMITS)) == there
