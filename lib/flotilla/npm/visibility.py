"""Waiting until an ordinary `npm install` sees what was published."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from flotilla.errors import ConflictError, DeadlineError, Fault
from flotilla.npm.packument import same_integrity
from flotilla.npm.registry import Registry
from flotilla.retry import RetryPolicy, as_utc

FIRST_PAUSE = 2.0
LONGEST_PAUSE = 15.0

# Name, version, and the integrity that the registry has (not our tarball's, where it was packed anew).
Awaited = tuple[str, str, str]


def await_visible(
    registry: Registry,
    wanted: Sequence[Awaited],
    *,
    policy: RetryPolicy,
    minutes: float,
    told: Callable[[str], None] = lambda _line: None,
) -> None:
    """Returns once every version is in the packument that npm installs from. It reads and never publishes.

    Args:
        registry: the registry to ask, caches included.
        wanted: name, version and the registry's integrity of each.
        policy: the job's deadline and clock.
        minutes: how long to wait at the most, within the deadline.
        told: is given a line for each round of waiting.

    Raises:
        DeadlineError: names every version that is not visible, and since when it was awaited.
        ConflictError: a version is visible with another integrity.
    """
    clock, started = policy.clock, policy.clock.now()
    deadline = min(policy.deadline, started + minutes * 60)
    pause, missing = FIRST_PAUSE, list(wanted)
    while True:
        try:
            missing = _not_visible(registry, missing)
        except DeadlineError as late:
            raise _too_late(missing, since=started, now=clock.now(), because=late.faults) from late
        if not missing:
            return
        if clock.now() + pause > deadline:
            raise _too_late(missing, since=started, now=clock.now())
        told(f"{len(missing)} of {len(wanted)} not visible yet; looking again in {pause:.0f} s")
        clock.sleep(pause)
        pause = min(LONGEST_PAUSE, pause * 1.5)


def visible(registry: Registry, wanted: Awaited) -> bool:
    """Whether `npm install` sees this version now.

    Raises:
        ConflictError: it sees another content.
    """
    name, version, integrity = wanted
    packument = registry.installable(name)
    found = packument.versions.get(version) if packument else None
    if found is None:
        return False
    if found.integrity != integrity and not same_integrity(integrity, found.integrity):
        raise ConflictError(
            f"{name}@{version} is visible with another content: {found.integrity} there, {integrity} expected.",
            advice="Do not publish what depends on it. Release under a new version number.",
        )
    return True


def _not_visible(registry: Registry, wanted: Sequence[Awaited]) -> list[Awaited]:
    return [each for each in wanted if not visible(registry, each)]


def _too_late(missing: Sequence[Awaited], *, since: float, now: float, because: Sequence[Fault] = ()) -> DeadlineError:
    waited = f"awaited since {as_utc(since)} ({(now - since) / 60:.0f} min)"
    lines = [f"{name}@{version} is not visible to npm install yet, {waited}." for name, version, _ in missing]
    return DeadlineError(
        [*lines, *because],
        advice="The registry may be slow to show what it accepted. Re-run the job later: nothing is published twice.",
    )
