from __future__ import annotations

from typing import Any

import pytest
from tests.conftest import RecordedClock
from tests.npm.scripted_registry import Reply, ScriptedRegistry

from flotilla.errors import ConflictError, DeadlineError
from flotilla.npm import Registry, await_visible
from flotilla.retry import RetryPolicy

NAMES = ("@acme/a", "@acme/b")
WANTED = [(name, "1.0.0", "sha512-AAAA") for name in NAMES]


def document(name: str, integrity: str = "sha512-AAAA") -> dict[str, Any]:
    return {"name": name, "versions": {"1.0.0": {"dist": {"integrity": integrity, "tarball": "x"}}}}


@pytest.fixture
def published(registry: ScriptedRegistry) -> ScriptedRegistry:
    registry.packages |= {name: document(name) for name in NAMES}
    return registry


def test_what_is_visible_is_not_waited_for(
    published: ScriptedRegistry, reads: Registry, policy: RetryPolicy, recorded_clock: RecordedClock
) -> None:
    await_visible(reads, WANTED, policy=policy, minutes=15)
    assert recorded_clock.slept == []
    assert all("write" not in seen.query for seen in published.seen)


def test_a_stale_cache_is_waited_out_politely_and_only_for_what_is_missing(
    published: ScriptedRegistry, reads: Registry, policy: RetryPolicy, recorded_clock: RecordedClock
) -> None:
    published.cached["@acme/b"].extend([None, *[{"name": "@acme/b", "versions": {}}] * 6])
    told: list[str] = []
    await_visible(reads, WANTED, policy=policy, minutes=15, told=told.append)
    assert recorded_clock.slept == [2.0, 3.0, 4.5, 6.75, 10.125, 15.0, 15.0]
    assert len(published.requests("GET", "/@acme%2Fa")) == 1
    assert told[0] == "1 of 2 not visible yet; looking again in 2 s"


def test_past_its_time_it_names_what_is_missing_and_since_when(
    published: ScriptedRegistry, reads: Registry, policy: RetryPolicy, recorded_clock: RecordedClock
) -> None:
    published.cached["@acme/b"].extend([None] * 99)
    with pytest.raises(DeadlineError) as raised:
        await_visible(reads, WANTED, policy=policy, minutes=2)
    assert sum(recorded_clock.slept) <= 120
    assert "@acme/b@1.0.0 is not visible to npm install yet, awaited since 1970-01-12 13:46:40 UTC" in str(raised.value)
    assert "@acme/a" not in str(raised.value)


def test_the_job_s_deadline_comes_first(
    published: ScriptedRegistry, reads: Registry, recorded_clock: RecordedClock
) -> None:
    published.cached["@acme/b"].extend([None] * 99)
    with pytest.raises(DeadlineError):
        await_visible(reads, WANTED, policy=RetryPolicy(deadline=1_000_005, clock=recorded_clock), minutes=15)
    assert recorded_clock.slept == [2.0, 3.0]


def test_another_content_behind_the_name_is_a_conflict_at_once(
    published: ScriptedRegistry, reads: Registry, policy: RetryPolicy, recorded_clock: RecordedClock
) -> None:
    published.packages["@acme/b"] = document("@acme/b", "sha512-EVIL")
    with pytest.raises(ConflictError, match=r"@acme/b@1\.0\.0 is visible with another content"):
        await_visible(reads, WANTED, policy=policy, minutes=15)
    assert recorded_clock.slept == []


def test_a_registry_that_stops_answering_is_named_beside_what_is_missing(
    published: ScriptedRegistry, reads: Registry, policy: RetryPolicy
) -> None:
    published.script("GET", "/@acme%2Fb", Reply(status=429, headers={"Retry-After": "7200"}))
    with pytest.raises(DeadlineError) as raised:
        await_visible(reads, WANTED, policy=policy, minutes=15)
    assert "@acme/b@1.0.0 is not visible" in str(raised.value)
    assert "asks to wait 7200 s" in str(raised.value)


def test_waiting_never_publishes(published: ScriptedRegistry, reads: Registry, policy: RetryPolicy) -> None:
    published.cached["@acme/b"].extend([None] * 3)
    await_visible(reads, WANTED, policy=policy, minutes=15)
    assert {seen.method for seen in published.seen} == {"GET"}
