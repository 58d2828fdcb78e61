"""publish-platform, publish-dev and publish-meta.

Meta packages come last, once `npm install` sees every platform package that was built.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial

from flotilla.errors import ArchiveError, ConflictError, InputError, RefusedError
from flotilla.family import Manifest
from flotilla.jobs.inputs import DevInputs, JobContext, MetaInputs, PlatformInputs, PublishInputs, its_release
from flotilla.jobs.ledger import Ledger
from flotilla.jobs.prepare import released_commit, render_all
from flotilla.jobs.publish_packages import publish_packages
from flotilla.jobs.publish_plan import fresh_packuments, published_contents
from flotilla.jobs.publish_summary import Report, hand_over
from flotilla.jobs.release_assets import release_ledger
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
from flotilla.packing import contents_digest
from flotilla.retry import gather
from flotilla.runner import LEDGER
from flotilla.text import code

REPACKED = (
    "If another version of flotilla packed them, pass the platform jobs' outputs `packages` as the input "
    "packages: those jobs compare the files."
)
RELEASED = f"the release's {LEDGER}"
FILES = "sha256:"  # how the digest of a package's files begins; no integrity begins so
Reported = Mapping[str, tuple[str, str]]
"""Each package's integrity by name, and its source."""
NOT_OURS = (
    "Nothing was published, because the meta packages would pin these. Find out who published them, and from where."
)


def publish_meta(job: JobContext[MetaInputs]) -> None:
    """Publish the meta packages; each pins its platform packages, so these come first. A family may have none.

    Raises:
        InputError: a meta package needs an artifact, but no input names its run.
        RefusedError: a platform package was not published, or is not the one that was built.
        DeadlineError: `npm install` does not see a platform package in time.
        ConflictError: `npm install` sees other content than the registry has.
    """
    if not job.family.metas:
        _tell_there_is_none(job)
        return
    names = " or ".join(code(f"npm install {meta.name}@{meta.version}") for meta in job.family.metas)
    then = f"The family can be installed: {names}.{_finishes(job)}"
    before, run_id = partial(_platforms_first, job), _run_id(job)
    publish_packages(job, job.family.metas, title="Meta packages", then=then, run_id=run_id, before=before)


def _finishes(job: JobContext[MetaInputs]) -> str:
    """Return what publishes a draft; this job may not be allowed to see whether there is one."""
    return " If the release was kept as a draft, the phase `finish` publishes it." if job.family.tag else ""


def _tell_there_is_none(job: JobContext[MetaInputs]) -> None:
    """Report that there is nothing to publish, so that one workflow suits every family."""
    job.runner.line("the family has no meta package (packages.meta: false): nothing to publish")
    then = f"The family has no meta package (`packages.meta: false`).{_finishes(job)}"
    report = Report(title="Meta packages", then=then, packages=(), started=job.policy.clock.now())
    report.commit = released_commit(job)
    hand_over(job, report)


def _run_id(job: JobContext[MetaInputs]) -> int | None:
    """Return the CI run from which the meta packages take files; None if they take none."""
    artifacts = dict.fromkeys(meta.artifact for meta in job.family.metas if meta.artifact)
    if artifacts and job.inputs.run_id is None:
        raise InputError(
            f"input run-id is required: the meta package takes files from the CI artifact {', '.join(artifacts)} "
            "(packages.meta.artifact)",
            advice="Pass action-release's output run-id: `run-id: ${{ needs.release.outputs.run-id }}`.",
        )
    return job.inputs.run_id if artifacts else None


def _platforms_first(job: JobContext[MetaInputs], report: Report, provenance: Provenance) -> None:
    _refuse_another_build(job, report)
    check_platforms(job, report, provenance, partial(_reported, job))


def check_platforms(
    job: JobContext[PublishInputs],
    report: Report,
    provenance: Provenance,
    reported: Callable[[Collection[str]], Reported],
) -> None:
    """Check and await the platform packages; those staged or only rehearsed are reported, not awaited.

    Args:
        reported: returns the integrities of these packages, as far as they are known.

    Raises:
        RefusedError: a platform package was not published, or is not the one that was built.
        DeadlineError: `npm install` does not see a platform package in time.
        ConflictError: `npm install` sees other content than the registry has.
    """
    names = dict.fromkeys(name for meta in job.family.metas for name in meta.depends_on)
    own = {package.name for package in report.packages}
    report.others = [one for one in job.family.packages if one.name not in own]
    read = fresh_packuments(job, dict.fromkeys([*names, *(one.name for one in report.others)]))
    report.packuments |= read
    pinned = {name: read[name] for name in names}
    there = {name: packument.versions.get(job.family.version) for name, packument in pinned.items() if packument}
    found = {name: published for name, published in there.items() if published}
    missing = [name for name in names if name not in found]
    if missing and not (job.inputs.staged or job.inputs.dry_run):
        raise RefusedError(
            [f"{name}@{job.family.version} is not on the registry, but a meta package pins it" for name in missing],
            advice="Publish the platform packages first: run action-publish-platform for each, then re-run this job.",
        )
    if missing:
        _tell(job, missing)
    _check_pinned(job, report, found, provenance, reported(found))
    awaited: list[Awaited] = [(one.name, one.version, one.integrity) for one in found.values()]
    await_visible(job.registry, awaited, policy=job.policy, minutes=visible_minutes(job), told=job.runner.line)


def _check_pinned(
    job: JobContext[PublishInputs],
    report: Report,
    found: Mapping[str, PublishedVersion],
    provenance: Provenance,
    reported: Reported,
) -> None:
    """Refuse platform packages that are not those that were built; report how they were compared.

    Raises:
        RefusedError: names every package whose manifest, integrity or provenance is not ours.
    """
    if not found:
        return
    packages = [package for package in job.family.packages if package.name in found]
    manifests = render_all(
        packages, root=job.root, repository=job.variables.repository_url, top=job.variables.workspace
    )
    comparing = [partial(_content_faults, job, one, manifests, reported) for one in found.values()]
    faults = [fault for each in gather(comparing, stop=job.policy.stop) for fault in each]
    compared = [name for name in found if name in reported]
    if provenance.on:
        commits = {job.variables.commit, report.commit or ""}
        looking = [
            partial(_provenance_faults, job, one, commits, known=name in reported) for name, one in found.items()
        ]
        faults += [fault for each in gather(looking, stop=job.policy.stop) for fault in each]
    sources = {source: [name for name in compared if reported[name][0] == source] for source, _ in reported.values()}
    if faults:
        raise RefusedError(faults, advice=f"{NOT_OURS} {REPACKED}" if RELEASED in sources else NOT_OURS)
    if provenance.on:
        report.checked.append(f"All {len(found)} platform packages have provenance from this repository and commit.")
    for source, names in sources.items():
        if names:
            of = "files" if any(reported[name][1].startswith(FILES) for name in names) else "integrity"
            report.checked.append(f"{len(names)} of {len(found)} platform packages have the {of} from {source}.")
    if not provenance.on and len(compared) < len(found):
        left = [name for name in found if name not in reported]
        _warn_of_uncompared(job, report, "the platform packages" if not compared else ", ".join(left))


def _warn_of_uncompared(job: JobContext[PublishInputs], report: Report, which: str) -> None:
    report.checked.append(f"Neither provenance nor a list of integrities shows that {which} are those that were built.")
    job.runner.warning(
        f"nothing shows that {which} on the registry are those that were built; "
        "pass the platform jobs' outputs `packages` as the input packages",
        title="Platform packages were not compared",
    )


def _reported(job: JobContext[MetaInputs], found: Collection[str]) -> Reported:
    """Return each package's integrity by name, and its source: the input, or else the release's ledger.

    If the ledger's job checked the package without packing it, that is the digest of its files ("sha256:…").

    Raises:
        RefusedError: a package is named twice, with different integrities.
    """
    given = [(one.name, one.integrity) for one in job.inputs.packages if one.version == job.family.version]
    reported = _by_name("the input packages", given)
    if set(found) <= reported.keys():
        return reported
    return {**_by_name(RELEASED, _in_ledger(job)), **reported}


def _by_name(source: str, entries: Sequence[tuple[str, str]]) -> Reported:
    integrities: dict[str, set[str]] = {}
    for name, integrity in entries:
        integrities.setdefault(name, set()).add(integrity)
    if twice := [name for name, several in integrities.items() if len(several) > 1]:
        raise RefusedError(
            [f"{source} gives {len(integrities[name])} different integrities for {name}" for name in twice],
            advice="Nothing was published. Pass the outputs of platform jobs from one run only.",
        )
    return {name: (source, several.pop()) for name, several in integrities.items()}


def _refuse_another_build(job: JobContext[MetaInputs], report: Report) -> None:
    """Compare the input artifacts-digest with the release, because this job uses no artifact to compute it from."""
    given = job.inputs.artifacts_digest
    ledger = _ledger(job) if given else None
    told = report.artifacts_digest = ledger.get("artifacts-digest") if ledger else None
    if given and job.family.tag is None:
        job.runner.line("artifacts-digest: the platform jobs compare it; without a tag there is no release to ask here")
    elif given and not told and not job.inputs.dry_run and not _all_reported(job):
        job.runner.warning(
            f"this job cannot see a release of {job.family.tag} with an artifacts digest (GitHub shows drafts only "
            "to jobs with `contents: write`), so the input artifacts-digest was not compared",
            title="The build was not compared",
        )
    if told and told != given:
        raise ConflictError(
            f"the release of {job.family.tag} was made from artifacts with the digest {told}, but artifacts-digest "
            f"is {given}",
            advice="Nothing was published. Pass the output artifacts-digest of the job that made the release.",
        )


def _all_reported(job: JobContext[MetaInputs]) -> bool:
    """Return whether platform jobs, which compare the digest, have reported every package that is pinned."""
    reported = {one.name for one in job.inputs.packages if one.version == job.family.version}
    return all(set(meta.depends_on) <= reported for meta in job.family.metas)


def _ledger(job: JobContext[MetaInputs]) -> Ledger | None:
    release = its_release(job)
    return release_ledger(job, release) if release else None


def _in_ledger(job: JobContext[MetaInputs]) -> list[tuple[str, str]]:
    ledger = _ledger(job)
    if ledger is None:
        return []
    known = [
        (one["name"], one["registry-integrity"] or one["integrity"] or one.get("contents"))
        for one in ledger["packages"]
        if one["version"] == job.family.version
    ]
    return [(name, by) for name, by in known if by]


def _content_faults(
    job: JobContext[PublishInputs],
    found: PublishedVersion,
    manifests: Mapping[str, Manifest],
    reported: Reported,
) -> list[str]:
    package, (source, wanted) = f"{found.name}@{found.version}", reported.get(found.name, ("", None))
    lines = version_differences(manifests[found.name], "", found, registry=job.registry.url)
    faults = [f"{package}: manifest on the registry: {line}" for line in lines]
    if wanted and wanted.startswith(FILES):
        # Not if the manifest is not ours: it may name a tarball at another address, which must not be fetched.
        faults = faults or _file_faults(job, found, source, wanted)
    elif wanted is not None and not same_integrity(wanted, found.integrity):
        faults.append(f"{package} is {found.integrity} on the registry, but {wanted} by {source}")
    return faults


def _file_faults(job: JobContext[PublishInputs], found: PublishedVersion, source: str, wanted: str) -> list[str]:
    package = f"{found.name}@{found.version}"
    try:
        digest = contents_digest(published_contents(job, found))
    except ArchiveError as failure:
        return [f"{package} cannot be read from the registry: {fault}" for fault in failure.faults]
    if digest == wanted:
        return []
    return [f"{package} has other files on the registry ({digest}) than in {source} ({wanted})"]


def _provenance_faults(
    job: JobContext[PublishInputs], found: PublishedVersion, commits: set[str], *, known: bool
) -> list[str]:
    """Return what is wrong with a platform package's provenance.

    Args:
        commits: those that it may name, the released one and this run's.
        known: a job reported its integrity, so a run of another commit may have published it.
    """
    package = f"{found.name}@{found.version}"
    attested = job.policy.poll(
        partial(_attested, job, found), every=PROVENANCE_PAUSE, limit=0.0 if found.attestations else PROVENANCE_LIMIT
    )
    if attested is None:
        return [
            f"{package} has no provenance, but this job publishes with it (to accept that, set provenance to false)"
        ]
    by = Origin(repository=f"{job.variables.server_url}/{job.variables.repository}")
    statement, faults = published_provenance(job, attested, by=by)
    if faults or statement is None:
        return faults or [f"{package}: its provenance cannot be read"]
    if known or statement.commit in commits:
        return []
    return [f"{package}: its provenance names the commit {statement.commit}, not {' or '.join(sorted(commits - {''}))}"]


def _attested(job: JobContext[PublishInputs], found: PublishedVersion) -> PublishedVersion | None:
    """Return the version if it has attestations, which may appear on the registry late."""
    again = found if found.attestations else _published(job, found.name)
    return again if again and again.attestations and again.integrity == found.integrity else None


def _tell(job: JobContext[PublishInputs], missing: Sequence[str]) -> None:
    order = "Approve them" if job.inputs.staged else "A release publishes them"
    job.runner.warning(
        f"{len(missing)} platform packages are not on the registry yet: {', '.join(missing)}. "
        f"{order} before the meta packages; without them npm installs no binaries, and reports no error.",
        title="Approve in order" if job.inputs.staged else "Dry run",
    )


def _published(job: JobContext[PublishInputs], name: str) -> PublishedVersion | None:
    packument = job.registry.fresh(name)
    return packument.versions.get(job.family.version) if packument else None


def publish_platform(job: JobContext[PlatformInputs]) -> None:
    """Publish the platforms' packages from the run's artifacts, in the order given; decide about all of them first.

    Raises:
        InputError: the family has no such platform, or one is named twice.
    """
    packages, family = job.family.of_platform(*job.inputs.platform), job.family
    names = list(dict.fromkeys(package.platform.name for package in packages if package.platform))
    others = len(names) < len(family.config.platforms)
    steps = [
        *(["the jobs of the other platforms"] if others else ["action-publish-dev"] if family.devs else []),
        *(["action-publish-meta"] if family.metas else []),
    ]
    publish_packages(
        job,
        packages,
        title=f"Platform{'s' if len(names) > 1 else ''} {', '.join(names)}",
        then=f"Next: {', then '.join(steps)}." if steps else "",
        run_id=job.inputs.run_id,
    )


def publish_dev(job: JobContext[DevInputs]) -> None:
    """Publish the dev packages from the run's artifacts, in flotilla.yml's order.

    Raises:
        InputError: the family has none.
    """
    if not job.family.devs:
        raise InputError(
            "the family has no dev package",
            advice="Remove this job from the workflow, or add packages.dev to flotilla.yml.",
        )
    then = "Next: action-publish-meta, once all platforms are published." if job.family.metas else ""
    publish_packages(job, job.family.devs, title="Headers", then=then, run_id=job.inputs.run_id)
