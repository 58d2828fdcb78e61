"""A user's repository in a simulated world; its jobs run in this process, and their results are read back."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
from tests.conftest import RecordedClock
from tests.simulator.memory import RegistryState
from tests.simulator.world import Rehearsal
from tests.world.ended import Annotation, Ended, ended, in_process

from flotilla.rehearsal.github import GitHubState
from flotilla.rehearsal.registry import Cached, integrity_of

VERSION = "1.2.3"
TOKEN = "npm_rehearsal"  # noqa: S105 - the rehearsal's own, worth nothing


@dataclass(frozen=True, kw_only=True)
class JobWorld:
    """A family's repository, its state on GitHub and the registry, and its jobs.

    Args:
        world: GitHub and the registry.
        workspace: the checked-out repository, this test's own.
        clock: of the jobs and of the world; it jumps instead of sleeping.
        run_id: CI's run.
        variables: what every job has besides what the runner gives it.
    """

    world: Rehearsal
    workspace: Path
    clock: RecordedClock
    run_id: int
    variables: Mapping[str, str]

    @property
    def github(self) -> GitHubState:
        """Return GitHub's state, which a test may change before a job runs."""
        return self.world.github.state

    @property
    def registry(self) -> RegistryState:
        """Return the registry's state, which a test may change before a job runs."""
        return self.world.registry.state

    def edit(self, file: str, change: Callable[[str], str]) -> None:
        """Change a file of the repository; raise if nothing changes, which is a mistake in the test."""
        path = self.workspace / file
        before = path.read_text(encoding="utf-8")
        after = change(before)
        assert after != before, f"{file} is unchanged"
        path.write_text(after, encoding="utf-8")

    def manifest(self, template: str, **fields: object) -> None:
        """Add fields to a template's package.json."""
        self.edit(f"{template}/package.json", lambda text: json.dumps({**json.loads(text), **fields}, indent=2))

    def environment(self, action: str, *, id_token: bool = False, **inputs: str) -> tuple[dict[str, str], Path]:
        """Return a job's variables, and the folder where it leaves its outputs and its summary.

        Args:
            id_token: whether the job has `id-token: write`.
            inputs: by their names, with underscores; npm-token is the registry's own unless it is given.
        """
        given = {"version": VERSION, "registry": self.world.registry.url, "npm_token": TOKEN, **inputs}
        made = self.world.environment(
            action,
            workspace=self.workspace,
            inputs={name.replace("_", "-"): value for name, value in given.items()},
            id_token=id_token,
        )
        # The real npm, started faster: its compiled code is kept between two runs.
        return {**made.variables, **self.variables}, made.folder

    def run(self, action: str, *, id_token: bool = False, **inputs: str) -> Ended:
        """Run a job to its end."""
        variables, folder = self.environment(action, id_token=id_token, **inputs)
        status, log, _ = in_process([action], variables, self.clock)
        return ended(status, log, folder, name=action)

    def platform(self, platform: str = "linux-x64", **more: Any) -> Ended:
        """Run action-publish-platform."""
        return self.run("publish-platform", **{"platform": platform, "run_id": str(self.run_id), **more})

    def dev(self, **more: Any) -> Ended:
        """Run action-publish-dev."""
        return self.run("publish-dev", **{"run_id": str(self.run_id), **more})

    def everything(self, **more: Any) -> list[Ended]:
        """Run every publishing job, in order."""
        platforms = [self.platform(name, **more) for name in ("linux-x64", "linux-x64-musl")]
        return [*platforms, self.dev(**more), self.run("publish-meta", **more)]

    def refused(self, action: str, **inputs: Any) -> Annotation:
        """Run a job that must be refused and change nothing; return its error."""
        before = self.world.snapshot()
        done = self.run(action, **inputs)
        assert done.status == 1, done.log
        assert "Traceback" not in done.log + done.summary
        assert self.world.snapshot() == before
        assert done.error.text.strip()
        return done.error

    def put(self, tarball: bytes, *, tag: str = "latest") -> None:
        """Publish a tarball as somebody else."""
        manifest = json.loads(unpacked(tarball)["package.json"])
        name, version = manifest["name"], manifest["version"]
        attachment = {"data": base64.b64encode(tarball).decode(), "length": len(tarball)}
        dist = {
            "integrity": integrity_of(tarball),
            "shasum": hashlib.sha1(tarball, usedforsecurity=False).hexdigest(),
            "tarball": f"{self.world.registry.url}{name}/-/{name.rpartition('/')[2]}-{version}.tgz",
        }
        document = {
            "_id": name,
            "name": name,
            "dist-tags": {tag: version},
            "versions": {version: {**manifest, "_id": f"{name}@{version}", "dist": dist}},
            "access": "public",
            "_attachments": {f"{name}-{version}.tgz": attachment},
        }
        address = f"{self.world.registry.url}{name.replace('/', '%2f')}"
        answer = requests.put(address, json=document, headers={"Authorization": f"Bearer {TOKEN}"}, timeout=10)
        answer.raise_for_status()

    def put_version(self, name: str, version: str, *, tag: str = "latest") -> None:
        """Publish another version of a package as somebody else."""
        self.put(packed({"package.json": json.dumps({"name": name, "version": version}).encode()}), tag=tag)

    def hide(self, name: str, *, seconds: float) -> None:
        """Hide a package from `npm install` for this long, as a cache would."""
        self.registry.cache_seconds = seconds
        self.registry.cache[f"/{name.replace('/', '%2F')} True"] = Cached(
            status=404, body=b'{"error": "Not found"}', content_type="application/json", stored=self.clock.now()
        )

    def published(self, name: str, version: str = VERSION) -> bytes:
        """Return the registry's tarball."""
        document = requests.get(f"{self.world.registry.url}{name.replace('/', '%2f')}", timeout=10).json()
        return requests.get(document["versions"][version]["dist"]["tarball"], timeout=10).content


def unpacked(tarball: bytes) -> dict[str, bytes]:
    """Return a tarball's files below package/."""
    with tarfile.open(fileobj=io.BytesIO(tarball)) as tar:
        members = {member.name.removeprefix("package/"): tar.extractfile(member) for member in tar if member.isfile()}
        return {name: stream.read() for name, stream in members.items() if stream}


def packed(files: Mapping[str, bytes], modes: Mapping[str, int] | None = None) -> bytes:
    """Return a tarball with these files below package/."""
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w:gz", compresslevel=1) as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(f"package/{name}")
            member.size, member.mode = len(content), (modes or {}).get(name, 0o644)
            tar.addfile(member, io.BytesIO(content))
    return sink.getvalue()


def repacked(tarball: bytes) -> bytes:
    """Return the same tar, compressed at another level."""
    return gzip.compress(gzip.decompress(tarball), 1, mtime=0)
