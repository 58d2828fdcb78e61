from __future__ import annotations

import io
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from tests.jobs.test_publish_summary import built

from flotilla.errors import DeadlineError, RegistryError
from flotilla.jobs.inputs import PublishInputs
from flotilla.jobs.ledger import Record
from flotilla.jobs.verify_published import verify_packages, visible_minutes
from flotilla.npm import Origin, Statement
from flotilla.retry import RetryPolicy
from flotilla.runner import Runner

if TYPE_CHECKING:
    from tests.conftest import RecordedClock


class SilentRegistry:
    """A registry that took everything, and shows nothing any more."""

    def _late(self, *_: object) -> None:
        raise DeadlineError("read @acme/a: the registry answered 503")

    fresh = installable = attestations = _late


@pytest.fixture
def out() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def job(recorded_clock: RecordedClock, out: io.StringIO) -> Any:
    return SimpleNamespace(
        registry=SilentRegistry(),
        policy=RetryPolicy(deadline=recorded_clock.time + 600, clock=recorded_clock),
        inputs=PublishInputs(version="1.2.3"),
        runner=Runner({"GITHUB_ACTIONS": "true"}, out),
        variables=SimpleNamespace(server_url="https://github.com", repository="acme/a", commit="0" * 40, run_id="1"),
    )


def test_a_registry_that_falls_silent_after_the_publish_takes_nothing_back(job: Any, out: io.StringIO) -> None:
    published = Record(built=built("@acme/a"), status="published", dist_tag="latest", integrity="sha512-aa==")
    [seen] = verify_packages(job, [published], provenance=True)
    assert (seen.status, seen.provenance) == ("published", None)
    assert [line.partition("::")[2].split(" ")[0] for line in out.getvalue().splitlines()] == ["warning", "warning"]
    assert "title=Provenance was not checked" in out.getvalue()


@pytest.mark.parametrize("read_back", [True, False])
def test_the_same_bytes_from_another_run_are_no_intrusion_only_where_our_answer_was_lost(
    job: Any, monkeypatch: pytest.MonkeyPatch, *, read_back: bool
) -> None:
    statement = Statement(predicate="", subject="", sha512="", repository="", commit="", workflow="", run="2")

    def of_run_2(_job: object, _found: object, *, by: Origin) -> tuple[Statement | None, list[str]]:
        return (statement, []) if by.run_id in {None, "2"} else (None, ["its provenance names the run 2, not 1"])

    monkeypatch.setattr("flotilla.jobs.verify_published.published_provenance", of_run_2)
    monkeypatch.setattr("flotilla.jobs.verify_published._attested", lambda _job, _record: object())
    record = Record(
        built=built("@acme/a"), status="published", dist_tag="latest", integrity="sha512-aa==", read_back=read_back
    )
    if read_back:
        [seen] = verify_packages(job, [record], provenance=True)
        assert (seen.status, seen.provenance) == ("already-published", statement)
    else:
        with pytest.raises(RegistryError, match="names the run 2, not 1"):
            verify_packages(job, [record], provenance=True)


@pytest.mark.parametrize(("minutes", "waits"), [(30, 15), (10, 15), (120, 60)])
def test_what_npm_installs_by_is_waited_for_longer_where_the_job_may_take_longer(
    job: Any, minutes: float, waits: float
) -> None:
    job.inputs = PublishInputs(version="1.2.3", timeout_minutes=minutes)
    assert visible_minutes(job) == waits


def test_provenance_of_another_commit_than_this_run_s_is_refused(job: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def of_commit_1(_job: object, _found: object, *, by: Origin) -> tuple[Statement | None, list[str]]:
        return (None, []) if by.commit in {None, "1" * 40} else (None, [f"its provenance names the commit {'1' * 40}"])

    monkeypatch.setattr("flotilla.jobs.verify_published.published_provenance", of_commit_1)
    monkeypatch.setattr("flotilla.jobs.verify_published._attested", lambda _job, _record: object())
    record = Record(built=built("@acme/a"), status="published", dist_tag="latest", integrity="sha512-aa==")
    with pytest.raises(RegistryError, match=r"1{40}"):
        verify_packages(job, [record], provenance=True)
