"""Artifacts and assets to this disk: resumed after a cut, bounded, and compared with GitHub's digest."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from pathlib import Path
from urllib.parse import urlsplit

import requests

from flotilla.errors import ArtifactError
from flotilla.github.answers import sentence
from flotilla.github.endpoint import Endpoint
from flotilla.github.filenames import disposed_name, safe_name
from flotilla.github.parallel import WORKERS, gather
from flotilla.github.partfile import PartFile
from flotilla.github.streams import RangeRefused, Source, Streams
from flotilla.github.values import Artifact, Asset, Download
from flotilla.patience import Passing, Patience

ZIP_TYPES = frozenset({"application/zip", "application/x-zip-compressed", "application/zip-compressed"})
ZIP_MAGIC = (b"PK\x03\x04", b"PK\x05\x06")
CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+)")


@dataclass(frozen=True, kw_only=True)
class Arrival:
    """How the storage host described what it sent."""

    content_type: str
    disposition: str
    path: str


class Downloads:
    """Streams to disk in constant memory."""

    def __init__(self, endpoint: Endpoint, streams: Streams, patience: Patience) -> None:
        self._endpoint = endpoint
        self._streams = streams
        self._patience = patience

    def all(self, artifacts: Sequence[Artifact], into: Path, *, workers: int = WORKERS) -> tuple[Download, ...]:
        """Every artifact, some at a time, in the order given."""
        return gather([partial(self.artifact, artifact, into) for artifact in artifacts], workers=workers)

    def artifact(self, artifact: Artifact, into: Path) -> Download:
        """One artifact; see `GitHub.download`."""
        into.mkdir(parents=True, exist_ok=True)
        finished = _finished(artifact, into)
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
            zipped = _is_zip(arrival, part.first_bytes())
            if zipped and not part.first_bytes().startswith(ZIP_MAGIC):
                raise ArtifactError(f"Artifact {artifact.name} is announced as a zip, and is none.")
            path = _zip_path(artifact, into) if zipped else _raw_folder(artifact, into) / _raw_name(artifact, arrival)
            part.move_to(path)
            return _download(artifact, path, digest=part.digest, raw=not zipped)

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
        return self._patience.keep_trying(lambda: self._attempt(source, part), what=source.what)

    def _attempt(self, source: Source, part: PartFile) -> Arrival:
        """One more answer appended to what is here; Passing until all of it is here and right."""
        # Without a digest to compare at the end, nothing would tell that two answers were of different bytes.
        offset = part.size if source.digest else 0
        try:
            with self._streams.opened(source, offset=offset) as response:
                total = _total(response, part)
                self._append(response, source, part)
        except RangeRefused:
            part.restart()
            raise
        expected = total if total is not None or source.digest is None else source.size
        if expected is not None and part.size < expected:
            raise Passing(f"the connection broke after {part.size} of {expected} bytes")
        _compare(source, part)
        return _arrival(response)

    def _append(self, response: requests.Response, source: Source, part: PartFile) -> None:
        for chunk in self._streams.chunks(response):
            part.append(chunk)
            if part.size > source.limit:
                part.discard()
                raise ArtifactError(
                    f"{sentence(source.what)}: the server sends more than the {source.size} bytes that GitHub lists."
                )
            if not self._patience.left():
                raise Passing(f"the time is up after {part.size} of {source.size} bytes")


def _total(response: requests.Response, part: PartFile) -> int | None:
    """The whole's bytes, where the answer tells; the part is emptied where the answer does not continue it."""
    length = response.headers.get("Content-Length", "")
    if response.status_code == HTTPStatus.OK:
        part.restart()
        return int(length) if length.isdigit() else None
    match = CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
    if match is None or int(match[1]) != part.size or int(match[2]) + 1 != int(match[3]):
        raise RangeRefused("the server sent another range than was asked for")
    part.continued()
    return int(match[3])


def _compare(source: Source, part: PartFile) -> None:
    if source.digest is None or part.digest == source.digest:
        return
    digest, resumed = part.digest, part.resumed
    part.restart()
    if resumed:
        raise Passing("what was resumed does not fit together; starting again")
    part.discard()
    raise ArtifactError(
        f"{sentence(source.what)}: the bytes are not those that GitHub recorded ({digest} instead of {source.digest}).",
        advice="Re-run the job; if it stays, re-run the CI workflow, and do not release this artifact.",
    )


def _arrival(response: requests.Response) -> Arrival:
    return Arrival(
        content_type=response.headers.get("Content-Type", "").partition(";")[0].strip().lower(),
        disposition=response.headers.get("Content-Disposition", ""),
        path=urlsplit(response.url).path,
    )


def _is_zip(arrival: Arrival, first: bytes) -> bool:
    """As actions/toolkit decides it; where no type is told at all, by the first bytes."""
    said = arrival.content_type in ZIP_TYPES or arrival.path.lower().endswith(".zip")
    return said or (not arrival.content_type and first.startswith(ZIP_MAGIC))


def _raw_name(artifact: Artifact, arrival: Arrival) -> str:
    return disposed_name(arrival.disposition) or _own_name(artifact)


def _own_name(artifact: Artifact) -> str:
    return safe_name(artifact.name) or f"artifact-{artifact.id}"


def _zip_path(artifact: Artifact, into: Path) -> Path:
    return into / f"artifact-{artifact.id}.zip"


def _raw_folder(artifact: Artifact, into: Path) -> Path:
    return into / f"artifact-{artifact.id}"


def _finished(artifact: Artifact, into: Path) -> Download | None:
    """The artifact, if an earlier try left it here whole."""
    zipped, folder = _zip_path(artifact, into), _raw_folder(artifact, into)
    candidates = [(zipped, False), *((path, True) for path in (sorted(folder.iterdir()) if folder.is_dir() else ()))]
    for path, raw in candidates:
        if artifact.digest is not None and path.is_file() and _digest_of(path) == artifact.digest:
            return _download(artifact, path, digest=artifact.digest, raw=raw)
    return None


def _digest_of(path: Path) -> str:
    with path.open("rb") as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"


def _download(artifact: Artifact, path: Path, *, digest: str, raw: bool) -> Download:
    return Download(
        artifact=artifact,
        path=path,
        raw=raw,
        name=path.name if raw else f"{_own_name(artifact)}.zip",
        digest=digest,
        digest_checked=artifact.digest is not None,
        size=path.stat().st_size,
    )
