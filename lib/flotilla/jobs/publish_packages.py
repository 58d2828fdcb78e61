"""What the three publishing jobs share: decide about every package, publish one after another, then verify."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import assert_never

from flotilla.errors import Refusal, RefusedError, explained, grouped
from flotilla.family import Manifest, Package, is_below
from flotilla.jobs.build import Built, build, build_in_turn, pack
from flotilla.jobs.inputs import JobContext, PublishInputs, is_same_run
from flotilla.jobs.ledger import Record
from flotilla.jobs.prepare import released_commit, render_all, repository_faults
from flotilla.jobs.publish_plan import SignIn, decide_packages, fresh_packuments, settle_sign_in, sign_in_told
from flotilla.jobs.publish_summary import Report, hand_over, with_progress
from flotilla.jobs.release_assets import compare_with_release
from flotilla.jobs.verify_published import verify_packages
from flotilla.jobs.wait_for_ci import check_artifacts, checked_run
from flotilla.npm import (
    AlreadyPublished,
    AlreadyStaged,
    Credential,
    IdTokens,
    Packument,
    Provenance,
    Publish,
    Publisher,
    PublishRequest,
    Settled,
    Staged,
    Status,
    Token,
    TokenExchange,
    TrustedPublishing,
    claims_of_job,
    possible,
    trusted_publishing_faults,
)
from flotilla.retry import CORES, gather
from flotilla.text import code


@dataclass(frozen=True, kw_only=True)
class PackagePublisher:
    """How this job publishes packages: with which credential, and whether with provenance.

    Args:
        token: the npm token; None if it is not set.
        sign_in: how each package that will be published signs in.
        begun: the names of the packages that npm has started to publish.
    """

    job: JobContext[PublishInputs]
    token: Token | None
    provenance: bool
    sign_in: dict[str, SignIn] = field(default_factory=dict)
    begun: set[str] = field(default_factory=set)

    def staged(self, built: Sequence[Built]) -> dict[str, Sequence[Staged]]:
        """Return the staged versions by name, as far as the credential can see them."""
        if not self.job.inputs.staged:
            return {}
        names = [one.packed.name for one in built]
        looks = [partial(self.job.npm.staged, self.request(one, self.token or TrustedPublishing())) for one in built]
        tries = [
            partial(self.job.policy.retry, look, what=f"list the staged versions of {name}")
            for name, look in zip(names, looks, strict=True)
        ]
        return dict(zip(names, gather(tries, stop=self.job.policy.stop, workers=CORES), strict=True))

    def all(self, built: Sequence[Built], decisions: Sequence[Settled]) -> Iterator[Record]:
        """Yield each package's record as soon as it is done, with a pause between two publishes."""
        job = self.job
        publisher = Publisher(
            npm=job.npm,
            registry=job.registry,
            policy=job.policy,
            environment=job.environment,
            token=self.token,
            told=lambda line: job.runner.warning(line, title="The id-token was refused"),
            sent=self._sent,
            keep_secret=job.runner.mask,
            failed=lambda log: _show_log(job, "a failed try", log),
        )
        sent = bool(self.begun)
        for one, decision in zip(built, decisions, strict=True):
            match decision:
                case Publish():
                    if sent:
                        _pause(job)
                    sent = True
                    yield self._publish(publisher, one)
                case AlreadyPublished(published=published):
                    done = record(
                        job, one, "already-published", integrity=published.integrity, note=_note(job, decision)
                    )
                    yield replace(done, dist_tag=decision.dist_tag)
                case AlreadyStaged():
                    note = decision.next_step() or "staged by an earlier run"
                    done = record(job, one, "staged", stage_id=decision.staged.id, note=note)
                    yield replace(done, dist_tag=decision.dist_tag)
                case never:
                    assert_never(never)

    def request(self, built: Built, credential: Credential) -> PublishRequest:
        """Return the publish request for a package."""
        return PublishRequest(
            package=built.packed,
            registry=self.job.registry.url,
            dist_tag=self.job.dist_tag.name,
            credential=credential,
            provenance=self.provenance,
            access=self.job.family.config.publish.access,
            staged=self.job.inputs.staged,
        )

    def _publish(self, publisher: Publisher, built: Built) -> Record:
        settled, runner = self.sign_in[built.packed.name], self.job.runner
        request = self.request(built, settled.credential)
        runner.line(f"publishing {request} ({built.packed.size} bytes) with the dist-tag {request.dist_tag}")
        self.begun.add(built.packed.name)
        published = publisher.publish(request)
        _show_log(self.job, str(request), published.log)
        runner.line(f"{request} {published.status}")
        done = record(self.job, built, published.status, stage_id=published.stage_id, note=published.note)
        token = isinstance(published.credential, Token)
        return replace(done, read_back=published.read_back, signed_in="token" if token else "trusted-publishing")

    def _sent(self) -> None:
        self.job.runner.wrote = True


def _show_log(job: JobContext[PublishInputs], of: str, log: str) -> None:
    if log:
        with job.runner.group(f"npm's log of {of}"):
            job.runner.line(log)


def rehearsed(job: JobContext[PublishInputs], built: Sequence[Built], decisions: Sequence[Settled]) -> list[Record]:
    """Return the records of a dry run: the decisions, not carried out."""
    return [record(job, one, "dry-run", note=_intent(decision)) for one, decision in zip(built, decisions, strict=True)]


def record(
    job: JobContext[PublishInputs],
    built: Built,
    status: Status,
    *,
    integrity: str = "",
    stage_id: str = "",
    note: str = "",
) -> Record:
    """Return a package's record; its integrity is ours if the registry has no other."""
    return Record(
        built=built,
        status=status,
        dist_tag=job.dist_tag.name,
        integrity=integrity or built.packed.integrity,
        stage_id=stage_id,
        note=note,
    )


def _intent(decision: Settled) -> str:
    match decision:
        case Publish():
            return "would be published"
        case AlreadyPublished():
            return "already published"
        case AlreadyStaged():
            return "already staged"
        case never:
            assert_never(never)


def _note(job: JobContext[PublishInputs], decision: AlreadyPublished) -> str:
    if step := decision.next_step(partial(is_below, decision.package.version)):
        named = str(decision.package)
        job.runner.warning(step if named in step else f"{named} {step}", title="Different dist-tag")
    return step or ("the same files in another tarball" if decision.repacked else "")


def _pause(job: JobContext[PublishInputs]) -> None:
    given = job.inputs.pause_seconds
    pause = job.family.config.publish.pause_seconds if given is None else given
    if pause:
        job.runner.line(f"pausing {pause:g} s")
        job.policy.clock.sleep(pause)


class Progress:
    """What the steps of a publishing job share; each attribute is set by an earlier step.

    Args:
        run_id: the CI run that made the packages' files; None if they take none.
        before: the job's own check.
        report: records everything that is done.
    """

    token: Token | None
    obstacles: Sequence[str]
    provenance: Provenance
    commit: str
    manifests: Mapping[str, Manifest]
    built: tuple[Built, ...]
    publisher: PackagePublisher
    packuments: Mapping[str, Packument | None]
    decisions: tuple[Settled, ...]

    def __init__(
        self,
        packages: Sequence[Package],
        *,
        run_id: int | None,
        before: Callable[[Report, Provenance], None],
        report: Report,
    ) -> None:
        self.packages = packages
        self.run_id = run_id
        self.before = before
        self.report = report


Context = JobContext[PublishInputs]
Step = Callable[[Context, Progress], None]


def _settle_credentials(job: Context, progress: Progress) -> None:
    progress.token = Token(value=job.inputs.npm_token) if job.inputs.npm_token else None
    progress.obstacles = trusted_publishing_faults(job.registry.url, environment=job.environment)
    faults = [] if progress.token else progress.obstacles
    if faults := [*faults, *filter(None, [job.registry.token_fault()])]:
        raise RefusedError(faults, advice="Nothing was published.")


def _settle_provenance(job: Context, progress: Progress) -> None:
    progress.provenance = _provenance(job)


def _settle_commit(job: Context, progress: Progress) -> None:
    progress.report.commit = progress.commit = released_commit(job)


def _check_before(_job: Context, progress: Progress) -> None:
    progress.before(progress.report, progress.provenance)


def _render_manifests(job: Context, progress: Progress) -> None:
    top = job.variables.workspace
    manifests = render_all(progress.packages, root=job.root, repository=job.variables.repository_url, top=top)
    if progress.provenance.on and (faults := repository_faults(job.variables, manifests)):
        refusals = grouped((Refusal(of=name, why=why) for name, why in faults.items()), of=len(manifests))
        raise RefusedError([str(refusal) for refusal in refusals], advice="Nothing was published.")
    progress.manifests = manifests


def _build(job: Context, progress: Progress) -> None:
    packages, report = progress.packages, progress.report
    if progress.run_id is None:
        progress.built = pack(job, build(job, packages, progress.manifests, {}))
        return
    report.ci_run = checked_run(job, progress.run_id, progress.commit)
    report.same_run = is_same_run(job, report.ci_run)
    checked = check_artifacts(job, report.ci_run, job.family.needs_of(packages))
    report.artifacts_digest = checked.digest
    progress.built = build_in_turn(
        job,
        packages,
        progress.manifests,
        run=report.ci_run,
        artifacts=checked.artifacts,
        check=compare_with_release(job),
    )


def _plan(job: Context, progress: Progress) -> None:
    built, provenance, begun = progress.built, progress.provenance.on, progress.report.begun
    publisher = PackagePublisher(job=job, token=progress.token, provenance=provenance, begun=begun)
    progress.packuments = fresh_packuments(job, (one.package.name for one in built))
    progress.decisions = decide_packages(job, built, progress.packuments, publisher.staged(built))
    progress.publisher = publisher
    progress.report.planned += built
    progress.report.packuments |= progress.packuments


def _sign_in(job: Context, progress: Progress) -> None:
    """Settle how each package that will be published signs in, and tell it."""
    exchange = None
    if not progress.obstacles:
        tokens = IdTokens(job.environment, policy=job.policy, keep_secret=job.runner.mask)
        claims, mask = claims_of_job(job.environment), job.runner.mask
        exchange = TokenExchange(job.registry.url, tokens, job=claims, policy=job.policy, keep_secret=mask).ask
    wanted = [decision.package.name for decision in progress.decisions if isinstance(decision, Publish)]
    packuments = {name: progress.packuments[name] for name in wanted}
    settled = settle_sign_in(job, packuments, token=progress.token, exchange=exchange)
    progress.publisher.sign_in.update(settled)
    if told := sign_in_told(settled):
        job.runner.line(told)
        progress.report.checked.append(sign_in_told(settled, code))


def _check_npm(job: Context, progress: Progress) -> None:
    if any(isinstance(decision, Publish) for decision in progress.decisions):
        job.runner.line(f"npm {job.npm.version()}")


def _publish(_job: Context, progress: Progress) -> None:
    for record in progress.publisher.all(progress.built, progress.decisions):
        progress.report.records.append(record)


def _verify(job: Context, progress: Progress) -> None:
    report, names = progress.report, {package.name for package in progress.packages}
    pinned = {name for meta in job.family.metas for name in meta.depends_on}
    before = [record for record in report.records if record.built.package.name not in names]
    done = [record for record in report.records if record.built.package.name in names]
    report.records = [*before, *verify_packages(job, done, provenance=progress.provenance.on, later=pinned)]


def _rehearse(job: Context, progress: Progress) -> None:
    progress.report.records += rehearsed(job, progress.built, progress.decisions)


SETTLE_CREDENTIALS: Step = _settle_credentials  # the npm token, the id-token, or both; the job ends if it has neither
SETTLE_PROVENANCE: Step = _settle_provenance  # whether npm can make it here
SETTLE_COMMIT: Step = _settle_commit  # the tag's: packages are published of a released commit only
CHECK_BEFORE: Step = _check_before  # publish-meta: the platform packages are there, and are those that were built
RENDER_MANIFESTS: Step = _render_manifests  # package.json of each package, from its template
BUILD: Step = _build  # check the CI run and its artifacts, download, unpack, pack
PLAN: Step = _plan  # compare with the registry and decide about every package; nothing was written up to here
SIGN_IN: Step = _sign_in  # each package by an exchange of the id-token, else with the token; one without ends the job
CHECK_NPM: Step = _check_npm  # an npm that is too old is refused before it publishes
PUBLISH: Step = _publish  # one package after another, with a pause between two
VERIFY: Step = _verify  # its provenance is ours, and `npm install` sees each package that no meta package pins
REHEARSE: Step = _rehearse  # a dry run tells the decisions instead

DECIDING = (
    SETTLE_CREDENTIALS,
    SETTLE_PROVENANCE,
    SETTLE_COMMIT,
    CHECK_BEFORE,
    RENDER_MANIFESTS,
    BUILD,
    PLAN,
    SIGN_IN,
    CHECK_NPM,
)
STEPS = (*DECIDING, PUBLISH, VERIFY)
DRY_RUN_STEPS = (*DECIDING, REHEARSE)


def _provenance(job: JobContext[PublishInputs]) -> Provenance:
    publish = job.family.config.publish
    provenance = possible(
        job.inputs.provenance or publish.provenance,
        environment=job.environment,
        private=job.github.runs.repository().private,
        access=publish.access,
    )
    if provenance.refused:
        raise RefusedError(
            provenance.why, advice="Nothing was published. To publish without provenance here, set provenance: auto."
        )
    job.runner.line(provenance.why)
    return provenance


def publish_packages(
    job: JobContext[PublishInputs],
    packages: Sequence[Package],
    *,
    title: str,
    then: str,
    run_id: int | None,
    before: Callable[[Report, Provenance], None] = lambda _report, _provenance: None,
) -> None:
    """Publish some of the family's packages, and report what was done, however far it came.

    Args:
        title: the packages' title in the job summary.
        then: what comes next, for the job summary.
        run_id: the CI run that made their files; None if they take none.
        before: a check before the first decision, which adds its result to the report.

    Raises:
        FlotillaError: anything that stops the job; before the first publish nothing was written.
    """
    report = Report(title=title, then=then, packages=packages, started=job.policy.clock.now())
    progress = Progress(packages, run_id=run_id, before=before, report=report)
    with handing_over(job, report):
        for step in DRY_RUN_STEPS if job.inputs.dry_run else STEPS:
            step(job, progress)


@contextmanager
def handing_over(job: JobContext[PublishInputs], report: Report) -> Iterator[None]:
    """Hand over what was done, however far it came, and say in an error which packages are done.

    Raises:
        FlotillaError: what stopped the job.
    """
    try:
        yield
    except (Exception, KeyboardInterrupt) as stopping:  # noqa: BLE001 - however it ends, its outputs are handed over
        report.failure = explained(stopping, wrote=job.runner.wrote)
        with suppress(OSError):  # of two failures, the first is told
            hand_over(job, report)
        told = with_progress(report.failure, report)
        raise told from None if told is stopping else stopping
    hand_over(job, report)
