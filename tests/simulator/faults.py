"""Faults in a rehearsal: which request fails, and how."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

from flotilla.rehearsal.github import GitHubState

Phase = Literal["before", "after"]
Server = Literal["github", "uploads", "blobs", "id-tokens", "registry", "sigstore"]


class Kind(StrEnum):
    """A way for one request to go wrong."""

    TOO_MANY = "429"
    ERROR_500 = "500"
    ERROR_502 = "502"
    ERROR_503 = "503"
    SECONDARY_LIMIT = "403-secondary"
    RESET_BEFORE = "reset-before"
    RESET_AFTER = "reset-after"
    ERROR_503_AFTER = "503-after"
    TRUNCATE = "truncate"
    STALL = "stall"
    STALE = "stale"
    STARTER = "502-starter"
    CONFLICT = "409"
    CONFLICT_AFTER = "409-after"
    KILL_BEFORE = "kill-before"
    KILL_AFTER = "kill-after"
    CANCEL = "cancel"


ANSWERED_INSTEAD = {
    Kind.TOO_MANY: 429,
    Kind.ERROR_500: 500,
    Kind.ERROR_502: 502,
    Kind.ERROR_503: 503,
    Kind.SECONDARY_LIMIT: 403,
    Kind.STARTER: 502,
    Kind.CONFLICT: 409,
}
ANSWERED_AFTER = {Kind.ERROR_503_AFTER: 503, Kind.CONFLICT_AFTER: 409}
EVERYWHERE = (
    Kind.TOO_MANY,
    Kind.ERROR_500,
    Kind.ERROR_502,
    Kind.ERROR_503,
    Kind.RESET_BEFORE,
    Kind.TRUNCATE,
    Kind.STALL,
)
KILLS = (Kind.KILL_BEFORE, Kind.KILL_AFTER)
STOPS = (*KILLS, Kind.CANCEL)
STALE_READS = ("/releases", "/git/ref", "/git/matching-refs", "/actions/runs", "/actions/workflows")


@dataclass(kw_only=True)
class Request:
    """One request that arrived at one of the servers.

    Args:
        n: its place in the arrival order over all servers, from 1.
        label: server, method and normalised path; the same in every run.
        occurrence: how many requests of this label have arrived, this one counted.
        status: what was answered, None while (or where) nothing was.
        fault: what was done to it.
    """

    n: int
    server: Server
    method: str
    path: str
    label: str
    occurrence: int
    status: int | None = None
    fault: Kind | None = None


@dataclass(frozen=True, kw_only=True)
class PlannedFault:
    """A fault for one request, by its number or by its label.

    Args:
        kind: what goes wrong.
        at: the number of the request; None to go by the label.
        label: the label of the request, where `at` is None.
        occurrence: which request of that label, from 1.
        times: how many requests of that label in a row, this one counted.
        retry_after: seconds in the Retry-After header of a 429 or 403; None for no header.
    """

    kind: Kind
    at: int | None = None
    label: str | None = None
    occurrence: int = 1
    times: int = 1
    retry_after: int | None = 1


def applicable(request: Request) -> tuple[Kind, ...]:
    """Return the kinds of fault that this request could meet in reality."""
    kinds = [*EVERYWHERE, *KILLS]
    if request.server in ("github", "uploads"):
        kinds.append(Kind.SECONDARY_LIMIT)
    if request.method not in ("GET", "HEAD"):
        kinds += [Kind.RESET_AFTER, Kind.ERROR_503_AFTER]
    if request.server == "uploads":
        kinds.append(Kind.STARTER)
    if request.server == "registry" and request.method == "PUT":
        kinds += [Kind.CONFLICT, Kind.CONFLICT_AFTER]
    if request.server in ("blobs", "uploads") or (request.server, request.method) == ("registry", "PUT"):
        kinds.append(Kind.CANCEL)  # in the middle of a transfer
    if may_be_stale(request.server, request.method, request.path):
        kinds.append(Kind.STALE)
    return tuple(kinds)


def may_be_stale(server: Server, method: str, path: str) -> bool:
    """Return whether a cache or replica may answer this request with the state before the last write."""
    if method != "GET":
        return False
    if server == "github":
        return any(part in path for part in STALE_READS)
    return server == "registry" and "/-/" not in path and "write=true" not in path


@dataclass(kw_only=True)
class FaultPlan:
    """Numbers every request of a rehearsal, and decides which fault it meets.

    Args:
        faults: the planned faults.
        stall_seconds: how long a stalled answer is held back before the connection is cut.
        on_request: told of each request before it is handled and after.
        kill: ends the job, for the two kinds that kill it. It and `cancel` run in the servers' thread, and must not
            wait for the job.
        cancel: tells the job to stop, as GitHub's runner does.
        requests: all that arrived.
        before_last_write: GitHub's state as a lagging replica still has it.
    """

    faults: tuple[PlannedFault, ...] = ()
    stall_seconds: float = 30.0
    on_request: Callable[[Request, Phase], None] = lambda _request, _phase: None
    kill: Callable[[], None] = lambda: None
    cancel: Callable[[], None] = lambda: None
    requests: list[Request] = field(default_factory=list)
    before_last_write: GitHubState | None = None
    _seen: Counter[str] = field(default_factory=Counter)
    _running: dict[PlannedFault, tuple[str, int]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def start(self, faults: Iterable[PlannedFault] = ()) -> None:
        """Forget all requests, and plan these faults for the ones to come."""
        with self._lock:
            self.faults = tuple(faults)
            self.requests.clear()
            self._seen.clear()
            self._running.clear()

    def arrive(self, *, server: Server, method: str, path: str, label: str) -> Request:
        """Number a request, and settle which fault it meets."""
        with self._lock:
            self._seen[label] += 1
            request = Request(
                n=len(self.requests) + 1,
                server=server,
                method=method,
                path=path,
                label=label,
                occurrence=self._seen[label],
            )
            self.requests.append(request)
            planned = self._planned(request)
            request.fault = planned.kind if planned else None
            return request

    def retry_after(self, request: Request) -> int | None:
        """Return the seconds that the answer to this request asks the client to wait."""
        planned = self._planned(request)
        return planned.retry_after if planned else None

    def _planned(self, request: Request) -> PlannedFault | None:
        return next((planned for planned in self.faults if self._meets(planned, request)), None)

    def _meets(self, planned: PlannedFault, request: Request) -> bool:
        if planned.at == request.n:
            self._running[planned] = (request.label, request.occurrence)
        label, first = self._running.get(planned, (planned.label, planned.occurrence))
        if planned.at is not None and planned not in self._running:
            return False
        return request.label == label and first <= request.occurrence < first + planned.times
