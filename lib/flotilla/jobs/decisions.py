"""What to do about each package of a job, by what the registry has, before anything is written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from flotilla.errors import RefusedError
from flotilla.family import dist_tag_fault
from flotilla.jobs.inputs import Inputs, PublishInputs
from flotilla.jobs.job import Job
from flotilla.jobs.workshop import Built
from flotilla.npm import (
    AlreadyStaged,
    Packument,
    PublishedVersion,
    Settled,
    Staged,
    Terms,
    Wanted,
    decide,
    decide_all,
    is_new,
    new_names_fault,
    refusals,
)
from flotilla.packing import differences, read_contents

DIFFERENCES_SHOWN = 20


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """One reason not to begin: of what, and in plain words why and what to do."""

    of: str
    why: str

    def __str__(self) -> str:
        """Both, neither of them twice."""
        return self.why if self.why.casefold().startswith(self.of.casefold()) else f"{self.of}: {self.why}"


def chosen_dist_tag(job: Job[Inputs]) -> tuple[str, bool]:
    """The dist-tag of the release, and whether somebody named it: the input, else flotilla.yml, else the version says.

    Raises:
        RefusedError: npm would not take it for a dist-tag.
    """
    given = job.inputs.dist_tag if isinstance(job.inputs, PublishInputs) else ""
    named = given or job.family.config.publish.dist_tag or ""
    if named and (fault := dist_tag_fault(named)):
        raise RefusedError(fault, advice="Correct the input dist-tag, or publish.dist-tag in flotilla.yml.")
    return named or job.family.default_dist_tag, bool(named)


def is_latest(job: Job[Inputs], packuments: Mapping[str, Packument | None]) -> bool:
    """Whether GitHub shall show this release as its latest: npm does, and has no newer version there meanwhile.

    Args:
        packuments: of the family's packages, by name.
    """
    dist_tag, given = chosen_dist_tag(job)
    latest = [packument.dist_tags.get("latest") for packument in packuments.values() if packument]
    return dist_tag == "latest" and (given or not any(job.family.below(version) for version in latest if version))


def wanted_package(job: Job[Inputs], built: Built) -> Wanted:
    """A built package as this job wants it on the registry."""
    dist_tag, given = chosen_dist_tag(job)
    return Wanted(
        name=built.package.name,
        version=built.package.version,
        dist_tag=dist_tag,
        dist_tag_given=given,
        integrity=built.tarball.integrity,
        shasum=built.tarball.shasum,
        manifest=built.manifest,
    )


def decide_packages(
    job: Job[Inputs],
    built: Sequence[Built],
    packuments: Mapping[str, Packument | None],
    staged: Mapping[str, Sequence[Staged]] | None = None,
) -> tuple[Settled, ...]:
    """What to do about each package; one conflict or refusal anywhere stops the job before anything is written.

    Args:
        packuments: fresh reads, by name.
        staged: what waits for approval, by name, as far as the credential may see it.

    Raises:
        ConflictError: a version is on the registry with other content.
        RefusedError: the registry would refuse a package, or make the wrong thing of it.
    """
    settled = decide_all(
        [
            decide(
                wanted_package(job, one),
                packuments[one.package.name],
                differs=partial(_differs, job, one),
                registry=job.registry.url,
                files=one.tarball.contents,
                staged=(staged or {}).get(one.package.name, ()),
            )
            for one in built
        ]
    )
    # Of what is there, too: the tarball may be ours, and the manifest that npm installs by another.
    asked = [each.wanted for each in settled if not isinstance(each, AlreadyStaged)]
    found = registry_refusals(asked, packuments, terms(job))
    if found:
        raise RefusedError([str(refusal) for refusal in found], advice="Nothing was published.")
    return settled


def registry_refusals(
    wanted: Sequence[Wanted], packuments: Mapping[str, Packument | None], terms: Terms
) -> list[Refusal]:
    """What the registry would refuse, or make the wrong thing of; what is wrong with several packages is said once."""
    found = [Refusal(of=one.name, why=why) for one in wanted for why in refusals(one, packuments[one.name], terms)]
    new = [one.name for one in wanted if is_new(packuments[one.name])]
    if new and (why := new_names_fault(new, terms)):
        found += [Refusal(of=name, why=why) for name in new]
    return grouped(found)


def grouped(found: Iterable[Refusal]) -> list[Refusal]:
    """Refusals with one reason as one, in their order."""
    names: dict[str, list[str]] = {}
    for refusal in found:
        names.setdefault(refusal.why, []).append(refusal.of)
    return [Refusal(of=", ".join(of), why=why) for why, of in names.items()]


def terms(job: Job[Inputs]) -> Terms:
    """What holds for every package of this release."""
    return Terms(
        trusted_publishing=not job.inputs.npm_token,
        repository=job.facts.repository,
        workflow=job.facts.workflow,
        staged=isinstance(job.inputs, PublishInputs) and job.inputs.staged,
        below=job.family.below,
        registry=job.registry.url,
    )


def _differs(job: Job[Inputs], built: Built, published: PublishedVersion) -> tuple[str, ...]:
    """How the published tarball's files differ from ours; the tarball passes through the scratch folder."""
    place = job.scratch / "published.tgz"
    job.registry.download(published, place)
    try:
        theirs = read_contents(place, limits=job.family.config.limits)
    finally:
        place.unlink()
    lines = differences(built.tarball.contents, theirs)
    more = len(lines) - DIFFERENCES_SHOWN
    return (*lines[:DIFFERENCES_SHOWN], f"and {more} more files") if more > 0 else lines
