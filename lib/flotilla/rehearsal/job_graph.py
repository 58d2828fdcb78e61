"""The release's job graph, each job a process with the environment that a container action gets."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flotilla.rehearsal.world import Rehearsal

MOST_PARALLEL = 2
_ERROR = re.compile(r"::error title=(?P<title>[^:,]*)[^:]*::(?P<text>.*)")
_ESCAPES = {"%3A": ":", "%2C": ",", "%0A": "\n", "%0D": "\r", "%25": "%"}


@dataclass(frozen=True, kw_only=True)
class JobRun:
    """One job, ended.

    Args:
        title: the job, and its platform if it has one.
        log: what it printed.
        seconds: how long it took.
    """

    title: str
    status: int
    log: str
    summary: str
    outputs: Mapping[str, str]
    seconds: float

    @property
    def packages(self) -> list[dict[str, Any]]:
        """Return the output `packages`, parsed."""
        listed: list[dict[str, Any]] = json.loads(self.outputs.get("packages", "[]"))
        return listed


@dataclass(frozen=True, kw_only=True)
class Graph:
    """Runs the jobs of a release in the rehearsed world.

    Args:
        workspace: the checked-out repository.
        inputs: of every job.
        told: is given each job as it ends.
        begun: is given each job's title as it starts.
    """

    world: Rehearsal
    workspace: Path
    inputs: Mapping[str, str]
    told: Callable[[JobRun], None]
    begun: Callable[[str], None] = lambda _title: None

    def run(self, *, has_dev: bool, has_meta: bool = True) -> list[JobRun]:
        """Run release, then the platforms (two at a time) and dev, then meta; stop after the first failed step."""
        release = self.job("release")
        if release.status:
            return [release]
        build = {name: release.outputs[name] for name in ("run-id", "artifacts-digest")}
        platforms = [{**build, "platform": name} for name in json.loads(release.outputs["platforms"])]
        with ThreadPoolExecutor(MOST_PARALLEL) as matrix, ThreadPoolExecutor(1) as beside:
            dev = [beside.submit(self.job, "publish-dev", build)] if has_dev else []
            middle = [*matrix.map(lambda inputs: self.job("publish-platform", inputs), platforms)]
            middle += [job.result() for job in dev]
        if any(job.status for job in middle) or not has_meta:
            return [release, *middle]
        return [release, *middle, self.job("publish-meta", {"run-id": build["run-id"]})]

    def job(self, name: str, inputs: Mapping[str, str] | None = None) -> JobRun:
        """Run one job to its end."""
        started = time.monotonic()
        given = {**self.inputs, **(inputs or {})}
        title = f"{name} {given['platform']}" if "platform" in given else name
        self.begun(title)
        environment = self.world.environment(name, workspace=self.workspace, inputs=given)
        done = subprocess.run(
            [sys.executable, "-P", "-m", "flotilla", name],
            env=environment.variables,
            cwd=self.workspace,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        run = JobRun(
            title=title,
            status=done.returncode,
            log=done.stdout,
            summary=environment.summary,
            outputs=environment.outputs(),
            seconds=time.monotonic() - started,
        )
        self.told(run)
        return run


def errors(run: JobRun) -> Sequence[str]:
    """Return the error annotations of a job, as a reader sees them."""
    found = [_ERROR.match(line) for line in run.log.splitlines()]
    return [f"{_plain(one['title'])}:\n{_plain(one['text'])}" for one in found if one]


def _plain(escaped: str) -> str:
    for code, character in _ESCAPES.items():
        escaped = escaped.replace(code, character)
    return escaped
