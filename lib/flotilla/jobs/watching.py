"""Looking at what was published: that `npm install` sees it, and that its provenance is ours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from flotilla.errors import DeadlineError, RegistryError
from flotilla.jobs.inputs import PublishInputs
from flotilla.jobs.job import Job
from flotilla.jobs.record import Record
from flotilla.npm import Origin, await_visible, check_bundle
from flotilla.npm.packument import Json

VISIBLE_MINUTES = 15.0
PROVENANCE_PAUSE = 5.0
PROVENANCE_LIMIT = 60.0


def see_packages(job: Job[PublishInputs], records: Sequence[Record], *, provenance: bool) -> list[Record]:
    """The records, with what the registry shows of them.

    Late is not lost: what was accepted stays, and the meta job waits for it again. So that is a warning.

    Raises:
        RegistryError: the registry has provenance that is not of this tarball and this run.
    """
    _await(job, [record for record in records if record.status != "staged"])
    if not provenance:
        return list(records)
    looked = [_look_at_provenance(job, one) if one.status == "published" else (one, []) for one in records]
    if faults := [fault for _, faults in looked for fault in faults]:
        raise RegistryError(faults, advice="Do not announce this release: find out who published it, and from where.")
    return [record for record, _ in looked]


def _await(job: Job[PublishInputs], records: Sequence[Record]) -> None:
    awaited = [(record.built.package.name, record.built.package.version, record.integrity) for record in records]
    try:
        await_visible(job.registry, awaited, patience=job.patience, minutes=VISIBLE_MINUTES, told=job.runner.line)
    except DeadlineError as late:
        job.runner.warning(str(late), title=late.title)


def _look_at_provenance(job: Job[PublishInputs], record: Record) -> tuple[Record, list[str]]:
    package, facts = record.built.package, job.facts
    found = job.patience.wait_until(lambda: _attestations(job, record), every=PROVENANCE_PAUSE, limit=PROVENANCE_LIMIT)
    if found is None:
        note = f"{package.name}@{package.version} shows no provenance yet"
        job.runner.warning(f"{note}; it was sent with the package. Look again later: npm audit signatures")
        return replace(record, note=note), []
    expected = Origin(
        repository=f"{facts.server_url}/{facts.repository}", commit=facts.commit, run_id=facts.run_id or None
    )
    faults = check_bundle(
        found, integrity=record.integrity, name=package.name, version=package.version, expected=expected
    )
    return replace(record, provenance=not faults), faults


def _attestations(job: Job[PublishInputs], record: Record) -> list[Json] | None:
    packument = job.registry.fresh(record.built.package.name)
    published = packument.versions.get(record.built.package.version) if packument else None
    return job.registry.attestations(published) if published and published.attestations else None
