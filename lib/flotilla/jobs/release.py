"""action-release: its phases, each as far as it is asked for, and what they hand over."""

from __future__ import annotations

import json
from typing import assert_never

from flotilla.github import WorkflowRun
from flotilla.jobs.check_artifacts import check_artifacts
from flotilla.jobs.context import JobContext, tell_warnings
from flotilla.jobs.create_release import release
from flotilla.jobs.finish import finish
from flotilla.jobs.inputs import ReleaseInputs
from flotilla.jobs.prepare import Prepared, prepare, require_tag, settle_commit
from flotilla.jobs.release_summary import checked, ended, finished, prepared_to_release, released, waited
from flotilla.jobs.wait_for_ci import wait_for_ci


def release_phases(job: JobContext[ReleaseInputs]) -> None:
    """Run the phase that the input names; `all` runs each but finish, in order.

    Raises:
        FlotillaError: what stopped it.
    """
    started = job.policy.clock.now()
    _run(job)
    ended(job, seconds=job.policy.clock.now() - started)


def _run(job: JobContext[ReleaseInputs]) -> None:
    job.github.repository()  # first of all: under the name that a renamed one had, no list is to be relied on
    match job.inputs.phase:
        case "prepare":
            _prepare(job)
        case "wait-for-ci":
            _wait(job, _commit(job))
        case "check-artifacts":
            _check(job, _wait(job, _commit(job)))
        case "release":
            prepared = _prepare(job)
            released(job, release(job, prepared, _wait(job, prepared.commit)))
        case "all":
            first = _prepare(job)
            run = _wait(job, first.commit)
            _check(job, run)
            # CI may have taken an hour, in which anything was published, on GitHub or the registry.
            released(job, release(job, prepare(job, first.commit), run))
        case "finish":
            commit = _commit(job)
            require_tag(job, commit)
            finished(job, finish(job, _wait(job, commit)))
        case never:
            assert_never(never)


def _prepare(job: JobContext[ReleaseInputs]) -> Prepared:
    tell_warnings(job.family, job.runner)
    prepared = prepare(job)
    _hand_over_names(job, prepared.commit)
    prepared_to_release(job, prepared)
    return prepared


def _commit(job: JobContext[ReleaseInputs]) -> str:
    commit = settle_commit(job, job.inputs.commit)
    _hand_over_names(job, commit)
    return commit


def _wait(job: JobContext[ReleaseInputs], commit: str) -> WorkflowRun:
    run = wait_for_ci(job, commit, job.inputs.run_id)
    job.runner.output("run-id", str(run.id))
    waited(job, run)
    return run


def _check(job: JobContext[ReleaseInputs], run: WorkflowRun) -> None:
    checked(job, run, check_artifacts(job, run, job.family.artifacts))


def _hand_over_names(job: JobContext[ReleaseInputs], commit: str) -> None:
    """The outputs that need nothing but flotilla.yml and the tag; every phase has them."""
    family, output = job.family, job.runner.output
    output("version", family.version)
    output("tag", family.tag)
    output("commit", commit)
    output("dist-tag", job.dist_tag.name)
    output("prerelease", "true" if family.prerelease else "false")
    output("platforms", json.dumps([platform.name for platform in family.config.platforms]))
