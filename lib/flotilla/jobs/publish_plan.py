"""What to do about each package of a job, by what the registry has, before anything is written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

from flotilla.errors import RefusedError
from flotilla.family import is_below
from flotilla.jobs.build import Built
from flotilla.jobs.context import JobContext
from flotilla.jobs.inputs import Inputs, PublishInputs
from flotilla.jobs.manifests import Manifest, Refusal, grouped
from flotilla.npm import (
    AlreadyStaged,
    Packument,
    PublishedVersion,
    Settled,
    Staged,
    Terms,
    decide,
    decide_all,
    is_new,
    new_names_fault,
    refusals,
)
from flotilla.packing import differences, read_contents

DIFFERENCES_SHOWN = 20


def is_latest(job: JobContext[Inputs], packuments: Mapping[str, Packument | None]) -> bool:
    """Return whether GitHub shall show this release as its latest: npm does, and has no newer version there meanwhile.

    Args:
        packuments: of the family's packages, by name.
    """
    versions = {package.name: package.version for package in job.family.packages}
    latest = {name: packument.dist_tags.get("latest") for name, packument in packuments.items() if packument}
    return job.dist_tag.name == "latest" and (
        job.dist_tag.given or not any(is_below(versions[name], version) for name, version in latest.items() if version)
    )


def decide_packages(
    job: JobContext[Inputs],
    built: Sequence[Built],
    packuments: Mapping[str, Packument | None],
    staged: Mapping[str, Sequence[Staged]] | None = None,
) -> tuple[Settled, ...]:
    """Return what to do about each package; one conflict or refusal anywhere stops the job before anything is written.

    Args:
        packuments: fresh reads, by name.
        staged: what waits for approval, by name, as far as the credential may see it.

    Raises:
        ConflictError: a version is on the registry with other content.
        RefusedError: the registry would refuse a package, or make the wrong thing of it.
    """
    holds = terms(job)
    settled = decide_all(
        [
            decide(
                one.packed,
                packuments[one.package.name],
                holds,
                differs=partial(_differs, job, one),
                files=one.tarball.contents,
                staged=(staged or {}).get(one.package.name, ()),
            )
            for one in built
        ]
    )
    # Of what is there, too: the tarball may be ours, and the manifest that npm installs by another.
    asked = {each.package.name: each.package.manifest for each in settled if not isinstance(each, AlreadyStaged)}
    found = registry_refusals(asked, packuments, holds)
    if found:
        raise RefusedError([str(refusal) for refusal in found], advice="Nothing was published.")
    return settled


def registry_refusals(
    manifests: Mapping[str, Manifest], packuments: Mapping[str, Packument | None], terms: Terms
) -> list[Refusal]:
    """Return what the registry would refuse, or make the wrong thing of; a fault of several packages is said once."""
    found = [
        Refusal(of=name, why=why)
        for name, manifest in manifests.items()
        for why in refusals(manifest, packuments[name], _terms_of(manifest, terms))
    ]
    new = [name for name in manifests if is_new(packuments[name])]
    if new and (why := new_names_fault(new, terms)):
        found += [Refusal(of=name, why=why) for name in new]
    return grouped(found, of=len(manifests))


def _terms_of(manifest: Manifest, terms: Terms) -> Terms:
    """Return the terms for a package, which may have a version of its own."""
    return replace(terms, below=partial(is_below, str(manifest["version"])))


def terms(job: JobContext[Inputs]) -> Terms:
    """Return what holds for every package of this release."""
    return Terms(
        trusted_publishing=not job.inputs.npm_token,
        repository=job.variables.repository,
        workflow=job.variables.workflow,
        staged=isinstance(job.inputs, PublishInputs) and job.inputs.staged,
        below=job.family.below,
        registry=job.registry.url,
        dist_tag=job.dist_tag,
    )


def _differs(job: JobContext[Inputs], built: Built, published: PublishedVersion) -> tuple[str, ...]:
    """Return how the published tarball's files differ from ours; the tarball passes through the scratch folder."""
    place = job.scratch / "published.tgz"
    job.registry.download(published, place)
    try:
        theirs = read_contents(place, limits=job.family.config.limits)
    finally:
        place.unlink()
    lines = differences(built.tarball.contents, theirs)
    more = len(lines) - DIFFERENCES_SHOWN
    return (*lines[:DIFFERENCES_SHOWN], f"and {more} more files") if more > 0 else lines
