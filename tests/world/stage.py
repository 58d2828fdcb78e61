"""A small family in a rehearsed world: its jobs run as processes, and all that they wrote is kept to be searched."""

from __future__ import annotations

import base64
import gc
import hashlib
import io
import json
import os
import signal
import stat
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tests.simulator.memory import RegistryState
from tests.simulator.world import Rehearsal
from tests.world.ended import Ended, in_process
from tests.world.ended import ended as end_of

import flotilla
from flotilla.rehearsal.github import GitHubState, Run
from flotilla.rehearsal.job_environment import JobEnvironment
from flotilla.rehearsal.node import node, npm_script
from flotilla.rehearsal.registry import Accepted

PLATFORMS = {"linux-x64": "tool.so", "darwin-x64": "tool.dylib"}
PACKAGES = ("@acme/tool", "@acme/tool-dev", *(f"@acme/tool-{platform}" for platform in PLATFORMS))
CONFIG = """\
schema: 1
family: "@acme/tool"
platforms: [linux-x64, darwin-x64]
ci:
  workflow: ci.yml
  artifact: "tool-{build}"
  archive: "*.tar.gz"
packages:
  platform: {files: ["lib/*"]}
  dev: {files: ["include/**"]}
  meta: {template: npm/meta}
release:
  assets: ["*.tar.gz", "*.sha256"]
publish:
  pause-seconds: 0
"""
SECONDS = 120

# Stands before the real npm: notes its arguments, and keeps what npm wrote in its private folder before that is gone.
WRAPPER = """\
#!{python} -IS
import json, os, pathlib, resource, shutil, stat, subprocess, sys
kept = pathlib.Path({kept!r}) / f"{{os.getpid()}}"
kept.mkdir(parents=True)
done = subprocess.run([{node!r}, {npm!r}, *sys.argv[1:]])
seen = {{"argv": sys.argv, "modes": {{}}, "core": resource.getrlimit(resource.RLIMIT_CORE)}}
private = pathlib.Path.cwd()
if private.name.startswith("flotilla-npm-"):
    seen["modes"]["."] = stat.S_IMODE(private.stat().st_mode)
    for path in private.rglob("*"):
        if path.is_symlink() or not path.is_file():
            continue
        name = str(path.relative_to(private))
        seen["modes"][name] = stat.S_IMODE(path.stat().st_mode)
        if name != "npmrc":
            copy = kept / "private" / name
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copy)
(kept / "seen.json").write_text(json.dumps(seen))
sys.exit(done.returncode)
"""


def elf() -> bytes:
    """Return the least of a shared library for x64 Linux: a header that says so."""
    head = b"\x7fELF\x02\x01\x01" + bytes(9)
    fields = [
        (3, 2),
        (62, 2),
        (1, 4),
        (0, 8),
        (0, 8),
        (0, 8),
        (0, 4),
        (64, 2),
        (56, 2),
        (0, 2),
        (64, 2),
        (0, 2),
        (0, 2),
    ]
    return head + b"".join(value.to_bytes(size, "little") for value, size in fields)


def macho() -> bytes:
    """Return the least of a shared library for x64 macOS, which needs no signature."""
    return b"".join(v.to_bytes(4, "little") for v in (0xFEEDFACF, 0x01000007, 0, 6, 0, 0, 0, 0))


def artifact(platform: str, files: Mapping[str, bytes] | None = None) -> dict[str, bytes]:
    """Return what CI uploads for a platform: an archive, and its sha256."""
    binary = elf() if platform.startswith("linux") else macho()
    held = files or {f"lib/{PLATFORMS[platform]}": binary, "include/tool.h": b"int tool(void);\n"}
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for name, data in held.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    name, data = f"tool-{platform}.tar.gz", packed.getvalue()
    return {name: data, f"{name}.sha256": f"{hashlib.sha256(data).hexdigest()}  {name}\n".encode()}


def github_state(**more: str) -> tuple[GitHubState, Run]:
    """Return GitHub with one successful CI run that has every artifact."""
    state = GitHubState(repository="acme/tool", **more)  # type: ignore[arg-type] # checked by the dataclass
    run = state.add_run(workflow="ci.yml")
    for platform in PLATFORMS:
        state.add_artifact(run, f"tool-{platform}", artifact(platform))
    return state, run


@dataclass(kw_only=True)
class Stage:
    """Where jobs run: a world, a checked-out repository, and a place for what npm wrote.

    Args:
        inputs: of every job.
        cmdlines: the arguments of every process that a job started, as far as they were seen.
    """

    world: Rehearsal
    workspace: Path
    kept: Path
    inputs: dict[str, str] = field(default_factory=dict)
    ended: list[Ended] = field(default_factory=list)
    cmdlines: set[str] = field(default_factory=set)

    def run(
        self,
        job: str,
        inputs: Mapping[str, str] | None = None,
        *,
        variables: Mapping[str, str] | None = None,
        id_token: bool = True,
        meanwhile: Callable[[subprocess.Popen[str]], None] = lambda _process: None,
    ) -> Ended:
        """Run a job to its end."""
        made, environment = self._prepared(job, inputs, variables, id_token=id_token)
        with subprocess.Popen(
            [sys.executable, "-P", "-m", "flotilla", job],
            env=environment, cwd=self.workspace, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        ) as process:  # fmt: skip
            watcher = threading.Thread(target=self._watch, args=(process,))
            watcher.start()
            try:
                meanwhile(process)
                stdout, stderr = process.communicate(timeout=SECONDS)
            finally:
                process.kill()
                watcher.join()
        return self._kept(job, made, process.returncode, stdout, stderr)

    def run_here(
        self, job: str, inputs: Mapping[str, str] | None = None, *, variables: Mapping[str, str] | None = None
    ) -> Ended:
        """Run a job to its end in this process: its words are the same, and it starts sooner."""
        made, environment = self._prepared(job, inputs, variables)
        status, out, errors = in_process([job], environment)
        gc.collect()  # at the latest, folders go with the objects that they belong to when the process ends
        return self._kept(job, made, status, out, errors)

    def _prepared(
        self,
        job: str,
        inputs: Mapping[str, str] | None,
        variables: Mapping[str, str] | None,
        *,
        id_token: bool = True,
    ) -> tuple[JobEnvironment, dict[str, str]]:
        given = {**self.inputs, **(inputs or {})}
        made = self.world.environment(job, workspace=self.workspace, inputs=given, id_token=id_token)
        (made.folder / "tmp").mkdir()
        return made, {
            **made.variables,
            "PATH": f"{self._npm()}:{made.variables['PATH']}",
            "TMPDIR": str(made.folder / "tmp"),
            "PYTHONPATH": str(Path(flotilla.__file__).parents[1]),
            **(variables or {}),
        }

    def _kept(self, job: str, made: JobEnvironment, status: int, stdout: str, stderr: str) -> Ended:
        ledger = self._ledger(made.outputs())
        ended = end_of(status, stdout, made.folder, name=job, stderr=stderr, ledger=ledger)
        self.ended.append(ended)
        return ended

    def release(self, *, draft: bool = True) -> dict[str, Ended]:
        """Return every job of a release, in order; each must succeed."""
        done = {"release": self.succeed("release", {"draft": str(draft).lower()})}
        run = {"run-id": done["release"].outputs["run-id"]}
        for platform in PLATFORMS:
            done[platform] = self.succeed("publish-platform", {"platform": platform, **run})
        done["dev"] = self.succeed("publish-dev", run)
        done["meta"] = self.succeed("publish-meta")
        if draft:
            done["finish"] = self.succeed("release", {"phase": "finish", **run})
        return done

    def succeed(self, job: str, inputs: Mapping[str, str] | None = None) -> Ended:
        ended = self.run(job, inputs)
        assert ended.status == 0, ended.log + ended.stderr
        return ended

    def written(self) -> Iterator[tuple[str, bytes]]:
        """Yield all that the jobs wrote, and where it stood, except masks, which the runner takes out of its log."""
        for ended in self.ended:
            lines = [line for line in ended.log.splitlines() if not line.startswith("::add-mask::")]
            yield f"stdout of {ended.name}", "\n".join(lines).encode()
            yield f"stderr of {ended.name}", ended.stderr.encode()
        for folder in filter(Path.is_dir, (self.workspace, self.kept, self.world.folder / "jobs")):
            for path in folder.rglob("*"):
                yield f"the name of {path}", str(path).encode()
                if path.is_file():
                    yield str(path), path.read_bytes()
        yield "arguments of processes", "\n".join(self.cmdlines).encode()

    def npm_seen(self) -> list[dict[str, object]]:
        """Return what the wrapper noted of each npm that ran to its end."""
        return [json.loads(path.read_text()) for path in sorted(self.kept.glob("*/seen.json"))]

    def _ledger(self, outputs: Mapping[str, str]) -> Any:
        named = outputs.get("ledger")
        return json.loads((self.workspace / named).read_text()) if named else None

    def _npm(self) -> Path:
        folder = self.kept.parent / "npm-wrapper"
        script = folder / "npm"
        if not script.exists():
            folder.mkdir()
            text = WRAPPER.format(python=sys.executable, kept=str(self.kept), node=str(node()), npm=str(npm_script()))
            script.write_text(text)
            script.chmod(script.stat().st_mode | stat.S_IXUSR)
        return folder

    def _watch(self, process: subprocess.Popen[str]) -> None:
        while process.poll() is None:
            for pid in below(process.pid):
                self.cmdlines.add(cmdline(pid))
            time.sleep(0.01)


def below(root: int) -> list[int]:
    """Return a process and all that it started, directly or not."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
    found = [root]
    for pid in found:
        found += [child for child, parent in parents.items() if parent == pid]
    return found


def cmdline(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


def state_of(pid: int) -> str:
    """Return R, S, Z, …; empty for a process that is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return ""


def stop(process: subprocess.Popen[str]) -> None:
    """Stop a process as `docker stop` does first."""
    os.kill(process.pid, signal.SIGTERM)


def seed(state: RegistryState) -> None:
    """Make the family's packages known: trusted publishing takes no new name."""
    for name in PACKAGES:
        integrity = "sha512-" + base64.b64encode(hashlib.sha512(name.encode()).digest()).decode()
        dist = {"integrity": integrity, "shasum": "0" * 40, "tarball": ""}
        state.documents[name] = {
            "_id": name,
            "name": name,
            "versions": {"0.1.0": {"name": name, "version": "0.1.0", "dist": dist}},
            "time": {"created": "2026-01-01T00:00:00.000Z", "modified": "2026-01-01T00:00:00.000Z"},
            "dist-tags": {"latest": "0.1.0"},
            "readme": "",
        }
        accepted = Accepted(name=name, version="0.1.0", integrity=integrity, tag="latest", provenance=None)
        state.tags[name] = {"latest": "0.1.0"}
        state.published[name] = {"0.1.0": accepted}


def make_workspace(folder: Path, *, config: str = CONFIG, meta: Mapping[str, object] | None = None) -> Path:
    """Return the checked-out repository."""
    (folder / "npm" / "meta").mkdir(parents=True)
    (folder / "flotilla.yml").write_text(config)
    (folder / "npm" / "meta" / "package.json").write_text(json.dumps({"name": "@acme/tool", **(meta or {})}))
    return folder


def shapes(secret: str) -> Iterator[bytes]:
    """Yield a secret, and the forms in which it could be written."""
    yield secret.encode()
    yield quote(secret, safe="").encode()
    yield secret.encode().hex().encode()
    for shift in range(3):
        encoded = base64.b64encode(b"x" * shift + secret.encode())
        # The first characters depend on what stands before, the last on what follows.
        yield encoded[4 : len(encoded) // 4 * 4 - 4]


def shown(secrets: Mapping[str, str], written: Iterator[tuple[str, bytes]]) -> list[str]:
    """Return which secret stands where."""
    needles = [(name, shape) for name, secret in secrets.items() for shape in shapes(secret)]
    assert all(len(needle) > 8 for _, needle in needles)
    return [f"{name} in {where}" for where, data in written for name, needle in needles if needle in data]
