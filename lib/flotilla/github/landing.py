"""What an artifact on this disk is, and where it lies: a zip around files, or the one file itself."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

import requests

from flotilla.errors import ArtifactError
from flotilla.github.filenames import disposed_name, safe_name
from flotilla.github.values import Artifact, Download

ZIP_TYPES = frozenset({"application/zip", "application/x-zip-compressed", "application/zip-compressed"})
ZIP_MAGIC = (b"PK\x03\x04", b"PK\x05\x06")


@dataclass(frozen=True, kw_only=True)
class Arrival:
    """How the storage host described what it sent."""

    content_type: str
    disposition: str
    path: str

    @classmethod
    def of(cls, response: requests.Response) -> Self:
        """The description in an answer's headers and address."""
        return cls(
            content_type=response.headers.get("Content-Type", "").partition(";")[0].strip().lower(),
            disposition=response.headers.get("Content-Disposition", ""),
            path=urlsplit(response.url).path,
        )


def is_raw(artifact: Artifact, arrival: Arrival, first: bytes) -> bool:
    """The artifact is the uploaded file itself (upload-artifact's archive: false), not a zip around files.

    Decided as actions/toolkit does, by the type and the address, and where no type is told by the first bytes.

    Raises:
        ArtifactError: a zip was announced, and these first bytes are none's.
    """
    looks = first.startswith(ZIP_MAGIC)
    announced = arrival.content_type in ZIP_TYPES or arrival.path.lower().endswith(".zip")
    if announced and not looks:
        raise ArtifactError(f"Artifact {artifact.name} is announced as a zip, and is none.")
    return not announced and not (looks and not arrival.content_type)


def zip_path(artifact: Artifact, into: Path) -> Path:
    """Where a zipped artifact lies."""
    return into / f"artifact-{artifact.id}.zip"


def raw_path(artifact: Artifact, arrival: Arrival, into: Path) -> Path:
    """Where a raw artifact lies: alone in a folder, under its own name made safe."""
    return _raw_folder(artifact, into) / (disposed_name(arrival.disposition) or _own_name(artifact))


def already_here(artifact: Artifact, into: Path) -> Download | None:
    """The artifact, if an earlier try left it here whole, as its digest shows."""
    if artifact.digest is None:
        return None
    folder = _raw_folder(artifact, into)
    raw = [(path, True) for path in sorted(folder.iterdir())] if folder.is_dir() else []
    for path, is_file in [(zip_path(artifact, into), False), *raw]:
        if path.is_file() and _digest_of(path) == artifact.digest:
            return landed(artifact, path, digest=artifact.digest, raw=is_file)
    return None


def landed(artifact: Artifact, path: Path, *, digest: str, raw: bool) -> Download:
    """The artifact, whole on this disk."""
    return Download(
        artifact=artifact,
        path=path,
        raw=raw,
        name=path.name if raw else f"{_own_name(artifact)}.zip",
        digest=digest,
        digest_checked=artifact.digest is not None,
        size=path.stat().st_size,
    )


def _raw_folder(artifact: Artifact, into: Path) -> Path:
    return into / f"artifact-{artifact.id}"


def _own_name(artifact: Artifact) -> str:
    return safe_name(artifact.name) or f"artifact-{artifact.id}"


def _digest_of(path: Path) -> str:
    with path.open("rb") as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"
