"""A consumer's repository, and its release workflow as act runs it: every job, containers and all."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.e2e.images import ROOT, RUNNER

EXAMPLE = ROOT / "examples/chroma"
MINUTES = 10


@dataclass(frozen=True, kw_only=True)
class Consumer:
    """A repository that releases a family with flotilla.

    Args:
        others: folders that stand for further actions of its workflow, by owner/name@ref.
    """

    folder: Path
    commit: str
    others: Mapping[str, Path] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class WorkflowResult:
    """What a run of the workflow did and said."""

    succeeded: bool
    log: str

    def jobs(self) -> dict[str, str]:
        """How each job ended: succeeded, failed; one that was skipped is not there."""
        return dict(re.findall(r"^\[[^/\]]+/(.+?)\s*\] 🏁  Job (\w+)$", self.log, re.MULTILINE))


def make_consumer(folder: Path, *, without_platforms: tuple[str, ...] = (), workflow: str = "") -> Consumer:
    """The example as a git repository of its own, less some of its platforms; with another release workflow, if any."""
    shutil.copytree(EXAMPLE, folder)
    if workflow:
        (folder / ".github/workflows/release.yml").write_text(workflow, encoding="utf-8")
    config = folder / "flotilla.yml"
    lines = config.read_text(encoding="utf-8").splitlines(keepends=True)
    kept = [line for line in lines if not any(_lists(line, name) for name in without_platforms)]
    assert len(lines) - len(kept) == len(without_platforms)
    config.write_text("".join(kept), encoding="utf-8")
    return commit_all(folder)


def commit_all(folder: Path, others: Mapping[str, Path] | None = None) -> Consumer:
    """Make a folder a git repository of its own."""
    identity = ("-c", "user.name=example", "-c", "user.email=example@example.invalid")
    for command in (["init", "-q", "-b", "main"], ["add", "--all"], [*identity, "commit", "-q", "-m", "Example"]):
        _git(folder, *command)
    return Consumer(folder=folder, commit=_git(folder, "rev-parse", "HEAD").strip(), others=others or {})


def run_release(  # noqa: PLR0913 - keyword-only, each a part of the run
    consumer: Consumer,
    *,
    actions: Path,
    environment: Mapping[str, str],
    secrets: Mapping[str, str],
    inputs: Mapping[str, str],
    scratch: Path,
    event: str,
) -> WorkflowResult:
    """The release workflow, run to its end.

    Args:
        consumer: the repository to release.
        actions: the tree that serves OWNER/flotilla@v1.
        environment: variables of every step, beside those that act sets.
        secrets: the repository's secrets.
        inputs: those of workflow_dispatch.
        scratch: a folder for what act keeps.
        event: what starts it.
    """
    values = {"--env": environment, "--secret": secrets, "--input": inputs}
    command = [str(Path(sys.executable).with_name("act")), event, *_options(actions, scratch)]
    command += [word for name, path in consumer.others.items() for word in ("--local-repository", f"{name}={path}")]
    command += [word for option, given in values.items() for pair in given.items() for word in (option, "=".join(pair))]
    done = subprocess.run(
        command,
        cwd=consumer.folder,
        env={**os.environ, "XDG_CONFIG_HOME": str(scratch), "XDG_CACHE_HOME": str(scratch)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
        timeout=60 * MINUTES,
    )
    return WorkflowResult(succeeded=done.returncode == 0, log=done.stdout.decode(errors="replace"))


def _options(actions: Path, scratch: Path) -> list[str]:
    """Of act: local actions and images only, and nothing kept outside scratch."""
    options = {
        "--workflows": ".github/workflows/release.yml",
        "--local-repository": f"OWNER/flotilla@v1={actions}",
        "--platform": f"ubuntu-latest={RUNNER}",
        "--action-cache-path": str(scratch / "actions"),
        "--container-daemon-socket": "-",
    }
    return ["--pull=false", "--rm", "--no-cache-server", *(word for option in options.items() for word in option)]


def _lists(line: str, platform: str) -> bool:
    return re.match(rf"  - (\{{name: )?{re.escape(platform)}[,\s]", line) is not None


def _git(folder: Path, *arguments: str) -> str:
    command = ["git", *arguments]
    return subprocess.run(command, cwd=folder, check=True, stdout=subprocess.PIPE, text=True).stdout
