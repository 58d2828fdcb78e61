"""Verify what was published: that `npm install` sees it, and that its provenance is ours."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from functools import partial

from flotilla.errors import DeadlineError, RegistryError
from flotilla.jobs.inputs import Inputs, JobContext, PublishInputs
from flotilla.jobs.ledger import Record
from flotilla.npm import Origin, PublishedVersion, Statement, await_visible, check_bundle, stated, with_shasum
from flotilla.retry import gather

VISIBLE_MINUTES = 15.0
PROVENANCE_PAUSE = 5.0
PROVENANCE_LIMIT = 60.0
ESTRANGED = "Do not announce this release. Find out who published it, and from where."


def verify_packages(
    job: JobContext[PublishInputs], records: Sequence[Record], *, provenance: bool, later: Collection[str] = ()
) -> list[Record]:
    """Return the records, completed with what the registry shows.

    A version that appears late is only a warning: the registry accepted it.

    Args:
        provenance: whether the packages were published with it.
        later: the packages that a meta package pins. They are not awaited: whoever publishes the meta package awaits
            and compares them, and a read right after the publish would put their old state into the registry's cache.

    Raises:
        RegistryError: the registry has provenance that does not match this tarball and this run.
    """
    _await(job, [one for one in records if one.status != "staged" and one.built.package.name not in later])
    if not provenance:
        return list(records)
    looked = gather([partial(_look, job, one) for one in records], stop=job.policy.stop)
    if faults := [fault for _, faults in looked for fault in faults]:
        raise RegistryError(faults, advice=ESTRANGED)
    return [record for record, _ in looked]


def published_provenance(
    job: JobContext[Inputs], found: PublishedVersion, *, by: Origin
) -> tuple[Statement | None, list[str]]:
    """Return a version's provenance on the registry (None if there is none), and what is wrong with it, a line each.

    Args:
        by: what the statement must name.
    """
    attestations = job.registry.attestations(found) if found.attestations else None
    if attestations is None:
        return None, []
    faults = check_bundle(attestations, integrity=found.integrity, name=found.name, version=found.version, expected=by)
    return (None if faults else stated(attestations)), faults


def visible_minutes(job: JobContext[PublishInputs]) -> float:
    """Return how long to wait until npm can install a version: 15 minutes, or half of a longer timeout-minutes."""
    return max(VISIBLE_MINUTES, job.inputs.timeout_minutes / 2)


def _integrity(record: Record) -> str:
    """Return the registry's integrity; for a registry without sha512, our tarball's with its sha1."""
    packed = record.built.packed
    return with_shasum(packed.integrity, packed.shasum) if record.integrity == packed.integrity else record.integrity


def _await(job: JobContext[PublishInputs], records: Sequence[Record]) -> None:
    awaited = [(one.built.package.name, one.built.package.version, _integrity(one)) for one in records]
    try:
        await_visible(job.registry, awaited, policy=job.policy, minutes=visible_minutes(job), told=job.runner.line)
    except DeadlineError as late:
        job.runner.warning(str(late), title=late.title)


def _look(job: JobContext[PublishInputs], record: Record) -> tuple[Record, list[str]]:
    """Return a record with its provenance; if the registry cannot show it now, the publish still counts."""
    if record.status == "staged":
        return record, []
    try:
        return _look_at_provenance(job, record)
    except DeadlineError as late:
        job.runner.warning(str(late), title="Provenance was not checked")
        return replace(record, note="its provenance was not checked, because the registry did not answer"), []


def _look_at_provenance(job: JobContext[PublishInputs], record: Record) -> tuple[Record, list[str]]:
    """Return the record with its provenance: from this run if this job published it, otherwise from this repository.

    A version found after a lost answer is this run's, or that of another, faster run of this release.
    """
    package, variables = record.built.package, job.variables
    ours = record.status == "published"
    anyone = Origin(repository=f"{variables.server_url}/{variables.repository}")
    this_run = replace(anyone, commit=variables.commit, run_id=variables.run_id or None)
    limit = PROVENANCE_LIMIT if ours else 0.0
    found = job.policy.poll(lambda: _attested(job, record), every=PROVENANCE_PAUSE, limit=limit)
    if found is not None:
        statement, faults = published_provenance(job, found, by=this_run if ours else anyone)
        if faults and record.read_back:
            statement, faults = published_provenance(job, found, by=anyone)
            return replace(record, provenance=statement, status="already-published"), faults
        return replace(record, provenance=statement), faults
    if not ours:
        return record, []
    note = "has no visible provenance yet"
    job.runner.warning(
        f"{package.name}@{package.version} {note}; it was sent with the package. Check later: npm audit signatures"
    )
    return replace(record, note=note), []


def _attested(job: JobContext[PublishInputs], record: Record) -> PublishedVersion | None:
    """Return the version once the registry shows it with attestations."""
    packument = job.registry.fresh(record.built.package.name)
    published = packument.versions.get(record.built.package.version) if packument else None
    return published if published and published.attestations else None
