"""A whole release on one machine: real artifacts, npm and registry, a simulated GitHub; then what users get."""

from __future__ import annotations

import os
import platform as this
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from flotilla.commands.check import FOLDER
from flotilla.errors import ArtifactError, FlotillaError, RegistryError
from flotilla.family import Family, Package
from flotilla.rehearsal.github import GitHubState, add_artifact
from flotilla.rehearsal.job_graph import Graph, JobRun, errors
from flotilla.rehearsal.node import default_cache, node_bin, node_modules
from flotilla.rehearsal.show import Show
from flotilla.rehearsal.users import Machine, install, install_everywhere
from flotilla.rehearsal.world import Rehearsal

NOT_COPIED = shutil.ignore_patterns(".git", "node_modules", ".venv", "__pycache__")
TRY_SECONDS = 300


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What to rehearse.

    Args:
        root: the repository; it is copied, and the copy released.
        config: flotilla.yml, relative to it.
        artifacts: a folder in which each sub-folder or zip, or raw file, is an artifact of the CI run.
        repository: "owner/name".
        program: run in a project where the host's packages are installed, as their user would; None for none.
    """

    root: Path
    config: str
    family: Family
    artifacts: Path
    repository: str
    program: Path | None = None


@dataclass(frozen=True, kw_only=True)
class Rehearsed:
    """What came out, each figure counted from what the registry and npm hold."""

    packages: int
    platforms: int
    program_ran: bool


def rehearse(plan: Plan, folder: Path, show: Show) -> Rehearsed:
    """Release the family into a world of its own, and install it.

    Args:
        folder: an empty one, for everything that is written; the caller removes it.

    Raises:
        FlotillaError: a job failed, or a user would get something else than was released.
    """
    state = _github(plan)
    workspace = copied(plan, folder / "workspace")
    modules = node_modules(default_cache(os.environ), environment=os.environ, told=show.line)
    with Rehearsal(folder / "world", github=state, modules=modules) as world:
        show.begin(plan.family, plan.repository)
        _release(plan, world, workspace, show)
        packages = _accepted(world, plan.family)
        show.users()
        path = f"{node_bin(folder)}:{os.environ.get('PATH', os.defpath)}"
        users = install_everywhere(
            plan.family, registry=world.registry.url, folder=folder / "users", path=path, told=show.installed
        )
        ran = _try(plan, world.registry.url, folder / "host", path, show) if plan.program else False
    return Rehearsed(packages=packages, platforms=len({one.platform.name for one in users}), program_ran=ran)


def copied(plan: Plan, workspace: Path) -> Path:
    """Return the repository as a checkout would have it: without what others installed, and without the artifacts."""
    artifacts = plan.artifacts.resolve()

    def ignore(folder: str, names: list[str]) -> set[str]:
        return NOT_COPIED(folder, names) | {name for name in names if Path(folder, name).resolve() == artifacts}

    shutil.copytree(plan.root, workspace, symlinks=True, ignore=ignore)
    return workspace


def host() -> Machine:
    """Return the machine at hand, in npm's words."""
    system = {"linux": "linux", "darwin": "darwin", "win32": "win32"}.get(sys.platform, sys.platform)
    cpu = {"x86_64": "x64", "amd64": "x64", "aarch64": "arm64", "arm64": "arm64"}.get(this.machine().lower(), "")
    libc = ("glibc" if this.libc_ver()[0] == "glibc" else "musl") if system == "linux" else ""
    return Machine(os=system, cpu=cpu, libc=libc)


def _github(plan: Plan) -> GitHubState:
    state = GitHubState(repository=plan.repository)
    run = state.add_run(workflow=plan.family.config.ci.workflow)
    if not plan.artifacts.is_dir():
        raise ArtifactError(f"{plan.artifacts} is no folder", advice=FOLDER)
    needed = dict.fromkeys(need.artifact for need in plan.family.artifacts)
    for path in sorted(plan.artifacts.iterdir()):
        add_artifact(state, run, path, raw=needed)
    there = {artifact.name for artifact in state.artifacts}
    if missing := [name for name in needed if name not in there]:
        raise ArtifactError(
            [f"artifact {name} is not there" for name in missing],
            advice=f"Each artifact is a folder, a zip or a file in {plan.artifacts}, named as CI names it (ci.artifact "
            f"in flotilla.yml). The folder holds {', '.join(sorted(there)) or 'nothing'}.",
        )
    return state


def _release(plan: Plan, world: Rehearsal, workspace: Path, show: Show) -> None:
    inputs = {
        "version": plan.family.version,
        "config": plan.config,
        "npm-token": next(iter(world.registry.state.tokens)),
        "pause-seconds": "0",
    }
    graph = Graph(world=world, workspace=workspace, inputs=inputs, told=show.job)
    failed = [run for run in graph.run(has_dev=bool(plan.family.devs), has_meta=bool(plan.family.metas)) if run.status]
    if failed:
        raise FlotillaError([_failure(run) for run in failed], advice="The rehearsal stops here, as the release would.")


def _failure(run: JobRun) -> str:
    return "\n".join([f"{run.title} ended with {run.status}.", *(errors(run) or [run.log[-2000:]])])


def _accepted(world: Rehearsal, family: Family) -> int:
    """How many packages the registry accepted; each of the family, once."""
    accepted = world.registry.state.snapshot()["accepted"]
    wanted = {f"{package.name}@{package.version}": 1 for package in family.packages}
    if accepted != wanted:
        raise RegistryError(f"the registry accepted {accepted}, and {wanted} was to be published")
    return len(accepted)


def _is_for_host(package: Package) -> bool:
    return package.platform is not None and host().takes(package.platform)


def _try(plan: Plan, registry: str, project: Path, path: str, show: Show) -> bool:
    """Run the user's program where the host's packages are installed."""
    assert plan.program is not None  # noqa: S101 - the caller asked
    if not any(host().takes(platform) for platform in plan.family.config.platforms):
        show.line(f"No platform of the family is this machine's ({host()}): {plan.program.name} is not run")
        return False
    project.mkdir()
    own = [package for package in plan.family.packages if package.kind == "platform" and _is_for_host(package)]
    specs = [f"{package.name}@{package.version}" for package in (*(plan.family.metas or own), *plan.family.devs)]
    install(project, specs, None, registry=registry, path=path)
    done = subprocess.run(
        [sys.executable, str(plan.program.resolve())],
        cwd=project,
        env={"PATH": path, "HOME": str(project)},
        capture_output=True,
        text=True,
        timeout=TRY_SECONDS,
        check=False,
    )
    show.tried(plan.program, done.stdout)
    if done.returncode:
        raise FlotillaError(f"{plan.program} ended with {done.returncode}: {done.stderr.strip()[-2000:]}")
    return True
