"""What the three publishing jobs share: everything is decided, then published one after another, then seen."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from flotilla.errors import RefusedError, explained
from flotilla.family import Package
from flotilla.jobs.assets import refuse_another_build
from flotilla.jobs.check_artifacts import check_artifacts
from flotilla.jobs.commit import tagged_commit
from flotilla.jobs.decisions import decide_packages
from flotilla.jobs.inputs import PublishInputs
from flotilla.jobs.job import Job
from flotilla.jobs.manifests import Manifest, Refusal, grouped, render_all, repository_faults
from flotilla.jobs.materials import build, gather
from flotilla.jobs.publish_report import Report, hand_over, with_progress
from flotilla.jobs.sending import Sending, rehearsed
from flotilla.jobs.wait_for_ci import checked_run
from flotilla.jobs.watching import see_packages
from flotilla.jobs.workshop import Built
from flotilla.npm import Credential, Provenance, Publish, Token, TrustedPublishing, possible, sign_in_faults


def publish_packages(
    job: Job[PublishInputs],
    packages: Sequence[Package],
    *,
    title: str,
    then: str,
    run_id: int | None,
    before: Callable[[Report, Provenance], None] = lambda _report, _provenance: None,
) -> None:
    """Publish some of the family's packages, and hand over what was done, however far it came.

    Args:
        title: what the packages are, for the job summary.
        then: what comes next once they are published, for the job summary.
        run_id: the CI run that their files come from, None for packages that take none.
        before: checks what must hold before the first is decided, and tells the report what did.

    Raises:
        FlotillaError: anything that stops the job; before the first publish nothing was written.
    """
    report = Report(title=title, then=then, packages=packages, started=job.policy.clock.now())
    try:
        _publish(job, packages, run_id, before, report)
    except (Exception, KeyboardInterrupt) as stopping:  # noqa: BLE001 - however it ends, its outputs are handed over
        report.failure = explained(stopping, wrote=job.runner.wrote)
        with suppress(OSError):  # of two failures, the first is told
            hand_over(job, report)
        told = with_progress(report.failure, report)
        raise told from None if told is stopping else stopping
    hand_over(job, report)


def _publish(
    job: Job[PublishInputs],
    packages: Sequence[Package],
    run_id: int | None,
    before: Callable[[Report, Provenance], None],
    report: Report,
) -> None:
    credential = _credential(job)
    provenance = _provenance(job)
    report.commit = commit = tagged_commit(job)
    before(report, provenance)
    manifests = render_all(packages, root=job.root, repository=job.facts.repository_url, top=job.facts.workspace)
    if provenance.on and (faults := repository_faults(job.facts, manifests)):
        refusals = grouped((Refusal(of=name, why=why) for name, why in faults.items()), of=len(manifests))
        raise RefusedError([str(refusal) for refusal in refusals], advice="Nothing was published.")
    built = _build(job, packages, manifests, run_id, commit, report)
    sending = Sending(job=job, credential=credential, provenance=provenance.on, begun=report.begun)
    packuments = {one.package.name: job.registry.fresh(one.package.name) for one in built}
    decisions = decide_packages(job, built, packuments, sending.staged(built))
    report.planned += built
    if any(isinstance(decision, Publish) for decision in decisions):
        job.runner.line(f"npm {job.npm.version()}")
    if job.inputs.dry_run:
        report.records += rehearsed(job, built, decisions)
        return
    for record in sending.all(built, decisions):
        report.records.append(record)
    report.records = see_packages(job, report.records, provenance=provenance.on)


def _build(
    job: Job[PublishInputs],
    packages: Sequence[Package],
    manifests: Mapping[str, Manifest],
    run_id: int | None,
    commit: str,
    report: Report,
) -> tuple[Built, ...]:
    if run_id is None:
        return build(job, packages, manifests, {})
    report.ci_run = checked_run(job, run_id, commit)
    wanted = {package.artifact for package in packages}
    needs = [need for need in job.family.artifacts if need.artifact in wanted]
    checked = check_artifacts(job, report.ci_run, needs)
    report.artifacts_digest = checked.digest
    materials = gather(job, report.ci_run, checked.artifacts)
    refuse_another_build(job, materials)
    return build(job, packages, manifests, materials)


def _credential(job: Job[PublishInputs]) -> Credential:
    """The one credential of the job: its npm token, else its id-token; that it cannot sign in is said first of all."""
    credential = Token(value=job.inputs.npm_token) if job.inputs.npm_token else TrustedPublishing()
    faults = sign_in_faults(job.registry.url, credential, environment=job.environment)
    if faults := [*faults, *filter(None, [job.registry.token_fault()])]:
        raise RefusedError(faults, advice="Nothing was published.")
    return credential


def _provenance(job: Job[PublishInputs]) -> Provenance:
    publish = job.family.config.publish
    provenance = possible(
        job.inputs.provenance or publish.provenance,
        environment=job.environment,
        private=job.github.repository().private,
        access=publish.access,
    )
    if provenance.refused:
        raise RefusedError(provenance.why, advice="Nothing was published. provenance: auto leaves it out instead.")
    job.runner.line(provenance.why)
    return provenance
