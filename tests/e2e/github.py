"""What GitHub itself does while a workflow runs: it keeps the run's artifacts, and knows how each job stands."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import yaml
from aiohttp import web
from tests.e2e.workflow import Consumer
from tests.simulator.world import Rehearsal

from flotilla.rehearsal.github import GitHubState, ReleaseRun, Run
from flotilla.rehearsal.github.state import now
from flotilla.rehearsal.loopback import Serving

ARTIFACTS_URL = "E2E_ARTIFACTS_URL"
LINE = re.compile(r"\[[^/\]]+/(?P<job>.+?)\s*\]\s+(?P<said>.*)")
OUTPUT = re.compile(r"⚙  ::set-output:: (?P<name>[\w-]+)=(?P<value>.*)")
ANY_ARTIFACT_ACTION = re.compile(r"uses: (actions/(?:up|down)load-artifact@\S+)")

UPLOAD = """
const { readdirSync, readFileSync, statSync } = require("node:fs");
const { basename, join, relative } = require("node:path");
const { ARTIFACT: name, ARTIFACT_PATH: path, E2E_ARTIFACTS_URL: url } = process.env;
const under = (folder) => readdirSync(folder, { withFileTypes: true }).flatMap(
    (one) => one.isDirectory() ? under(join(folder, one.name)) : [join(folder, one.name)]);
const files = statSync(path).isDirectory() ? under(path).map((file) => [relative(path, file), file])
    : [[basename(path), path]];
const body = files.map(([file, from]) => [file, readFileSync(from, "base64")]);
fetch(`${url}/${name}`, { method: "PUT", body: JSON.stringify(Object.fromEntries(body)) })
    .then((answer) => process.exit(answer.ok ? 0 : 1));
"""
DOWNLOAD = """
const { mkdirSync, writeFileSync } = require("node:fs");
const { dirname, join } = require("node:path");
const { ARTIFACT: pattern, ARTIFACT_PATH: path, E2E_ARTIFACTS_URL: url } = process.env;
fetch(`${url}/${pattern}`).then((answer) => answer.json()).then((files) => {
    for (const [file, content] of Object.entries(files)) {
        mkdirSync(dirname(join(path, file)), { recursive: true });
        writeFileSync(join(path, file), content, "base64");
    }
});
"""


def artifact_actions(folder: Path, *texts: str) -> dict[str, Path]:
    """Write stand-ins for upload-artifact and download-artifact; return them by the references in these workflows."""
    for name, key, script in (("upload-artifact", "name", UPLOAD), ("download-artifact", "pattern", DOWNLOAD)):
        (folder / name).mkdir(parents=True)
        (folder / name / "main.js").write_text(script, encoding="utf-8")
        variables = {"ARTIFACT": f"${{{{ inputs.{key} }}}}", "ARTIFACT_PATH": "${{ inputs.path }}"}
        step = {"run": 'node "$GITHUB_ACTION_PATH/main.js"', "shell": "bash", "env": variables}
        inputs = {one: {"required": False} for one in ("name", "pattern", "path", "merge-multiple", "overwrite")}
        action = {"name": name, "inputs": inputs, "runs": {"using": "composite", "steps": [step]}}
        (folder / name / "action.yml").write_text(yaml.safe_dump(action), encoding="utf-8")
    used = {found for text in texts for found in ANY_ARTIFACT_ACTION.findall(text)}
    return {one: folder / one.partition("@")[0].rpartition("/")[2] for one in used}


@contextmanager
def artifact_store(state: GitHubState, run: Run) -> Iterator[str]:
    """Serve the run's artifacts to the stand-ins; yields the URL for ARTIFACTS_URL."""
    kept: dict[str, dict[str, str]] = {}

    async def upload(request: web.Request) -> web.Response:
        name, files = request.match_info["name"], json.loads(await request.read())
        kept[name] = files
        state.add_artifact(run, name, {path: base64.b64decode(content) for path, content in files.items()})
        return web.Response()

    async def download(request: web.Request) -> web.Response:
        pattern = request.match_info["name"]
        merged = {
            path: held for name, files in kept.items() if fnmatchcase(name, pattern) for path, held in files.items()
        }
        return web.json_response(merged)

    application = web.Application()
    application.add_routes([web.put("/{name}", upload), web.get("/{name}", download)])
    with Serving() as serving:
        yield serving.serve(application)


def begin_run(world: Rehearsal, consumer: Consumer, *, event: str, ref: str) -> Run:
    """Begin the workflow run that builds and releases, as GitHub does on this event."""
    state = world.github.state
    run = state.add_run(workflow="release.yml", event=event, status="in_progress", commit=consumer.commit)
    state.release_run = ReleaseRun(id=run.id, workflow="release.yml", ref=ref, event=event)
    run.started_at = now()
    return run


def begin_attempt(world: Rehearsal, run: Run, jobs: Collection[str]) -> None:
    """Re-run these jobs: the run's next attempt, in which they wait for their turn."""
    state = world.github.state
    run.attempt += 1
    run.started_at = now()
    state.release_run.attempt = run.attempt
    for job in jobs:
        state.add_job(run, job, None, status="queued")


@dataclass(kw_only=True)
class JobReport:
    """Tells the simulated GitHub of the run's jobs, line by line of act's log.

    Args:
        not_run: jobs that stand for those of an earlier attempt, and are not this one's.
        outputs: what the steps of each job set.
    """

    state: GitHubState
    run: Run
    not_run: Collection[str] = ()
    outputs: dict[str, dict[str, str]] = field(default_factory=dict)
    _failed: set[str] = field(default_factory=set)

    def __call__(self, line: str) -> None:
        """Read one line."""
        found = LINE.match(line)
        if found is None:
            return
        name, said = re.sub(r"-\d+$", "", found["job"]), found["said"]  # act numbers the jobs of a matrix
        if name in self.not_run:
            return
        if said.startswith("🚀"):
            self._begin(name)
        elif said.startswith("❌"):
            self._failed.add(name)
        elif said.startswith("🏁"):
            self._end(name)
        elif output := OUTPUT.match(said):
            self.outputs.setdefault(name, {})[output["name"]] = output["value"]

    def _begin(self, name: str) -> None:
        for job in self.state.jobs:
            if (job.name, job.attempt, job.status) == (name, self.run.attempt, "queued"):
                job.status, job.started_at = "in_progress", now()
                return
        self.state.add_job(self.run, name, None)

    def _end(self, name: str) -> None:
        job = next(one for one in reversed(self.state.jobs) if one.name == name)
        job.status, job.completed_at = "completed", now()
        job.conclusion = "failure" if name in self._failed else "success"


def of_an_earlier_attempt(workflow: str, outputs: Mapping[str, Mapping[str, str]]) -> str:
    """Return a workflow in which these jobs do nothing but have the outputs that they had."""
    document: dict[Any, Any] = yaml.safe_load(workflow)
    for name, had in outputs.items():
        job = document["jobs"][name]
        given = {
            output: had[re.findall(r"\.outputs\.([\w-]+)", value)[0]]
            for output, value in job.get("outputs", {}).items()
        }
        document["jobs"][name] = {
            "needs": job.get("needs", []),
            "runs-on": "ubuntu-latest",
            "outputs": given,
            "steps": [{"run": "true"}],
        }
    return yaml.safe_dump({"on" if key is True else key: value for key, value in document.items()}, sort_keys=False)
