"""action-release: run the steps of the requested phase, and set its outputs."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence

from flotilla.github import WorkflowRun
from flotilla.jobs.check_artifacts import Checked, check_artifacts
from flotilla.jobs.create_release import create_release
from flotilla.jobs.finish import finish
from flotilla.jobs.inputs import Inputs, JobContext, Phase, ReleaseInputs, tell_warnings
from flotilla.jobs.prepare import (
    Prepared,
    prepare,
    require_tag,
    settle_commit,
    tell_unprotected,
    warn_of_new_names,
)
from flotilla.jobs.release_summary import (
    checked,
    ended,
    finished,
    nothing_to_finish,
    prepared_to_release,
    released,
    waited,
)
from flotilla.jobs.wait_for_ci import wait_for_ci


class Progress:
    """What the steps of a phase share; each attribute is set by an earlier step."""

    commit: str
    prepared: Prepared
    prepared_at: float
    run: WorkflowRun
    checked: Checked | None = None


Step = Callable[[JobContext[ReleaseInputs], Progress], None]
STILL_TRUE = 10.0  # seconds for which what prepare found is not looked up again


def _settle_commit(job: JobContext[ReleaseInputs], progress: Progress) -> None:
    progress.commit = settle_commit(job, job.inputs.commit)
    hand_over_names(job, progress.commit)


def _require_tag(job: JobContext[ReleaseInputs], progress: Progress) -> None:
    require_tag(job, progress.commit)


def _prepare(job: JobContext[ReleaseInputs], progress: Progress) -> None:
    tell_warnings(job.family, job.runner)
    tell_unprotected(job)
    progress.prepared_at = job.policy.clock.now()
    progress.prepared = prepare(job)
    warn_of_new_names(job, progress.prepared)
    progress.commit = progress.prepared.commit
    hand_over_names(job, progress.commit)
    prepared_to_release(job, progress.prepared)


def _prepare_again(job: JobContext[ReleaseInputs], progress: Progress) -> None:
    if job.policy.clock.now() - progress.prepared_at > STILL_TRUE:
        progress.prepared = prepare(job, progress.commit)


def _wait_for_ci(job: JobContext[ReleaseInputs], progress: Progress) -> None:
    progress.run = wait_for_ci(job, progress.commit, job.inputs.run_id)
    job.runner.output("run-id", str(progress.run.id))
    waited(job, progress.run)


def _check_artifacts(job: JobContext[ReleaseInputs], progress: Progress) -> None:
    progress.checked = check_artifacts(job, progress.run, job.family.artifacts)
    checked(job, progress.run, progress.checked)


def _release(job: JobContext[ReleaseInputs], progress: Progress) -> None:
    released(job, create_release(job, progress.prepared, progress.run, progress.checked))


def _finish(job: JobContext[ReleaseInputs], progress: Progress) -> None:
    finished(job, finish(job, progress.run))


def _nothing_to_finish(job: JobContext[ReleaseInputs], _progress: Progress) -> None:
    nothing_to_finish(job)


SETTLE_COMMIT: Step = _settle_commit  # the commit asked for, else the tag's, else the one that started the workflow
PREPARE: Step = _prepare  # refuse before the tag exists all that GitHub or the registry would refuse later
WAIT_FOR_CI: Step = _wait_for_ci  # the oldest successful run on the commit that has every artifact
CHECK_ARTIFACTS: Step = _check_artifacts  # each artifact of the family is in that run, not expired and not empty
PREPARE_AGAIN: Step = _prepare_again  # CI may have taken an hour, in which anything was published
RELEASE: Step = _release  # download, verify, build, compare; then tag, draft, assets, and published last
REQUIRE_TAG: Step = _require_tag  # GitHub would make a missing tag, on another commit
NOTHING_TO_FINISH: Step = _nothing_to_finish  # a version without a tag
FINISH: Step = _finish  # npm has every package: publish the draft

STEPS: Mapping[Phase, Sequence[Step]] = {
    "all": (PREPARE, WAIT_FOR_CI, CHECK_ARTIFACTS, PREPARE_AGAIN, RELEASE),
    "prepare": (PREPARE,),
    "wait-for-ci": (SETTLE_COMMIT, WAIT_FOR_CI),
    "check-artifacts": (SETTLE_COMMIT, WAIT_FOR_CI, CHECK_ARTIFACTS),
    "release": (PREPARE, WAIT_FOR_CI, RELEASE),
    "finish": (SETTLE_COMMIT, REQUIRE_TAG, WAIT_FOR_CI, FINISH),
}


# A version without a tag has no release, so no draft.
UNTAGGED_FINISH = (SETTLE_COMMIT, NOTHING_TO_FINISH)


def release(job: JobContext[ReleaseInputs]) -> None:
    """Run the steps of the phase that the input names, and say what comes next.

    Raises:
        FlotillaError: something stopped it.
    """
    started = job.policy.clock.now()
    job.github.runs.repository()  # first of all: under the name that a renamed one had, no list is to be relied on
    progress = Progress()
    nothing_to_finish = job.inputs.phase == "finish" and job.family.tag is None
    for step in UNTAGGED_FINISH if nothing_to_finish else STEPS[job.inputs.phase]:
        step(job, progress)
    ended(job, seconds=job.policy.clock.now() - started)


def hand_over_names(job: JobContext[Inputs], commit: str) -> None:
    """Set the outputs that need only flotilla.yml and the tag; every phase has them."""
    family, output = job.family, job.runner.output
    output("version", family.version)
    output("tag", family.tag or "")
    output("commit", commit)
    output("dist-tag", job.dist_tag.name)
    output("prerelease", "true" if family.prerelease else "false")
    output("has-dev", "true" if family.devs else "false")
    output("platforms", json.dumps([platform.name for platform in family.config.platforms]))
