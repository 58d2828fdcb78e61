"""What flotilla takes beside named alternatives: real processes, medians of interleaved runs.

usage: python -m benchmarks.compare [--quick] [--rounds N]    from the repository's folder

Writes benchmarks/results/compare.md and compare.svg. The rows with a network have it as it is on loopback, and with
50 ms for each request and 200 Mbit/s for each transfer. The clients and the servers share the machine's cores.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import shutil
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from xml.sax.saxutils import escape

import requests
from benchmarks.network import Network
from tabulate import tabulate
from tests.simulator.world import Rehearsal

from flotilla.rehearsal.github import GitHubState, add_artifact
from flotilla.rehearsal.node import npm

RESULTS = Path(__file__).parent / "results"
NETWORKS = {"0 ms": None, "50 ms, 200 Mbit/s": (0.05, 200e6 / 8)}
COUNT = 9
VERSION = "1.0.0"
PACK = """
import pathlib, sys
from flotilla.family import Package
from flotilla.packing import package_files, write_tarball
package = Package(kind="dev", name="acme", version="1.0.0", platform=None, variant=None, artifact="a", template=None)
files = package_files(package, {"name": "acme", "version": "1.0.0"}, template=None, content=pathlib.Path(sys.argv[1]))
write_tarball(files, pathlib.Path(sys.argv[2]))
"""
CURL = """
set -e
curl -sSfL --oauth2-bearer "$TOKEN" -o $1.zip $API/actions/artifacts/$1/zip
unzip -qo $1.zip -d $1
tar xzf $1/*.tar.gz -C $1
for file in $1/*.tar.gz; do
  curl -sSf -o /dev/null -H "Authorization: Bearer $TOKEN" -H "Content-Type: application/gzip" \\
    --data-binary @$file "$UPLOAD?name=${file##*/}"
done
"""
CPUS = ("x64", "arm64", "arm", "ia32", "loong64", "ppc64", "riscv64", "s390x", "mips")
CONFIG = {
    "schema": 1,
    "family": "@acme/many",
    "platforms": [{"name": f"linux-{cpu}", "binaries": "unchecked"} for cpu in CPUS],
    "ci": {"workflow": "ci.yml", "artifact": "many-{build}", "archive": "*.tar.gz"},
    "packages": {"platform": {}, "meta": {}},
    "release": {"tag": "v{version}", "notes": "generate", "assets": ["*.tar.gz"]},
}


@dataclass(frozen=True, kw_only=True)
class Row:
    """One comparison: the median seconds of the alternative and of flotilla."""

    work: str
    alternative: str
    seconds: float
    flotilla: float

    @property
    def ratio(self) -> float:
        """Return flotilla's time over the alternative's."""
        return self.flotilla / self.seconds


class Bench:
    """Runs the rows.

    Args:
        megabytes: of each artifact, and a ninth of the package that is packed.
        rounds: how often each is run.
    """

    def __init__(self, folder: Path, *, megabytes: float, rounds: int) -> None:
        self.folder = folder
        self._bytes = int(megabytes * 1e6)
        self._rounds = rounds

    def rows(self) -> Iterator[Row]:
        """Yield each row as it is measured."""
        yield self._measured("start: from nothing to --help", "python -c pass", self._empty, self._help)
        yield self._measured(f"pack {self._bytes * COUNT / 1e6:.0f} MB", "npm pack", self._npm_pack, self._pack)
        artifacts = self._artifacts()
        for name, shape in NETWORKS.items():
            with ExitStack() as stack:
                world: Rehearsal = _world(self.folder / f"world-{len(name)}", artifacts)
                stack.enter_context(world)
                network = stack.enter_context(Network(delay=shape[0], rate=shape[1])) if shape else None
                proxy = {"http_proxy": network.url} if network else {}
                yield self._measured(
                    f"phase release, {COUNT} artifacts ({name})",
                    f"curl | unzip | tar, and curl up, {COUNT} at a time",
                    partial(self._by_curl, world, proxy),
                    partial(self._release, world, proxy),
                )

    def _measured(self, work: str, alternative: str, theirs: Callable[[], float], ours: Callable[[], float]) -> Row:
        pairs = [(theirs(), ours()) for _ in range(self._rounds)]
        seconds, flotilla = (statistics.median(each) for each in zip(*pairs, strict=True))
        return Row(work=work, alternative=alternative, seconds=seconds, flotilla=flotilla)

    def _empty(self) -> float:
        return _run([sys.executable, "-I", "-c", "pass"], self.folder)

    def _help(self) -> float:
        return _run([sys.executable, "-I", "-m", "flotilla", "release", "--help"], self.folder)

    def _package(self) -> Path:
        root = self.folder / "package"
        if not root.exists():
            root.mkdir()
            (root / "package.json").write_text(json.dumps({"name": "acme", "version": VERSION}))
            for number in range(4):
                (root / f"lib{number}.so").write_bytes(_binary(number, self._bytes * COUNT // 4))
        return root

    def _npm_pack(self) -> float:
        out = self.folder / "npm"
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir()
        options = ["--silent", "--ignore-scripts", f"--cache={self.folder / 'cache'}", f"--pack-destination={out}"]
        return _run([*npm(), "pack", *options, str(self._package())], self.folder)

    def _pack(self) -> float:
        content, out = self.folder / "content", self.folder / "packed"
        if not content.exists():
            shutil.copytree(self._package(), content, ignore=shutil.ignore_patterns("package.json"))
        shutil.rmtree(out, ignore_errors=True)
        return _run([sys.executable, "-c", PACK, str(content), str(out)], self.folder)

    def _artifacts(self) -> Path:
        """Return a folder with a folder for each artifact, which holds a tar.gz of one binary."""
        root = self.folder / "artifacts"
        for number, cpu in enumerate(CPUS):
            name = f"linux-{cpu}"
            (root / f"many-{name}").mkdir(parents=True)
            binary = self.folder / "tool"
            binary.write_bytes(_binary(number, self._bytes))
            with tarfile.open(root / f"many-{name}" / f"many-{name}.tar.gz", "w:gz", compresslevel=6) as archive:
                archive.add(binary, "bin/tool")
        return root

    def _release(self, world: Rehearsal, proxy: Mapping[str, str]) -> float:
        saved, workspace = world.saved(), Path(tempfile.mkdtemp(dir=self.folder))
        (workspace / "flotilla.yml").write_text(json.dumps(CONFIG))
        inputs = {"version": VERSION, "registry": world.registry.url, "phase": "release", "npm-token": "x" * 20}
        given = world.environment("release", workspace=workspace, inputs=inputs)
        try:
            return _run([sys.executable, "-Im", "flotilla", "release"], workspace, {**given.variables, **proxy})
        finally:
            world.restore(saved)

    def _by_curl(self, world: Rehearsal, proxy: Mapping[str, str]) -> float:
        """Download and unpack every artifact, then upload every archive to a draft: nothing is checked."""
        saved, place = world.saved(), Path(tempfile.mkdtemp(dir=self.folder))
        api, token = world.github.origins.api, world.github.state.token
        address = f"{api}/repos/{world.github.state.repository}"
        draft = {"tag_name": "v1", "draft": True}
        answer = requests.post(
            f"{address}/releases", json=draft, headers={"Authorization": f"Bearer {token}"}, timeout=30
        )
        release = answer.json()
        upload = release["upload_url"].partition("{")[0]
        numbers = [str(one.id) for one in world.github.state.artifacts]
        environment = {
            "PATH": os.environ["PATH"],
            "TOKEN": token,
            "API": address,
            "UPLOAD": upload,
            **proxy,
        }
        command = ["xargs", "-P", str(COUNT), "-I{}", "sh", "-c", CURL, "sh", "{}"]
        try:
            return _run(command, place, environment, given="\n".join(numbers))
        finally:
            world.restore(saved)


def _world(folder: Path, artifacts: Path) -> Rehearsal:
    github = GitHubState(repository="acme/many")
    run = github.add_run(workflow="ci.yml")
    for path in sorted(artifacts.iterdir()):
        add_artifact(github, run, path)
    return Rehearsal(folder, github=github)


def _binary(seed: int, size: int) -> bytes:
    """Return bytes that compress about as programs do: half of them noise, half of them repeated."""
    noise = random.Random(seed)  # noqa: S311 - content, no secret
    block = noise.randbytes(1 << 12)
    parts = [noise.randbytes(1 << 16) + block * 16 for _ in range(size // (1 << 17) + 1)]
    return b"".join(parts)[:size]


def _run(command: list[str], folder: Path, environment: Mapping[str, str] | None = None, given: str = "") -> float:
    began = time.perf_counter()
    done = subprocess.run(
        command, cwd=folder, env=environment, input=given, capture_output=True, text=True, check=False
    )
    took = time.perf_counter() - began
    if done.returncode:
        sys.exit(f"{command[:4]} ended with {done.returncode}:\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
    return took


def markdown(rows: list[Row], *, rounds: int) -> str:
    """Return the table, with what it was measured on."""
    cells = [(row.work, row.alternative, row.seconds, row.flotilla, row.ratio) for row in rows]
    headers = ("work", "alternative", "alternative s", "flotilla s", "ratio")
    facts = (
        f"{os.cpu_count()} cores, Python {platform.python_version()}, {platform.system()} {platform.machine()}; "
        f"medians of {rounds} interleaved runs, clients and servers on the same cores."
    )
    return f"# Measured\n\n{facts}\n\n{tabulate(cells, headers, 'github', floatfmt='.2f')}\n"


def picture(rows: list[Row]) -> str:
    """Return the rows as bars."""
    longest = max(max(row.seconds, row.flotilla) for row in rows)
    bars = []
    for number, row in enumerate(rows):
        top = 20 + 60 * number
        bars.append(f'<text x="10" y="{top}">{escape(row.work)}</text>')
        for line, (name, seconds, colour) in enumerate(
            ((row.alternative, row.seconds, "#9aa5b1"), ("flotilla", row.flotilla, "#2f6f9f"))
        ):
            width, place = 400 * seconds / longest, top + 6 + 18 * line
            bars.append(f'<rect x="10" y="{place}" width="{width:.0f}" height="14" fill="{colour}"/>')
            bars.append(f'<text x="{width + 16:.0f}" y="{place + 12}">{seconds:.2f} s {escape(name)}</text>')
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="820" height="{60 * len(rows) + 20}" font-size="13"'
    return f'{head} font-family="sans-serif">\n' + "\n".join(bars) + "\n</svg>\n"


def main(arguments: list[str] | None = None) -> None:
    """Measure, print the table, and write it and the picture."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.compare")
    parser.add_argument("--quick", action="store_true", help="one run each of small sizes, to see that it works")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder for the table and the picture")
    options = parser.parse_args(arguments)
    rounds, megabytes = (1, 0.2) if options.quick else (options.rounds, 65 / COUNT)
    with tempfile.TemporaryDirectory(prefix="flotilla-bench-") as folder:
        rows = list(Bench(Path(folder), megabytes=megabytes, rounds=rounds).rows())
    table = markdown(rows, rounds=rounds)
    options.results.mkdir(parents=True, exist_ok=True)
    (options.results / "compare.md").write_text(table, encoding="utf-8")
    (options.results / "compare.svg").write_text(picture(rows), encoding="utf-8")
    sys.stdout.write(table)


if __name__ == "__main__":
    main()
