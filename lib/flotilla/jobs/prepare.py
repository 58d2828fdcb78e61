"""prepare: everything that can be refused before the tag exists is refused here, all at once."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from flotilla.errors import ConflictError, InputError, RefusedError
from flotilla.github import Release, the_release
from flotilla.jobs.commit import settle_commit
from flotilla.jobs.decisions import registry_refusals, terms
from flotilla.jobs.inputs import ReleaseInputs
from flotilla.jobs.job import Job
from flotilla.jobs.manifests import Manifest, Refusal, grouped, render_all, repository_faults
from flotilla.jobs.notes import own_notes
from flotilla.npm import Packument, possible
from flotilla.npm.publish_command import ID_TOKEN_BEARER, ID_TOKEN_URL

T = TypeVar("T")

IF_GRANTED = ", if the publishing jobs have `permissions: id-token: write`"
COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """What the later phases go by.

    Args:
        packuments: of each package by name, None where the registry has no such name.
        notes: the family's own notes of this release; None where GitHub is to generate them, or has some already.
    """

    commit: str
    dist_tag: str
    manifests: Mapping[str, Manifest]
    packuments: Mapping[str, Packument | None]
    notes: str | None


def prepare(job: Job[ReleaseInputs], commit: str = "") -> Prepared:
    """Settle what is released, and refuse what must not be.

    Args:
        commit: what an earlier look settled on; empty for the first.

    Raises:
        ConfigError: templates or the file with the notes are wrong.
        RefusedError: with everything that GitHub or the registry would refuse later.
    """
    family, found = job.family, list[Refusal]()
    manifests = render_all(family.packages, root=job.root, repository=job.facts.repository_url, top=job.facts.workspace)
    wanted = commit or job.inputs.commit
    settled = _collected(found, f"tag {family.tag}", lambda: settle_commit(job, wanted))
    release = _collected(found, f"release {family.tag}", lambda: _its_release(job, settled))
    # A release that is there has its notes already; the file may be gone since.
    notes = None if release else own_notes(family, job.root, top=job.facts.workspace)
    packuments = {package.name: job.registry.fresh(package.name) for package in family.packages}
    if fault := job.registry.token_fault():
        found.append(Refusal(of="npm-token", why=fault))
    found += provenance_refusals(job, manifests)
    found += registry_refusals(manifests, packuments, terms(job))
    if found or settled is None:
        raise RefusedError([str(refusal) for refusal in found], advice="Nothing was written.")
    return Prepared(commit=settled, dist_tag=job.dist_tag.name, manifests=manifests, packuments=packuments, notes=notes)


def _its_release(job: Job[ReleaseInputs], commit: str | None) -> Release | None:
    """The release, as far as it is made; not two drafts, and no draft for another commit with that one's notes.

    Args:
        commit: what is released; None where that was refused already.
    """
    family, github = job.family, job.github
    release = the_release(github.releases(family.tag), family.tag)
    if release is None or not release.draft or commit is None:
        return release
    if COMMIT.fullmatch(release.target) and release.target != commit and github.tag_commit(family.tag) is None:
        raise ConflictError(
            f"{release.url} is a draft for commit {release.target}, and this release is of {commit}",
            advice="Delete that draft, or release its commit (input `commit`)",
        )
    return release


def provenance_refusals(job: Job[ReleaseInputs], manifests: Mapping[str, Manifest]) -> list[Refusal]:
    """What would keep the registry from taking the packages' provenance."""
    facts, publish = job.facts, job.family.config.publish
    private = job.github.repository().private
    # The publishing jobs hold `id-token: write`; this one need not, and is judged as if it did.
    granted = {**job.environment, ID_TOKEN_URL: "granted", ID_TOKEN_BEARER: "granted"}
    provenance = possible(publish.provenance, environment=granted, private=private, access=publish.access)
    if provenance.refused:
        advice = "Set publish.provenance in flotilla.yml to auto, which leaves it out here, or take the obstacle away."
        return [Refusal(of="provenance", why=f"{provenance.why} {advice}")]
    # A token publishes without an id-token, too, and then without provenance. Nothing else publishes without one.
    unsure = provenance.on and job.inputs.npm_token
    job.runner.line(f"{provenance.why.rstrip('.')}{IF_GRANTED}." if unsure else provenance.why)
    if private:
        return []
    if publish.provenance == "false":
        return []
    return grouped(
        (Refusal(of=name, why=why) for name, why in repository_faults(facts, manifests).items()), of=len(manifests)
    )


def _collected(found: list[Refusal], of: str, look: Callable[[], T]) -> T | None:
    """What a look finds; where it is refused, the refusal is kept, so that all of them are said at once."""
    try:
        return look()
    except (ConflictError, InputError) as refusal:
        said = [*map(str, refusal.faults), refusal.advice]
        found.append(Refusal(of=of, why=" ".join(f"{sentence.rstrip('.')}." for sentence in said if sentence)))
        return None
