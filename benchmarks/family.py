"""The families that are released here, and the world that they are released into."""

from __future__ import annotations

import io
import json
import os
import shutil
import sys
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from benchmarks.measure import Peak, peak, run
from benchmarks.network import FarServing
from tests.simulator.servers import GitHubServer, RegistryServer
from tests.simulator.world import Rehearsal

from flotilla.rehearsal.github import GitHubState, add_artifact
from flotilla.rehearsal.node import node

REPOSITORY = "acme/many"
VERSION = "1.0.0"
TOKEN = "npm_rehearsal"  # noqa: S105 - the throwaway registry's own
CPUS = ("x64", "arm64", "arm", "ia32", "loong64", "ppc64", "riscv64", "s390x", "mips", "mipsel")
NETWORKS = {"0 ms": (0.0, 0.0), "50 ms, 200 Mbit/s": (0.05, 200e6 / 8)}


@dataclass(frozen=True, kw_only=True)
class Family:
    """A family's repository and its CI artifacts: a tar.gz of one binary for each platform and variant."""

    source: Path
    artifacts: Path
    platforms: tuple[str, ...]
    variants: int
    packages: int


def family(folder: Path, *, platforms: int, variants: int = 1, size: int, noise: bool = False) -> Family:
    """Write a family.

    Args:
        folder: a new one.
        platforms: how many, ten at the most.
        variants: how many; each has a package for each platform and a meta package.
        size: bytes of each binary.
        noise: whether they are of bytes that do not compress.
    """
    names = tuple(f"linux-{cpu}" for cpu in CPUS[:platforms])
    words = [f"v{number}" for number in range(variants)] if variants > 1 else []
    source, artifacts = folder / "source", folder / "artifacts"
    source.mkdir(parents=True)
    (source / "flotilla.yml").write_text(json.dumps(_config(names, words)), encoding="utf-8")
    for number, name in enumerate(f"many-{one}{f'-{word}' if word else ''}" for one in names for word in words or [""]):
        (artifacts / name).mkdir(parents=True)
        with tarfile.open(artifacts / name / f"{name}.tar.gz", "w:gz", compresslevel=0 if noise else 6) as archive:
            member = tarfile.TarInfo("bin/tool")
            member.size, member.mode = size, 0o755
            archive.addfile(member, io.BytesIO(os.urandom(size) if noise else binary(number, size)))
    counts = {"variants": variants, "packages": (platforms + 1) * variants}
    return Family(source=source, artifacts=artifacts, platforms=names, **counts)


def _config(platforms: tuple[str, ...], variants: list[str]) -> dict[str, object]:
    suffix = "-{variant}" if variants else ""
    return {
        "schema": 1,
        "family": "@acme/many",
        "platforms": [{"name": name, "binaries": "unchecked"} for name in platforms],
        **({"variants": [{"name": name, "license": "MIT"} for name in variants]} if variants else {}),
        "ci": {"workflow": "ci.yml", "artifact": f"many-{{build}}{suffix}", "archive": "*.tar.gz"},
        "packages": {"platform": {}, "meta": {}},
        "release": {"tag": "v{version}", "notes": "generate", "assets": ["*.tar.gz"]},
        "publish": {"access": "public", "pause-seconds": 0, "size-limit-mb": 2000},
    }


def binary(number: int, size: int) -> bytes:
    """Return a part of node's own program, so that it compresses as programs do."""
    program = _program()
    start = number * size % len(program)
    return (program[start:] + program * (size // len(program) + 1))[:size]


@cache
def _program() -> bytes:
    return node().read_bytes()


class World(Rehearsal):
    """A simulated GitHub with the family's CI run, and a registry, both behind a network.

    Args:
        folder: a new one, for the jobs' files.
        network: a key of NETWORKS.
    """

    def __init__(self, folder: Path, released: Family, network: str) -> None:
        github = GitHubState(repository=REPOSITORY)
        self.ci_run = github.add_run(workflow="ci.yml").id
        for path in sorted(released.artifacts.iterdir()):
            add_artifact(github, github.runs[0], path)
        super().__init__(folder, github=github)
        self.family = released
        self.network = network

    def _start(self, stack: ExitStack) -> None:
        serving = stack.enter_context(FarServing(*NETWORKS[self.network]))
        self.github = GitHubServer(self._github, serving, plan=self.plan)
        self.registry = RegistryServer(self._state, serving, plan=self.plan)

    @contextmanager
    def fresh(self) -> Iterator[Path]:
        """Yield a folder for one run; afterwards GitHub and the registry are as they were before it."""
        saved = self.saved()
        with tempfile.TemporaryDirectory(dir=self.folder) as folder:
            yield Path(folder)
        self.restore(saved)
        self.plan.start()

    def flotilla(self, job: str, folder: Path, **inputs: str) -> float:
        """Return the seconds that one of flotilla's jobs takes as a process of its own."""
        command, workspace, variables = self._job(job, folder, inputs)
        return run(command, workspace, variables)

    def flotilla_peak(
        self, job: str, folder: Path, inputs: Mapping[str, str] | None = None, *, disk: bool = False
    ) -> Peak:
        """Return what one of flotilla's jobs needs at its peak; its disk counts what it downloads and unpacks."""
        command, workspace, variables = self._job(job, folder, inputs or {})
        return peak(command, workspace, variables, scratch=Path(variables["RUNNER_TEMP"]) if disk else None)

    def _job(self, job: str, folder: Path, inputs: Mapping[str, str]) -> tuple[list[str], Path, dict[str, str]]:
        """Return a job's command, its fresh checkout, and its environment."""
        workspace = Path(tempfile.mkdtemp(dir=folder))
        shutil.copytree(self.family.source, workspace, dirs_exist_ok=True)
        given = {"version": VERSION, "registry": self.registry.url, "npm-token": TOKEN}
        given |= {} if job == "release" else {"provenance": "false"}
        given |= {name.replace("_", "-"): value for name, value in inputs.items()}
        variables = self.environment(job, workspace=workspace, inputs=given, id_token=False).variables
        return [sys.executable, "-Im", "flotilla", job], workspace, variables
