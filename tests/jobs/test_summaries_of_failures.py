"""However a job ends, its job summary says so: whoever looks at the run sees that page, and no log."""

from __future__ import annotations

import errno
import re
from unittest.mock import patch

import pytest
from tests.world.job_world import JobWorld

from flotilla.errors import (
    NOTHING_WRITTEN,
    RESUMES,
    CancelledError,
    ConfigError,
    DefectError,
    FlotillaError,
    InputError,
    MachineError,
    RunError,
)
from flotilla.jobs.release import stopped

NO_ROOM = OSError(errno.ENOSPC, "No space left on device", "lib/libchroma.so")


def test_a_wrong_input_is_in_the_job_summary_too(jobs: JobWorld) -> None:
    done = jobs.run("release", version="1.2")
    assert done.summary.startswith(f"### ✗ {InputError.title}\n")
    assert "has too few numbers; a semantic version has three: 1.2.0." in done.summary


def test_a_wrong_flotilla_yml_is_in_the_job_summary_of_each_action_once(released: JobWorld) -> None:
    released.edit("flotilla.yml", lambda text: text.replace("access: public", "access: publik"))
    for done in (released.run("release"), released.platform(), released.run("publish-meta")):
        assert done.status == 1
        assert done.summary.count(f"### ✗ {ConfigError.title}\n") == 1


def test_what_stopped_a_release_is_in_its_job_summary_once(jobs: JobWorld) -> None:
    jobs.github.runs[0].conclusion = "failure"
    done = jobs.run("release")
    assert done.summary.count(f"### ✗ {RunError.title}\n") == 1
    assert re.search(rf"\[`(https?://[^`]+/actions/runs/{jobs.run_id})`\]\(\1\)", done.summary)


@pytest.mark.parametrize("call", ["package.inspect", "extraction.tempfile.TemporaryDirectory"])
def test_a_full_disk_is_called_that_and_no_defect_and_no_fault_of_the_artifact(released: JobWorld, call: str) -> None:
    before = released.world.snapshot()
    with patch(f"flotilla.packing.{call}", side_effect=NO_ROOM):
        done = released.platform()
    assert done.status == 1
    assert done.error.title == MachineError.title
    assert "No space left on device: lib/libchroma.so" in done.error.text
    assert done.error.text.endswith(NOTHING_WRITTEN)
    assert "No space left on device" in done.summary
    assert "Traceback" not in done.log
    assert released.world.snapshot() == before


@pytest.mark.parametrize("number", [errno.EACCES, errno.EPERM, errno.EROFS])
def test_what_the_machine_does_not_permit_is_called_that_and_no_defect(released: JobWorld, number: int) -> None:
    refused = OSError(number, "not permitted", "lib/libchroma.so")
    with patch("flotilla.packing.package.inspect", side_effect=refused):
        done = released.platform()
    assert done.status == 1
    assert done.error.title == MachineError.title
    assert "lib/libchroma.so" in done.error.text
    assert "Traceback" not in done.log


def test_a_cancelled_job_says_so_in_its_job_summary(released: JobWorld) -> None:
    with patch("flotilla.jobs.publish_packages.build_in_turn", side_effect=KeyboardInterrupt):
        done = released.platform()
    assert done.status == 1
    assert f"### ✗ {CancelledError.title}\n\n- `the job was cancelled`" in done.summary
    assert ": 2 waiting\n" in done.summary
    for word in ("Next: ", RESUMES):
        assert word not in done.summary
    assert done.summary.count(NOTHING_WRITTEN) == 1


def test_a_defect_is_in_the_job_summary_without_its_traceback(jobs: JobWorld) -> None:
    with patch("flotilla.jobs.prepare.render_all", side_effect=RuntimeError("npm_rehearsal")):
        done = jobs.run("release")
    assert f"### ✗ {DefectError.title}" in done.summary
    assert "RuntimeError" in done.summary
    assert "Traceback (" not in done.summary
    assert "npm_rehearsal" not in done.summary


@pytest.mark.parametrize("step", ["prepare.render_all", "publish_packages.build_in_turn"])
def test_a_defect_before_the_first_write_promises_no_next_step(released: JobWorld, step: str) -> None:
    with patch(f"flotilla.jobs.{step}", side_effect=RuntimeError):
        done = released.run("release") if step.startswith("prepare") else released.platform()
    assert done.status == 70
    assert "Next: " not in done.summary
    assert done.summary.count(NOTHING_WRITTEN) == 1


@pytest.mark.parametrize("wrote", [True, False])
@pytest.mark.parametrize("advice", ["", "Nothing was written.", f"Re-run it. {RESUMES}"])
def test_a_summary_says_once_what_became_of_the_release(advice: str, wrote: bool) -> None:  # noqa: FBT001 - a case
    summary = stopped(FlotillaError("no", advice=advice), site="https://github.com", wrote=wrote)
    assert summary.count(RESUMES) + summary.count(NOTHING_WRITTEN) == 1
