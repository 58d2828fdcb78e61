"""staged: true: packages wait for someone's approval, and the job summary says how to give it, in order."""

from __future__ import annotations

import re

import pytest
from tests.world.ended import Ended
from tests.world.job_world import JobWorld

from flotilla.rehearsal.registry import TrustedPublisher

pytestmark = pytest.mark.npm
APPROVE = re.compile(r"^npm stage approve (\S+) --registry (\S+)  # (\S+)$", re.MULTILINE)


def commands(done: Ended) -> list[tuple[str, str, str]]:
    """Return stage id, registry and package of each approval command in the job summary."""
    return APPROVE.findall(done.summary)


def test_the_job_summary_says_how_to_approve_in_order_and_a_re_run_stages_nothing_twice(released: JobWorld) -> None:
    done = released.platform(staged="true")
    assert set(done.statuses.values()) == {"staged"}
    ids = {staged.name: staged.id for staged in released.registry.staged.values()}
    assert commands(done) == [(ids[name], released.world.registry.url, name) for name in done.statuses]
    assert "Approve them in this order:" in done.summary
    before = released.world.snapshot()
    assert before["registry"]["accepted"] == {}

    again = released.platform(staged="true")
    assert released.world.snapshot() == before
    assert again.statuses == done.statuses
    assert commands(again) == commands(done)
    assert "`staged by an earlier run`" in again.summary


def test_a_re_run_without_a_look_at_what_is_staged_stages_nothing_twice(released: JobWorld) -> None:
    """An id-token may stage, and may not list what is staged."""
    released.put_version("@acme/chroma-dev", "1.0.0")
    released.registry.trusts_all = TrustedPublisher(repository="acme/chroma", workflow="release.yml")
    trusted = {"npm_token": "", "id_token": True, "provenance": "false", "staged": "true"}
    first = released.dev(**trusted)
    assert first.status == 0, first.log
    assert [name for _, _, name in commands(first)] == ["@acme/chroma-dev"]
    before = released.world.snapshot()
    again = released.dev(**trusted)
    assert again.statuses == {"@acme/chroma-dev": "staged"}
    assert released.world.snapshot() == before
    assert f"npm stage list @acme/chroma-dev --registry {released.world.registry.url}" in again.summary


def test_a_registry_without_staging_is_explained(released: JobWorld) -> None:
    released.registry.staging = False
    error = released.refused("publish-dev", run_id=str(released.run_id), staged="true")
    assert f"{released.world.registry.url} does not support staged publishing" in error.text
    assert "Set `staged: false`" in error.text


def test_a_staged_meta_says_that_its_platforms_are_to_be_approved_first(released: JobWorld) -> None:
    done = released.run("publish-meta", staged="true")
    assert done.statuses == {"@acme/chroma": "staged", "@acme/chroma-non-free": "staged"}
    (warning,) = done.annotations("warning")
    assert warning.title == "Approve in order"
    assert "4 platform packages are not on the registry yet: @acme/chroma-linux-x64, " in warning.text
    assert "Approve them before the meta packages" in warning.text
