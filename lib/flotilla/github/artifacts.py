"""A run's artifacts: list and download them, choose those that count, check them, and compute their one digest."""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from flotilla.errors import RunError
from flotilla.github.api import Call, Calls
from flotilla.github.downloads import Downloads
from flotilla.github.models import Artifact, Download, parse_artifact
from flotilla.github.runs import READ
from flotilla.retry import WORKERS
from flotilla.text import one_line

# The first line of the digest's text names its form, so that another form can never give the same digest.
DIGEST_FORM = "flotilla artifacts 1"


@dataclass(frozen=True, kw_only=True)
class ArtifactRow:
    """A required artifact, and what was found.

    Args:
        artifact: None if it is missing.
        fault: what is wrong, in plain words; None if nothing is.
    """

    name: str
    artifact: Artifact | None
    fault: str | None


class Artifacts:
    """The artifacts of one repository's workflow runs."""

    def __init__(self, calls: Calls, downloads: Downloads) -> None:
        self._calls = calls
        self._downloads = downloads
        self._root = calls.endpoint.root

    def of(self, run_id: int) -> tuple[Artifact, ...]:
        """Return every artifact of a run, of earlier attempts too; names may repeat, and `newest` chooses.

        Raises:
            RunError: there is no run of that id.
        """
        call = Call(
            what=f"list the artifacts of run {run_id}",
            path=f"{self._root}/actions/runs/{run_id}/artifacts",
            hint=READ,
        )
        found = self._calls.find_listed(call, key="artifacts")
        if found is None:
            raise RunError(
                f"{self._calls.endpoint.repository} has no run {run_id}.",
                advice="Check `run-id`; GitHub deletes runs after the repository's retention period.",
            )
        return tuple(parse_artifact(document, run_id) for document in found)

    def download(self, artifacts: Sequence[Artifact], into: Path, *, workers: int = WORKERS) -> tuple[Download, ...]:
        """Download the artifacts into that folder, a few at a time; return them in the order given.

        flotilla chooses the files' names. A complete file from an earlier try is not downloaded again. All failures
        are raised together.

        Raises:
            ArtifactError: gone, expired, larger than declared, or not the bytes that GitHub recorded.
        """
        return self._downloads.all(artifacts, into, workers=workers)


def newest(artifacts: Sequence[Artifact]) -> tuple[Artifact, ...]:
    """Return the artifact with the highest id of each name, by name.

    Every attempt of a run adds to the same list, and GitHub does not say which attempt made an artifact. Ids grow, so
    an artifact that a later attempt uploaded again wins; if it did not (only failed jobs were re-run), the earlier
    attempt's counts.
    """
    last: dict[str, Artifact] = {}
    for artifact in sorted(artifacts, key=lambda artifact: artifact.id):
        last[artifact.name] = artifact
    return tuple(last[name] for name in sorted(last))


def artifacts_digest(digests: Mapping[str, str]) -> str:
    """Return one "sha256:…" for several artifacts, made from their names and digests.

    It is the SHA-256 of a UTF-8 text: a line that names the form, then a line for each artifact, sorted by name, with
    its digest in hex, two spaces and its name. Each line ends with a line feed.

    Args:
        digests: "sha256:…" by name.
    """
    lines = [f"{digest.removeprefix('sha256:')}  {name}\n" for name, digest in sorted(digests.items())]
    text = f"{DIGEST_FORM}\n{''.join(lines)}"
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def artifact_table(needed: Sequence[str], found: Sequence[Artifact]) -> tuple[ArtifactRow, ...]:
    """Return a row for each needed artifact, in the order given.

    Args:
        needed: artifact names.
        found: every artifact of the run; the newest of each name counts.
    """
    by_name = {artifact.name: artifact for artifact in newest(found)}
    spare = sorted(set(by_name) - set(needed))
    return tuple(_row(name, by_name.get(name), spare) for name in dict.fromkeys(needed))


def _row(name: str, artifact: Artifact | None, spare: Sequence[str]) -> ArtifactRow:
    return ArtifactRow(name=name, artifact=artifact, fault=_fault(name, artifact, spare))


def _fault(name: str, artifact: Artifact | None, spare: Sequence[str]) -> str | None:
    if artifact is None:
        near = difflib.get_close_matches(name, spare, n=1, cutoff=0.7)
        return f"missing (the run has {one_line(near[0])})" if near else "missing"
    if artifact.expired:
        return "expired"
    return "empty" if artifact.size == 0 else None
