"""The only place that prints or exits: job name → inputs → job → outputs and exit status."""

from __future__ import annotations

import errno
import os
import resource
import signal
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from types import FrameType
from typing import Any

from flotilla.commands.job_options import with_options
from flotilla.errors import FlotillaError
from flotilla.jobs.inputs import DevInputs, Inputs, MetaInputs, PlatformInputs, ReleaseInputs, variable
from flotilla.jobs.job import Job, open_job
from flotilla.jobs.publish_dev import publish_dev
from flotilla.jobs.publish_meta import publish_meta
from flotilla.jobs.publish_platform import publish_platform
from flotilla.jobs.release_phases import release_phases
from flotilla.jobs.release_report import stopped
from flotilla.runner import Runner, temporary_folders

RESUMES = "What is done stays done; a re-run goes on from there."
REFUSED = 1
DEFECT = 70  # EX_SOFTWARE of sysexits.h
FULL = (errno.ENOSPC, errno.EDQUOT)
FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)
STOPPING = (signal.SIGINT, signal.SIGTERM)

JOBS: Mapping[str, tuple[type[Inputs], Callable[[Job[Any]], None]]] = {
    "release": (ReleaseInputs, release_phases),
    "publish-platform": (PlatformInputs, publish_platform),
    "publish-dev": (DevInputs, publish_dev),
    "publish-meta": (MetaInputs, publish_meta),
}
SECRETS = (
    *(variable(name) for name in ("github-token", "npm-token")),
    *("GITHUB_TOKEN", "NODE_AUTH_TOKEN", "NPM_TOKEN", "NPM_ID_TOKEN", "ACTIONS_ID_TOKEN_REQUEST_TOKEN"),
    *("ACTIONS_RUNTIME_TOKEN", "SIGSTORE_ID_TOKEN"),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one job or command; return its exit status."""
    runner = Runner(os.environ, sys.stdout)
    for name in SECRETS:
        runner.mask(os.environ.get(name, ""))
    try:
        # What is in memory is secret: it must not lie in a core file, npm's neither.
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        for stopping in STOPPING:
            signal.signal(stopping, _stop)
        with temporary_folders(os.environ):
            return run(list(sys.argv[1:] if arguments is None else arguments), os.environ, runner)
    except FlotillaError as failure:
        return _stopped(runner, failure, REFUSED, summary=not runner.summarized)
    except KeyboardInterrupt:
        return _stopped(runner, FlotillaError("the job was cancelled", advice=RESUMES), REFUSED)
    except Exception as defect:  # noqa: BLE001 - whatever it is, its reader gets an annotation and the way to report it
        if isinstance(defect, OSError) and defect.errno in FULL:
            return _stopped(runner, _no_room(defect), REFUSED)
        if isinstance(defect, OSError) and defect.errno in FORBIDDEN:
            return _stopped(runner, _not_permitted(defect), REFUSED)
        with runner.group("Traceback, for a report to flotilla"):
            runner.line(traceback.format_exc())
        return _stopped(runner, _defect(defect), DEFECT)


def run(arguments: Sequence[str], environment: Mapping[str, str], runner: Runner) -> int:
    """Run what the first argument names."""
    name = arguments[0] if arguments else ""
    if name not in JOBS:
        # Only when a person asks: the jobs in the image need none of it.
        from flotilla.commands import command_line  # noqa: PLC0415

        return command_line.run(arguments, environment, runner)
    kind, job = JOBS[name]
    with open_job(kind, with_options(kind, arguments, environment), runner) as opened:
        job(opened)
    return 0


def _stopped(runner: Runner, failure: FlotillaError, status: int, *, summary: bool = True) -> int:
    """The exit status, once the annotation and, on a runner, the job summary say what stopped the job."""
    runner.error(failure)
    if summary and runner.summarizes:
        with suppress(OSError):  # the annotation stands; where the disk is full, this may not fit
            runner.summary(stopped(failure))
    return status


def _no_room(failure: OSError) -> FlotillaError:
    return FlotillaError(
        f"the disk of this machine is full ({failure.strerror}: {failure.filename or 'its temporary folder'})",
        advice=f"Free space in a step before, or take a larger runner. {RESUMES}",
    )


def _not_permitted(failure: OSError) -> FlotillaError:
    return FlotillaError(
        f"this machine does not permit it ({failure.strerror}: {failure.filename or 'a file or folder'})",
        advice=f"Let the job's user read and write there. {RESUMES}",
    )


def _defect(defect: Exception) -> FlotillaError:
    return FlotillaError(
        f"a defect of flotilla: {type(defect).__name__}",
        advice="The log group above holds the traceback; please report it. A re-run goes on from what is done.",
    )


def _stop(_signal: int, _frame: FrameType | None) -> None:
    # The runner sends the one, and seconds later the other: what is put in order meanwhile is not to be interrupted.
    for stopping in STOPPING:
        signal.signal(stopping, signal.SIG_IGN)
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
