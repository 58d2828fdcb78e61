"""Order and pace: a meta package comes last, and a pause lies between two publishes."""

from __future__ import annotations

import json
import re

import pytest
from tests.simulator.faults import Kind, PlannedFault
from tests.world.job_world import JobWorld, unpacked

from flotilla.errors import DeadlineError

pytestmark = pytest.mark.npm


@pytest.mark.parametrize(("inputs", "pause"), [({}, 5), ({"pause_seconds": "0"}, 0)])
def test_the_pause_lies_between_two_publishes_and_nowhere_else(
    released: JobWorld, inputs: dict[str, str], pause: float
) -> None:
    done = released.platform(**inputs)
    assert set(done.statuses.values()) == {"published"}
    assert released.clock.slept == ([pause] if pause else [])
    said = [line.split(" (")[0] for line in done.log.splitlines() if line.startswith(("publishing ", "pausing "))]
    publishes = [f"publishing {name}@1.2.3" for name in done.statuses]
    assert said == ([publishes[0], f"pausing {pause:g} s", publishes[1]] if pause else publishes)


def test_no_pause_lies_before_a_package_that_is_there_already(one_platform: JobWorld) -> None:
    assert set(one_platform.platform().statuses.values()) == {"already-published"}
    assert one_platform.clock.slept == []


def test_a_meta_is_refused_until_every_platform_package_is_there(one_platform: JobWorld) -> None:
    error = one_platform.refused("publish-meta")
    assert error.text == (
        "- @acme/chroma-linux-x64-musl@1.2.3 is not on the registry, but a meta package pins it\n"
        "- @acme/chroma-linux-x64-musl-non-free@1.2.3 is not on the registry, but a meta package pins it\n"
        "Publish the platform packages first: run action-publish-platform for each, then re-run this job."
    )


def test_a_meta_is_not_held_up_by_a_platform_that_it_does_not_pin(one_platform: JobWorld) -> None:
    one_platform.edit(
        "flotilla.yml", lambda text: text.replace("{name: linux-x64-musl,", "{name: linux-x64-musl, pin: false,")
    )
    done = one_platform.run("publish-meta")
    assert done.status == 0, done.log
    manifest = json.loads(unpacked(one_platform.published("@acme/chroma"))["package.json"])
    assert list(manifest["optionalDependencies"]) == ["@acme/chroma-linux-x64"]


def test_a_meta_waits_until_npm_install_sees_its_platform_packages(platforms: JobWorld) -> None:
    platforms.hide("@acme/chroma-linux-x64-musl", seconds=60)
    began = platforms.clock.now()
    platforms.world.plan.start()
    done = platforms.run("publish-meta")
    assert done.status == 0, done.log
    assert "1 of 4 packages not visible yet" in done.log
    assert platforms.clock.now() - began >= 60
    labels = [request.label for request in platforms.world.plan.requests]
    first_put = next(number for number, label in enumerate(labels) if " PUT " in label)
    assert sum("chroma-linux-x64-musl" in label for label in labels[:first_put]) > 5


def test_a_platform_job_leaves_the_wait_for_what_a_meta_pins_to_the_meta_job(released: JobWorld) -> None:
    """A read through the registry's cache right after the publish would keep the old state there."""
    released.world.plan.start()
    done = released.platform(pause_seconds="0")
    assert set(done.statuses.values()) == {"published"}
    assert reads_by_npm_install(released) == []


def test_a_platform_job_awaits_a_package_that_no_meta_pins(released: JobWorld) -> None:
    released.edit(
        "flotilla.yml", lambda text: text.replace("{name: linux-x64-musl,", "{name: linux-x64-musl, pin: false,")
    )
    released.hide("@acme/chroma-linux-x64-musl", seconds=60)
    done = released.platform("linux-x64-musl", pause_seconds="0")
    assert set(done.statuses.values()) == {"published"}
    assert "1 of 2 packages not visible yet" in done.log
    assert len(reads_by_npm_install(released)) > len(done.statuses)


def reads_by_npm_install(jobs: JobWorld) -> list[str]:
    """Return the packages that were read as `npm install` reads them; npm itself writes @acme%2fchroma."""
    return [
        one.path
        for one in jobs.world.plan.requests
        if one.method == "GET" and re.fullmatch(r"/@acme%2F[\w-]+", one.path)
    ]


def test_a_meta_that_waits_in_vain_names_what_is_missing_and_publishes_nothing(platforms: JobWorld) -> None:
    platforms.hide("@acme/chroma-linux-x64-musl", seconds=10**6)
    error = platforms.refused("publish-meta")
    assert error.title == DeadlineError.title
    assert error.text.startswith("@acme/chroma-linux-x64-musl@1.2.3 is not visible to npm install yet (waited ")
    assert "(waited 15 min, " in error.text
    assert 14 * 60 <= sum(platforms.clock.slept) <= 15 * 60


def test_a_rate_limit_is_waited_out_for_as_long_as_it_says(released: JobWorld) -> None:
    released.world.plan.start(
        [PlannedFault(kind=Kind.TOO_MANY, label="registry PUT /@acme/chroma-dev", retry_after=40)]
    )
    done = released.dev()
    assert done.status == 0, done.log
    assert "rate limit" in done.log
    assert "; retrying in 4" in done.log
    assert 40 <= sum(released.clock.slept) <= 42
