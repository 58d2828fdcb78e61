"""Running npm: in a folder of its own, with its credential beside it, and to its end or death."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import weakref
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from flotilla.npm.command import npmrc
from flotilla.npm.request import PublishRequest, Token

# Whatever the tarball is called: no name of it can be taken for an option, a URL or the name of a package.
LINK = "package.tgz"


def run_group(
    argv: Sequence[str], *, env: Mapping[str, str], cwd: Path, timeout: float
) -> subprocess.CompletedProcess[str]:
    """Runs a command to its end; past the timeout, or where we are stopped, it and all that it started is killed.

    `subprocess.run` would kill npm alone, and where npm is a wrapper the node below it would go on publishing.
    """
    with subprocess.Popen(
        argv,
        env=dict(env),
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        errors="replace",
        start_new_session=True,
    ) as process:
        try:
            stdout, stderr = process.communicate(timeout=timeout)
        except BaseException:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            raise
    return subprocess.CompletedProcess(list(argv), process.returncode, stdout, stderr)


def compile_cache(owner: object) -> str:
    """A folder for node's compiled code, gone with its owner; it takes two thirds off each publish after the first.

    npm would keep it below TMPDIR, which is new for each publish.
    """
    folder = tempfile.mkdtemp(prefix="flotilla-node-")
    weakref.finalize(owner, shutil.rmtree, folder, ignore_errors=True)
    return folder


@contextmanager
def private_folder() -> Iterator[Path]:
    """A folder that only this user may enter (tempfile makes it 0700), gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="flotilla-npm-", ignore_cleanup_errors=True) as folder:
        yield Path(folder).resolve()


def write_credential(folder: Path, request: PublishRequest) -> None:
    if isinstance(request.credential, Token):
        handle = os.open(folder / "npmrc", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w") as file:
            file.write(npmrc(request.registry, request.credential.value))


def place(tarball: Path, folder: Path) -> str:
    """Links the tarball into npm's folder, and names it so that the published manifest tells nothing of this machine.

    npm writes the tarball's absolute path into the public manifest (`_resolved`). By /proc/self/cwd it is the same
    everywhere; a system without /proc shows the name of a temporary folder.
    """
    (folder / LINK).symlink_to(tarball.resolve())
    return f"/proc/self/cwd/{LINK}" if Path("/proc/self/cwd").exists() else f"./{LINK}"
