"""A whole release on one machine: real artifacts, npm and registry, a simulated GitHub; then what users get."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from flotilla.commands.check import FOLDER, named_as_in_ci
from flotilla.errors import ArtifactError, FlotillaError, RegistryError
from flotilla.family import Family, Package
from flotilla.rehearsal.github import GitHubState, add_artifact
from flotilla.rehearsal.job_graph import Graph, JobRun, errors
from flotilla.rehearsal.node import default_cache, node_bin, node_modules
from flotilla.rehearsal.registry import configured_upstream, why_unread
from flotilla.rehearsal.show import Show
from flotilla.rehearsal.users import NO_SCRIPTS, host, install, install_everywhere
from flotilla.rehearsal.world import Rehearsal

NOT_COPIED = shutil.ignore_patterns(".git", "node_modules", ".venv", "__pycache__")
TRY_SECONDS = 300
GIT_SECONDS = 60
MOST_EXPLAINED = 5


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What to rehearse.

    Args:
        root: the repository; it is copied, and the copy released.
        config: flotilla.yml, relative to it.
        artifacts: a folder in which each sub-folder or zip, or raw file, is an artifact of the CI run.
        repository: "owner/name".
        program: a program to run, as a user would, in a project with the host's packages installed; None for none.
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
    own = {package.name for package in plan.family.packages}
    upstream = configured_upstream(plan.root, own=own, environment=os.environ)
    with Rehearsal(folder / "world", github=state, modules=modules, upstream=upstream) as world, show:
        show.begin(plan.family, plan.repository)
        _release(plan, world, workspace, show)
        packages = _accepted(world, plan.family)
        show.users()
        try:
            platforms = _installed(plan, world, folder / "users", show)
            ran = _try(plan, world, folder / "host", show) if plan.program else False
        except RegistryError as failure:
            raise _explained(failure, plan, world) from failure
    return Rehearsed(packages=packages, platforms=platforms, program_ran=ran)


def copied(plan: Plan, workspace: Path) -> Path:
    """Return a copy of the repository as a checkout would have it: the files that git lists, without the artifacts.

    A folder that is no git repository's is copied without what others installed.
    """
    artifacts = plan.artifacts.resolve()
    listed = _listed(plan.root)
    if plan.config in listed:
        _copy(plan.root, listed, workspace, but=artifacts)
        return workspace

    def ignore(folder: str, names: list[str]) -> set[str]:
        return NOT_COPIED(folder, names) | {name for name in names if Path(folder, name).resolve() == artifacts}

    shutil.copytree(plan.root, workspace, symlinks=True, ignore=ignore)
    return workspace


def _listed(folder: Path) -> list[str]:
    """Return what git tracks or would add in a folder, submodules as one name each; nothing if git does not know it."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    environment = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    try:
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, timeout=GIT_SECONDS, check=False
        )
    except OSError:
        return []
    return sorted({os.fsdecode(name) for name in done.stdout.split(b"\0") if name}) if not done.returncode else []


def _copy(folder: Path, names: Sequence[str], into: Path, *, but: Path) -> None:
    """Copy these files of a folder, links as links; a file that was deleted and not committed is not there."""
    for name in names:
        source, target = folder / name, into / name
        if but in (real := source.parent.resolve() / source.name, *real.parents):
            continue
        if source.is_dir() and not source.is_symlink():
            if not name.endswith("/"):  # a submodule; with the slash it is another repository that lies here
                _copy(source, _listed(source), target, but=but)
        elif source.is_symlink() or source.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target, follow_symlinks=False)


def _github(plan: Plan) -> GitHubState:
    state = GitHubState(repository=plan.repository)
    run = state.add_run(workflow=plan.family.config.ci.workflow)
    if not plan.artifacts.is_dir():
        raise ArtifactError(f"{plan.artifacts} is not a folder", advice=FOLDER)
    needed = dict.fromkeys(need.artifact for need in plan.family.artifacts)
    for path in sorted(plan.artifacts.iterdir()):
        add_artifact(state, run, path, raw=needed)
    there = {artifact.name for artifact in state.artifacts}
    if missing := [name for name in needed if name not in there]:
        raise ArtifactError(
            [f"artifact {name} is missing" for name in missing],
            advice=named_as_in_ci(plan.family, plan.artifacts),
        )
    return state


def _release(plan: Plan, world: Rehearsal, workspace: Path, show: Show) -> None:
    inputs = {
        "version": plan.family.version,
        "config": plan.config,
        "npm-token": next(iter(world.registry.state.tokens)),
        "pause-seconds": "0",
    }
    graph = Graph(world=world, workspace=workspace, inputs=inputs, told=show.job, begun=show.started)
    failed = [run for run in graph.run(has_dev=bool(plan.family.devs), has_meta=bool(plan.family.metas)) if run.status]
    if failed:
        raise FlotillaError([_failure(run) for run in failed], advice="The rehearsal stops here, as a release would.")


def _failure(run: JobRun) -> str:
    return "\n".join([f"{run.title} ended with exit status {run.status}.", *(errors(run) or [run.log[-2000:]])])


def _accepted(world: Rehearsal, family: Family) -> int:
    """Return how many packages the registry accepted; raise unless it is each of the family's, once."""
    accepted = world.registry.state.snapshot()["accepted"]
    wanted = {f"{package.name}@{package.version}": 1 for package in family.packages}
    if accepted != wanted:
        raise RegistryError(f"the registry accepted {accepted}, but {wanted} should have been published")
    return len(accepted)


def _is_for_host(package: Package) -> bool:
    return package.platform is not None and host().takes(package.platform)


def _installed(plan: Plan, world: Rehearsal, folder: Path, show: Show) -> int:
    """Install the metas for every platform; return how many platforms there are."""
    users = install_everywhere(
        plan.family,
        registry=world.registry.url,
        folder=folder,
        path=_path(world),
        scripts=world.backend.upstream.scripts,
        told=show.installed,
    )
    return len({one.platform.name for one in users})


def _explained(failure: RegistryError, plan: Plan, world: Rehearsal) -> RegistryError:
    """Return the failure of an installation, with each package of others that could not be read."""
    upstream, unread = world.backend.upstream, sorted(world.backend.unread)[:MOST_EXPLAINED]
    if not unread:
        return failure
    return RegistryError(
        [
            *failure.faults,
            *(why_unread(upstream, name, folder=plan.root, environment=os.environ) for name in unread),
        ],
        advice="Packages that are not the family's are read from the registry that npm is configured for, without a "
        "credential. Check the network, .npmrc and the names in the meta's dependencies.",
    )


def _path(world: Rehearsal) -> str:
    return f"{node_bin(world.folder)}:{os.environ.get('PATH', os.defpath)}"


def _try(plan: Plan, world: Rehearsal, project: Path, show: Show) -> bool:
    """Run the user's program in a project with the host's packages installed."""
    assert plan.program is not None  # noqa: S101 - the caller asked
    if not any(host().takes(platform) for platform in plan.family.config.platforms):
        show.line(f"The family has no platform for this machine ({host()}), so {plan.program.name} does not run")
        return False
    project.mkdir()
    own = [package for package in plan.family.packages if package.kind == "platform" and _is_for_host(package)]
    specs = [f"{package.name}@{package.version}" for package in (*(plan.family.metas or own), *plan.family.devs)]
    options, path = [] if world.backend.upstream.scripts else [NO_SCRIPTS], _path(world)
    install(project, specs, None, registry=world.registry.url, path=path, options=options)
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
        raise FlotillaError(f"{plan.program} ended with exit status {done.returncode}: {done.stderr.strip()[-2000:]}")
    return True
