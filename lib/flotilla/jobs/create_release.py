"""release and finish: verify, build and decide everything; then tag, draft, assets, publish.

A release that is kept as a draft is published by finish, once npm has the whole family.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial

from flotilla.errors import ArtifactError, ConflictError, GitHubError, RefusedError, RegistryError
from flotilla.family import is_below, previous_tag, tag_prefix
from flotilla.github import UPLOADED, AssetPlan, Release, WantedAsset, WorkflowRun, plan_for, the_release
from flotilla.jobs.build import Built, build, take_artifacts, unused_executables
from flotilla.jobs.inputs import JobContext, ReleasingInputs, its_release
from flotilla.jobs.ledger import Known, Record, write_ledger
from flotilla.jobs.prepare import LONGEST_NOTES, Prepared, render_all, require_tag
from flotilla.jobs.publish_plan import decide_packages, fresh_packuments, is_latest
from flotilla.jobs.release_assets import (
    OURS,
    checksums_file,
    file_asset,
    hold_to_release,
    release_ledger,
    wanted_assets,
)
from flotilla.jobs.verify_published import ESTRANGED, published_provenance
from flotilla.jobs.wait_for_ci import Checked, check_artifacts
from flotilla.npm import AlreadyPublished, Origin, Packument, Settled
from flotilla.packing import risen
from flotilla.retry import gather
from flotilla.runner import LEDGER


@dataclass(frozen=True, kw_only=True)
class Released:
    """The result of the phase.

    Args:
        release: None in a dry run, and for a version without a tag.
        commit: what is released.
        ci_run: where the artifacts come from.
        checksums: path of the SHA256SUMS file, relative to the workspace; empty if there are no assets.
        artifacts_digest: the artifacts digest of the release.
    """

    release: Release | None
    commit: str
    ci_run: WorkflowRun
    assets: tuple[WantedAsset, ...]
    checksums: str
    built: tuple[Built, ...]
    artifacts_digest: str | None


@dataclass(frozen=True, kw_only=True)
class Decided:
    """A release that nothing forbids.

    Args:
        found: what exists of it; None for nothing.
        known: what is released.
    """

    prepared: Prepared
    found: Release | None
    known: Known


def create_release(
    job: JobContext[ReleasingInputs], prepared: Prepared, run: WorkflowRun, checked: Checked | None = None
) -> Released:
    """Create the GitHub release, or complete it; everything is checked before the tag is created.

    Args:
        checked: as for `decide_release`.

    Raises:
        FlotillaError: as `decide_release`.
    """
    return write_release(job, run, decide_release(job, prepared, run, checked))


def decide_release(
    job: JobContext[ReleasingInputs], prepared: Prepared, run: WorkflowRun, checked: Checked | None = None
) -> Decided:
    """Download, verify and build everything, and compare it with GitHub and the registry.

    Args:
        checked: the run's artifacts, if this job has just checked them.

    Raises:
        ArtifactError: an artifact or an asset cannot be released.
        PackageError: a package cannot be published.
        ConflictError: the registry or GitHub has this version with other content.
    """
    checked = checked or check_artifacts(job, run, job.family.artifacts)
    unpacked = take_artifacts(job, run, checked.artifacts, job.family.artifacts)
    built = build(job, job.family.packages, prepared.manifests, unpacked)
    for words in unused_executables(job.family.config, built):
        job.runner.warning(
            f"{words}; correct flotilla.yml if a file should be executable", title="Executable not found"
        )
    decide_packages(job, built, prepared.packuments)
    assets = wanted_assets(job, unpacked)
    # Read again: all of the above takes time, and somebody may have published the draft meanwhile.
    there, earlier = _releases(job)
    found = job.github.assets.with_digests(there, assets) if there else None
    if earlier is not None:
        _tell_risen_floors(job, built, earlier)
    if found is not None:
        plan_for(found, assets)
        if not found.draft and not _is_empty(found, assets):
            hold_to_release(job, unpacked, found)
    known = Known(commit=prepared.commit, ci_run=run, built=built, assets=assets, artifacts_digest=checked.digest)
    return Decided(prepared=prepared, found=found, known=known)


def _releases(job: JobContext[ReleasingInputs]) -> tuple[Release | None, Release | None]:
    """Return the release of the family's tag, and the family's published release before it; None for none."""
    tag = job.family.tag
    if tag is None:
        return None, None
    before = partial(previous_tag, job.family.config, job.family.version)
    of_tag, earlier = job.github.releases.of_and_before(tag, before)
    return the_release(of_tag, tag), earlier


def _tell_risen_floors(job: JobContext[ReleasingInputs], built: Sequence[Built], earlier: Release) -> None:
    """Warn of packages that need a newer system than in the release before, as far as its ledger says."""
    try:
        ledger = release_ledger(job, earlier)
    except (ArtifactError, ConflictError, GitHubError) as failure:
        job.runner.notice(f"the floors of binaries are not compared with {earlier.tag}'s: {failure.faults[0].text}")
        return
    before = {one["name"]: one["floors"] for one in ledger["packages"] if "floors" in one} if ledger else {}
    for one in built:
        if more := risen(before.get(one.package.name, {}), one.files.floors):
            job.runner.warning(
                f"{one.package.name} needs {', '.join(more)} in {earlier.tag}", title="A floor has risen"
            )


def write_release(job: JobContext[ReleasingInputs], run: WorkflowRun, decided: Decided) -> Released:
    """Write what was decided; nothing in a dry run."""
    prepared, known = decided.prepared, decided.known
    return Released(
        release=_made(job, prepared, decided.found, known),
        commit=prepared.commit,
        ci_run=run,
        assets=tuple(known.assets),
        checksums=checksums_file(known.assets),
        built=tuple(known.built),
        artifacts_digest=known.artifacts_digest,
    )


def _made(job: JobContext[ReleasingInputs], prepared: Prepared, found: Release | None, known: Known) -> Release | None:
    """Return the release, made or completed; in a dry run as it is, and None for a version without a tag."""
    tag = job.family.tag
    if tag is None:
        job.runner.line("no tag and no release is made (tag: none); everything else was checked")
        return None
    notes = found.body if found else _notes(job, tag, prepared)
    if job.inputs.dry_run:
        job.runner.line(f"dry run: no tag and no release is made; {len(known.assets)} assets would be in it")
        return found
    return _write(job, tag, replace(prepared, notes=notes), found, known)


def _write(
    job: JobContext[ReleasingInputs], tag: str, prepared: Prepared, found: Release | None, known: Known
) -> Release:
    """Tag, draft, upload the assets, and publish last, so that nobody sees a release without its files."""
    github, prerelease = job.github, job.family.prerelease
    job.runner.wrote = True
    github.tags.create(tag, prepared.commit)
    with _told_what_is_left(f"tag {tag} on commit {prepared.commit}"):
        draft = found or github.releases.create_draft(tag, name=tag, body=prepared.notes or "", prerelease=prerelease)
    assets = [*known.assets]
    if draft.draft or _takes_ledger(draft):
        # The ledger records the artifacts, so that the publishing jobs can compare theirs.
        ledger = write_ledger(job, replace(known, release=draft), asset=True)
        assets.append(file_asset(job.variables.workspace / ledger))
    with job.runner.group(f"assets of {tag}"):
        plan = plan_for(draft, assets)
        _tell(job, draft, plan)
        for asset in github.assets.upload(draft, plan):
            job.runner.line(f"uploaded {asset.name} ({asset.size} bytes)")
    if not draft.draft or job.inputs.draft:
        return draft
    require_tag(job, prepared.commit)
    latest = is_latest(job, prepared.packuments)
    with _told_what_is_left(f"tag {tag} on commit {prepared.commit}", f"draft {draft.url}"):
        return github.releases.publish(draft, latest=latest, prerelease=prerelease)


def _is_empty(release: Release, assets: Sequence[WantedAsset]) -> bool:
    """Return whether a release has nothing of ours: another tool made it, and there is nothing to compare with."""
    ours = {*OURS, *(asset.name for asset in assets)}
    return ours.isdisjoint(asset.name for asset in release.assets)


def _takes_ledger(release: Release) -> bool:
    """Return whether a published release lacks its ledger: another tool made it, or a run of ours was killed."""
    whole = any(asset.name == LEDGER and asset.state == UPLOADED for asset in release.assets)
    return not (release.immutable or whole)


@contextmanager
def _told_what_is_left(*things: str) -> Iterator[None]:
    """Say in a final refusal, such as a tag name that GitHub never allows again, what the release leaves behind.

    Raises:
        ConflictError: with a line for each thing left on GitHub.
    """
    try:
        yield
    except ConflictError as failure:
        left = [f"left behind: {thing}" for thing in things]
        advice = f"{failure.advice} You can delete what was left behind, unless something else needs it."
        raise ConflictError([*failure.faults, *left], advice=advice) from failure


def _tell(job: JobContext[ReleasingInputs], release: Release, plan: AssetPlan) -> None:
    """Say what was in the release before, and what happens to it."""
    for change in plan.replace:
        job.runner.line(f"{change.asset.name} exists, but is incomplete or has other content; it is replaced")
    if release.draft and plan.foreign:
        names = ", ".join(asset.name for asset in plan.foreign)
        job.runner.notice(f"the draft of {release.tag} already existed; these assets of it stay: {names}")


def _notes(job: JobContext[ReleasingInputs], tag: str, prepared: Prepared) -> str:
    if prepared.notes is not None:
        return prepared.notes
    config, prefix = job.family.config, tag_prefix(job.family.config)
    # GitHub would begin at the release before, which may be another family's.
    tags = job.github.tags.beginning(prefix) if prefix else []
    since = previous_tag(config, job.family.version, tags)
    return job.github.releases.generate_notes(tag, prepared.commit, since=since)[:LONGEST_NOTES]


@dataclass(frozen=True, kw_only=True)
class Finished:
    """The result of finish: the release, and every package as the registry has it."""

    release: Release
    records: tuple[Record, ...]
    checksums: str
    ledger: str
    artifacts_digest: str | None
    packuments: Mapping[str, Packument | None]


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
        packuments=packuments,
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
