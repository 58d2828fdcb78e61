"""publish-meta: last, when `npm install` sees every platform package, and each is the one that was built."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

from flotilla.errors import ConflictError, InputError, RefusedError
from flotilla.jobs.context import LEDGER, JobContext
from flotilla.jobs.inputs import MetaInputs
from flotilla.jobs.ledger import Ledger
from flotilla.jobs.manifests import Manifest, render_all
from flotilla.jobs.markdown import code
from flotilla.jobs.prepare import released_commit
from flotilla.jobs.publish_packages import publish_packages
from flotilla.jobs.publish_summary import Report, hand_over
from flotilla.jobs.release_assets import its_release, release_ledger
from flotilla.jobs.verify_published import PROVENANCE_LIMIT, PROVENANCE_PAUSE, published_provenance, visible_minutes
from flotilla.npm import (
    Awaited,
    Origin,
    Provenance,
    PublishedVersion,
    await_visible,
    same_integrity,
    version_differences,
)

REPACKED = (
    "If another version of flotilla packed them, give the outputs `packages` of the platform jobs as the input "
    "packages: those jobs compare the files."
)
RELEASED = f"the release's {LEDGER}"
NOT_OURS = "Nothing was published. Do not pin these packages: find out who published them, and from where."


def publish_meta(job: JobContext[MetaInputs]) -> None:
    """Publish the meta packages; each pins its platform packages, so these come first. A family may have none.

    Raises:
        InputError: a meta package has an artifact, and no input says of which run.
        RefusedError: a platform package was never published, or is not the one that was built.
        DeadlineError: one was, and `npm install` does not see it in time.
        ConflictError: `npm install` sees other content than the registry has.
    """
    if not job.family.metas:
        _tell_there_is_none(job)
        return
    names = " or ".join(code(f"npm install {meta.name}@{meta.version}") for meta in job.family.metas)
    then = f"The family can be installed: {names}. A release kept as a draft is published by the phase `finish`."
    before, run_id = partial(_platforms_first, job), _run_id(job)
    publish_packages(job, job.family.metas, title="Meta packages", then=then, run_id=run_id, before=before)


def _tell_there_is_none(job: JobContext[MetaInputs]) -> None:
    """Hand over that nothing was published, for a workflow that is the same for every family."""
    job.runner.line("the family has no meta package (packages.meta: false): nothing to publish")
    then = (
        "The family has no meta package (`packages.meta: false`). A release kept as a draft is published by `finish`."
    )
    report = Report(title="Meta packages", then=then, packages=(), started=job.policy.clock.now())
    report.commit = released_commit(job)
    hand_over(job, report)


def _run_id(job: JobContext[MetaInputs]) -> int | None:
    """Return the CI run that the meta packages take files from, None if they take none."""
    artifacts = dict.fromkeys(meta.artifact for meta in job.family.metas if meta.artifact)
    if artifacts and job.inputs.run_id is None:
        raise InputError(
            f"input run-id is required: the meta package takes files from the CI artifact {', '.join(artifacts)} "
            "(packages.meta.artifact)",
            advice="Give the output run-id of action-release: run-id: ${{ needs.release.outputs.run-id }}.",
        )
    return job.inputs.run_id if artifacts else None


def _platforms_first(job: JobContext[MetaInputs], report: Report, provenance: Provenance) -> None:
    """Check and await the platform packages; what is staged, or only rehearsed, is told and not waited for."""
    _refuse_another_build(job, report)
    names = dict.fromkeys(name for meta in job.family.metas for name in meta.depends_on)
    read = {name: _published(job, name) for name in names}
    found = {name: published for name, published in read.items() if published}
    missing = [name for name in names if name not in found]
    if missing and not (job.inputs.staged or job.inputs.dry_run):
        raise RefusedError(
            [f"{name}@{job.family.version} is not on the registry, and a meta package pins it" for name in missing],
            advice="Publish the platform packages first: run action-publish-platform for each, then re-run this job.",
        )
    if missing:
        _tell(job, missing)
    _check_pinned(job, report, found, provenance)
    awaited: list[Awaited] = [(one.name, one.version, one.integrity) for one in found.values()]
    await_visible(job.registry, awaited, policy=job.policy, minutes=visible_minutes(job), told=job.runner.line)


def _check_pinned(
    job: JobContext[MetaInputs], report: Report, found: Mapping[str, PublishedVersion], provenance: Provenance
) -> None:
    """Refuse platform packages that are not those that were built; tell the report by what they are known.

    Raises:
        RefusedError: with every package whose manifest, integrity or provenance is not ours.
    """
    if not found:
        return
    packages = [package for package in job.family.packages if package.name in found]
    manifests = render_all(
        packages, root=job.root, repository=job.variables.repository_url, top=job.variables.workspace
    )
    reported = _reported(job, found)
    faults = [fault for one in found.values() for fault in _content_faults(job, one, manifests, reported)]
    compared = [name for name in found if name in reported]
    if provenance.on:
        commits = {job.variables.commit, report.commit or ""}
        for name, one in found.items():
            faults += _provenance_faults(job, one, commits, known=name in reported)
    sources = {source: [name for name in compared if reported[name][0] == source] for source, _ in reported.values()}
    if faults:
        raise RefusedError(faults, advice=f"{NOT_OURS} {REPACKED}" if RELEASED in sources else NOT_OURS)
    if provenance.on:
        report.checked.append(f"All {len(found)} platform packages have provenance of this repository and commit.")
    for source, names in sources.items():
        if names:
            report.checked.append(f"{len(names)} of {len(found)} have the integrity that {source} names.")
    if not provenance.on and len(compared) < len(found):
        left = [name for name in found if name not in reported]
        which = "the platform packages" if not compared else ", ".join(left)
        report.checked.append(f"Neither provenance nor a list of integrities says that {which} are what was built.")
        job.runner.warning(
            f"nothing says that {which} on the registry are what was built; "
            "give the outputs `packages` of the platform jobs as the input packages",
            title="Platform packages were not compared",
        )


def _reported(job: JobContext[MetaInputs], found: Mapping[str, object]) -> dict[str, tuple[str, str]]:
    """Return each package's integrity by its name, and who says it: the input, for the rest the release's ledger.

    Raises:
        RefusedError: a package is named twice, with different integrities.
    """
    given = [(one.name, one.integrity) for one in job.inputs.packages if one.version == job.family.version]
    reported = _by_name("the input packages", given)
    if found.keys() <= reported.keys():
        return reported
    return _by_name(RELEASED, _in_ledger(job)) | reported


def _by_name(source: str, entries: Sequence[tuple[str, str]]) -> dict[str, tuple[str, str]]:
    integrities: dict[str, set[str]] = {}
    for name, integrity in entries:
        integrities.setdefault(name, set()).add(integrity)
    if twice := [name for name, several in integrities.items() if len(several) > 1]:
        raise RefusedError(
            [f"{source} names {name} with {len(integrities[name])} integrities" for name in twice],
            advice="Nothing was published. Pass the outputs of the platform jobs of one run.",
        )
    return {name: (source, several.pop()) for name, several in integrities.items()}


def _refuse_another_build(job: JobContext[MetaInputs], report: Report) -> None:
    """Hold the input artifacts-digest against the release; this job takes no artifact to compute it from."""
    given = job.inputs.artifacts_digest
    ledger = _ledger(job) if given else None
    told = report.artifacts_digest = ledger.get("artifacts-digest") if ledger else None
    if given and job.family.tag is None:
        job.runner.line("artifacts-digest: the platform jobs compare it; without a tag there is no release to ask here")
    elif given and not told and not job.inputs.dry_run:
        job.runner.warning(
            f"no release of {job.family.tag} that tells its artifacts digest can be seen here (a draft is shown only "
            "to jobs with `contents: write`), so the input artifacts-digest was compared with nothing",
            title="The build was not compared",
        )
    if told and told != given:
        raise ConflictError(
            f"the release of {job.family.tag} was made of artifacts with the digest {told}; the input artifacts-digest "
            f"is {given}",
            advice="Nothing was published. Pass the output artifacts-digest of the job that made the release.",
        )


def _ledger(job: JobContext[MetaInputs]) -> Ledger | None:
    release = its_release(job)
    return release_ledger(job, release) if release else None


def _in_ledger(job: JobContext[MetaInputs]) -> list[tuple[str, str]]:
    ledger = _ledger(job)
    if ledger is None:
        return []
    return [
        (one["name"], one["registry-integrity"] or one["integrity"])
        for one in ledger["packages"]
        if one["version"] == job.family.version
    ]


def _content_faults(
    job: JobContext[MetaInputs],
    found: PublishedVersion,
    manifests: Mapping[str, Manifest],
    reported: Mapping[str, tuple[str, str]],
) -> list[str]:
    package, (source, wanted) = f"{found.name}@{found.version}", reported.get(found.name, ("", None))
    lines = version_differences(manifests[found.name], "", found, registry=job.registry.url)
    faults = [f"{package}: manifest on the registry: {line}" for line in lines]
    if wanted is not None and not same_integrity(wanted, found.integrity):
        faults.append(f"{package} is {found.integrity} on the registry; {source} says {wanted}")
    return faults


def _provenance_faults(
    job: JobContext[MetaInputs], found: PublishedVersion, commits: set[str], *, known: bool
) -> list[str]:
    """Return what is wrong with a platform package's provenance.

    Args:
        commits: that it may name: the released one, and this run's.
        known: a job reported its integrity, so that a run of another commit may have published it.
    """
    package = f"{found.name}@{found.version}"
    attested = job.policy.poll(
        partial(_attested, job, found), every=PROVENANCE_PAUSE, limit=0.0 if found.attestations else PROVENANCE_LIMIT
    )
    if attested is None:
        return [f"{package} has no provenance, and this job publishes with it (provenance: false would take it)"]
    by = Origin(repository=f"{job.variables.server_url}/{job.variables.repository}")
    statement, faults = published_provenance(job, attested, by=by)
    if faults or statement is None:
        return faults or [f"{package}: its provenance cannot be read"]
    if known or statement.commit in commits:
        return []
    return [f"{package}: its provenance names the commit {statement.commit}, not {' or '.join(sorted(commits - {''}))}"]


def _attested(job: JobContext[MetaInputs], found: PublishedVersion) -> PublishedVersion | None:
    """Return the version if it has attestations, which the registry may show late."""
    again = found if found.attestations else _published(job, found.name)
    return again if again and again.attestations and again.integrity == found.integrity else None


def _tell(job: JobContext[MetaInputs], missing: Sequence[str]) -> None:
    order = "Approve them" if job.inputs.staged else "A release publishes them"
    job.runner.warning(
        f"{len(missing)} platform packages are not on the registry yet: {', '.join(missing)}. "
        f"{order} before the meta packages: without them an install ends without binaries, and says nothing.",
        title="Approve in order" if job.inputs.staged else "Dry run",
    )


def _published(job: JobContext[MetaInputs], name: str) -> PublishedVersion | None:
    packument = job.registry.fresh(name)
    return packument.versions.get(job.family.version) if packument else None
