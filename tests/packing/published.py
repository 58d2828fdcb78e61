"""Packages that others published, and what flotilla makes of their binaries: `python -m tests.packing.published`.

Versions and integrities are pinned in published.json. The tarballs come from the registry that npm is configured for,
are kept in FLOTILLA_CACHE, and are 300 MB at the most.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import sys
import tarfile
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import requests
from tabulate import tabulate

from flotilla.family import Limits, Platform
from flotilla.npm import Npm
from flotilla.packing import extract
from flotilla.packing.floors import Floors, floors_of
from flotilla.packing.platform_check import Inspected, inspect, platform_faults

ROOT = Path(__file__).parents[2]
PINNED = Path(__file__).with_name("published.json")
MOST_BYTES = 300_000_000
SECONDS = 30
AT_ONCE = 8


@dataclass(frozen=True, kw_only=True)
class Published:
    """A platform package of somebody's family.

    Args:
        family: what its packages' names begin with.
        platform: what it is for, by its manifest or, if that is silent, by its name.
        size: bytes of the tarball.
    """

    family: str
    name: str
    version: str
    platform: Platform
    integrity: str
    size: int

    @property
    def spec(self) -> str:
        """Return what npm installs it by."""
        return f"{self.name}@{self.version}"

    @property
    def path(self) -> str:
        """Return where a registry has the tarball."""
        return f"{self.name}/-/{self.name.rpartition('/')[2]}-{self.version}.tgz"


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What flotilla says of a package.

    Args:
        floors: what its binaries need of a machine.
        own: what it finds wrong for the package's own platform.
        refused: platforms that the package is refused for, as it must be.
        taken: platforms that it must not be taken for, and is.
    """

    package: Published
    found: tuple[str, ...]
    floors: Floors
    own: tuple[str, ...]
    refused: tuple[str, ...]
    taken: tuple[str, ...]


@cache
def corpus() -> tuple[Published, ...]:
    """Return the pinned packages."""
    return tuple(_published(entry) for entry in json.loads(PINNED.read_text(encoding="utf-8")))


def _published(entry: Mapping[str, Any]) -> Published:
    os, cpu, libc = (tuple(entry[key]) for key in ("os", "cpu", "libc"))
    name = "-".join(["+".join(words) for words in (os, cpu, libc) if words])
    platform = Platform(name=name, os=os, cpu=cpu, libc=libc, build=name, binaries=entry.get("binaries", "check"))
    told = {key: entry[key] for key in ("family", "name", "version", "integrity", "size")}
    return Published(**told, platform=platform)


def platforms() -> tuple[Platform, ...]:
    """Return every platform of the corpus once, each checked in full."""
    named = {package.platform.name: replace(package.platform, binaries="check") for package in corpus()}
    return tuple(platform for _, platform in sorted(named.items()))


def fetch(packages: Sequence[Published]) -> dict[str, Path]:
    """Return the tarballs by spec, from the cache or the registry.

    Raises:
        requests.ConnectionError: the registry is not reachable.
        ValueError: a tarball is not the one that is pinned.
    """
    folder = Path(os.environ.get("FLOTILLA_CACHE", ROOT / ".cache")) / "published"
    folder.mkdir(parents=True, exist_ok=True)
    files = {package.spec: folder / package.spec.replace("/", "+") for package in packages}
    missing = [package for package in packages if not _is_whole(files[package.spec], package)]
    if missing:
        registry = Npm(environment=os.environ).configured_registry(ROOT)
        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(lambda package: _download(registry, package, files[package.spec]), missing))
    _forget(folder)
    return files


def _is_whole(file: Path, package: Published) -> bool:
    return file.is_file() and file.stat().st_size == package.size and _integrity(file.read_bytes()) == package.integrity


def _integrity(data: bytes) -> str:
    return "sha512-" + base64.b64encode(hashlib.sha512(data).digest()).decode()


def _download(registry: str, package: Published, file: Path) -> None:
    with requests.get(registry + package.path, stream=True, timeout=SECONDS) as answer:
        answer.raise_for_status()
        data = answer.raw.read(package.size + 1)
    if _integrity(data) != package.integrity:
        raise ValueError(f"{package.spec}: the registry has another tarball than the one pinned in {PINNED.name}")
    part = file.with_name(f"{file.name}.{os.getpid()}.part")
    part.write_bytes(data)
    part.replace(file)


def _forget(folder: Path) -> None:
    """Drop tarballs that are pinned no more, so that the folder never holds more than the corpus."""
    kept = {package.spec.replace("/", "+") for package in corpus()}
    for file in folder.iterdir():
        if file.name not in kept and not file.name.endswith(".part"):
            file.unlink(missing_ok=True)


def read(tarball: Path) -> dict[str, Inspected]:
    """Return what each file of a package is; the package is unpacked once and dropped."""
    with tempfile.TemporaryDirectory(prefix="flotilla-published-") as scratch:
        root = Path(scratch) / "package"
        extract(tarball, root, strip_components=1, limits=Limits())
        return {file.relative_to(root).as_posix(): inspect(file) for file in root.rglob("*") if file.is_file()}


def manifest_of(tarball: Path) -> dict[str, object]:
    """Return a package's package.json."""
    with tarfile.open(tarball) as archive:
        (member,) = (one for one in archive if one.name.count("/") == 1 and one.name.endswith("/package.json"))
        file = archive.extractfile(member)
        assert file is not None
        loaded: dict[str, object] = json.load(file)
        return loaded


def read_all(tarballs: Mapping[str, Path]) -> dict[str, dict[str, Inspected]]:
    """Return what is in each of the packages."""
    with ProcessPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
        return dict(zip(tarballs, pool.map(read, tarballs.values()), strict=True))


def judge(package: Published, files: Mapping[str, Inspected]) -> Verdict:
    """Return what flotilla says of a package for its own platform and for every sibling in the corpus."""
    siblings = [platform for platform in platforms() if not fits(package.platform, platform)]
    refused = {platform.name: bool(platform_faults(files, platform)) for platform in siblings}
    return Verdict(
        package=package,
        found=tuple(sorted({str(binary) for file in files.values() for binary in file.binaries})),
        floors=floors_of(files, package.platform),
        own=tuple(platform_faults(files, package.platform)),
        refused=tuple(name for name, was in refused.items() if was),
        taken=tuple(name for name, was in refused.items() if not was),
    )


def fits(platform: Platform, other: Platform) -> bool:
    """Tell whether a package for one platform may be right for another: the same machine, and no other libc."""
    machine = set(platform.os) & set(other.os) and set(other.cpu) <= set(platform.cpu)
    libc = not platform.libc or not other.libc or set(platform.libc) & set(other.libc)
    return bool(machine and libc)


def table(verdicts: Sequence[Verdict]) -> str:
    """Return family, platform and verdict of each package, for a person."""
    rows = [
        (
            verdict.package.family,
            verdict.package.spec.removeprefix(verdict.package.family).lstrip("-/"),
            verdict.package.platform.name,
            "; ".join(verdict.found) or "no binary",
            str(verdict.floors) or "nothing",
            f"REFUSED: {verdict.own[0]}" if verdict.own else "right",
            f"TAKEN by {', '.join(verdict.taken)}" if verdict.taken else f"refused by all {len(verdict.refused)}",
        )
        for verdict in verdicts
    ]
    return tabulate(
        rows, ("family", "package", "platform", "holds", "needs", "its own", "other platforms"), disable_numparse=True
    )


def main() -> int:
    """Print the table; the exit status is 1 if a verdict is wrong."""
    files = read_all(fetch(corpus()))
    verdicts = [judge(package, files[package.spec]) for package in corpus()]
    wrong = [verdict for verdict in verdicts if verdict.own or verdict.taken]
    families = {package.family for package in corpus()}
    print(table(verdicts))  # noqa: T201 - a command
    counted = f"{len(verdicts)} packages of {len(families)} families for {len(platforms())} platforms"
    print(f"\n{counted}: {len(wrong)} wrong verdicts")  # noqa: T201
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
