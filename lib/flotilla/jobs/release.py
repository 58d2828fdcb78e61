"""action-release: the steps of each phase, and what each phase reports: its outputs and job summary."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence

from flotilla.errors import NOTHING_WRITTEN, RESUMES, FlotillaError
from flotilla.family import binaries_told
from flotilla.github import Release, WorkflowRun
from flotilla.jobs.build import Built
from flotilla.jobs.create_release import Finished, Released, create_release, finish
from flotilla.jobs.inputs import Inputs, JobContext, Phase, ReleaseInputs, is_same_run, tell_warnings
from flotilla.jobs.ledger import Known, write_ledger
from flotilla.jobs.prepare import (
    Prepared,
    prepare,
    require_tag,
    settle_commit,
    tell_unprotected,
    warn_of_packages,
)
from flotilla.jobs.publish_summary import done_row, family_table, pages_of
from flotilla.jobs.wait_for_ci import Checked, check_artifacts, wait_for_ci
from flotilla.packing import floors_told
from flotilla.text import code, folded, link, linked, listed, size, table

# What comes after a phase.
NEXT: Mapping[Phase, str] = {
    "prepare": "Next: the phase `wait-for-ci`.",
    "wait-for-ci": "Next: the phase `check-artifacts`.",
    "check-artifacts": "Next: the phase `release`.",
    "finish": "The family is released.",
}


def prepared_to_release(job: JobContext[ReleaseInputs], prepared: Prepared) -> None:
    """Report that prepare found nothing to refuse."""
    family = job.family
    rows = [
        (code(package.name), package.kind, _on_registry(prepared, package.name, package.version))
        for package in family.packages
    ]
    tag = f"tag {code(family.tag)} on" if family.tag else "no tag,"
    job.runner.summary(
        f"### ✓ {code(family.config.family)} {code(family.version)} is ready to release\n\n"
        f"{tag} commit {pages_of(job).commit(prepared.commit)}, dist-tag {code(prepared.dist_tag)}\n\n"
        + table(("package", "kind", "on the registry"), rows)
        + "\n"
        + listed(binaries_told(family.packages))
    )


def waited(job: JobContext[ReleaseInputs], run: WorkflowRun) -> None:
    """Report the CI run."""
    if is_same_run(job, run):
        of_attempt = f" (attempt {run.attempt}, {code(run.event)})"
        built = pages_of(job).commit(run.commit)
        job.runner.summary(f"Released from this run: {link(run.id, run.url)}{of_attempt} built {built}\n")
        return
    commit = pages_of(job).commit(run.commit)
    job.runner.summary(f"✓ CI succeeded on {commit}: run {link(run.id, run.url)} ({code(run.event)})\n")


def checked(job: JobContext[ReleaseInputs], run: WorkflowRun, found: Checked) -> None:
    """Report that every artifact was found."""
    job.runner.output("artifacts-digest", found.digest or "")
    linked_to = pages_of(job).artifact
    rows = [(linked_to(one), size(one.size), code(one.digest or "not recorded")) for one in found.artifacts]
    total = size(sum(one.size for one in found.artifacts))
    job.runner.summary(
        f"### ✓ All {len(rows)} artifacts are in CI run {link(run.id, run.url)}\n\n"
        + folded(f"{len(rows)} artifacts, {total}", table(("artifact", "size", "digest"), rows))
        + f"\n\nThe artifacts digest is {code(found.digest)}.\n"
    )


def released(job: JobContext[ReleaseInputs], done: Released) -> None:
    """Report that the release was created, or would be."""
    hand_over_release(job, done.release)
    job.runner.output("checksums", done.checksums)
    known = Known(
        commit=done.commit,
        ci_run=done.ci_run,
        built=done.built,
        assets=done.assets,
        release=done.release,
        artifacts_digest=done.artifacts_digest,
    )
    job.runner.output("artifacts-digest", done.artifacts_digest or "")
    job.runner.output("ledger", write_ledger(job, known))
    rows = [(code(asset.name), size(asset.size), code(asset.digest)) for asset in done.assets]
    files, total = sum(len(built.contents) for built in done.built), size(sum(asset.size for asset in done.assets))
    job.runner.summary(
        f"### {_state(job, done.release)}\n\n"
        + (folded(f"{len(rows)} assets, {total}", table(("asset", "size", "digest"), rows)) + "\n\n" if rows else "")
        + f"{len(done.built)} packages with {files} files were checked.\n"
        + listed([*binaries_told(job.family.packages), *_needs(done.built)])
    )


def _needs(built: Sequence[Built]) -> list[str]:
    return floors_told({one.package.name: one.files.floors for one in built})


def finished(job: JobContext[ReleaseInputs], done: Finished) -> None:
    """Report that the family is complete and the draft published."""
    hand_over_release(job, done.release)
    job.runner.output("checksums", done.checksums)
    job.runner.output("ledger", done.ledger)
    job.runner.output("artifacts-digest", done.artifacts_digest or "")
    rows = [done_row(one, done.packuments[one.built.package.name]) for one in done.records]
    notes = [f"- {code(one.built.package.name)}: {code(one.note)}" for one in done.records if one.note]
    said = "Every package of the family is on the registry."
    parts = [f"### {_state(job, done.release)}", said, family_table(rows, pages_of(job)), "\n".join(notes)]
    job.runner.summary("\n\n".join(filter(None, parts)) + "\n")


def nothing_to_finish(job: JobContext[ReleaseInputs]) -> None:
    """Tell that a version without a tag has no release to publish."""
    hand_over_release(job, None)
    job.runner.output("checksums", "")
    job.runner.line("nothing to finish: a version without a tag (tag: none) has no release")
    job.runner.summary(f"### {_state(job, None)}\n")


# An error that contains one of these already says what happened to the release.
OUTCOME_TOLD = ("nothing was ", "is kept", "stays a draft", "was not published")
# Phases that never write anything.
READING = ("prepare", "wait-for-ci", "check-artifacts")


def ended(job: JobContext[ReleaseInputs], *, seconds: float) -> None:
    """Say that the phase is done, what comes next, and how long it took."""
    then = NEXT.get(job.inputs.phase) or _publishing(job)
    if job.inputs.phase == "finish" and job.family.tag is None:
        then = "There is nothing to finish."
    if job.inputs.dry_run and job.inputs.phase not in READING:
        then = "A dry run: nothing was written."
    job.runner.summary(f"{then} This took {seconds:.0f} s.\n")


def _publishing(job: JobContext[ReleaseInputs]) -> str:
    jobs = ["action-publish-platform for each platform", *(["action-publish-dev"] if job.family.devs else [])]
    last = [
        *(["action-publish-meta"] if job.family.metas else []),
        *(["the phase `finish`"] if job.inputs.draft and job.family.tag else []),
    ]
    return f"Next: {', then '.join([', '.join(jobs), *last])}."


def stopped(failure: FlotillaError, *, wrote: bool, site: str) -> str:
    """Return what stopped the job, as a list of faults, and whether anything had been written.

    Args:
        wrote: whether the job had begun to write.
        site: GITHUB_SERVER_URL; pages of no other site are linked.
    """
    said = str(failure).casefold()
    outcome = "" if any(words in said for words in OUTCOME_TOLD) else RESUMES if wrote else NOTHING_WRITTEN
    faults = "\n".join(f"- {linked(fault, site=site)}" for fault in failure.faults)
    parts = [f"### ✗ {failure.title}", faults, linked(failure.advice, site=site), outcome]
    return "\n\n".join(filter(None, parts)) + "\n"


def hand_over_release(job: JobContext[Inputs], release: Release | None) -> None:
    """Set the outputs that say where the release is."""
    job.runner.output("release-id", str(release.id) if release else "")
    job.runner.output("release-url", release.url if release else "")


def _state(job: JobContext[ReleaseInputs], release: Release | None) -> str:
    tag = job.family.tag
    if tag is None:
        return f"✓ {code(job.family.version)} gets no tag and no release (`tag: none`)"
    if job.inputs.dry_run:
        return f"○ Dry run of {code(tag)}: nothing was written"
    if release is None:
        return f"✗ {code(tag)} is not released"
    return f"✓ {link(tag, release.url)} is {'a draft' if release.draft else 'released'}"


def _on_registry(prepared: Prepared, name: str, version: str) -> str:
    packument = prepared.packuments[name]
    if packument is None:
        return "new name"
    return "this version already exists" if version in packument.versions else "other versions"


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
    warn_of_packages(job, progress.prepared)
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
