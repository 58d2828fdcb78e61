"""Published binaries read by other people's tools, too: binutils' readelf and LLVM's objdump."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from tests.packing.published import Published, corpus, fetch

from flotilla.errors import RegistryError
from flotilla.family import Limits
from flotilla.packing import extract, identify
from flotilla.packing.binaries import newest

pytestmark = [pytest.mark.npm, pytest.mark.slow, pytest.mark.timeout(300)]

GLIBC = (
    "ld-linux",
    "ld64.so",
    "ld.so",
    "libc.so.6",
    "libm.so.6",
    "libpthread.so",
    "libdl.so",
    "librt.so",
    "libutil.so",
)
ELF = [package for package in corpus() if not {"darwin", "win32", "aix"} & {*package.platform.os}]
APPLE = [package for package in corpus() if "darwin" in package.platform.os]


def binaries(package: Published, folder: Path, kind: str) -> Iterator[Path]:
    """Yield the package's files of a format."""
    try:
        tarball = fetch([package])[package.spec]
    except (requests.RequestException, RegistryError) as failure:
        pytest.skip(f"the registry does not have it, or is not reachable ({type(failure).__name__})")
    extract(tarball, folder / "package", strip_components=1, limits=Limits())
    for path in sorted((folder / "package").rglob("*")):
        if path.is_file() and any(one.format == kind and not one.member for one in identify(path)):
            yield path


def said(*command: str | Path) -> str:
    if shutil.which(str(command[0])) is None:
        pytest.skip(f"no {command[0]} here")
    return subprocess.run(command, check=True, capture_output=True, text=True, errors="replace").stdout


@pytest.mark.parametrize("package", ELF, ids=lambda package: package.spec)
def test_readelf_says_the_same_of_libraries_versions_and_node_api(package: Published, tmp_path: Path) -> None:
    for path in binaries(package, tmp_path, "ELF"):
        (binary,) = identify(path)
        text = said("readelf", "--wide", "--dynamic", "--version-info", path)
        assert binary.needs.libraries == tuple(sorted(set(re.findall(r"\(NEEDED\).*\[(.*)\]", text))))
        search = re.findall(r"\(R(?:UN)?PATH\).*\[(.*)\]", text)
        assert binary.needs.search == tuple(":".join(search).split(":") if search else ())
        versions, file = [], ""
        for line in text.partition("Version needs section")[2].splitlines():
            if named := re.search(r"File: (\S+)", line):
                file = named[1]
            if name := re.search(r"Name: (GLIBC|GLIBCXX|CXXABI)_([\d.]+)\s", line):
                right = file.startswith(GLIBC) if name[1] == "GLIBC" else file.startswith("libstdc++")
                versions += (
                    [(name[1].lower(), name[2])] if right and (name[1] != "GLIBC" or binary.libc == "glibc") else []
                )
        assert binary.needs.versions == newest(versions)
        if not binary.executable:
            symbols = said("readelf", "--wide", "--dyn-syms", path)
            wanted = re.findall(r" UND ((?:napi|node_api)_\w+)", symbols)
            assert binary.needs.node_api == tuple(sorted(set(wanted)))


@pytest.mark.parametrize("package", APPLE, ids=lambda package: package.spec)
def test_llvm_says_the_same_of_libraries_and_macos(package: Published, tmp_path: Path) -> None:
    for path in binaries(package, tmp_path, "Mach-O"):
        (binary,) = identify(path)
        text = said("llvm-objdump", "--macho", "--private-headers", "--arch", "all", path)
        commands = re.split(r"^Load command \d+$", text, flags=re.MULTILINE)
        loaded = [one for one in commands if re.search(r"cmd LC_(LOAD|REEXPORT)_DYLIB$", one, re.MULTILINE)]
        names = {name for one in loaded for name in re.findall(r"^ +name (.*) \(offset", one, re.MULTILINE)}
        assert binary.needs.libraries == tuple(sorted(names))
        rpaths = {path for one in commands for path in re.findall(r"^ +path (.*) \(offset", one, re.MULTILINE)}
        assert set(binary.needs.search) == rpaths
        stated = re.compile(
            r"cmd LC_(?:BUILD_VERSION.*?^ +minos|VERSION_MIN_MACOSX.*?^ +version) ([\d.]+)$", re.MULTILINE | re.DOTALL
        )
        oldest = [("macos", number) for one in commands for number in stated.findall(one)]
        of_arm64 = len(binary.cpus) > 1  # no arm64 ran on an older one, so that it raises nothing
        assert binary.needs.versions == newest(one for one in oldest if not (of_arm64 and one[1] == "11.0"))
