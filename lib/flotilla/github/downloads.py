"""Artifacts and assets to this disk: resumed after a cut, bounded, and compared with GitHub's digest."""

from __future__ import annotations

import errno
import hashlib
import os
import re
from collections.abc import Sequence
from contextlib import suppress
from email.message import EmailMessage
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import IO, Self
from urllib.parse import urlsplit

from flotilla.errors import ArtifactError
from flotilla.github.api import ACCEPT
from flotilla.github.endpoint import Endpoint
from flotilla.github.models import Artifact, Asset, Download
from flotilla.github.transfers import RangeRefused, Source, Streams
from flotilla.http import Stream
from flotilla.parallel import WORKERS, gather
from flotilla.retry import RetryPolicy, TransientError
from flotilla.text import sentence

BLOCK = 1024 * 1024
CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18})")
NUMBER = re.compile(r"[0-9]{1,18}")
ZIP_TYPES = frozenset({"application/zip", "application/x-zip-compressed", "application/zip-compressed"})
ZIP_MAGIC = (b"PK\x03\x04", b"PK\x05\x06")
LONGEST_MAGIC = 8
LONGEST_NAME = 200


class Downloads:
    """Streams to disk in constant memory."""

    def __init__(self, endpoint: Endpoint, streams: Streams) -> None:
        self._endpoint = endpoint
        self._streams = streams
        self._policy: RetryPolicy = streams.http.policy

    def all(self, artifacts: Sequence[Artifact], into: Path, *, workers: int = WORKERS) -> tuple[Download, ...]:
        """Download every artifact, some at a time; return them in the order given."""
        tasks = [partial(self.artifact, artifact, into) for artifact in artifacts]
        return gather(tasks, stop=self._policy.stop, workers=workers)

    def artifact(self, artifact: Artifact, into: Path) -> Download:
        """Download one artifact; see `GitHub.download`."""
        into.mkdir(parents=True, exist_ok=True)
        finished = already_here(artifact, into)
        if finished is not None:
            return finished
        source = Source(
            what=f"download artifact {artifact.name}",
            path=f"{self._endpoint.root}/actions/artifacts/{artifact.id}/zip",
            accept=ACCEPT,
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
        """Download one asset of a release to that path."""
        with PartFile(path.with_name(f"{path.name}.part")) as part:
            self._fetched(self._asset_source(asset), part)
            part.move_to(path)
        return path

    def asset_digest(self, asset: Asset) -> str:
        """Return the "sha256:…" of an asset's bytes, which are not kept."""
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

    def _fetched(self, source: Source, part: PartFile) -> Stream:
        return self._policy.retry(lambda: self._attempt(source, part), what=source.what)

    def _attempt(self, source: Source, part: PartFile) -> Stream:
        """Append one more answer to what is here; raise TransientError until all of it is here and right."""
        # Without a digest to compare at the end, nothing would tell that two answers were of different bytes.
        offset = part.size if source.digest else 0
        try:
            with self._streams.opened(source, offset=offset) as stream:
                total = _total(stream, part)
                self._append(stream, source, part, total)
        except RangeRefused:
            part.restart()
            raise
        expected = total if total is not None or source.digest is None else source.size
        if expected is not None and part.size < expected:
            raise TransientError(f"the connection broke after {part.size} of {expected} bytes")
        _compare(source, part)
        return stream

    def _append(self, stream: Stream, source: Source, part: PartFile, total: int | None) -> None:
        whole = source.size if total is None else total
        for chunk in stream.chunks():
            part.append(chunk)
            if part.size > source.limit:
                part.discard()
                raise ArtifactError(
                    f"{sentence(source.what)}: the server sends more than the {source.size} bytes that GitHub lists."
                )
            if part.size < whole and not self._policy.left():
                raise TransientError(f"the time is up after {part.size} of {source.size} bytes")


def _total(stream: Stream, part: PartFile) -> int | None:
    """Return the size of the whole if the answer tells it; empty the part if the answer does not continue it."""
    length = stream.headers.get("content-length", "")
    if stream.status == HTTPStatus.OK:
        part.restart()
        return int(length) if NUMBER.fullmatch(length) else None
    match = CONTENT_RANGE.fullmatch(stream.headers.get("content-range", ""))
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


class PartFile:
    """Grows by what arrives; goes on where an earlier process stopped, and stays on disk for the next.

    Args:
        path: where it lies; None keeps only size and digest.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._file: IO[bytes] | None = None
        self._hash = hashlib.sha256()
        self._first = b""
        self.size = 0
        self.resumed = False

    def __enter__(self) -> Self:
        if self._path is not None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._open(self._path)
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):  # a full disk was reported where the bytes were written
            self._close()

    @property
    def digest(self) -> str:
        """Return the digest of what is here, as GitHub writes it ("sha256:…")."""
        return f"sha256:{self._hash.hexdigest()}"

    def first_bytes(self) -> bytes:
        """Return the first eight bytes, to tell a format by."""
        return self._first

    def append(self, chunk: bytes) -> None:
        """Add what arrived; ArtifactError where the disk does not take it."""
        try:
            if self._file is not None:
                self._file.write(chunk)
        except OSError as error:
            raise self._unwritable(error) from None
        self._count(chunk)

    def restart(self) -> None:
        """Forget what is here."""
        if self._file is not None:
            self._file.seek(0)
            self._file.truncate()
        self._hash, self._first, self.size, self.resumed = hashlib.sha256(), b"", 0, False

    def continued(self) -> None:
        """Note that what comes now continues what an earlier answer brought."""
        self.resumed = self.size > 0

    def discard(self) -> None:
        """Take it off the disk."""
        self._close()
        if self._path is not None:
            self._path.unlink(missing_ok=True)

    def move_to(self, path: Path) -> None:
        """Give it its name: only whole files bear one."""
        try:
            self._close()
            path.parent.mkdir(parents=True, exist_ok=True)
            if self._path is not None:
                self._path.replace(path)
        except OSError as error:
            raise self._unwritable(error) from None

    def _open(self, path: Path) -> None:
        try:
            self._file = _opened(path)
            self._file.seek(0)
            while block := self._file.read(BLOCK):
                self._count(block)
        except OSError as error:
            raise self._unwritable(error) from None

    def _count(self, chunk: bytes) -> None:
        self._hash.update(chunk)
        self.size += len(chunk)
        if len(self._first) < LONGEST_MAGIC:
            self._first = (self._first + chunk)[:LONGEST_MAGIC]

    def _close(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            file.close()

    def _unwritable(self, error: OSError) -> ArtifactError:
        return ArtifactError(
            f"{self._path} cannot be written: {error.strerror}.", advice="Give the runner more disk, or another folder."
        )


def _opened(path: Path) -> IO[bytes]:
    """Open the file to go on with; a link in its place is replaced, and what it leads to is not touched."""
    try:
        number = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
        path.unlink()
        number = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_EXCL, 0o600)
    return os.fdopen(number, "a+b")


def is_raw(artifact: Artifact, stream: Stream, first: bytes) -> bool:
    """Return whether the artifact is the uploaded file itself (upload-artifact's archive: false), not a zip.

    Decided as actions/toolkit does, by the type and the address, and where no type is told by the first bytes.

    Raises:
        ArtifactError: a zip was announced, and these first bytes are none's.
    """
    looks = first.startswith(ZIP_MAGIC)
    content_type = stream.headers.get("content-type", "").partition(";")[0].strip().lower()
    announced = content_type in ZIP_TYPES or urlsplit(stream.url).path.lower().endswith(".zip")
    if announced and not looks:
        raise ArtifactError(f"Artifact {artifact.name} is announced as a zip, and is none.")
    return not announced and not (looks and not content_type)


def zip_path(artifact: Artifact, into: Path) -> Path:
    """Return where a zipped artifact lies."""
    return into / f"artifact-{artifact.id}.zip"


def raw_path(artifact: Artifact, stream: Stream, into: Path) -> Path:
    """Return where a raw artifact lies: alone in a folder, under its own name made safe."""
    return _raw_folder(artifact, into) / (
        disposed_name(stream.headers.get("content-disposition", "")) or _own_name(artifact)
    )


def already_here(artifact: Artifact, into: Path) -> Download | None:
    """Return the artifact if an earlier try left it here whole, as its digest shows."""
    if artifact.digest is None:
        return None
    folder = _raw_folder(artifact, into)
    raw = [(path, True) for path in sorted(folder.iterdir())] if folder.is_dir() else []
    for path, is_file in [(zip_path(artifact, into), False), *raw]:
        if path.is_file() and _digest_of(path) == artifact.digest:
            return landed(artifact, path, digest=artifact.digest, raw=is_file)
    return None


def landed(artifact: Artifact, path: Path, *, digest: str, raw: bool) -> Download:
    """Return the artifact, whole on this disk."""
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


def disposed_name(disposition: str) -> str | None:
    """Return the file name of a Content-Disposition header, without any path; None if it holds no usable one."""
    message = EmailMessage()
    try:
        message["Content-Disposition"] = "".join(c for c in disposition if c.isprintable())
        named = message.get_filename()
    except (ValueError, LookupError):
        return None
    return safe_name(named or "")


def safe_name(name: str) -> str | None:
    """Return the last part of a name, without what file systems or terminals trip over; None if nothing is left.

    At most 200 bytes of UTF-8.
    """
    last = re.split(r"[/\\]", name)[-1]
    kept = "".join(c for c in last if c.isprintable() and c not in ':*?"<>|').strip()
    bounded = kept.encode(errors="ignore")[:LONGEST_NAME].decode(errors="ignore")
    return None if bounded in {"", ".", ".."} else bounded
