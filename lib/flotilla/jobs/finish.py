"""finish: publish a release that was kept as a draft, once npm has the whole family."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

from flotilla.errors import ConflictError, RefusedError, RegistryError
from flotilla.family import is_below
from flotilla.github import UPLOADED, AssetPlan, Release, WantedAsset, WorkflowRun, plan_for
from flotilla.jobs.build import Built, build, take_artifacts
from flotilla.jobs.check_artifacts import check_artifacts
from flotilla.jobs.create_release import checksums_file, wanted_assets
from flotilla.jobs.inputs import JobContext, ReleasingInputs
from flotilla.jobs.ledger import Known, Record, write_ledger
from flotilla.jobs.manifests import render_all
from flotilla.jobs.prepare import require_tag
from flotilla.jobs.publish_plan import decide_packages, fresh_packuments, is_latest
from flotilla.jobs.release_assets import hold_to_release, its_release
from flotilla.jobs.verify_published import ESTRANGED, published_provenance
from flotilla.npm import AlreadyPublished, Origin, Settled
from flotilla.parallel import gather
from flotilla.runner import LEDGER


@dataclass(frozen=True, kw_only=True)
class Finished:
    """The result of finish: the release, and every package as the registry has it."""

    release: Release
    records: tuple[Record, ...]
    checksums: str
    ledger: str
    artifacts_digest: str | None


def finish(job: JobContext[ReleasingInputs], run: WorkflowRun) -> Finished:
    """Add the ledger to the draft and publish it, if every package of the family is on the registry with its content.

    Raises:
        RefusedError: packages are missing, or there is no release.
        ConflictError: the registry or the release has other content, or the tag another commit.
    """
    family = job.family
    found = existing_release(job)
    manifests = render_all(
        family.packages, root=job.root, repository=job.variables.repository_url, top=job.variables.workspace
    )
    checked = check_artifacts(job, run, family.artifacts)
    unpacked = take_artifacts(job, run, checked.artifacts, family.artifacts)
    hold_to_release(job, unpacked, found)
    known = Known(
        commit=run.commit,
        ci_run=run,
        built=build(job, family.packages, manifests, unpacked),
        assets=wanted_assets(job, unpacked),
        release=found,
        artifacts_digest=checked.digest,
    )
    return publish_draft(job, found, known)


def publish_draft(job: JobContext[ReleasingInputs], found: Release, known: Known) -> Finished:
    """Publish a draft of these builds, if it is complete and every package is on the registry.

    Raises:
        FlotillaError: as `finish`.
    """
    family, built = job.family, known.built
    packuments = fresh_packuments(job, (package.name for package in family.packages))
    records = _all_published(job, built, decide_packages(job, built, packuments))
    release = job.github.assets.with_digests(found, known.assets)
    _refuse_incomplete(release, plan_for(release, known.assets))
    ledger = write_ledger(job, replace(known, records=records, release=found), asset=True)
    if found.draft and not job.inputs.dry_run:
        job.runner.wrote = True
        _add_ledger(job, found, ledger)
        require_tag(job, known.commit or "")
        latest = is_latest(job, packuments)
        release = job.github.releases.publish(found, latest=latest, prerelease=family.prerelease)
    return Finished(
        release=release,
        records=records,
        checksums=checksums_file(known.assets),
        ledger=ledger,
        artifacts_digest=known.artifacts_digest,
    )


def existing_release(job: JobContext[ReleasingInputs]) -> Release:
    """Return the release, a draft or already published.

    Raises:
        RefusedError: there is none.
    """
    found = its_release(job)
    if found is None:
        raise RefusedError(
            f"there is no release of {job.family.tag}, neither draft nor published",
            advice="Run action-release with draft: true first, then the publishing jobs, then this phase.",
        )
    return found


def _refuse_incomplete(release: Release, plan: AssetPlan) -> None:
    """Raise an error unless the release has every asset, complete.

    An asset with other content is not called incomplete: completing it would replace what was verified.
    """
    broken = [change.asset.name for change in plan.replace if change.asset.state != UPLOADED]
    others = [change for change in plan.replace if change.asset.state == UPLOADED]
    if others:
        raise ConflictError(
            [
                f"{one.asset.name} is {one.asset.digest} in {release.url}, but {one.wanted.digest} in the CI run"
                for one in others
            ],
            advice="The release was made from another build, or somebody replaced the asset. Run this phase with the "
            "run-id and the artifacts-digest of the job that made the release; if its artifacts are gone, release a "
            "new version. The release stays a draft.",
        )
    lacking = [
        *(f"{file.name} is missing" for file in plan.upload),
        *(f"{name} is an incomplete upload" for name in broken),
    ]
    if lacking:
        raise ConflictError(
            [f"{release.url}: {fault}" for fault in lacking],
            advice="Run action-release with the phase release, draft: true and the same run-id: it completes them. "
            "The release stays a draft.",
        )


def _all_published(
    job: JobContext[ReleasingInputs], built: Sequence[Built], decisions: Sequence[Settled]
) -> tuple[Record, ...]:
    pairs = list(zip(built, decisions, strict=True))
    missing = [one.package for one, decision in pairs if not isinstance(decision, AlreadyPublished)]
    if missing:
        raise RefusedError(
            [f"{package.name}@{package.version} is not on the registry" for package in missing],
            advice="Run the publishing jobs first; the release stays a draft.",
        )
    looking = [
        partial(_record, job, one, decision) for one, decision in pairs if isinstance(decision, AlreadyPublished)
    ]
    looked = gather(looking, stop=job.policy.stop)
    if faults := [fault for _, faults in looked for fault in faults]:
        raise RegistryError(faults, advice=ESTRANGED)
    return tuple(record for record, _ in looked)


def _record(job: JobContext[ReleasingInputs], built: Built, decision: AlreadyPublished) -> tuple[Record, list[str]]:
    published = decision.published
    by = Origin(repository=f"{job.variables.server_url}/{job.variables.repository}")
    statement, faults = published_provenance(job, published, by=by)
    record = Record(
        built=built,
        status="already-published",
        dist_tag=decision.dist_tag,
        integrity=published.integrity,
        provenance=statement,
        note=decision.next_step(partial(is_below, decision.package.version)),
    )
    return record, faults


def _add_ledger(job: JobContext[ReleasingInputs], draft: Release, ledger: str) -> None:
    path = job.variables.workspace / ledger
    data = path.read_bytes()
    asset = WantedAsset(name=LEDGER, size=len(data), digest=f"sha256:{hashlib.sha256(data).hexdigest()}", path=path)
    job.github.assets.upload(draft, plan_for(draft, [asset]))
