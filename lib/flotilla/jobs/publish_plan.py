"""Decide what to do about each package of a job, from what the registry has, before anything is written."""

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
    """Return whether GitHub should call this release its latest: it gets npm's `latest`, and no newer version has it.

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
    """Return what to do about each package; any conflict or refusal stops the job before it writes anything.

    Args:
        packuments: freshly read, by name.
        staged: the staged versions by name, as far as the credential can see them.

    Raises:
        ConflictError: a version is on the registry with other content.
        RefusedError: the registry would refuse a package, or change it.
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
    # Published versions too: the tarball may be ours, but not the manifest that npm installs by.
    asked = {each.package.name: each.package.manifest for each in settled if not isinstance(each, AlreadyStaged)}
    found = registry_refusals(asked, packuments, holds)
    if found:
        raise RefusedError([str(refusal) for refusal in found], advice="Nothing was published.")
    return settled


def registry_refusals(
    manifests: Mapping[str, Manifest], packuments: Mapping[str, Packument | None], terms: Terms
) -> list[Refusal]:
    """Return what the registry would refuse or change; a fault of several packages is reported once."""
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
    """Return what is the same for every package of this release."""
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
    """Return how the published tarball's files differ from ours; download it to the scratch folder."""
    place = job.scratch / "published.tgz"
    job.registry.download(published, place)
    try:
        theirs = read_contents(place, limits=job.family.config.limits)
    finally:
        place.unlink()
    lines = differences(built.tarball.contents, theirs)
    more = len(lines) - DIFFERENCES_SHOWN
    return (*lines[:DIFFERENCES_SHOWN], f"and {more} more files") if more > 0 else lines
