"""The world that a consumer's workflow releases into, on loopback, and what a user then gets from it."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.e2e.workflow import RELEASE_WORKFLOW, Consumer, WorkflowResult, run_release
from tests.simulator.memory import RegistryState
from tests.simulator.world import Rehearsal

from flotilla.rehearsal.github import GitHubState
from flotilla.rehearsal.node import node, npm
from flotilla.rehearsal.registry import TrustedPublisher

REPOSITORY = "acme/chroma"
# What act sets itself, and what only means something on this side of the container's wall.
ACTS_OWN = ("CI", "HOME", "PATH", "RUNNER_TEMP", "RUNNER_TOOL_CACHE", "GITHUB_WORKSPACE", "GITHUB_JOB", "GITHUB_ACTION")


@contextmanager
def world_of(consumer: Consumer, *, artifacts: Path, folder: Path, modules: Path) -> Iterator[Rehearsal]:
    """Yield GitHub with the consumer's successful CI run, and a registry that trusts its release workflow.

    Args:
        consumer: the repository to release.
        artifacts: a folder with a folder for each artifact.
        folder: a new one, for what the servers store.
        modules: the rehearsal's node_modules.
    """
    github = GitHubState(repository=REPOSITORY, commit=consumer.commit)
    github.release_run.event = "workflow_dispatch"
    run = github.add_run(workflow="ci.yml")
    for path in sorted(artifacts.iterdir()):
        github.add_artifact(run, path.name, path)
    registry = RegistryState(trusts_all=TrustedPublisher(repository=REPOSITORY, workflow="release.yml"))
    with Rehearsal(folder, github=github, registry=registry, modules=modules, verdaccio=True, sigstore=True) as world:
        yield world


def release(  # noqa: PLR0913 - keyword-only, each a part of the run
    world: Rehearsal,
    consumer: Consumer,
    *,
    actions: Path,
    scratch: Path,
    version: str,
    npm_token: str = "",
    inputs: Mapping[str, str] | None = None,
    variables: Mapping[str, str] | None = None,
    workflow: Path = RELEASE_WORKFLOW,
    more: Sequence[str] = (),
    told: Callable[[str], None] = lambda _line: None,
) -> WorkflowResult:
    """Run the consumer's release workflow by act to its end; the event of the world's release run starts it.

    Args:
        world: what it releases into.
        consumer: the repository to release.
        actions: the tree that serves OWNER/flotilla@v1.
        scratch: a folder for what act keeps.
        version: the version to release.
        npm_token: the secret NPM_TOKEN; without it, trusted publishing.
        inputs: of workflow_dispatch beside the version; by default the example's.
        variables: of every step, beside those of the world.
        workflow: another file than the repository's release workflow.
        more: further options of act.
        told: is given each line of the log at once.
    """
    secrets = {"GITHUB_TOKEN": world.github.state.token, **({"NPM_TOKEN": npm_token} if npm_token else {})}
    return run_release(
        consumer,
        actions=actions,
        environment={**_variables(world, consumer), **(variables or {})},
        secrets=secrets,
        inputs={"version": version, **({"dry-run": "false"} if inputs is None else inputs)},
        scratch=scratch,
        event=world.github.state.release_run.event,
        workflow=workflow,
        more=more,
        told=told,
    )


def installed_program(world: Rehearsal, folder: Path, package: str) -> str:
    """Return what the program of an installed meta package says on this machine."""
    environment = world.environment("install", workspace=folder, id_token=False).variables

    def run(*command: str) -> str:
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    run(*npm(), "install", "--no-audit", "--no-fund", package)
    (program,) = (folder / "node_modules/.bin").iterdir()
    return run(str(node()), str(program.resolve()))


def _variables(world: Rehearsal, consumer: Consumer) -> dict[str, str]:
    environment = world.environment("workflow", workspace=consumer.folder)
    theirs = {
        name: value
        for name, value in environment.variables.items()
        if name not in ACTS_OWN and not name.startswith("INPUT_") and not value.startswith(str(environment.folder))
    }
    # Of this machine's files a container sees the workspace alone, git's own folder in it included.
    inside = consumer.folder / ".git" / "sigstore-ca.pem"
    shutil.copy(theirs["NODE_EXTRA_CA_CERTS"], inside)
    return {**theirs, "NODE_EXTRA_CA_CERTS": str(inside)}
