"""Jobs that end before their end: cancelled, or by a defect of flotilla; as processes of their own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from unittest.mock import patch

import pytest
from tests.simulator.faults import Kind, Phase, PlannedFault, Request
from tests.world.ended import ended
from tests.world.job_world import JobWorld

from flotilla.errors import NOTHING_WRITTEN, RESUMES, CancelledError, DeadlineError, DefectError
from flotilla.retry import WORKERS


def test_a_job_as_a_process_ends_with_its_exit_status_and_its_outputs(jobs: JobWorld) -> None:
    variables, folder = jobs.environment("release", phase="prepare")
    done = subprocess.run(
        [sys.executable, "-P", "-m", "flotilla", "release"],
        env=variables,
        cwd=jobs.workspace,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert ended(done.returncode, done.stdout, folder).outputs["tag"] == "v1.2.3", done.stdout
    assert done.returncode == 0


def test_a_cancelled_job_says_so_in_one_annotation_and_that_a_re_run_goes_on(jobs: JobWorld) -> None:
    jobs.github.runs[0].reads_until_done = 10**6
    variables, folder = jobs.environment("release", phase="wait-for-ci")
    with subprocess.Popen(
        [sys.executable, "-P", "-m", "flotilla", "release"],
        env=variables,
        cwd=jobs.workspace,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout is not None
        said = ""
        while "waiting for " not in said:
            line = process.stdout.readline()
            assert line, said
            said += line
        process.send_signal(signal.SIGTERM)
        rest, _ = process.communicate(timeout=30)
    done = ended(process.returncode, said + rest, folder)
    assert done.status == 1
    assert "the job was cancelled" in done.error.text
    assert done.error.title == CancelledError.title
    assert "Nothing was written." in done.error.text
    assert "Traceback" not in done.log


@pytest.mark.parametrize(("server", "transfers"), [("blobs", 4), ("uploads", 10)])
def test_a_job_cancelled_in_its_transfers_ends_them_begins_none_and_leaves_nothing(
    jobs: JobWorld, server: str, transfers: int
) -> None:
    plan, started = jobs.world.plan, threading.Semaphore(0)

    def stall(request: Request, phase: Phase) -> None:
        if request.server == server and phase == "before":
            request.fault = Kind.STALL
            started.release()

    variables, folder = jobs.environment("release")
    with (
        patch.object(plan, "on_request", stall),
        patch.object(plan, "stall_seconds", 600),
        subprocess.Popen(
            [sys.executable, "-P", "-m", "flotilla", "release"],
            env=variables,
            cwd=jobs.workspace,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process,
    ):
        for _ in range(min(WORKERS, transfers)):
            assert started.acquire(timeout=60)
        arrived = len(plan.requests)
        process.send_signal(signal.SIGTERM)
        said, _ = process.communicate(timeout=30)
    done = ended(process.returncode, said, folder)
    assert done.status == 1
    assert "the job was cancelled" in done.error.text
    assert "Traceback" not in done.log
    assert len(plan.requests) == arrived
    assert list(Path(variables["RUNNER_TEMP"]).iterdir()) == []


NPM = """\
#!{python}
import os, subprocess, sys, time
if sys.argv[1] != "publish":
    print("11.17.0")
    sys.exit()
child = subprocess.Popen(["sleep", "600"])
with open("{started}", "w") as file:
    file.write(f"{{os.getpid()}} {{child.pid}}\\n")
time.sleep(600)
"""


def test_a_job_cancelled_while_npm_publishes_ends_npm_and_all_that_it_started(
    released: JobWorld, tmp_path: Path
) -> None:
    npm, started = tmp_path / "bin" / "npm", tmp_path / "started"
    npm.parent.mkdir()
    npm.write_text(NPM.format(python=sys.executable, started=started), encoding="utf-8")
    npm.chmod(0o755)
    os.mkfifo(started)
    variables, folder = released.environment("publish-platform", platform="linux-x64", run_id=str(released.run_id))
    with subprocess.Popen(
        [sys.executable, "-P", "-m", "flotilla", "publish-platform"],
        env={**variables, "PATH": f"{npm.parent}:{variables['PATH']}"},
        cwd=released.workspace,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        processes = [int(number) for number in started.read_text(encoding="utf-8").split()]
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGTERM)
        said, _ = process.communicate(timeout=30)
    done = ended(process.returncode, said, folder)
    assert done.status == 1
    assert done.error.title == CancelledError.title
    assert "started, not confirmed: @acme/chroma-linux-x64\n" in done.error.text
    assert "not done: @acme/chroma-linux-x64-non-free\n" in done.error.text
    assert done.log.splitlines()[-1].startswith("::error ")
    for word in ("Next: ", "publish-meta"):
        assert word not in done.summary
    assert done.summary.count(RESUMES) == 1
    assert [number for number in processes if _runs(number)] == []
    assert list(Path(variables["RUNNER_TEMP"]).iterdir()) == []


def _runs(number: int) -> bool:
    """Return whether a process is there and not a zombie, which nobody has waited for yet."""
    try:
        return "State:\tZ" not in Path(f"/proc/{number}/status").read_text(encoding="utf-8")
    except OSError:
        return False


def test_a_defect_ends_with_70_and_its_traceback_in_a_group_without_secrets(jobs: JobWorld) -> None:
    defect = RuntimeError("npm_rehearsal and ghs_rehearsal are in this message")
    with patch("flotilla.jobs.prepare.render_all", side_effect=defect):
        done = jobs.run("release")
    assert done.status == 70
    lines = done.log.splitlines()
    begin = next(number for number, line in enumerate(lines) if line.startswith("::group::Traceback"))
    end = lines.index("::endgroup::")
    assert lines[begin + 1] == "Traceback (most recent call last):"
    assert "RuntimeError: *** and *** are in this message" in lines[begin:end]
    assert not [line for line in lines[end:] if "Traceback" in line]
    assert done.error.title == DefectError.title
    assert "RuntimeError" in done.error.text
    assert NOTHING_WRITTEN in done.error.text
    masks = ("::add-mask::npm_rehearsal", "::add-mask::ghs_rehearsal")
    assert not [line for line in lines if "_rehearsal" in line and line not in masks]


@pytest.mark.npm
def test_a_registry_that_fails_past_the_deadline_says_how_to_resume(released: JobWorld) -> None:
    fault = PlannedFault(kind=Kind.TOO_MANY, label="registry PUT /@acme/chroma-dev", times=99, retry_after=3600)
    released.world.plan.start([fault])
    before = released.world.snapshot()
    done = released.dev()
    assert done.status == 1, done.log
    assert done.error.title == DeadlineError.title
    assert "publish @acme/chroma-dev@1.2.3: " in done.error.text
    assert "3600 s" in done.error.text
    assert released.clock.slept == []
    assert released.world.snapshot() == before
    released.world.plan.start()
    assert released.dev().statuses == {"@acme/chroma-dev": "published"}


def test_nothing_of_a_job_stays_in_the_temporary_folder(released: JobWorld, tmp_path: Path) -> None:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    variables, _ = released.environment("publish-meta")
    subprocess.run(
        [sys.executable, "-P", "-m", "flotilla", "publish-meta"],
        env={**variables, "TMPDIR": str(temporary), "RUNNER_TEMP": str(temporary)},
        cwd=released.workspace,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=False,
    )
    assert not list(temporary.iterdir())
