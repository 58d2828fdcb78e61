"""What every step knows, from the environment of its job, and how it reports."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

SHA = r"[0-9a-f]{40}"
DIGEST = r"sha256:[0-9a-f]{64}"


class ReleaseError(Exception):
    """Why a step stopped, and what to do."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """One release of this repository.

    Args:
        tree: the checkout.
        version: without a leading v.
        commit: the commit to release; its action.yml files still name the Dockerfile.
        ref: where the workflow runs.
        repository: owner/name.
        image: the image's name with its registry, without tag and digest.
        digest: of the image index, once it is known.
        environment: the job's variables, tokens included.
    """

    tree: Path
    version: str
    commit: str
    ref: str
    repository: str
    image: str
    digest: str
    environment: Mapping[str, str]

    @classmethod
    def read(cls, environment: Mapping[str, str], tree: Path) -> Self:
        """Return the settings of this job.

        Raises:
            ReleaseError: if a variable has not the expected form.
        """
        repository = environment.get("GITHUB_REPOSITORY", "")
        found = cls(
            tree=tree,
            version=environment.get("VERSION", ""),
            commit=environment.get("COMMIT") or environment.get("GITHUB_SHA", ""),
            ref=environment.get("GITHUB_REF", ""),
            repository=repository,
            image=environment.get("IMAGE") or f"ghcr.io/{repository.lower()}",
            digest=environment.get("DIGEST", ""),
            environment=environment,
        )
        if not re.fullmatch(r"[\w.-]+/[\w.-]+", repository):
            raise ReleaseError(f'expected owner/name in GITHUB_REPOSITORY, got "{repository}"')
        if not re.fullmatch(SHA, found.commit):
            raise ReleaseError(f'expected a commit of 40 hex digits in COMMIT, got "{found.commit}"')
        if found.digest and not re.fullmatch(DIGEST, found.digest):
            raise ReleaseError(f'expected sha256: and 64 hex digits in DIGEST, got "{found.digest}"')
        return found

    @property
    def tag(self) -> str:
        """The git tag of the release."""
        return f"v{self.version}"

    @property
    def token(self) -> str:
        """GitHub's token; empty where the step needs none."""
        return self.environment.get("GITHUB_TOKEN", "")

    @property
    def pinned(self) -> str:
        """The image by digest.

        Raises:
            ReleaseError: if the digest is not known.
        """
        if not self.digest:
            raise ReleaseError("expected the image's digest in DIGEST; run the step `index` first")
        return f"{self.image}@{self.digest}"

    def say(self, line: str) -> None:
        """Print what was done."""
        print(line, flush=True)

    def output(self, name: str, value: str) -> None:
        """Set an output of the step; the value has one line."""
        self.say(f"{name}={value}")
        if file := self.environment.get("GITHUB_OUTPUT"):
            with Path(file).open("a", encoding="utf-8") as outputs:
                outputs.write(f"{name}={value}\n")


def run(*command: str, tree: Path, environment: Mapping[str, str], given: bytes | None = None) -> str:
    """Run a program and return what it prints, without the last line end.

    Raises:
        ReleaseError: if it fails.
    """
    done = subprocess.run(list(command), cwd=tree, env=dict(environment), input=given, capture_output=True, check=False)
    if done.returncode:
        # Neither arguments nor environment: the environment holds tokens.
        detail = done.stderr.decode(errors="replace").strip()[-2000:]
        raise ReleaseError(f"`{' '.join(command[:2])}` failed with exit code {done.returncode}: {detail}")
    return done.stdout.decode(errors="replace").rstrip("\n")


def stop(why: ReleaseError) -> int:
    """Print the error as an annotation, and return the exit code."""
    text = str(why).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    sys.stdout.write(f"::error title=Release stopped::{text}\n")
    return 1
