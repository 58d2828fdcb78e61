"""Every way in which a release is broken: each request of it, by each kind of fault that it could meet."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tests.faults.clean import Checkpoint
from tests.simulator.faults import Kind, PlannedFault, Request, applicable

RETRY_AFTER = 30


@dataclass(frozen=True, kw_only=True)
class Case:
    """One fault for one request.

    Args:
        index: the request's number in the whole release, from 1. Requests of one job are numbered by label: those
            that go out side by side arrive in another order each time.
        job: the job's number, from 0.
        label: what the request is.
        occurrence: which one of that label, within the job.
        times: how often in a row; with many, the job gives up and fails.
    """

    index: int
    job: int
    label: str
    occurrence: int
    kind: Kind
    times: int = 1

    @property
    def fault(self) -> PlannedFault:
        """Return this fault as the plan takes it."""
        return PlannedFault(
            kind=self.kind, label=self.label, occurrence=self.occurrence, times=self.times, retry_after=RETRY_AFTER
        )

    def __str__(self) -> str:
        """Return a short description."""
        return f"{self.kind} at request {self.index} ({self.label} #{self.occurrence} of job {self.job + 1})"


def all_cases(release: Sequence[Checkpoint]) -> list[Case]:
    """Return every case of a release, always in the same order."""
    keyed = [
        (job, request.label, request.occurrence, request)
        for job in range(len(release))
        for request in _swept(release, job)
    ]
    return [
        Case(index=index, job=job, label=label, occurrence=occurrence, kind=kind)
        for index, (job, label, occurrence, request) in enumerate(sorted(keyed, key=lambda entry: entry[:3]), start=1)
        for kind in applicable(request)
    ]


def _swept(release: Sequence[Checkpoint], job: int) -> list[Request]:
    """Return the requests of a job that are broken; see Step."""
    step, requests = release[job].step, release[job].requests
    if step.swept == "none":
        return []
    earlier = [one for one in release[:job] if one.step.action == step.action] if step.swept == "new" else []
    known = {(request.label, request.occurrence) for one in earlier for request in one.requests}
    return [request for request in requests if (request.label, request.occurrence) not in known]


def sample(cases: Sequence[Case], *, size: int, seed: int) -> list[Case]:
    """Return this many cases, the same for a seed: every kind and every job at least once, the rest at random."""
    drawn = random.Random(seed).sample(cases, len(cases))  # noqa: S311 - no secret
    needed = list({case.kind: case for case in reversed(drawn)}.values())
    needed += [case for job, case in {case.job: case for case in reversed(drawn)}.items() if job not in _jobs(needed)]
    rest = [case for case in drawn if case not in needed]
    return [*needed, *rest[: max(0, size - len(needed))]]


@dataclass(frozen=True)
class Part:
    """One of several parts of a sweep; each has cases of all jobs and takes about as long as the others."""

    number: int
    parts: int

    def of(self, cases: Sequence[Case]) -> list[Case]:
        """Return its cases: every n-th of them all."""
        return list(cases[self.number - 1 :: self.parts])

    def __str__(self) -> str:
        """Return what the command line calls it."""
        return f"{self.number}/{self.parts}"


def _jobs(cases: Iterable[Case]) -> set[int]:
    return {case.job for case in cases}
