"""release-family: the whole release in one job, from the checks to the packages that users install."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Collection, Sequence
from copy import copy
from dataclasses import replace
from functools import partial

from flotilla.family import Package
from flotilla.github import WorkflowRun
from flotilla.jobs import publish_packages as publishing
from flotilla.jobs.build import CONTENTS, pack
from flotilla.jobs.create_release import Decided, decide_release, existing_release, publish_draft, write_release
from flotilla.jobs.inputs import FamilyInputs, JobContext, is_same_run, tell_warnings
from flotilla.jobs.prepare import Prepared, prepare, tell_unprotected, warn_of_packages
from flotilla.jobs.publish_summary import Report
from flotilla.jobs.publishing_jobs import Reported, check_platforms
from flotilla.jobs.release import hand_over_names, hand_over_release
from flotilla.jobs.wait_for_ci import wait_for_ci
from flotilla.text import code


class Progress(publishing.Progress):
    """What the steps hand to one another; each attribute is set by an earlier step."""

    prepared: Prepared
    run: WorkflowRun
    decided: Decided


Context = JobContext[FamilyInputs]
Step = Callable[[Context, Progress], None]


def _prepare(job: Context, progress: Progress) -> None:
    tell_warnings(job.family, job.runner)
    tell_unprotected(job)
    progress.prepared = prepare(job)
    warn_of_packages(job, progress.prepared)
    progress.report.commit = progress.commit = progress.prepared.commit
    hand_over_names(job, progress.commit)


def _wait_for_ci(job: Context, progress: Progress) -> None:
    run = progress.run = progress.report.ci_run = wait_for_ci(job, progress.commit, job.inputs.run_id)
    progress.report.same_run = is_same_run(job, run)
    job.runner.output("run-id", str(run.id))


def _prepare_again(job: Context, progress: Progress) -> None:
    progress.prepared = prepare(job, progress.commit)


def _decide_release(job: Context, progress: Progress) -> None:
    progress.decided = decide_release(job, progress.prepared, progress.run)
    known = progress.decided.known
    progress.report.artifacts_digest = known.artifacts_digest
    job.runner.output("artifacts-digest", known.artifacts_digest or "")


def _pack(job: Context, progress: Progress) -> None:
    progress.built = pack(job, progress.decided.known.built)
    shutil.rmtree(job.scratch / CONTENTS, ignore_errors=True)  # assets come from the artifacts' own files


def _write_release(job: Context, progress: Progress) -> None:
    done = write_release(job, progress.run, progress.decided)
    progress.report.release, progress.report.assets = done.release, done.assets
    hand_over_release(job, done.release)
    job.runner.output("checksums", done.checksums)


def _publish_platforms(job: Context, progress: Progress) -> None:
    _publish(job, progress, job.family.of_platform("all"))


def _publish_dev(job: Context, progress: Progress) -> None:
    _publish(job, progress, job.family.devs)


def _publish_meta(job: Context, progress: Progress) -> None:
    if job.family.metas:
        check_platforms(job, progress.report, progress.provenance, partial(_reported, progress.report))
    _publish(job, progress, job.family.metas)


def _publish(job: Context, progress: Progress, packages: Sequence[Package]) -> None:
    """Publish one part of the family, as it was decided, by the steps of a publishing job."""
    part, names = copy(progress), {package.name for package in packages}
    decided = [pair for pair in zip(progress.built, progress.decisions, strict=True) if pair[0].package.name in names]
    part.packages = packages
    part.built = tuple(built for built, _ in decided)
    part.decisions = tuple(decision for _, decision in decided)
    for step in (publishing.PUBLISH, publishing.VERIFY):
        step(job, part)


def _reported(report: Report, names: Collection[str]) -> Reported:
    done = {record.built.package.name: record.integrity for record in report.records}
    return {name: ("this job", done[name]) for name in names if name in done}


def _finish(job: Context, progress: Progress) -> None:
    if not job.inputs.draft or job.family.tag is None:
        return
    if any(record.status == "staged" for record in progress.report.records):
        progress.report.checked.append("The release stays a draft: approve the packages, then re-run this job.")
        return
    known = replace(progress.decided.known, built=progress.built)
    finished = publish_draft(job, existing_release(job), known)
    progress.report.release = finished.release
    hand_over_release(job, finished.release)


PREPARE: Step = _prepare  # refuse before the tag exists all that GitHub or the registry would refuse later
WAIT_FOR_CI: Step = _wait_for_ci  # the oldest successful run on the commit that has every artifact, or this very run
PREPARE_AGAIN: Step = _prepare_again  # CI may have taken an hour, in which anything was published
DECIDE_RELEASE: Step = _decide_release  # check the artifacts, download and verify everything once, compare
PACK: Step = _pack  # the tarballs that will be published
WRITE_RELEASE: Step = _write_release  # tag, draft, assets; published last, unless it is to stay a draft until the end
PUBLISH_PLATFORMS: Step = _publish_platforms  # what the metas pin comes first
PUBLISH_DEV: Step = _publish_dev  # the headers
PUBLISH_META: Step = _publish_meta  # once `npm install` finds every platform package, and each is the one built here
FINISH: Step = _finish  # npm has every package: publish the draft

DECIDING: Sequence[Step] = (
    PREPARE,
    publishing.SETTLE_CREDENTIALS,
    publishing.SETTLE_PROVENANCE,
    publishing.RENDER_MANIFESTS,
    WAIT_FOR_CI,
    PREPARE_AGAIN,
    DECIDE_RELEASE,
    PACK,
    publishing.PLAN,
    publishing.SIGN_IN,
    publishing.CHECK_NPM,
)
STEPS = (*DECIDING, WRITE_RELEASE, PUBLISH_PLATFORMS, PUBLISH_DEV, PUBLISH_META, FINISH)
DRY_RUN_STEPS = (*DECIDING, WRITE_RELEASE, publishing.REHEARSE)


def release_family(job: Context) -> None:
    """Release the whole family: everything is decided before anything is written, and a re-run completes it.

    Raises:
        FlotillaError: what stopped it.
    """
    family = job.family
    title = f"{code(family.config.family)} {code(family.version)}"
    names = " or ".join(code(f"npm install {meta.name}@{meta.version}") for meta in family.metas)
    then = f"The family can be installed: {names}." if names else "The family is released."
    report = Report(title=title, then=then, packages=family.packages, started=job.policy.clock.now())
    progress = Progress(family.packages, run_id=None, before=lambda _report, _provenance: None, report=report)
    with publishing.handing_over(job, report):
        job.github.runs.repository()  # first of all: under the name that a renamed one had, no list is to be relied on
        for step in DRY_RUN_STEPS if job.inputs.dry_run else STEPS:
            step(job, progress)
