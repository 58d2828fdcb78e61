"""What a user of the family gets: the meta packages, installed by npm for each platform."""

from __future__ import annotations

import json
import platform as this
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from flotilla.errors import RegistryError
from flotilla.family import Family, Package, Platform
from flotilla.packing import identify
from flotilla.rehearsal.node import npm

MOST_PARALLEL = 2
INSTALL_SECONDS = 300
NO_SCRIPTS = "--ignore-scripts"


@dataclass(frozen=True, kw_only=True)
class Machine:
    """A user's machine, in npm's words; libc is empty where npm does not ask for it."""

    os: str
    cpu: str
    libc: str

    def takes(self, platform: Platform) -> bool:
        """Return whether npm installs that platform's packages here."""
        return (
            (not platform.os or self.os in platform.os)
            and (not platform.cpu or platform.wasm or self.cpu in platform.cpu)
            and (not platform.libc or self.libc in platform.libc)
        )


@dataclass(frozen=True, kw_only=True)
class Installed:
    """One meta package on one machine, or a platform package if the family has no meta package.

    Args:
        meta: the name of that package.
        folder: the user's project.
        packages: names of the family's packages that npm installed.
        named: those that were asked for by name, beside it.
        binaries: the binaries among their files, by path, and what each is.
    """

    platform: Platform
    machine: Machine
    meta: str
    folder: Path
    packages: tuple[str, ...]
    binaries: tuple[tuple[str, str], ...]
    named: tuple[str, ...] = ()


def machines(platform: Platform) -> Iterator[Machine]:
    """Yield every machine that a platform's packages are for."""
    for system in platform.os or ("linux",):
        for cpu in ("x64",) if platform.wasm else platform.cpu or ("x64",):
            for libc in (platform.libc or ("glibc",)) if system == "linux" else ("",):
                yield Machine(os=system, cpu=cpu, libc=libc)


def install_everywhere(
    family: Family, *, registry: str, folder: Path, path: str, told: Callable[[Installed], None], scripts: bool = True
) -> list[Installed]:
    """Install each meta package for each platform, which brings exactly the packages that belong there.

    A platform's package that the meta package does not pin is installed by its name beside it. If the family has no
    meta package, users install each platform's packages by name.

    Args:
        folder: projects are made below it.
        path: the PATH that npm gets.
        scripts: whether install scripts run; those for other machines never do.

    Raises:
        RegistryError: an installation failed, or brought other packages than the platform's.
    """
    wanted = [
        (p, machine, first)
        for p in family.config.platforms
        for machine in machines(p)
        for first in family.metas or family.of_platform(p.name)
    ]

    def one(number: int) -> Installed:
        platform, machine, first = wanted[number]
        project = folder / str(number)
        project.mkdir(parents=True)
        asked = [first, *(by_name(family, platform, first) if first.kind == "meta" else [])]
        options = [] if scripts and machine == host() else [NO_SCRIPTS]
        for package in asked:
            # npm refuses a package of another machine that is named, whatever --os and --cpu say; an optional one goes
            # by them.
            also = [*options, *(["--save-optional"] if package.kind == "platform" else [])]
            spec = f"{package.name}@{package.version}"
            install(project, [spec], machine, registry=registry, path=path, options=also)
        installed = _installed(family, platform, machine, asked, project)
        told(installed)
        return installed

    with ThreadPoolExecutor(MOST_PARALLEL) as pool:
        return [*pool.map(one, range(len(wanted)))]


def by_name(family: Family, platform: Platform, meta: Package) -> list[Package]:
    """Return the package that a user of the platform installs beside the meta package, which does not pin it."""
    packages = [] if platform.pin else family.of_platform(platform.name)
    return [package for package in packages if package.variant == meta.variant]


def host() -> Machine:
    """Return the machine at hand, in npm's words."""
    system = {"linux": "linux", "darwin": "darwin", "win32": "win32"}.get(sys.platform, sys.platform)
    cpu = {"x86_64": "x64", "amd64": "x64", "aarch64": "arm64", "arm64": "arm64"}.get(this.machine().lower(), "")
    libc = ("glibc" if this.libc_ver()[0] == "glibc" else "musl") if system == "linux" else ""
    return Machine(os=system, cpu=cpu, libc=libc)


def install(
    project: Path,
    specs: Sequence[str],
    machine: Machine | None,
    *,
    registry: str,
    path: str,
    options: Sequence[str] = (),
) -> None:
    """Run `npm install` as a user types it, for a machine or for this one, with these further options."""
    target = [f"--os={machine.os}", f"--cpu={machine.cpu}"] if machine else []
    target += [f"--libc={machine.libc}"] if machine and machine.libc else []
    target += options
    quiet = ["--no-audit", "--no-fund", "--no-update-notifier", "--prefix", "."]
    done = subprocess.run(
        [*npm(), "install", *target, *quiet, f"--registry={registry}", f"--cache={project / 'cache'}", "--", *specs],
        cwd=project,
        env={"PATH": path, "HOME": str(project)},
        capture_output=True,
        text=True,
        timeout=INSTALL_SECONDS,
        check=False,
    )
    if done.returncode:
        raise RegistryError(f"npm install {' '.join([*target, *specs])} failed: {done.stderr.strip()[-2000:]}")


def _installed(
    family: Family, platform: Platform, machine: Machine, asked: Sequence[Package], project: Path
) -> Installed:
    first, *named = asked
    modules = project / "node_modules"
    ours = {package.name: package for package in family.packages}
    found = [name for name in ours if (modules / name / "package.json").is_file()]
    pinned = [name for name in first.depends_on if (its := ours[name].platform) is not None and machine.takes(its)]
    expected = [*pinned, *(package.name for package in named)]
    if sorted(found) != sorted([first.name, *expected]):
        raise RegistryError(
            f"{first.name} on {platform.name}: npm installed {', '.join(sorted(found)) or 'nothing'}; "
            f"expected {', '.join(sorted([first.name, *expected]))}",
            advice="Check os, cpu and libc of the platforms in flotilla.yml.",
        )
    for name in found:
        version = json.loads((modules / name / "package.json").read_text(encoding="utf-8"))["version"]
        if version != ours[name].version:
            raise RegistryError(f"{name}@{version} was installed for {first.name}@{first.version}")
    return Installed(
        platform=platform,
        machine=machine,
        meta=first.name,
        folder=project,
        packages=tuple(found),
        binaries=tuple(_binaries(modules, expected if first.kind == "meta" else [first.name])),
        named=tuple(package.name for package in named),
    )


def _binaries(modules: Path, names: Sequence[str]) -> Iterator[tuple[str, str]]:
    for name in names:
        for file in sorted(path for path in (modules / name).rglob("*") if path.is_file()):
            if parts := identify(file):
                yield file.relative_to(modules / name).as_posix(), str(parts[0])
