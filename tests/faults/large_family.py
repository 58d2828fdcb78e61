"""A family of 110 packages that shares the example's binaries: as little work a package as can be."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

# The example's builds, each under two names.
PLATFORMS = {
    "darwin-arm64": {"os": "darwin", "cpu": "arm64"},
    "darwin-x64": {"os": "darwin", "cpu": "x64"},
    "linux-arm64": {"os": "linux", "cpu": "arm64", "libc": "glibc"},
    "linux-x64": {"os": "linux", "cpu": "x64", "libc": "glibc"},
    "linuxmusl-x64": {"os": "linux", "cpu": "x64", "libc": "musl"},
}
VARIANTS = tuple(f"v{n}" for n in range(10))


@dataclass(frozen=True, kw_only=True)
class Checkout:
    """A family's repository and its CI artifacts."""

    source: Path
    artifacts: Path


def large_family(folder: Path, example: Path, *, platforms: int = 10, variants: Sequence[str] = VARIANTS) -> Checkout:
    """Write it.

    Args:
        folder: a new one.
        example: the example's artifacts.
        platforms: how many, at the most ten.
        variants: their names; a meta package each.
    """
    names = [f"{build}{suffix}" for suffix, build in product(("", "-b"), PLATFORMS)][:platforms]
    source, artifacts = folder / "source", folder / "artifacts"
    source.mkdir(parents=True)
    (source / "flotilla.yml").write_text(json.dumps(_config(names, variants)), encoding="utf-8")
    for name in names:
        program = _program(example, name.removesuffix("-b"))
        for variant in variants:
            artifact = artifacts / f"many-{name}-{variant}"
            (artifact / "bin").mkdir(parents=True)
            (artifact / "bin" / "tool").write_bytes(program)
    return Checkout(source=source, artifacts=artifacts)


def _config(names: Sequence[str], variants: Sequence[str]) -> dict[str, object]:
    return {
        "schema": 1,
        "family": "@acme/many",
        "platforms": [{"name": name, **PLATFORMS[name.removesuffix("-b")]} for name in names],
        "variants": [{"name": variant, "license": "MIT"} for variant in variants],
        "ci": {"workflow": "ci.yml", "artifact": "many-{build}-{variant}"},
        "packages": {"platform": {"files": ["bin/*"], "executables": ["bin/*"]}, "meta": {}},
        "release": {"tag": "v{version}", "notes": "generate"},
        "publish": {"access": "public", "pause-seconds": 5},
    }


def _program(example: Path, build: str) -> bytes:
    with tarfile.open(next((example / f"chroma-{build}-free").glob("*.tar.gz"))) as archive:
        member = min((one for one in archive.getmembers() if "/bin/" in one.name), key=lambda one: one.size)
        file = archive.extractfile(member)
        assert file is not None
        return file.read()
