"""Artifacts and assets to this disk: resumed after a cut, bounded, and compared with GitHub's digest."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial
from http import HTTPStatus
from pathlib import Path

import requests

from flotilla.errors import ArtifactError
from flotilla.github.endpoint import Endpoint
from flotilla.github.landing import Arrival, already_here, is_raw, landed, raw_path, zip_path
from flotilla.github.parallel import WORKERS, gather
from flotilla.github.partfile import PartFile
from flotilla.github.streams import RangeRefused, Source, Streams
from flotilla.github.values import Artifact, Asset, Download
from flotilla.retry import RetryPolicy, TransientError
from flotilla.text import sentence

CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18})")
NUMBER = re.compile(r"[0-9]{1,18}")


class Downloads:
    """Streams to disk in constant memory."""

    def __init__(self, endpoint: Endpoint, streams: Streams, policy: RetryPolicy) -> None:
        self._endpoint = endpoint
        self._streams = streams
        self._policy = policy

    def all(self, artifacts: Sequence[Artifact], into: Path, *, workers: int = WORKERS) -> tuple[Download, ...]:
        """Every artifact, some at a time, in the order given."""
        return gather([partial(self.artifact, artifact, into) for artifact in artifacts], workers=workers)

    def artifact(self, artifact: Artifact, into: Path) -> Download:
        """One artifact; see `GitHub.download`."""
        into.mkdir(parents=True, exist_ok=True)
        finished = already_here(artifact, into)
        if finished is not None:
            return finished
        source = Source(
            what=f"download artifact {artifact.name}",
            path=f"{self._endpoint.root}/actions/artifacts/{artifact.id}/zip",
            accept="application/vnd.github+json",
            size=artifact.size,
            digest=artifact.digest,
            permission="actions: read",
        )
        with PartFile(into / f"artifact-{artifact.id}.part") as part:
            arrival = self._fetched(source, part)
            raw = is_raw(artifact, arrival, part.first_bytes())
            path = raw_path(artifact, arrival, into) if raw else zip_path(artifact, into)
            part.move_to(path)
            return landed(artifact, path, digest=part.digest, raw=raw)

    def asset(self, asset: Asset, path: Path) -> Path:
        """One asset of a release, written to that path."""
        with PartFile(path.with_name(f"{path.name}.part")) as part:
            self._fetched(self._asset_source(asset), part)
            part.move_to(path)
        return path

    def asset_digest(self, asset: Asset) -> str:
        """The "sha256:…" of an asset's bytes, downloaded to be forgotten."""
        with PartFile(None) as part:
            self._fetched(self._asset_source(asset), part)
            return part.digest

    def _asset_source(self, asset: Asset) -> Source:
        return Source(
            what=f"download asset {asset.name}",
            path=f"{self._endpoint.root}/releases/assets/{asset.id}",
            accept="application/octet-stream",
            size=asset.size,
            digest=asset.digest,
            permission="contents: write",
        )

    def _fetched(self, source: Source, part: PartFile) -> Arrival:
        return self._policy.retry(lambda: self._attempt(source, part), what=source.what)

    def _attempt(self, source: Source, part: PartFile) -> Arrival:
        """One more answer appended to what is here; TransientError until all of it is here and right."""
        # Without a digest to compare at the end, nothing would tell that two answers were of different bytes.
        offset = part.size if source.digest else 0
        try:
            with self._streams.opened(source, offset=offset) as response:
                total = _total(response, part)
                self._append(response, source, part, total)
        except RangeRefused:
            part.restart()
            raise
        expected = total if total is not None or source.digest is None else source.size
        if expected is not None and part.size < expected:
            raise TransientError(f"the connection broke after {part.size} of {expected} bytes")
        _compare(source, part)
        return Arrival.of(response)

    def _append(self, response: requests.Response, source: Source, part: PartFile, total: int | None) -> None:
        whole = source.size if total is None else total
        for chunk in self._streams.chunks(response):
            part.append(chunk)
            if part.size > source.limit:
                part.discard()
                raise ArtifactError(
                    f"{sentence(source.what)}: the server sends more than the {source.size} bytes that GitHub lists."
                )
            if part.size < whole and not self._policy.left():
                raise TransientError(f"the time is up after {part.size} of {source.size} bytes")


def _total(response: requests.Response, part: PartFile) -> int | None:
    """The whole's bytes, where the answer tells; the part is emptied where the answer does not continue it."""
    length = response.headers.get("Content-Length", "")
    if response.status_code == HTTPStatus.OK:
        part.restart()
        return int(length) if NUMBER.fullmatch(length) else None
    match = CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
    if match is None or int(match[1]) != part.size or int(match[2]) >= int(match[3]):
        raise RangeRefused("the server sent another range than was asked for")
    part.continued()
    return int(match[3])


def _compare(source: Source, part: PartFile) -> None:
    if source.digest is None or part.digest == source.digest:
        return
    digest, resumed = part.digest, part.resumed
    part.restart()
    if resumed:
        raise TransientError("what was resumed does not fit together; starting again")
    part.discard()
    raise ArtifactError(
        f"{sentence(source.what)}: the bytes are not those that GitHub recorded ({digest} instead of {source.digest}).",
        advice="Re-run the job; if it stays, re-run the CI workflow, and do not release this artifact.",
    )
