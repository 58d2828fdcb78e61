"""Run the npm command: each call in its own private, temporary folder, with a time limit."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from flotilla.errors import InputError, RegistryError
from flotilla.npm.cli import (
    ANSWERS,
    ID_TOKEN_BEARER,
    NpmAnswer,
    PublishRequest,
    Staged,
    Token,
    configured_environment,
    is_stage_id,
    npmrc,
    observed_environment,
    parse_answer,
    parse_staged,
    private_environment,
    publish_arguments,
    publish_environment,
    stage_list_arguments,
)
from flotilla.npm.errors import Context, Kind, explain
from flotilla.npm.registry import registry_url
from flotilla.retry import TransientError, retry_after
from flotilla.text import plain, redact

# `npm stage publish` came with 11.15; flotilla uses the flags and errors of 11.17.
OLDEST = (11, 17, 0)
SMALL_CALL = 120.0
REQUEST_TIMEOUT = 300.0

Run = Callable[..., "subprocess.CompletedProcess[str]"]


class Npm:
    """The npm CLI.

    Args:
        executable: npm, or node and the path of npm-cli.js.
        environment: the job's; npm gets only what it needs of it.
        run: runs a command as `run_group` does.
    """

    def __init__(
        self, *, executable: tuple[str, ...] = ("npm",), environment: Mapping[str, str], run: Run | None = None
    ) -> None:
        self._executable = executable
        self._environment = {"NODE_COMPILE_CACHE": compile_cache(self)} | dict(environment)
        self._run = run or run_group

    def version(self) -> str:
        """Return the version of npm.

        Raises:
            RegistryError: npm is missing, broken or older than 11.17.
        """
        said = installed_version(self._executable, path=self._environment.get("PATH", "")) or self._said_version()
        found = re.match(r"(\d+)\.(\d+)\.(\d+)", said)
        if not found:
            raise RegistryError(
                f'npm --version printed "{plain(said, longest=80)}".', advice="Install npm 11.17 or newer."
            )
        if tuple(map(int, found.groups())) < OLDEST:
            raise RegistryError(
                f"npm is {said}; flotilla needs 11.17 or newer.", advice="Run: npm install -g npm@latest"
            )
        return said

    def _said_version(self) -> str:
        with private_folder() as folder:
            environment = private_environment(self._environment, folder=folder)
            return self._small(["--version"], environment=environment, folder=folder)

    def configured_registry(self, folder: Path) -> str:
        """Return the registry that npm is configured for in one of the user's folders, with a slash at its end."""
        with private_folder() as private:
            # npm reads its configuration from the home folder, but writes nothing there.
            written = {"cache": str(private / "cache"), "logs_max": "0", "update_notifier": "false"}
            environment = configured_environment(self._environment)
            environment |= {f"npm_config_{setting}": value for setting, value in written.items()}
            said = self._small(["config", "get", "registry"], environment=environment, folder=folder)
        try:
            return registry_url(said.splitlines()[-1] if said else "")
        except InputError as error:
            raise RegistryError(
                [f"npm's configuration: {plain(redact(str(fault)), longest=300)}" for fault in error.faults],
                advice=f"Set the input registry, or correct .npmrc. {error.advice}",
            ) from error

    def publish(self, request: PublishRequest, *, timeout: float, sigstore_token: str = "") -> NpmAnswer:
        """Run npm to publish one tarball; a refusal is an answer, not an error.

        Args:
            request: what to publish.
            timeout: seconds after which npm and everything that it started is killed.
            sigstore_token: the job's id-token for sigstore, if a token publishes with provenance.
        """
        with private_folder() as folder:
            environment = publish_environment(self._environment, request, folder=folder, sigstore_token=sigstore_token)
            write_credential(folder, request)
            arguments = publish_arguments(
                request, tarball=place(request.package.path, folder), timeout=min(REQUEST_TIMEOUT, timeout)
            )
            status, stdout, stderr = self._outcome(arguments, environment, folder, timeout)
            return self._answer(status, stdout, stderr, folder, self._secrets(request, sigstore_token))

    def staged(self, request: PublishRequest) -> tuple[Staged, ...]:
        """Return a package's staged versions; () if the credential cannot list them (an id-token never can).

        Raises:
            TransientError: the registry did not answer; another try may succeed.
        """
        if not isinstance(request.credential, Token):
            return ()
        with private_folder() as folder:
            environment = observed_environment(self._environment, folder=folder)
            write_credential(folder, request)
            arguments = stage_list_arguments(request.package.name, registry=request.registry)
            status, stdout, stderr = self._outcome(arguments, environment, folder, SMALL_CALL)
            answer = self._answer(status, stdout, stderr, folder, self._secrets(request, ""))
        if not answer.ok:
            cause = explain(answer, Context(name=request.package.name, registry=request.registry, trusted=False))
            if cause.kind in {Kind.RETRY, Kind.READ_BACK}:
                raise TransientError(cause.words, after=retry_after(answer.after, now=time.time()))
        return tuple(
            Staged(
                id=str(item["id"]),
                version=str(item["version"]),
                shasum=str(item.get("shasum", "")),
                tag=plain(str(item.get("tag") or ""), longest=100),
            )
            for item in (parse_staged(stdout) if answer.ok else [])
            if item.get("packageName") == request.package.name and is_stage_id(item.get("id")) and "version" in item
        )

    def _answer(self, status: int | None, stdout: str, stderr: str, folder: Path, secrets: Sequence[str]) -> NpmAnswer:
        observed = folder / ANSWERS
        return parse_answer(
            exit_status=status,
            stdout=stdout,
            stderr=stderr,
            observed=observed.read_text("utf-8", "replace") if observed.exists() else "",
            secrets=secrets,
        )

    def _outcome(
        self, arguments: Sequence[str], environment: Mapping[str, str], folder: Path, timeout: float
    ) -> tuple[int | None, str, str]:
        argv = [*self._executable, *arguments]
        try:
            done = self._run(argv, env=environment, cwd=folder, timeout=timeout)
        except subprocess.TimeoutExpired as late:
            return None, _text(late.stdout), _text(late.stderr)
        except OSError as error:
            raise _missing(error) from error
        return done.returncode, done.stdout, done.stderr

    def _small(self, arguments: Sequence[str], *, environment: Mapping[str, str], folder: Path) -> str:
        status, stdout, stderr = self._outcome(arguments, environment, folder, SMALL_CALL)
        if status != 0:
            raise RegistryError(
                f"npm {' '.join(arguments)} failed: {plain(redact(stderr), longest=300) or 'it did not finish'}",
                advice="Check npm's installation and .npmrc.",
            )
        return plain(stdout)

    def _secrets(self, request: PublishRequest, sigstore_token: str) -> tuple[str, ...]:
        given = request.credential.value if isinstance(request.credential, Token) else ""
        return given, sigstore_token, self._environment.get(ID_TOKEN_BEARER, "")


def installed_version(executable: Sequence[str], *, path: str) -> str:
    """Return the version in the manifest of an installed npm, without starting it; empty if a wrapper starts it.

    Args:
        executable: npm, or node and the path of npm-cli.js.
        path: where programs are looked for.
    """
    found = [shutil.which(program, path=path) or program for program in (*executable, "node")]
    script = Path(found[len(executable) - 1]).resolve()
    try:
        manifest = json.loads((script.parents[1] / "package.json").read_bytes())
    except (OSError, ValueError, IndexError):
        return ""
    ours = isinstance(manifest, dict) and manifest.get("name") == "npm" and script.name == "npm-cli.js"
    return str(manifest.get("version", "")) if ours and Path(found[-1]).is_absolute() else ""


def _missing(error: OSError) -> RegistryError:
    return RegistryError(f"npm cannot be started: {error.strerror}.", advice="Install npm 11.17 or newer.")


def _text(stream: str | bytes | None) -> str:
    return stream.decode("utf-8", "replace") if isinstance(stream, bytes) else stream or ""


# npm could take the tarball's own name for an option, a URL or a package's name.
LINK = "package.tgz"


def run_group(
    argv: Sequence[str], *, env: Mapping[str, str], cwd: Path, timeout: float
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end; kill it and everything that it started after the timeout, or if the job is stopped.

    `subprocess.run` would kill only npm itself; if that is a wrapper, the node process below would continue publishing.
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
    """Create a temporary folder for node's compiled code, so that later publishes take a third of the time.

    npm would use TMPDIR, which is new for each publish.
    """
    folder = tempfile.mkdtemp(prefix="flotilla-node-")
    weakref.finalize(owner, shutil.rmtree, folder, ignore_errors=True)
    return folder


@contextmanager
def private_folder() -> Iterator[Path]:
    """Create a temporary folder that only this user can enter (tempfile uses mode 0700)."""
    with tempfile.TemporaryDirectory(prefix="flotilla-npm-", ignore_cleanup_errors=True) as folder:
        yield Path(folder).resolve()


def write_credential(folder: Path, request: PublishRequest) -> None:
    if isinstance(request.credential, Token):
        handle = os.open(folder / "npmrc", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w") as file:
            file.write(npmrc(request.registry, request.credential.value))


def place(tarball: Path, folder: Path) -> str:
    """Link the tarball into npm's folder, and return a path that reveals nothing about this machine.

    npm writes the tarball's absolute path into the public manifest (`_resolved`). Through /proc/self/cwd it is the
    same everywhere; a system without /proc shows a temporary folder's name.
    """
    (folder / LINK).symlink_to(tarball.resolve())
    return f"/proc/self/cwd/{LINK}" if Path("/proc/self/cwd").exists() else f"./{LINK}"
