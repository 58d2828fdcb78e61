from __future__ import annotations

import io
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from tests.jobs.test_publish_report import built

from flotilla.errors import DeadlineError
from flotilla.jobs.inputs import PublishInputs
from flotilla.jobs.record import Record
from flotilla.jobs.watching import see_packages
from flotilla.patience import Patience
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
        patience=Patience(deadline=recorded_clock.time + 600, clock=recorded_clock),
        inputs=PublishInputs(version="1.2.3"),
        runner=Runner({"GITHUB_ACTIONS": "true"}, out),
        facts=SimpleNamespace(server_url="https://github.com", repository="acme/a", commit="0" * 40, run_id="1"),
    )


def test_a_registry_that_falls_silent_after_the_publish_takes_nothing_back(job: Any, out: io.StringIO) -> None:
    published = Record(built=built("@acme/a"), status="published", dist_tag="latest", integrity="sha512-aa==")
    [seen] = see_packages(job, [published], provenance=True)
    assert (seen.status, seen.provenance) == ("published", None)
    assert [line.partition("::")[2].split(" ")[0] for line in out.getvalue().splitlines()] == ["warning", "warning"]
    assert "title=Provenance was not looked at" in out.getvalue()
