"""Rows about npm: pack, publish a platform, publish a family, and the whole job graph."""

from __future__ import annotations

import json
import os
import shutil
import sys
import tarfile
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path

from benchmarks import alternatives
from benchmarks.family import TOKEN, VERSION, World, binary
from benchmarks.measure import FLOOR, FLOTILLA, Contender, Row, Spent, compared, medians, run
from benchmarks.transfers import curl
from tests.rehearsal.publishing import document

from flotilla.npm.cli import npmrc
from flotilla.packing.tarball import LEVEL
from flotilla.rehearsal.node import node, node_bin, npm

SLEEP_SECONDS = 10  # between two publishes of the one job that flotilla replaces
PAUSE_SECONDS = 5  # flotilla's own default, between two publishes of a job
Job = Callable[[Path], float]
MAX_PARALLEL = 2  # of the documented workflow
LOOP = 'for each in "$TARBALLS"/*.tgz; do npm publish "$each" --access public; done'


def pack_rows(folder: Path, size: int, rounds: int) -> Iterator[Row]:
    """Yield the rows of the same files in one package, and in four.

    Args:
        folder: a new one.
        size: bytes of all files.
    """
    for packages in (1, 4):
        yield _pack_row(folder / str(packages), packages, size, rounds)


def _pack_row(folder: Path, packages: int, size: int, rounds: int) -> Row:
    (folder / "out").mkdir(parents=True)
    names = [f"p{number}" for number in range(packages)]
    for number in range(4):
        content = folder / "content" / names[number % packages]
        content.mkdir(parents=True, exist_ok=True)
        (content / f"lib{number}.so").write_bytes(binary(number, size // 4))
    shutil.copytree(folder / "content", folder / "packages")
    for name in names:
        (folder / "packages" / name / "package.json").write_text(json.dumps({"name": name, "version": VERSION}))
    options = ["--silent", "--ignore-scripts", f"--cache={folder / 'cache'}", f"--pack-destination={folder / 'out'}"]
    client = [sys.executable, "-I", str(alternatives.HERE / "client.py"), "pack", str(folder / "tarballs")]
    zipped = ["xargs", "-P", str(os.cpu_count()), "-I{}", "sh", "-c", f"tar c {{}} | gzip -{LEVEL} > {{}}.gz"]
    jobs: dict[str, Contender] = {
        FLOOR: partial(run, zipped, folder / "content", given="\n".join(names)),
        "npm pack": partial(run, [*npm(), "pack", *options, *(f"./{name}" for name in names)], folder / "packages"),
        FLOTILLA: partial(run, [*client, *(str(folder / "content" / name) for name in names)], folder),
    }
    work = f"pack {size / 1e6:.0f} MB into {packages} package{'s' if packages > 1 else ''} (floor: tar and gzip)"
    return next(compared(work, medians(rounds, jobs), {"npm": {"ratio": round(1 / 1.8, 2)}}))


class Publishing:
    """Publishes a family's packages: by flotilla's jobs, and by others that are given the ready tarballs.

    Args:
        world: its GitHub release is made here, once.
        folder: a new one.
    """

    def __init__(self, world: World, folder: Path, rounds: int) -> None:
        self._world = world
        self._rounds = rounds
        self._of_platforms, self._all = folder / "platforms", folder / "all"
        with world.fresh() as place:
            world.flotilla("release", place)
            self._platforms(place)
            keep(world.registry.state.tarballs, self._of_platforms)
            world.flotilla("publish-meta", place)
            keep(world.registry.state.tarballs, self._all)
        self._unreleased = world.saved()
        world.flotilla("release", folder)
        world.plan.start()

    def platform_row(self) -> Row:
        """Return the row of one job that publishes the packages of all the family's platforms."""
        jobs: dict[str, Job] = {
            FLOOR: partial(self._raw, self._of_platforms),
            "npm publish, ready tarballs": partial(self._loop, self._of_platforms),
            FLOTILLA: self._platforms,
        }
        sizes = [path.stat().st_size for path in self._of_platforms.iterdir()]
        work = f"publish-platform, {len(sizes)} packages, {sum(sizes) / 1e6:.0f} MB ({self._world.network})"
        return next(compared(work, self._medians(jobs), {"npm": {"ratio": 1.15}}))

    def family_rows(self) -> Iterator[Row]:
        """Yield the rows of the whole family published by two jobs without pauses, one after the other."""
        jobs: dict[str, Job] = {
            FLOOR: partial(self._raw, self._all),
            "npm publish in a loop": partial(self._loop, self._all),
            "pnpm -r publish": self._pnpm,
            FLOTILLA: lambda folder: self._platforms(folder) + self._world.flotilla("publish-meta", folder),
        }
        work = f"publish {self._world.family.packages} packages without pauses ({self._world.network})"
        yield from compared(work, self._medians(jobs), {})

    def graph_row(self) -> Row:
        """Return the row of all jobs of the documented workflow, against one job that sleeps between its publishes.

        Every job is run alone, as on a runner of its own. The pauses are added, and the platform jobs are put on as
        many runners as max-parallel allows.
        """
        packages, variants = self._world.family.packages, self._world.family.variants
        found = self._medians({"one": partial(self._loop, self._all), FLOTILLA: self._graph})
        slept = Spent(seconds=found["one"].seconds + SLEEP_SECONDS * (packages - 1), cpu=found["one"].cpu)
        each = f"{variants} package{'s' if variants > 1 else ''} a job"
        work = f"all jobs, {packages} packages, {each}, pause {PAUSE_SECONDS} s ({self._world.network})"
        both = {f"npm publish in one job, sleep {SLEEP_SECONDS}": slept, FLOTILLA: found[FLOTILLA]}
        return next(compared(work, both, {"npm": {"ratio": 0.4}}))

    def _medians(self, jobs: Mapping[str, Job]) -> dict[str, Spent]:
        return medians(self._rounds, {name: partial(self._fresh, job) for name, job in jobs.items()})

    def _fresh(self, job: Job) -> float:
        with self._world.fresh() as folder:
            return job(folder)

    def _platforms(self, folder: Path, platform: str = "all") -> float:
        run_id = str(self._world.ci_run)
        return self._world.flotilla("publish-platform", folder, platform=platform, run_id=run_id)

    def _graph(self, folder: Path) -> float:
        pauses = PAUSE_SECONDS * (self._world.family.variants - 1)
        self._world.restore(self._unreleased)
        released = self._world.flotilla("release", folder)
        free = [0.0] * MAX_PARALLEL
        for platform in self._world.family.platforms:
            free[free.index(min(free))] += self._platforms(folder, platform) + pauses
        return released + max(free) + self._world.flotilla("publish-meta", folder) + pauses

    def _loop(self, tarballs: Path, folder: Path) -> float:
        return npm_loop(self._world, tarballs, folder)

    def _pnpm(self, folder: Path) -> float:
        (folder / "pnpm-workspace.yaml").write_text('packages: ["packages/*/package"]\n')
        for tarball in self._all.iterdir():
            with tarfile.open(tarball) as archive:
                archive.extractall(folder / "packages" / tarball.stem)  # noqa: S202 - our own
        program = alternatives.modules() / "pnpm/bin/pnpm.mjs"
        command = [str(node()), str(program), "-r", "publish", "--no-git-checks", "--access", "public"]
        return run(command, folder, _for_npm(self._world, folder))

    def _raw(self, tarballs: Path, folder: Path) -> float:
        """Download every artifact, then send what npm would send, over one connection."""
        documents = []
        for number, tarball in enumerate(sorted(tarballs.iterdir())):
            content = tarball.read_bytes()
            sent = document(f"raw-{number}", VERSION, tag="latest", access="public", content=content)
            (folder / f"raw-{number}").write_text(json.dumps(sent), encoding="utf-8")
            documents.append(folder / f"raw-{number}")
        down, put = alternatives.curl_down(self._world), alternatives.curl_put(self._world, documents, TOKEN)
        return curl(down, folder) + run(["curl", "--config", "-"], folder, given=put)


def keep(tarballs: Mapping[str, bytes], folder: Path) -> None:
    """Write the registry's tarballs in the order in which they were published."""
    folder.mkdir(parents=True)
    for number, content in enumerate(tarballs.values()):
        (folder / f"{number:04}.tgz").write_bytes(content)


def npm_loop(world: World, tarballs: Path, folder: Path) -> float:
    """Return the seconds that npm takes to publish a folder's tarballs, one after another."""
    return run(["sh", "-ec", LOOP], folder, _for_npm(world, folder) | {"TARBALLS": str(tarballs)})


def _for_npm(world: World, folder: Path) -> dict[str, str]:
    """Return the environment of npm and pnpm, whose home has the registry and the token."""
    url = world.registry.url
    (folder / ".npmrc").write_text(f"registry={url}\n{npmrc(url, TOKEN)}", encoding="utf-8")
    return {"PATH": f"{node_bin(folder)}{os.pathsep}{os.defpath}", "HOME": str(folder)}
