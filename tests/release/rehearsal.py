"""`make release-rehearsal`: flotilla's own release on one machine, with a failure after each step, then in use.

What is real: the scripts of the release, git and its remote, the Docker engine, the registry for images, the actions as
act runs them by digest from that registry. What stands in: GitHub's API is the simulator; an attestation is a line in a
file; the arm64 image is the amd64 one under arm64's name.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from docker import DockerClient
from docker.errors import ImageNotFound
from scripts.release.repository import MAIN
from scripts.release.versions import UNRELEASED, Version, sections
from tests.e2e import images
from tests.e2e.engine import NoEngineError, running_engine
from tests.e2e.release import release, world_of
from tests.e2e.workflow import EXAMPLE, make_consumer
from tests.release import programs
from tests.release.world import StoppedError, World, github

from flotilla.rehearsal.loopback import HOST, Serving
from flotilla.rehearsal.node import node_modules

LEFT_OUT = ("darwin-arm64", "darwin-x64", "linux-arm64", "linux-x64-musl")
SECONDS_TO_START = 30


def say(line: str) -> None:
    print(line, flush=True)


class Rehearsed:
    """The versions of this rehearsal, one after the other."""

    def __init__(self, world: World) -> None:
        self.world = world
        names = sections((world.tree / "CHANGELOG.md").read_text(encoding="utf-8"))
        self.newest = max(Version.parse(name) for name in names if name != UNRELEASED)

    def next_minor(self) -> str:
        self.newest = self.newest.following()[1]
        return str(self.newest)

    def next_patch(self) -> str:
        self.newest = self.newest.following()[0]
        return str(self.newest)

    def whole(self, version: str, branch: str = "main") -> str:
        """Release a new commit without a failure; return the commit."""
        commit = self.world.commit(version, branch=branch)
        self.world.release(version, commit)
        return commit

    def broken(self, version: str, ran: int) -> str:
        """Release a new commit, stopped after a stage and then run again; return the stage."""
        commit = self.world.commit(version)
        try:
            self.world.release(version, commit, stop_after=ran)
        except StoppedError as stage:
            failed = str(stage)
        else:
            raise AssertionError(f"there is no stage {ran}")
        say(f"    FAILURE after `{failed}`; the second run:")
        self.world.release(version, commit)
        self.complete(version)
        return failed

    def complete(self, version: str) -> None:
        """Check that a version is released as a whole."""
        tags, wanted = self.world.tags(), Version.parse(version)
        minor = f"v{wanted.major}.{wanted.minor}"
        assert tags[f"v{version}"] == tags[minor], (version, tags)
        shown = self.world.releases()[f"v{version}"]
        assert not shown["draft"], version
        assert shown["assets"], version


@contextmanager
def registry(folder: Path) -> Iterator[tuple[str, Path]]:
    """Serve Debian's docker-registry on loopback: host:port, and its access log."""
    program = shutil.which("docker-registry")
    if program is None:
        raise SystemExit("release-rehearsal needs docker-registry (Debian, Ubuntu: apt-get install docker-registry)")
    with socket.socket() as free:
        free.bind((HOST, 0))
        port = free.getsockname()[1]
    config, log = folder / "registry.yml", folder / "registry.log"
    config.write_text(
        "version: 0.1\nlog: {level: error}\n"
        f"storage: {{filesystem: {{rootdirectory: {folder / 'registry'}}}}}\nhttp: {{addr: '{HOST}:{port}'}}\n",
        encoding="utf-8",
    )
    with (
        log.open("wb") as output,
        subprocess.Popen([program, "serve", config], stdout=output, stderr=output) as process,
    ):
        try:
            _wait_for(f"http://{HOST}:{port}/v2/")
            yield f"{HOST}:{port}", log
        finally:
            process.terminate()


def _wait_for(url: str) -> None:
    deadline = time.monotonic() + SECONDS_TO_START
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5):  # noqa: S310 - loopback
                return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def releases(world: World) -> str:
    """Release with a failure after each stage, then a backport; return the newest version."""
    rehearsed = Rehearsed(world)
    first = rehearsed.next_minor()
    say(f"\n== {first}: a release without a failure")
    rehearsed.whole(first)
    rehearsed.complete(first)
    stages = [name for name, _ in world.stages(first, "0" * 40)]
    for ran in range(1, len(stages) + 1):
        version = rehearsed.next_patch()
        say(f"\n== {version}: a failure after step {ran} of {len(stages)}")
        rehearsed.broken(version, ran)
    old, kept = rehearsed.newest, world.git("rev-parse", "HEAD")
    newest = rehearsed.next_minor()
    say(f"\n== {newest}: the version to use")
    rehearsed.whole(newest)
    before = world.tags()
    backport = str(old.following()[0])
    branch = f"release/{old.major}.{old.minor}"
    say(f"\n== {backport}: a backport from {branch}")
    world.git("checkout", "-q", "-b", branch, kept)
    rehearsed.whole(backport, branch)
    rehearsed.complete(backport)
    after = world.tags()
    major = f"v{old.major}"
    assert after[major] == before[major] == after[f"v{newest}"], "the backport moved the major tag"
    assert [tag for tag, one in world.releases().items() if one["latest"]] == [f"v{newest}"]
    say(f"{major} is still {newest}; v{old.major}.{old.minor} is {backport}")
    return newest


def use(world: World, docker: DockerClient, log: Path, folder: Path) -> None:
    """Release the example with the actions of the major tag, which act runs from the registry."""
    actions, [major] = folder / "actions", {tag for tag in world.tags() if tag[1:].isdigit()}
    world.git("clone", "-q", "--branch", major, str(world.folder / "remote.git"), str(actions))
    text = (actions / "action-release/action.yml").read_text(encoding="utf-8")
    [pinned] = [line.removeprefix("  image: docker://") for line in text.splitlines() if line.startswith("  image: ")]
    say(f"\n== OWNER/flotilla@{major} names {pinned}")
    forget(docker, world.image)
    pulled = len(log.read_bytes())
    images.build_runner(docker)
    out = folder / "artifacts"
    command = [sys.executable, str(EXAMPLE / "build.py"), "--out", str(out), "--platform", "linux-x64"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    consumer = make_consumer(folder / "chroma", without_platforms=LEFT_OUT)
    modules = node_modules(Path(os.environ.get("FLOTILLA_CACHE", images.ROOT / ".cache")), environment=os.environ)
    with world_of(consumer, artifacts=out, folder=folder / "rehearsal", modules=modules) as there:
        token = next(iter(there.registry.state.tokens))
        scratch = folder / "act"
        result = release(there, consumer, actions=actions, scratch=scratch, version="1.0.0", npm_token=token)
        for name, state in sorted(result.jobs().items()):
            say(f"{name}: {state}")
        assert result.succeeded, result.log
        published = sorted(there.snapshot()["registry"]["accepted"])
    digest = pinned.partition("@")[2]
    read = log.read_bytes()[pulled:].decode(errors="replace")
    assert f"manifests/{digest}" in read, f"the registry was not asked for {digest}:\n{read[-2000:]}"
    say(f"act pulled {pinned} from the registry, and the pinned actions published {', '.join(published)}")


def forget(docker: DockerClient, image: str) -> None:
    """Remove what the engine has of an image, so that it must be pulled."""
    for one in docker.images.list():
        for name in (*one.tags, *(one.attrs.get("RepoDigests") or [])):
            if name.startswith((f"{image}:", f"{image}@")):
                with suppress(ImageNotFound):  # with the last tag of an image its digest goes too
                    docker.images.remove(name, force=True)


def main() -> None:
    """Rehearse; print each step."""
    cache = Path(os.environ.get("FLOTILLA_CACHE", images.ROOT / ".cache")) / "e2e"
    docker_program = shutil.which("docker")
    if docker_program is None:
        raise SystemExit("release-rehearsal needs Docker (Debian, Ubuntu: apt-get install docker.io)")
    began = time.monotonic()
    with (
        tempfile.TemporaryDirectory() as scratch,
        running_engine(cache / "dockerd.log") as docker,
        Serving() as serving,
    ):
        folder = Path(scratch)
        images.provide_bases(docker, cache)
        programs.install(folder / "bin", docker="docker_for_both", gh="gh")
        with registry(folder) as (host, log), github(serving) as server:
            more = {"REAL_DOCKER": docker_program}
            world = World(folder=folder, github=server, images=host, more=more, say=lambda name: say(f"--> {name}"))
            try:
                say(f"registry {host}, remote {MAIN} in a bare repository, GitHub's API simulated")
                images.name_available_bases(docker, images.export_tree(world.tree))
                world.begin({})
                releases(world)
                use(world, docker, log, folder)
            finally:
                forget(docker, world.image)
    say(f"\nrelease-rehearsal: passed in {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    try:
        main()
    except NoEngineError as why:
        sys.exit(str(why))
