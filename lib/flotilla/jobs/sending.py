"""Carrying out a job's decisions, one package after another."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import assert_never

from flotilla.jobs.inputs import PublishInputs
from flotilla.jobs.job import Job
from flotilla.jobs.record import Record
from flotilla.jobs.workshop import Built
from flotilla.npm import (
    AlreadyPublished,
    AlreadyStaged,
    Credential,
    Publish,
    Publisher,
    PublishRequest,
    Settled,
    Staged,
    Status,
)


@dataclass(frozen=True, kw_only=True)
class Sending:
    """How this job sends packages: as whom, and whether with provenance.

    Args:
        begun: the names of the packages that npm was told to publish.
    """

    job: Job[PublishInputs]
    credential: Credential
    provenance: bool
    begun: set[str] = field(default_factory=set)

    def staged(self, built: Sequence[Built]) -> dict[str, Sequence[Staged]]:
        """Return what waits for approval already, by name, as far as the credential may see it."""
        if not self.job.inputs.staged:
            return {}
        requests = [self.request(one) for one in built]
        return {
            request.package.name: self.job.policy.retry(
                partial(self.job.npm.staged, request), what=f"list what is staged of {request.package.name}"
            )
            for request in requests
        }

    def all(self, built: Sequence[Built], decisions: Sequence[Settled]) -> Iterator[Record]:
        """Each package's record as soon as it is done; a pause lies between two publishes."""
        job = self.job
        publisher = Publisher(
            npm=job.npm,
            registry=job.registry,
            policy=job.policy,
            environment=job.environment,
            keep_secret=job.runner.mask,
            failed=lambda log: _show_log(job, "a try that failed", log),
        )
        sent = False
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

    def request(self, built: Built) -> PublishRequest:
        """Return what npm is asked to do with a package."""
        return PublishRequest(
            package=built.packed,
            registry=self.job.registry.url,
            dist_tag=self.job.dist_tag.name,
            credential=self.credential,
            provenance=self.provenance,
            access=self.job.family.config.publish.access,
            staged=self.job.inputs.staged,
        )

    def _publish(self, publisher: Publisher, built: Built) -> Record:
        request, runner = self.request(built), self.job.runner
        runner.line(f"publishing {request} ({built.tarball.size} bytes) as {request.dist_tag}")
        runner.wrote = True
        self.begun.add(built.packed.name)
        published = publisher.publish(request)
        _show_log(self.job, str(request), published.log)
        runner.line(f"{request} {published.status}")
        done = record(self.job, built, published.status, stage_id=published.stage_id, note=published.note)
        return replace(done, read_back=published.read_back)


def _show_log(job: Job[PublishInputs], of: str, log: str) -> None:
    if log:
        with job.runner.group(f"npm's log of {of}"):
            job.runner.line(log)


def rehearsed(job: Job[PublishInputs], built: Sequence[Built], decisions: Sequence[Settled]) -> list[Record]:
    """Return what a dry run leaves: the decisions, not carried out."""
    return [record(job, one, "dry-run", note=_intent(decision)) for one, decision in zip(built, decisions, strict=True)]


def record(
    job: Job[PublishInputs], built: Built, status: Status, *, integrity: str = "", stage_id: str = "", note: str = ""
) -> Record:
    """Return a package's record; its integrity is ours where the registry has no other."""
    return Record(
        built=built,
        status=status,
        dist_tag=job.dist_tag.name,
        integrity=integrity or built.tarball.integrity,
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


def _note(job: Job[PublishInputs], decision: AlreadyPublished) -> str:
    if step := decision.next_step(job.family.below):
        named = str(decision.package)
        job.runner.warning(step if named in step else f"{named} {step}", title="Another dist-tag than this release's")
    return step or ("the same files in another tarball" if decision.repacked else "")


def _pause(job: Job[PublishInputs]) -> None:
    given = job.inputs.pause_seconds
    pause = job.family.config.publish.pause_seconds if given is None else given
    if pause:
        job.runner.line(f"pausing {pause:g} s")
        job.policy.clock.sleep(pause)
