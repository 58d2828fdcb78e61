"""What a release of flotilla writes to, on loopback: a git remote, GitHub's API, a registry for images."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scripts.release.__main__ import main
from scripts.release.repository import WORKFLOW
from tests.release import programs
from tests.simulator.faults import FaultPlan
from tests.simulator.servers import GitHubServer

from flotilla.rehearsal.github import GitHubState
from flotilla.rehearsal.github.records import GitObject
from flotilla.rehearsal.loopback import Serving

REPOSITORY = "OWNER/flotilla"
ACTIONS = ("action-publish-platform/action.yml", "action-release/action.yml", "action.yml")


class StoppedError(Exception):
    """The failure that a test asked for, or that of a step."""


@dataclass
class World:
    """A repository with its remote, and where it is released to.

    Args:
        folder: holds all of it.
        github: the simulator.
        images: host:port of the registry.
        more: variables for the programs.
        say: gets each stage before it runs.
    """

    folder: Path
    github: GitHubServer
    images: str
    more: Mapping[str, str] = field(default_factory=dict)
    say: Callable[[str], None] = lambda _: None

    @property
    def tree(self) -> Path:
        return self.folder / "checkout"

    @property
    def image(self) -> str:
        return f"{self.images}/owner/flotilla"

    @property
    def attestations(self) -> Path:
        return self.folder / "attestations.jsonl"

    def git(self, *arguments: str) -> str:
        command = ["git", *arguments]
        done = subprocess.run(command, cwd=self.tree, check=True, capture_output=True, text=True, env=self._identity())
        return done.stdout.strip()

    def begin(self, files: Mapping[str, str]) -> None:
        """Create the remote and a checkout of its main with these files."""
        self.tree.mkdir(exist_ok=True)
        self.git("init", "-q", "--bare", "-b", "main", str(self.folder / "remote.git"))
        self.git("init", "-q", "-b", "main")
        self.git("remote", "add", "origin", str(self.folder / "remote.git"))
        self.write(files)

    def write(self, files: Mapping[str, str]) -> None:
        for name, text in files.items():
            (self.tree / name).parent.mkdir(parents=True, exist_ok=True)
            (self.tree / name).write_text(text, encoding="utf-8")

    def commit(self, version: str, *, branch: str = "main") -> str:
        """Push a commit that is ready to be released as the version; return its id."""
        pyproject = (self.tree / "pyproject.toml").read_text(encoding="utf-8")
        pyproject = re.sub(r'^version = ".*"$', f'version = "{version}"', pyproject, count=1, flags=re.MULTILINE)
        changelog = (self.tree / "CHANGELOG.md").read_text(encoding="utf-8")
        # What is unreleased becomes this version's part.
        parts = re.split(r"^(?=## |\[[^\]]+\]: )", changelog, flags=re.MULTILINE)
        older = "".join(part for part in parts[1:] if not part.startswith("## [Unreleased]"))
        changelog = f"{parts[0]}## [Unreleased]\n\n## [{version}] - 2026-01-01\n\n- What {version} changes.\n\n{older}"
        self.write({"pyproject.toml": pyproject, "CHANGELOG.md": changelog})
        self.git("add", "--all")
        self.git("commit", "-q", "-m", f"Prepare {version}")
        self.git("push", "-q", "origin", f"HEAD:refs/heads/{branch}")
        return self.git("rev-parse", "HEAD")

    def environment(self, version: str, commit: str) -> dict[str, str]:
        """Return a job's variables."""
        return {
            **self._identity(),
            "PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}",
            "VERSION": version,
            "COMMIT": commit,
            "GITHUB_REF": "refs/heads/main",
            "GITHUB_REPOSITORY": REPOSITORY,
            "GITHUB_API_URL": self.github.origins.api,
            "GITHUB_TOKEN": self.github.state.token,
            "IMAGE": self.image,
            "ATTESTATIONS": str(self.attestations),
            "BUILT_IMAGE": str(self.folder / "built.json"),
            **self.more,
        }

    def step(self, environment: Mapping[str, str], *names: str, **more: str) -> dict[str, str]:
        """Run steps as a job does; return their outputs."""
        outputs = self.folder / "outputs"
        outputs.write_text("", encoding="utf-8")
        status = main(names, {**environment, **more, "GITHUB_OUTPUT": str(outputs)}, self.tree)
        self._show_tags()
        if status:
            raise StoppedError(" ".join(names))
        return dict(line.split("=", 1) for line in outputs.read_text(encoding="utf-8").splitlines())

    def stages(self, version: str, commit: str) -> Iterator[tuple[str, Callable[[], None]]]:
        """Return the release as the workflow runs it: each step by name, attestations included."""
        environment = self.environment(version, commit)

        def collect(*names: str, **more: str) -> None:
            outputs = self.step(environment, *names, **more)
            environment.update({name.upper(): value for name, value in outputs.items()})

        for name in ("check",):
            yield name, lambda name=name: collect(name)  # type: ignore[misc]
        for one in ("amd64", "arm64"):
            yield f"build {one}", lambda one=one: collect("build", ARCHITECTURE=one)  # type: ignore[misc]
            yield f"attest {one}", lambda one=one: self.attest(environment[one.upper()], commit)  # type: ignore[misc]
        yield "index", lambda: collect("index")
        yield "attest index", lambda: self.attest(environment["DIGEST"], commit)
        for name in ("attested", "draft", "name", "tag", "publish", "move"):
            yield name, lambda name=name: collect(name)  # type: ignore[misc]

    def attest(self, digest: str, commit: str) -> None:
        programs.attest(self.attestations, digest, commit)

    def release(self, version: str, commit: str, *, stop_after: int | None = None) -> int:
        """Release; return how many stages ran.

        Raises:
            StoppedError: after as many stages as the caller asks for.
        """
        ran = 0
        for name, stage in self.stages(version, commit):
            self.say(name)
            stage()
            ran += 1
            if ran == stop_after:
                raise StoppedError(name)
        return ran

    def tags(self) -> dict[str, str]:
        """Return the remote's tags."""
        lines = self.git("ls-remote", "--tags", "--refs", "origin").splitlines()
        return {ref.removeprefix("refs/tags/"): sha for sha, ref in (line.split("\t") for line in lines)}

    def releases(self) -> dict[str, dict[str, Any]]:
        """Return GitHub's releases by their tag."""
        listed = self.github.state.snapshot()["releases"]
        found = {one["tag"]: one for one in listed}
        assert len(found) == len(listed)
        return found

    def _show_tags(self) -> None:
        """Tell GitHub's API what was pushed."""
        state = self.github.state
        for tag, sha in self.tags().items():
            state.add_commit(sha)
            state.refs[f"refs/tags/{tag}"] = GitObject(sha=sha, type="commit")

    def _identity(self) -> dict[str, str]:
        who = {"NAME": "example", "EMAIL": "example@example.invalid"}
        return {
            **{name: value for name, value in os.environ.items() if not name.startswith(("GIT_", "GITHUB_"))},
            **{f"GIT_{role}_{key}": value for role in ("AUTHOR", "COMMITTER") for key, value in who.items()},
            "GIT_CONFIG_GLOBAL": "/dev/null",
        }


@contextmanager
def github(serving: Serving, plan: FaultPlan | None = None) -> Iterator[GitHubServer]:
    """Yield a GitHub with this repository, of whose answers the plan breaks some."""
    yield GitHubServer(GitHubState(repository=REPOSITORY), serving, plan=plan)


def small_repository() -> dict[str, str]:
    """Return the files that a release reads."""
    action = "name: one\nruns:\n  using: docker\n  image: ../Dockerfile\n  args: [release]\n"
    return {
        "pyproject.toml": '[project]\nname = "flotilla"\nversion = "0.1.0"\n',
        "CHANGELOG.md": "# Changelog\n\n## [0.1.0] - 2026-01-01\n\n- The first.\n",
        "Dockerfile": "FROM scratch\n",
        WORKFLOW: "jobs:\n  one:\n    steps:\n      - uses: OWNER/flotilla/action-release@v1\n",
        **{name: action if "/" in name else action.replace("../Dockerfile", "Dockerfile") for name in ACTIONS},
    }
