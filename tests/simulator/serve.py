"""The rehearsal for another process: starts it, says where it is, and serves until standard input ends.

Prints one line of JSON: `variables` (a job's environment, but for its files), `github` and `registry` (URLs), `tokens`,
`sigstore_ca` (PEM, for a container that does not see the file of NODE_EXTRA_CA_CERTS).
Then answers each line of standard input with one line of JSON: `snapshot` (tags, releases, packages) or `requests`.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, TextIO

from tests.simulator.memory import RegistryState
from tests.simulator.world import Rehearsal

from flotilla.rehearsal.github import GitHubState, add_artifact
from flotilla.rehearsal.node import default_cache, node_modules
from flotilla.rehearsal.registry import TrustedPublisher


def main() -> int:
    """Serve as the command line says."""
    options = parser().parse_args()
    with tempfile.TemporaryDirectory(prefix="flotilla-rehearsal-") as folder:
        cache = Path(options.cache) if options.cache else default_cache(os.environ)
        modules = None if options.memory else node_modules(cache, environment=os.environ, told=_told)
        world = Rehearsal(
            Path(folder),
            github=github_state(options),
            registry=registry_state(options),
            modules=modules,
            verdaccio=not options.memory,
            sigstore=not options.memory,
        )
        with world:
            serve(world, sys.stdin, sys.stdout)
    return 0


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    made = argparse.ArgumentParser(prog="python -m tests.simulator.serve", description=__doc__.split("\n")[0])
    made.add_argument("--repository", default="acme/tool", help="owner/name")
    made.add_argument("--commit", default=GitHubState.commit, help="the commit to release")
    made.add_argument(
        "--artifacts", type=Path, help="a folder: each sub-folder or zip in it, or raw file, is an artifact"
    )
    made.add_argument("--ci", default="ci.yml", help="the workflow whose successful run holds the artifacts")
    made.add_argument("--workflow", default="release.yml", help="the releasing workflow: what id-tokens claim")
    made.add_argument("--private", action="store_true", help="the repository is private")
    made.add_argument("--trust", action="store_true", help="trusted publishing by that workflow, new names included")
    made.add_argument("--memory", action="store_true", help="no verdaccio and no provenance: nothing to install")
    made.add_argument(
        "--cache", help="where verdaccio is installed on first use (default: FLOTILLA_CACHE or the user's cache)"
    )
    return made


def github_state(options: argparse.Namespace) -> GitHubState:
    """Return a GitHub with a CI run and its artifacts."""
    state = GitHubState(repository=options.repository, commit=options.commit, private=options.private)
    state.release_run.workflow = options.workflow
    run = state.add_run(workflow=options.ci)
    for path in sorted(options.artifacts.iterdir()) if options.artifacts else ():
        add_artifact(state, run, path)
    return state


def registry_state(options: argparse.Namespace) -> RegistryState:
    """Return the registry, with a trusted publisher if requested."""
    trusted = TrustedPublisher(repository=options.repository, workflow=options.workflow) if options.trust else None
    return RegistryState(trusts_all=trusted, allow_new_names=options.trust)


def serve(world: Rehearsal, asked: Iterable[str], told: TextIO) -> None:
    """Print where the world is, then answer requests until standard input ends."""
    _say(told, description(world))
    for line in asked:
        _say(told, answer(world, line.strip()))


def description(world: Rehearsal) -> dict[str, Any]:
    """Return where the world is, and what a job needs to reach it."""
    environment = world.environment("serve", workspace=world.folder)
    private = ("HOME", "PATH", "GITHUB_WORKSPACE", "GITHUB_JOB", "GITHUB_ACTION", "RUNNER_TEMP", "INPUT_GITHUB-TOKEN")
    return {
        "variables": _without(environment.variables, private, str(environment.folder)),
        "github": asdict(world.github.origins),
        "registry": world.registry.url,
        "sigstore_ca": world.sigstore.ca_file.read_text(encoding="ascii") if world.sigstore else None,
        "tokens": {"github": world.github.state.token, "npm": next(iter(world.registry.state.tokens))},
    }


def answer(world: Rehearsal, question: str) -> dict[str, Any]:
    """Return the answer to one line."""
    if question == "snapshot":
        return world.snapshot()
    if question == "requests":
        return {"requests": [asdict(request) for request in world.plan.requests]}
    return {"error": f"unknown question {question!r}: snapshot or requests"}


def _without(variables: Mapping[str, str], names: tuple[str, ...], folder: str) -> dict[str, str]:
    return {n: v for n, v in variables.items() if n not in names and not v.startswith(folder)}


def _say(told: TextIO, document: Mapping[str, Any]) -> None:
    told.write(json.dumps(document) + "\n")
    told.flush()


def _told(line: str) -> None:
    sys.stderr.write(f"{line}\n")


if __name__ == "__main__":
    sys.exit(main())
