"""Rows about GitHub: upload, download, download and unpack, and the whole release job."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from shlex import quote

import requests
from benchmarks import alternatives
from benchmarks.family import REPOSITORY, World
from benchmarks.measure import FLOOR, FLOTILLA, Row, compared, medians, run

from flotilla.rehearsal.node import node

Job = Callable[[Path], float]


class Transfers:
    """Programs that move a family's artifacts and assets, each run in a folder of its own.

    Args:
        files: a new folder; gets the files that are uploaded.
    """

    def __init__(self, world: World, files: Path, rounds: int) -> None:
        self._world = world
        self._rounds = rounds
        self._files = files
        files.mkdir()
        for archive in world.family.artifacts.glob("*/*"):
            shutil.copy(archive, files)

    def rows(self) -> Iterator[Row]:
        """Yield each row as it is measured."""
        count = len(self._world.github.state.artifacts)
        size = sum(artifact.size for artifact in self._world.github.state.artifacts) / 1e6
        what = f"{count} {{}}, {size:.0f} MB ({self._world.network})"
        yield from self._compared(f"upload {what.format('assets')}", self._uploads(), {"gh": {"ratio": 1.1}})
        yield from self._compared(f"download {what.format('artifacts')}", self._downloads(), {})
        work = f"download and unpack {what.format('artifacts')}"
        yield from self._compared(work, self._unpacked(), {"curl": {"ratio": 1.0}})
        both = {"ratio": 1.5, "floor": 1.25}
        yield from self._compared(f"release job, {what.format('artifacts')}", self._release(), {"": both})

    def _compared(self, work: str, jobs: Mapping[str, Job], aims: Mapping[str, Mapping[str, float]]) -> Iterator[Row]:
        found = medians(self._rounds, {name: partial(self._fresh, job) for name, job in jobs.items()})
        yield from compared(work, found, aims)

    def _fresh(self, job: Job) -> float:
        with self._world.fresh() as folder:
            return job(folder)

    def _uploads(self) -> dict[str, Job]:
        jobs: dict[str, Job] = {FLOOR: self._curl_up}
        if alternatives.has_gh():
            jobs["gh release create"] = partial(
                self._shell, alternatives.gh_create(f"{quote(str(self._files))}/*"), gh=True
            )
        if program := alternatives.softprops():
            jobs["softprops/action-gh-release"] = partial(self._softprops, program)
        return {**jobs, FLOTILLA: partial(self._client, "upload", str(self._files))}

    def _downloads(self) -> dict[str, Job]:
        loop = partial(self._each, alternatives.DOWNLOAD, alternatives.AT_A_TIME)
        return {
            FLOOR: self._curl_down,
            f"curl, {alternatives.AT_A_TIME} at a time": loop,
            FLOTILLA: partial(self._client, "download", "."),
        }

    def _unpacked(self) -> dict[str, Job]:
        down, count = alternatives.DOWNLOAD, len(self._world.github.state.artifacts)
        jobs: dict[str, Job] = {
            FLOOR: partial(self._each, f"{down} && {alternatives.READ_ONCE}", count),
            f"curl | unzip | tar, {alternatives.AT_A_TIME} at a time": partial(
                self._each, f"{down} && {alternatives.UNPACK}", alternatives.AT_A_TIME
            ),
            "actions/download-artifact, tar": partial(self._shell, f"{_node()} . && {alternatives.UNTAR}"),
        }
        if alternatives.has_gh():
            line = f"gh run download $RUN_ID --repo {alternatives.REPO} && {alternatives.UNTAR}"
            jobs["gh run download, tar"] = partial(self._shell, line, gh=True)
        return {**jobs, FLOTILLA: partial(self._client, "unpack", ".")}

    def _release(self) -> dict[str, Job]:
        jobs: dict[str, Job] = {FLOOR: self._raw}
        if alternatives.has_gh():
            line = f"{_node()} . && {alternatives.gh_create('*/*.tar.gz')}"
            jobs["actions/download-artifact, gh release create"] = partial(self._shell, line, gh=True)
        else:
            jobs["actions/download-artifact, curl"] = self._download_and_curl
        return {**jobs, FLOTILLA: lambda folder: self._world.flotilla("release", folder, phase="release")}

    def _environment(self, folder: Path) -> dict[str, str]:
        return alternatives.variables(self._world, folder)

    def _client(self, what: str, given: str, folder: Path) -> float:
        command = [sys.executable, "-I", str(alternatives.HERE / "client.py"), what, given]
        return run(command, folder, self._environment(folder))

    def _shell(self, line: str, folder: Path, *, gh: bool = False) -> float:
        given = self._environment(folder)
        return run(["sh", "-ec", line], folder, alternatives.for_gh(given) if gh else given)

    def _each(self, line: str, at_a_time: int, folder: Path) -> float:
        """Run a line for each artifact."""
        ids = "\n".join(str(one.id) for one in self._world.github.state.artifacts)
        command = ["xargs", "-P", str(at_a_time), "-I{}", "sh", "-ec", line, "sh", "{}"]
        return run(command, folder, self._environment(folder), given=ids)

    def _softprops(self, program: Path, folder: Path) -> float:
        given = alternatives.for_softprops(self._environment(folder), self._files)
        return run([str(node()), str(program)], folder, given)

    def _curl_down(self, folder: Path) -> float:
        return curl(alternatives.curl_down(self._world), folder)

    def _curl_up(self, folder: Path) -> float:
        """Upload to a draft that is there already, and do not publish it."""
        draft = requests.post(
            f"{self._world.github.origins.api}/repos/{REPOSITORY}/releases",
            json={"tag_name": alternatives.TAG, "draft": True},
            headers={"Authorization": f"Bearer {self._world.github.state.token}"},
            timeout=30,
        )
        url = draft.json()["upload_url"].partition("{")[0]
        return curl(alternatives.curl_up(self._world, url, sorted(self._files.iterdir())), folder)

    def _raw(self, folder: Path) -> float:
        """Download all, read all once, upload all: each as fast as it can be, and nothing else."""
        return (
            self._curl_down(folder)
            + self._each(alternatives.READ_ONCE, os.cpu_count() or 1, folder)
            + self._curl_up(folder)
        )

    def _download_and_curl(self, folder: Path) -> float:
        return self._shell(f"{_node()} .", folder) + self._curl_up(folder)


def curl(configuration: str, folder: Path) -> float:
    """Return the seconds that one curl takes for all transfers at once."""
    return run(["curl", "--parallel", "--parallel-immediate", "--config", "-"], folder, given=configuration)


def _node() -> str:
    """Return what runs download-artifact's client in a shell."""
    return f'"{node()}" "{alternatives.HERE / "download.mjs"}"'
