"""A world with a family to release into it: the jobs of its release, each run as a process of its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

import requests
import yaml
from tests.rehearsal.publishing import TARBALL, document
from tests.simulator.faults import FaultPlan
from tests.simulator.memory import RegistryState
from tests.simulator.world import Rehearsal
from tests.world.clock import LeapingClock
from tests.world.ended import Ended, ended
from tests.world.jobhost import ROOT, JobHost

from flotilla.family import Family, parse_config
from flotilla.rehearsal.github import GitHubState, add_artifact
from flotilla.rehearsal.node import node, node_modules, npm_script
from flotilla.rehearsal.registry import TrustedPublisher

VERSION = "1.2.3"
EARLIER = "0.9.0"
REPOSITORY = "acme/chroma"
CI_WORKFLOW = "ci.yml"
SMALLEST = "smallest.yml"
NPM_MODULES = Path(__file__).with_name("npm_modules.cjs")


@dataclass(frozen=True, kw_only=True)
class Step:
    """One job of the release, by the action that it runs.

    Args:
        workflow: the workflow that it is a job of.
        swept: which of its requests `make faults` breaks; "new" are those that no job of that action made before.
    """

    action: str
    inputs: Mapping[str, str] = field(default_factory=dict)
    workflow: str = "one job each"
    swept: Literal["all", "new", "none"] = "all"

    def __str__(self) -> str:
        """Return the action, and the platform where it is of one."""
        return " ".join(filter(None, (self.action, self.inputs.get("platform", ""))))


class Scene(AbstractContextManager["Scene"]):
    """A family's repository, its CI artifacts, a registry, and the jobs that release it.

    Args:
        source: the folder with flotilla.yml.
        artifacts: a folder with a folder for each artifact.
        provenance: whether the packages are signed; a slower world.
        token: whether a token publishes instead of the trusted publisher.
        registry: the registry's rules, other than that trust.
    """

    def __init__(
        self,
        source: Path,
        artifacts: Path,
        *,
        provenance: bool = False,
        token: bool = False,
        registry: RegistryState | None = None,
    ) -> None:
        self.source = source
        self.folder = Path(tempfile.mkdtemp(prefix="flotilla-faults-"))
        self.clock = LeapingClock(self.folder / "clock")
        self.plan = FaultPlan(stall_seconds=3.0)
        self.family = Family(parse_config((source / "flotilla.yml").read_text(encoding="utf-8")), VERSION)
        self._smallest = _smallest(source)
        self._provenance = provenance
        self._token = token
        self._one_at_a_time = threading.Lock()
        github = GitHubState(repository=REPOSITORY)
        self.run_id = _add_run(github, artifacts)
        rules = registry or RegistryState()
        rules.trusts_all = TrustedPublisher(repository=REPOSITORY, workflow="release.yml")
        self.world = Rehearsal(
            self.folder / "world",
            github=github,
            registry=rules,
            plan=self.plan,
            modules=_modules() if provenance else None,
            sigstore=provenance,
            count_sigstore=provenance,
            clock=self.clock.now,
        )
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.callback(shutil.rmtree, self.folder, ignore_errors=True)
            stack.enter_context(self.world)
            self.host = stack.enter_context(JobHost(self.folder / "clock"))
            self.plan.kill = self.host.kill
            self.plan.cancel = self.host.cancel
            self._npm = _warm_npm(self.folder / "bin", self.folder / "compiled")
            if not self._token:
                self._publish_earlier()
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        self._stack.close()

    def steps(self) -> Iterator[Step]:
        """Yield the jobs of the example's workflow, in order."""
        yield Step(action="release")
        run = {"run-id": str(self.run_id)}
        for platform in self.family.config.platforms:
            yield Step(action="publish-platform", inputs={"platform": platform.name, **run})
        if self.family.devs:
            yield Step(action="publish-dev", inputs=run)
        yield Step(action="publish-meta")

    def several_platforms(self) -> Iterator[Step]:
        """Yield the jobs of a workflow that publishes several platforms in one job."""
        several = [platform.name for platform in self.family.config.platforms][-2:]
        for step in self.steps():
            platform = step.inputs.get("platform")
            if platform == several[0]:
                inputs = {**step.inputs, "platform": json.dumps(several)}
                yield replace(step, inputs=inputs, workflow="several platforms")
            elif platform not in several:
                yield replace(step, workflow="several platforms", swept="none")

    def same_run(self) -> Iterator[Step]:
        """Yield the jobs of a workflow that has built what it releases; begins by making the jobs part of CI's run."""
        github = self.world.github.state
        run = next(run for run in github.runs if run.id == self.run_id)
        run.status, run.conclusion = "in_progress", None
        github.release_run.id, github.release_run.workflow = run.id, CI_WORKFLOW
        github.add_job(run, "build")
        github.add_job(run, "release", None)
        self.world.registry.state.trusts_all = TrustedPublisher(repository=REPOSITORY, workflow=CI_WORKFLOW)
        for step in self.steps():
            yield replace(step, inputs={"run-id": str(run.id), **step.inputs}, workflow="same run", swept="new")

    def one_step(self) -> Iterator[Step]:
        """Yield the only job of a workflow with the action in the repository's root, for the family's smallest part."""
        inputs = {"config": SMALLEST, "run-id": str(self.run_id), "provenance": "false"}
        yield Step(action="release-family", inputs=inputs, workflow="one step")

    def draft_in_one_step(self) -> Iterator[Step]:
        """Yield the same job, with a release that stays a draft until npm has every package."""
        for step in self.one_step():
            yield replace(
                step,
                inputs={**step.inputs, "draft": "true", "provenance": "true"},
                workflow="a draft in one step",
                swept="new",
            )

    def run(self, step: Step, *, host: JobHost | None = None, timeout: int | None = None) -> Ended:
        """Run one job in a fresh checkout.

        Args:
            host: where; this scene's own by default.
            timeout: see JobHost.run.
        """
        with self._one_at_a_time:
            folder = Path(tempfile.mkdtemp(dir=self.folder))
            workspace, log = folder / "workspace", folder / "log"
            given = self.world.environment(step.action, workspace=workspace, inputs=self._inputs(step))
        try:
            shutil.copytree(self.source, workspace)
            (workspace / SMALLEST).write_text(self._smallest, encoding="utf-8")
            (folder / "tmp").mkdir()
            environment = given.variables | {
                "TMPDIR": str(folder / "tmp"),
                "PATH": f"{self._npm}:{given.variables['PATH']}",
            }
            status = (host or self.host).run(
                [step.action], environment=environment, folder=workspace, log=log, timeout=timeout
            )
            return ended(status, log.read_text("utf-8", "replace"), given.folder, name=step.action)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            shutil.rmtree(given.folder, ignore_errors=True)

    def begin_again(self) -> None:
        """Begin the run's next attempt, as whoever re-runs its failed jobs does."""
        github = self.world.github.state
        github.release_run.attempt += 1
        for run in github.runs:
            if run.id == github.release_run.id:
                run.attempt = github.release_run.attempt

    def _inputs(self, step: Step) -> dict[str, str]:
        publishing = {"provenance": "true" if self._provenance else "false"} if step.action != "release" else {}
        token = {"npm-token": next(iter(self.world.registry.state.tokens))} if self._token else {}
        return {"version": VERSION, "registry": self.world.registry.url, **publishing, **token, **step.inputs}

    def _publish_earlier(self) -> None:
        """Publish an earlier version of each package: a trusted publisher can publish no new name."""
        token = next(iter(self.world.registry.state.tokens))
        for package in self.family.packages:
            body = document(package.name, EARLIER, tag="latest", access="public", content=TARBALL)
            answer = requests.put(
                f"{self.world.registry.url}{package.name.replace('/', '%2f')}",
                json=body,
                headers={"Authorization": f"Bearer {token}"},
                timeout=10,
            )
            answer.raise_for_status()


def _smallest(source: Path) -> str:
    """Return the family's file with one platform, one variant and no dev package."""
    config = yaml.safe_load((source / "flotilla.yml").read_text(encoding="utf-8"))
    config |= {key: config[key][:1] for key in ("platforms", "variants") if key in config}
    packages = {kind: package for kind, package in config["packages"].items() if kind != "dev"}
    return json.dumps({**config, "packages": packages})


def _add_run(github: GitHubState, artifacts: Path) -> int:
    run = github.add_run(workflow=CI_WORKFLOW)
    for path in sorted(artifacts.iterdir()):
        add_artifact(github, run, path)
    return run.id


def _modules() -> Path:
    return node_modules(Path(os.environ.get("FLOTILLA_CACHE", ROOT / ".cache")), environment=os.environ)


def _warm_npm(folder: Path, compiled: Path) -> Path:
    """Return a folder with the real `npm`, started faster: it keeps its code between two runs (see npm_modules.cjs)."""
    folder.mkdir()
    kept = shutil.copy(NPM_MODULES, folder)
    environment = {**os.environ, "NODE_COMPILE_CACHE": str(compiled)}  # npm turns that on; it would stay in TMPDIR
    subprocess.run([node(), kept, npm_script().parents[1]], check=True, env=environment)
    program = folder / "npm"
    start = f'exec "{node()}" --require "{kept}" "{npm_script()}" "$@"'
    program.write_text(f'#!/bin/sh\nNODE_COMPILE_CACHE="{compiled}" {start}\n', "utf-8")
    program.chmod(0o755)
    return folder
