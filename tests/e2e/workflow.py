"""A consumer's repository, and its release workflow as act runs it: every job, containers and all."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Timer

from tests.e2e.images import ROOT, RUNNER

EXAMPLE = ROOT / "examples/chroma"
MINUTES = 10
RELEASE_WORKFLOW = Path(".github/workflows/release.yml")
# One image stands for all of them: what is built here is built for every platform.
LABELS = ("ubuntu-latest", "macos-latest", "windows-latest")


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
        """Return how each job ended: succeeded, failed; one that was skipped is not there."""
        return dict(re.findall(r"^\[[^/\]]+/(.+?)\s*\] 🏁  Job (\w+)$", self.log, re.MULTILINE))


def make_consumer(folder: Path, *, without_platforms: tuple[str, ...] = (), workflow: str = "") -> Consumer:
    """Return the example as its own git repository, without some platforms, or with another release workflow."""
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
    workflow: Path = RELEASE_WORKFLOW,
    more: Sequence[str] = (),
    told: Callable[[str], None] = lambda _line: None,
) -> WorkflowResult:
    """Return the release workflow, run to its end.

    Args:
        consumer: the repository to release.
        actions: the tree that serves OWNER/flotilla@v1.
        environment: variables of every step, beside those that act sets.
        secrets: the repository's secrets.
        inputs: those of workflow_dispatch.
        scratch: a folder for what act keeps.
        event: what starts it.
        workflow: another file than the repository's release workflow.
        more: further options of act.
        told: is given each line of the log at once.
    """
    values = {"--env": environment, "--secret": secrets, "--input": inputs}
    command = [
        str(Path(sys.executable).with_name("act")),
        event,
        *_options(actions, scratch),
        "--workflows",
        str(workflow),
        *more,
    ]
    command += [word for name, path in consumer.others.items() for word in ("--local-repository", f"{name}={path}")]
    command += [word for option, given in values.items() for pair in given.items() for word in (option, "=".join(pair))]
    process = subprocess.Popen(
        command,
        cwd=consumer.folder,
        env={**os.environ, "XDG_CONFIG_HOME": str(scratch), "XDG_CACHE_HOME": str(scratch)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    lines = list[str]()
    with process, ended_after(process, 60 * MINUTES):
        for line in process.stdout or ():
            lines.append(line)
            told(line)
    return WorkflowResult(succeeded=process.returncode == 0, log="".join(lines))


@contextmanager
def ended_after(process: subprocess.Popen[str], seconds: float) -> Iterator[None]:
    """End a process that runs for longer, so that reading from it ends, too."""
    timer = Timer(seconds, process.terminate)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _options(actions: Path, scratch: Path) -> list[str]:
    """Return act's options: local actions and images only, and nothing kept outside scratch."""
    options = {
        "--local-repository": f"OWNER/flotilla@v1={actions}",
        "--action-cache-path": str(scratch / "actions"),
        "--container-daemon-socket": "-",
    }
    runners = [word for label in LABELS for word in ("--platform", f"{label}={RUNNER}")]
    switches = ["--pull=false", "--rm", "--no-cache-server"]
    return [*switches, *runners, *(word for option in options.items() for word in option)]


def _lists(line: str, platform: str) -> bool:
    return re.match(rf"  - (\{{name: )?{re.escape(platform)}[,\s]", line) is not None


def _git(folder: Path, *arguments: str) -> str:
    command = ["git", *arguments]
    return subprocess.run(command, cwd=folder, check=True, stdout=subprocess.PIPE, text=True).stdout
