"""Decide what to do about each package of a job, and how it signs in to npm, before anything is written."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from flotilla.errors import NAMED, Refusal, RefusedError, grouped
from flotilla.family import Manifest, is_below
from flotilla.jobs.build import Built
from flotilla.jobs.inputs import Inputs, JobContext, PublishInputs
from flotilla.npm import (
    NEW_NAME,
    AlreadyStaged,
    Claims,
    Credential,
    Exchange,
    Packument,
    PublishedVersion,
    Settled,
    Staged,
    Terms,
    Token,
    TrustedPublishing,
    decide,
    decide_all,
    is_new,
    refusals,
    trust_command,
)
from flotilla.packing import Contents, differences, read_contents
from flotilla.retry import gather

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
    deciding = [
        partial(
            decide,
            one.known,
            packuments[one.package.name],
            holds,
            differs=partial(_differs, job, one),
            files=one.contents,
            staged=(staged or {}).get(one.package.name, ()),
        )
        for one in built
    ]
    settled = decide_all(gather(deciding, stop=job.policy.stop))  # published versions are downloaded to compare
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
    return grouped(found, of=len(manifests))


def _terms_of(manifest: Manifest, terms: Terms) -> Terms:
    """Return the terms for a package, which may have a version of its own."""
    return replace(terms, below=partial(is_below, str(manifest["version"])))


@dataclass(frozen=True, kw_only=True)
class SignIn:
    """How one package signs in to npm.

    Args:
        why: it is not trusted publishing; empty if it is.
    """

    credential: Credential
    why: str = ""


def settle_sign_in(
    job: JobContext[PublishInputs],
    packuments: Mapping[str, Packument | None],
    *,
    token: Token | None,
    exchange: Callable[[str], Exchange] | None,
) -> dict[str, SignIn]:
    """Return how each package signs in: by an exchange of the id-token, else with the token; all are asked first.

    Args:
        packuments: of the packages that will be published, by name.
        exchange: asks the registry to exchange the job's id-token for a package; None if this job cannot.

    Raises:
        RefusedError: names every package that can do neither, with the commands that change it.
        DeadlineError: the registry or GitHub did not answer; that is never taken for a refusal.
    """
    settled, without, claims = dict[str, SignIn](), list[Refusal](), None
    known = [name for name, packument in packuments.items() if exchange and not is_new(packument)]
    exchanges = gather([partial(exchange, name) for name in known] if exchange else [], stop=job.policy.stop)
    asked = dict(zip(known, exchanges, strict=True))
    for name, packument in packuments.items():
        if is_new(packument):
            why = NEW_NAME if token is None else "new to the registry"
        elif exchange is None:
            why = "this job cannot exchange an id-token"
        else:
            why, claims = asked[name].refused, asked[name].claims
        if not why:
            settled[name] = SignIn(credential=TrustedPublishing())
        elif token:
            settled[name] = SignIn(credential=token, why=why)
        else:
            without.append(Refusal(of=name, why=why))
    if without:
        new = [refusal.of for refusal in without if refusal.why == NEW_NAME]
        found = [str(refusal) for refusal in grouped(without, of=len(packuments))]
        raise RefusedError(found, advice=_sign_in_advice(job, [refusal.of for refusal in without], new, claims))
    return settled


def _sign_in_advice(
    job: JobContext[PublishInputs], names: Sequence[str], new: Sequence[str], claims: Claims | None
) -> str:
    command = trust_command(
        *names,
        repository=job.variables.repository,
        workflow=job.variables.workflow,
        staged=job.inputs.staged,
        environment=(claims.environment or "") if claims else "",
    )
    known = [name for name in names if name not in new]
    parts = [
        "Nothing was published.",
        f"npm compares: {claims}; each must be exactly what the package's trusted publisher says." if claims else "",
        "The first version of a new package needs npm-token." if new else "",
        ("Set npm-token, or set up trusted publishing:" if known else "Then set up trusted publishing:"),
    ]
    return f"{' '.join(filter(None, parts))} {command}"


def sign_in_told(settled: Mapping[str, SignIn], shown: Callable[[str], str] = str) -> str:
    """Return how the packages sign in, as a sentence; empty for no packages.

    Args:
        shown: makes names and the registry's words safe in the place that shows the sentence.
    """
    why: dict[str, list[str]] = {}
    for name, one in settled.items():
        why.setdefault(one.why, []).append(name)
    said = []
    for reason, names in sorted(why.items()):
        every = len(names) == len(settled) > NAMED
        whom = f"all {len(names)} packages" if every else ", ".join(map(shown, names))
        said.append(f"npm-token for {whom} ({shown(reason)})" if reason else f"trusted publishing for {whom}")
    return f"Sign-in to npm: {'; '.join(said)}." if said else ""


def terms(job: JobContext[Inputs]) -> Terms:
    """Return what is the same for every package of this release."""
    return Terms(
        repository=job.variables.repository,
        workflow=job.variables.workflow,
        staged=isinstance(job.inputs, PublishInputs) and job.inputs.staged,
        below=job.family.below,
        registry=job.registry.url,
        dist_tag=job.dist_tag,
    )


def fresh_packuments(job: JobContext[Inputs], names: Iterable[str]) -> dict[str, Packument | None]:
    """Return fresh packuments by name, several read at a time; None if the registry has no such package."""
    names = tuple(names)
    read = gather([partial(job.registry.fresh, name) for name in names], stop=job.policy.stop)
    return dict(zip(names, read, strict=True))


def published_contents(job: JobContext[Inputs], published: PublishedVersion) -> Contents:
    """Return the files of a published tarball; download it to the scratch folder.

    Raises:
        ArchiveError: it cannot be read, or npm may read it in another way.
    """
    place = job.scratch / f"published-{published.name.replace('/', '+')}.tgz"
    job.registry.download(published, place)
    try:
        return read_contents(place, limits=job.family.config.limits)
    finally:
        place.unlink()


def _differs(job: JobContext[Inputs], built: Built, published: PublishedVersion) -> tuple[str, ...]:
    """Return how the published tarball's files differ from ours."""
    lines = differences(built.contents, published_contents(job, published))
    more = len(lines) - DIFFERENCES_SHOWN
    return (*lines[:DIFFERENCES_SHOWN], f"and {more} more files") if more > 0 else lines
