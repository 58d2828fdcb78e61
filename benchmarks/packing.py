"""How long write_tarball takes, and how much memory, beside `npm pack` and Python's shutil.make_archive.

usage: python benchmarks/packing.py [MB MB]    two sizes of package, 20 and 80 where none are given

What to look for: the peak of flotilla's memory is the same for both sizes.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tabulate import tabulate

ROUNDS = 3
SIZES = (20, 80)

FLOTILLA = """
import pathlib, sys
from flotilla.packing import PackageFolder, write_tarball
root = pathlib.Path(sys.argv[1])
modes = {path.relative_to(root).as_posix(): 0o644 for path in root.rglob("*") if path.is_file()}
folder = PackageFolder(path=root, name="acme", version="1.0.0", manifest={}, modes=modes)
write_tarball(folder, pathlib.Path(sys.argv[2]))
"""
SHUTIL = """
import shutil, sys
shutil.make_archive(sys.argv[2] + "/acme", "gztar", sys.argv[1])
"""


def main(arguments: list[str]) -> None:
    """Measures, and writes one table to standard output."""
    sizes = tuple(map(int, arguments)) or SIZES
    with tempfile.TemporaryDirectory() as workspace:
        rows = [row for size in sizes for row in _rows(size, Path(workspace))]
    headers = ["package", "packed by", "seconds", "of flotilla's", "peak MiB", "of flotilla's", "tarball MB"]
    sys.stdout.write(tabulate(rows, headers=headers, floatfmt=".2f") + "\n")


def _rows(megabytes: int, workspace: Path) -> Iterator[list[object]]:
    root = workspace / f"package{megabytes}"
    _fill(root, megabytes)
    measured = {name: _measure(argv, root, workspace / "out") for name, argv in _tools(root, workspace / "out").items()}
    seconds, peak, _ = measured["flotilla"]
    for name, (took, used, packed) in measured.items():
        yield [f"{megabytes} MB", name, took, took / seconds, used, used / peak, packed]


def _tools(root: Path, out: Path) -> dict[str, list[str]]:
    python = [sys.executable, "-c"]
    tools = {"flotilla": [*python, FLOTILLA, str(root), str(out)], "shutil": [*python, SHUTIL, str(root), str(out)]}
    npm = shutil.which("npm", path=str(Path(sys.executable).parent)) or shutil.which("npm")
    if npm is not None:
        tools["npm pack"] = [
            npm,
            "pack",
            "--silent",
            "--ignore-scripts",
            "--pack-destination",
            str(out),
            str(root),
        ]
    return tools


def _fill(root: Path, megabytes: int) -> None:
    """Return a package that compresses about as binaries do: half of it noise, half of it repeating itself."""
    noise = random.Random(megabytes)  # noqa: S311 - content, no secret
    (root / "lib").mkdir(parents=True)
    manifest = {"name": "acme", "version": "1.0.0"}
    (root / "package.json").write_text(json.dumps(manifest))
    for number in range(4):
        with (root / f"lib/libacme{number}.so").open("wb") as file:
            for _ in range(megabytes // 4):
                block = noise.randbytes(1 << 12)
                file.write(noise.randbytes(1 << 19) + block * (1 << 7))


def _measure(argv: list[str], root: Path, out: Path) -> tuple[float, float, float]:
    """Return the best seconds, the largest peak in MiB, and the tarball's size in MB."""
    rounds = [_run(argv, root, out) for _ in range(ROUNDS)]
    return min(took for took, _, _ in rounds), max(peak for _, peak, _ in rounds), rounds[0][2]


def _run(argv: list[str], root: Path, out: Path) -> tuple[float, float, float]:
    out.mkdir()
    environment = {**os.environ, "npm_config_cache": str(root.parent / "cache")}
    quiet = (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)  # npm pack names the tarball on its standard output
    started = time.perf_counter()
    process = os.posix_spawn(argv[0], argv, environment, file_actions=[quiet])
    _, status, usage = os.wait4(process, 0)
    took = time.perf_counter() - started
    if status:
        sys.exit(f"{argv[0]} failed with status {status}")
    size = sum(path.stat().st_size for path in out.iterdir())
    shutil.rmtree(out)
    return took, usage.ru_maxrss / 1024, size / 1e6


if __name__ == "__main__":
    main(sys.argv[1:])
