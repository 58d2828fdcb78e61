"""The variables that GitHub's runner gives a container action (docs: default environment variables)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from flotilla.rehearsal.github import GitHubServer, GitHubState, number

FILES = {
    "GITHUB_OUTPUT": "output",
    "GITHUB_STEP_SUMMARY": "summary.md",
    "GITHUB_ENV": "env",
    "GITHUB_PATH": "path",
    "GITHUB_STATE": "state",
}


@dataclass(frozen=True, kw_only=True)
class JobEnvironment:
    """A job's environment, and where it finds its outputs again.

    Args:
        variables: the whole environment of the job's process.
        folder: holds HOME, RUNNER_TEMP and the runner's files.
    """

    variables: dict[str, str]
    folder: Path

    @property
    def summary(self) -> str:
        """Return the job summary, in Markdown."""
        return (self.folder / FILES["GITHUB_STEP_SUMMARY"]).read_text(encoding="utf-8")

    def outputs(self) -> dict[str, str]:
        """Return what the job wrote to GITHUB_OUTPUT, as the runner reads it."""
        return read_outputs((self.folder / FILES["GITHUB_OUTPUT"]).read_text(encoding="utf-8"))


def read_outputs(text: str) -> dict[str, str]:
    """Parse name=value lines and name<<DELIMITER blocks (actions/runner, FileCommandManager)."""
    found, lines = {}, iter(text.splitlines())
    for line in lines:
        name, heredoc, delimiter = line.partition("<<")
        if heredoc and "=" not in name:
            value: list[str] = []
            for inner in lines:
                if inner == delimiter:
                    break
                value.append(inner)
            found[name] = "\n".join(value)
        elif line:
            name, _equals, single = line.partition("=")
            found[name] = single
    return found


def job_environment(
    github: GitHubServer,
    *,
    job: str,
    folder: Path,
    workspace: Path,
    inputs: Mapping[str, str],
    more: Mapping[str, str],
) -> JobEnvironment:
    """Make a job's folder and files, and its variables.

    Args:
        job: GITHUB_JOB.
        folder: a new one for this job.
        workspace: GITHUB_WORKSPACE.
        inputs: the action's, by the names that its action.yml gives.
        more: further variables.
    """
    for name in ("home", "temp"):
        (folder / name).mkdir(parents=True)
    for name in FILES.values():
        (folder / name).touch()
    event = {"ref": github.state.release_run.ref, "repository": {"full_name": github.state.repository}}
    (folder / "event.json").write_text(json.dumps(event), encoding="utf-8")
    variables = {
        "CI": "true",
        "HOME": str(folder / "home"),
        **{name: str(folder / file) for name, file in FILES.items()},
        "GITHUB_EVENT_PATH": str(folder / "event.json"),
        "GITHUB_WORKSPACE": str(workspace),
        "GITHUB_JOB": job,
        "GITHUB_ACTION": f"__flotilla_{job}",
        "RUNNER_TEMP": str(folder / "temp"),
        **_of_the_run(github),
        **_of_the_repository(github.state),
        **_of_the_runner(github),
        **{f"INPUT_{name.upper()}": value for name, value in inputs.items()},
        **more,
    }
    return JobEnvironment(variables=variables, folder=folder)


def _of_the_run(github: GitHubServer) -> dict[str, str]:
    state, run = github.state, github.state.release_run
    kind, _slash, name = run.ref.removeprefix("refs/").partition("/")
    return {
        "GITHUB_ACTIONS": "true",
        "GITHUB_API_URL": github.origins.api,
        "GITHUB_GRAPHQL_URL": f"{github.origins.api}/graphql",
        "GITHUB_SERVER_URL": github.origins.web,
        "GITHUB_EVENT_NAME": run.event,
        "GITHUB_REF": run.ref,
        "GITHUB_REF_NAME": name,
        "GITHUB_REF_TYPE": "tag" if kind == "tags" else "branch",
        "GITHUB_REF_PROTECTED": "true",
        "GITHUB_BASE_REF": "",
        "GITHUB_HEAD_REF": "",
        "GITHUB_SHA": state.commit,
        "GITHUB_RUN_ID": str(run.id),
        "GITHUB_RUN_NUMBER": str(run.id),
        "GITHUB_RUN_ATTEMPT": str(run.attempt),
        "GITHUB_RETENTION_DAYS": "90",
        "GITHUB_WORKFLOW": run.workflow.rsplit(".", 1)[0],
        "GITHUB_WORKFLOW_REF": f"{state.repository}/.github/workflows/{run.workflow}@{run.ref}",
        "GITHUB_WORKFLOW_SHA": state.commit,
    }


def _of_the_repository(state: GitHubState) -> dict[str, str]:
    owner = str(number(state.owner))
    return {
        "GITHUB_REPOSITORY": state.repository,
        "GITHUB_REPOSITORY_ID": str(number(state.repository)),
        "GITHUB_REPOSITORY_OWNER": state.owner,
        "GITHUB_REPOSITORY_OWNER_ID": owner,
        "GITHUB_ACTOR": state.owner,
        "GITHUB_ACTOR_ID": owner,
        "GITHUB_TRIGGERING_ACTOR": state.owner,
        "GITHUB_ACTION_REPOSITORY": "",
        "GITHUB_ACTION_REF": "",
    }


def _of_the_runner(github: GitHubServer) -> dict[str, str]:
    return {
        "RUNNER_OS": "Linux",
        "RUNNER_ARCH": "X64",
        "RUNNER_NAME": "rehearsal",
        "RUNNER_ENVIRONMENT": github.state.release_run.runner_environment,
        "RUNNER_TOOL_CACHE": "/opt/hostedtoolcache",
    }


def id_token_variables(github: GitHubServer) -> dict[str, str]:
    """Return what a job with `id-token: write` has besides."""
    return {
        "ACTIONS_ID_TOKEN_REQUEST_URL": github.id_token_url,
        "ACTIONS_ID_TOKEN_REQUEST_TOKEN": github.state.id_token_bearer,
    }
