"""The simulated GitHub's repository, workflow runs and artifacts."""

from __future__ import annotations

from typing import TypeVar

from aiohttp import web

from flotilla.rehearsal.github.call import Call, Refusal, Route, not_found, reply
from flotilla.rehearsal.github.records import Run, StoredArtifact, StoredJob
from flotilla.rehearsal.github.repository import number

T = TypeVar("T")

RAW_SUFFIX, ZIP_SUFFIX = "", ".zip"


async def get_repository(call: Call) -> web.Response:
    """Answer repos/get."""
    return reply(call.replies.repository())


async def get_subject_customization(call: Call) -> web.Response:
    """Answer actions/get-custom-oidc-sub-claim-for-repo."""
    return reply({"use_default": True, "use_immutable_subject": call.state.immutable_subject})


async def list_workflows(call: Call) -> web.Response:
    """Answer actions/list-repo-workflows."""
    return call.page([call.replies.workflow(path) for path in call.state.workflows], key="workflows")


async def get_workflow(call: Call) -> web.Response:
    """Answer actions/get-workflow."""
    return reply(call.replies.workflow(_workflow(call)))


async def list_workflow_runs(call: Call) -> web.Response:
    """Answer actions/list-workflow-runs."""
    path = _workflow(call)
    return _runs(call, [run for run in call.state.runs if run.workflow == path])


async def list_repository_runs(call: Call) -> web.Response:
    """Answer actions/list-workflow-runs-for-repo."""
    return _runs(call, call.state.runs)


async def get_run(call: Call) -> web.Response:
    """Answer actions/get-workflow-run."""
    return reply(_seen(call, _run(call)))


async def list_jobs(call: Call) -> web.Response:
    """Answer actions/list-jobs-for-workflow-run."""
    run = _run(call)
    if call.request.query.get("filter") == "all":
        return _jobs(call, run, [job for job in call.state.jobs if job.run_id == run.id])
    return _jobs(call, run, _as_attempt(call, run, run.attempt))


async def list_attempt_jobs(call: Call) -> web.Response:
    """Answer actions/list-jobs-for-workflow-run-attempt."""
    run = _run(call)
    if not 1 <= call.id("attempt") <= run.attempt:
        raise not_found()
    return _jobs(call, run, _as_attempt(call, run, call.id("attempt")))


async def list_run_artifacts(call: Call) -> web.Response:
    """Answer actions/list-workflow-run-artifacts."""
    run = _run(call)
    found = [artifact for artifact in call.state.artifacts if artifact.run_id == run.id]
    return _artifacts(call, found, descending=call.request.query.get("direction") != "asc")


async def list_artifacts(call: Call) -> web.Response:
    """Answer actions/list-artifacts-for-repo."""
    return _artifacts(call, call.state.artifacts, descending=True)


async def get_artifact(call: Call) -> web.Response:
    """Answer actions/get-artifact."""
    return reply(call.replies.artifact(_artifact(call)))


async def download_artifact(call: Call) -> web.Response:
    """Answer actions/download-artifact."""
    artifact = _artifact(call)
    if artifact.expired:
        raise Refusal(410, "Artifact has expired")
    suffix = RAW_SUFFIX if artifact.raw else ZIP_SUFFIX
    return web.Response(status=302, headers={"Location": call.hub.sign("artifacts", artifact.id, suffix=suffix)})


def _workflow(call: Call) -> str:
    wanted = call.part("workflow")
    for path in call.state.workflows:
        if wanted in (path, path.rsplit("/", 1)[1], str(number(path))):
            return path
    raise not_found()


def _runs(call: Call, runs: list[Run]) -> web.Response:
    call.need("actions", "read")
    query = call.request.query
    found = [
        run
        for run in reversed(runs)
        if query.get("head_sha", run.commit) == run.commit
        and query.get("event", run.event) == run.event
        and query.get("branch", run.branch) == run.branch
        and query.get("status", run.status) in (run.status, run.conclusion)
    ]
    return call.page([_seen(call, run) for run in found], key="workflow_runs")


def _seen(call: Call, run: Run) -> dict[str, object]:
    shown = call.replies.run(run)
    run.reads_until_done = max(0, run.reads_until_done - 1)
    return shown


def _run(call: Call) -> Run:
    call.need("actions", "read")
    wanted = call.id()
    return _found(next((run for run in call.state.runs if run.id == wanted), None))


def _as_attempt(call: Call, run: Run, attempt: int) -> list[StoredJob]:
    """Return the jobs of an attempt, those that it did not run again included."""
    jobs = [job for job in call.state.jobs if job.run_id == run.id and job.attempt <= attempt]
    last = {job.name: job.attempt for job in sorted(jobs, key=lambda job: job.attempt)}
    return [job for job in jobs if job.attempt == last[job.name]]


def _jobs(call: Call, run: Run, jobs: list[StoredJob]) -> web.Response:
    return call.page([call.replies.job(run, job) for job in jobs], key="jobs")


def _artifact(call: Call) -> StoredArtifact:
    call.need("actions", "read")
    wanted = call.id()
    return _found(next((artifact for artifact in call.state.artifacts if artifact.id == wanted), None))


def _found(thing: T | None) -> T:
    if thing is None:
        raise not_found()
    return thing


def _artifacts(call: Call, artifacts: list[StoredArtifact], *, descending: bool) -> web.Response:
    call.need("actions", "read")
    name = call.request.query.get("name")
    found = sorted((a for a in artifacts if name in (None, a.name)), key=lambda a: a.id, reverse=descending)
    return call.page([call.replies.artifact(artifact) for artifact in found], key="artifacts")


REPOSITORY = "/repos/{owner}/{repo}"
ACTIONS = f"{REPOSITORY}/actions"
ROUTES: tuple[Route, ...] = (
    ("GET", REPOSITORY, get_repository),
    ("GET", f"{ACTIONS}/oidc/customization/sub", get_subject_customization),
    ("GET", f"{ACTIONS}/workflows", list_workflows),
    ("GET", f"{ACTIONS}/workflows/{{workflow:.+}}/runs", list_workflow_runs),
    ("GET", f"{ACTIONS}/workflows/{{workflow:.+}}", get_workflow),
    ("GET", f"{ACTIONS}/runs", list_repository_runs),
    ("GET", f"{ACTIONS}/runs/{{id}}", get_run),
    ("GET", f"{ACTIONS}/runs/{{id}}/jobs", list_jobs),
    ("GET", f"{ACTIONS}/runs/{{id}}/attempts/{{attempt}}/jobs", list_attempt_jobs),
    ("GET", f"{ACTIONS}/runs/{{id}}/artifacts", list_run_artifacts),
    ("GET", f"{ACTIONS}/artifacts", list_artifacts),
    ("GET", f"{ACTIONS}/artifacts/{{id}}", get_artifact),
    ("GET", f"{ACTIONS}/artifacts/{{id}}/zip", download_artifact),
)
