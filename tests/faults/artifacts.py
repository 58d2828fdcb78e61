"""The example's artifacts, built once for its sources."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples/chroma"


def example_artifacts() -> Path:
    """Return a folder with a folder for each artifact of the example, as its CI uploads them."""
    cache = Path(os.environ.get("FLOTILLA_CACHE", ROOT / ".cache")) / "faults"
    cache.mkdir(parents=True, exist_ok=True)
    built = cache / f"artifacts-{_sources()}"
    with (cache / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not built.exists():
            half = built.with_suffix(".half")
            shutil.rmtree(half, ignore_errors=True)
            command = [sys.executable, str(EXAMPLE / "build.py"), "--out", str(half)]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            half.rename(built)
    return built


def _sources() -> str:
    digest = hashlib.sha256()
    for file in sorted(path for path in EXAMPLE.rglob("*") if path.is_file() and "npm" not in path.parts):
        digest.update(str(file.relative_to(EXAMPLE)).encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()[:16]
