"""The outputs and job summary of action-release's phases."""

from __future__ import annotations

from collections.abc import Mapping

from flotilla.errors import NOTHING_WRITTEN, RESUMES, FlotillaError
from flotilla.family import binaries_told
from flotilla.github import Release, WorkflowRun
from flotilla.jobs.check_artifacts import Checked
from flotilla.jobs.create_release import Released
from flotilla.jobs.finish import Finished
from flotilla.jobs.inputs import Inputs, JobContext, Phase, ReleaseInputs
from flotilla.jobs.ledger import Known, write_ledger
from flotilla.jobs.markdown import code, link, linked, listed, size, table
from flotilla.jobs.prepare import Prepared
from flotilla.jobs.same_run import is_same_run

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
        f"### {code(family.config.family)} {code(family.version)} is ready to release\n\n"
        f"{tag} commit {code(prepared.commit)}, dist-tag {code(prepared.dist_tag)}\n\n"
        + table(("package", "kind", "on the registry"), rows)
        + "\n"
        + listed(binaries_told(family.packages))
    )


def waited(job: JobContext[ReleaseInputs], run: WorkflowRun) -> None:
    """Report the CI run."""
    if is_same_run(job, run):
        of_attempt = f" (attempt {run.attempt}, {code(run.event)})"
        job.runner.summary(f"Released from this run: {link(run.id, run.url)}{of_attempt} built {code(run.commit)}\n")
        return
    job.runner.summary(f"CI succeeded on {code(run.commit)}: run {link(run.id, run.url)} ({code(run.event)})\n")


def checked(job: JobContext[ReleaseInputs], run: WorkflowRun, found: Checked) -> None:
    """Report that every artifact was found."""
    job.runner.output("artifacts-digest", found.digest or "")
    rows = [(code(one.name), size(one.size), code(one.digest or "not recorded")) for one in found.artifacts]
    job.runner.summary(
        f"### All {len(rows)} artifacts are in CI run {link(run.id, run.url)}\n\n"
        + table(("artifact", "size", "digest"), rows)
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
    files = sum(len(built.contents) for built in done.built)
    job.runner.summary(
        f"### {_state(job, done.release)}\n\n"
        + (table(("asset", "size", "digest"), rows) + "\n\n" if rows else "")
        + f"{len(done.built)} packages with {files} files were checked.\n"
        + listed(binaries_told(job.family.packages))
    )


def finished(job: JobContext[ReleaseInputs], done: Finished) -> None:
    """Report that the family is complete and the draft published."""
    hand_over_release(job, done.release)
    job.runner.output("checksums", done.checksums)
    job.runner.output("ledger", done.ledger)
    job.runner.output("artifacts-digest", done.artifacts_digest or "")
    rows = [(code(one.built.package.name), code(one.integrity), code(one.note)) for one in done.records]
    job.runner.summary(
        f"### {_state(job, done.release)}\n\nEvery package of the family is on the registry.\n\n"
        + table(("package", "integrity", ""), rows)
        + "\n"
    )


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
    parts = [f"### {failure.title}", faults, linked(failure.advice, site=site), outcome]
    return "\n\n".join(filter(None, parts)) + "\n"


def hand_over_release(job: JobContext[Inputs], release: Release | None) -> None:
    """Set the outputs that say where the release is."""
    job.runner.output("release-id", str(release.id) if release else "")
    job.runner.output("release-url", release.url if release else "")


def _state(job: JobContext[ReleaseInputs], release: Release | None) -> str:
    tag = job.family.tag
    if tag is None:
        return f"{code(job.family.version)} gets no tag and no release (`tag: none`)"
    if job.inputs.dry_run:
        return f"Dry run of {code(tag)}: nothing was written"
    if release is None:
        return f"{code(tag)} is not released"
    return f"{link(tag, release.url)} is {'a draft' if release.draft else 'released'}"


def _on_registry(prepared: Prepared, name: str, version: str) -> str:
    packument = prepared.packuments[name]
    if packument is None:
        return "new name"
    return "this version already exists" if version in packument.versions else "other versions"
