"""Download artifacts and assets: resume after a broken connection, limit the size, compare GitHub's digest."""

from __future__ import annotations

import errno
import hashlib
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from email.message import EmailMessage
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import IO, Self
from urllib.parse import urlsplit

from flotilla.documents import parse_json
from flotilla.errors import ArtifactError, FlotillaError
from flotilla.github.api import ACCEPT, Endpoint, Reply, refusal
from flotilla.github.models import Artifact, Asset, Download
from flotilla.http import Http, Request, Stream
from flotilla.retry import WORKERS, RetryPolicy, TransientError, gather
from flotilla.text import sentence


@dataclass(frozen=True, kw_only=True)
class Source:
    """Something to stream.

    Args:
        what: the transfer in plain words ("download artifact x").
        path: below the API's URL.
        accept: the Accept header.
        size: bytes that GitHub says it has.
        digest: "sha256:…" that GitHub recorded, or None.
        permission: the token's permission that it needs ("actions: read").
    """

    what: str
    path: str
    accept: str
    size: int
    digest: str | None
    permission: str

    @property
    def limit(self) -> int:
        """Return the most bytes to accept: the declared size, and some room for a zip that is made on the fly."""
        return self.size + self.size // 8 + 1024 * 1024


class Streams:
    """Opens sources; a storage host that GitHub redirects to never sees the token."""

    def __init__(self, endpoint: Endpoint, http: Http) -> None:
        self.endpoint = endpoint
        self.http = http

    @contextmanager
    def opened(self, source: Source, *, offset: int) -> Iterator[Stream]:
        """Open the bytes from offset on; status 200 if the server starts from the beginning instead.

        Raises:
            TransientError: another try, with a fresh URL, may succeed.
            FlotillaError: refused for good, or a redirect that must not be followed.
        """
        request = Request(
            what=source.what,
            url=self.endpoint.base + source.path,
            headers={"Accept": source.accept} | ({"Range": f"bytes={offset}-"} if offset else {}),
            credential=self.endpoint.credential,
        )
        with self.http.stream(request) as stream:
            if stream.status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                raise RangeRefused("the server has fewer bytes than were already downloaded")
            if stream.status not in {HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT}:
                failure = _api_failure if stream.credited else _storage_failure
                raise failure(_refused(stream), source, self.http.policy.clock.now())
            yield stream


class RangeRefused(TransientError):  # noqa: N818 - not an error yet
    """The bytes downloaded so far cannot be the beginning of the server's file."""


def _api_failure(reply: Reply, source: Source, now: float) -> TransientError | FlotillaError:
    if reply.status == HTTPStatus.GONE:
        return ArtifactError(
            f"{sentence(source.what)}: the artifact has expired.", advice="Re-run the CI workflow on this commit."
        )
    if reply.status == HTTPStatus.NOT_FOUND:
        return ArtifactError(
            f"{sentence(source.what)}: it no longer exists, or the token cannot see it.",
            advice=f"Check whether somebody deleted it, and that the job has `{source.permission}`.",
        )
    return refusal(reply, what=source.what, now=now, hint=f"This needs `{source.permission}`.")


def _storage_failure(reply: Reply, source: Source, now: float) -> TransientError | FlotillaError:
    # A signed URL is valid for a minute; after that storage hosts answer 403, 404 or 410. The next try gets a new one.
    if reply.status in {HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND, HTTPStatus.GONE, HTTPStatus.UNAUTHORIZED}:
        return TransientError(f"the storage host no longer accepts the signed URL (HTTP {reply.status})")
    return refusal(reply, what=source.what, now=now)


def _refused(stream: Stream) -> Reply:
    """Return the refusal, with the server's message if it is short JSON."""
    try:
        document = parse_json(stream.refused)
    except ValueError:
        document = None
    return Reply(status=stream.status, headers=stream.headers, document=document)


BLOCK = 1024 * 1024
CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18})")
NUMBER = re.compile(r"[0-9]{1,18}")
ZIP_TYPES = frozenset({"application/zip", "application/x-zip-compressed", "application/zip-compressed"})
ZIP_MAGIC = (b"PK\x03\x04", b"PK\x05\x06")
LONGEST_MAGIC = 8
LONGEST_NAME = 200


class Downloads:
    """Download to disk in constant memory."""

    def __init__(self, endpoint: Endpoint, streams: Streams) -> None:
        self._endpoint = endpoint
        self._streams = streams
        self._policy: RetryPolicy = streams.http.policy

    def all(self, artifacts: Sequence[Artifact], into: Path, *, workers: int = WORKERS) -> tuple[Download, ...]:
        """Download every artifact, a few at a time; return them in the order given."""
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
        """Append one answer to the part; raise TransientError until the file is complete and right."""
        # Without a digest to compare, nobody would notice if two answers came from different files.
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
                    f"{sentence(source.what)}: the server sent more than the {source.size} bytes that GitHub lists."
                )
            if part.size < whole and not self._policy.left():
                raise TransientError(f"the time ran out after {part.size} of {source.size} bytes")


def _total(stream: Stream, part: PartFile) -> int | None:
    """Return the full size if the answer tells it; empty the part if the answer does not continue it."""
    length = stream.headers.get("content-length", "")
    if stream.status == HTTPStatus.OK:
        part.restart()
        return int(length) if NUMBER.fullmatch(length) else None
    match = CONTENT_RANGE.fullmatch(stream.headers.get("content-range", ""))
    if match is None or int(match[1]) != part.size or int(match[2]) >= int(match[3]):
        raise RangeRefused("the server did not send the requested range")
    part.continued()
    return int(match[3])


def _compare(source: Source, part: PartFile) -> None:
    if source.digest is None or part.digest == source.digest:
        return
    digest, resumed = part.digest, part.resumed
    part.restart()
    if resumed:
        raise TransientError("the resumed download does not match its digest; starting over")
    part.discard()
    raise ArtifactError(
        f"{sentence(source.what)}: expected the digest {source.digest} that GitHub recorded, got {digest}.",
        advice="Re-run the job. If that does not help, re-run the CI workflow; do not release this artifact.",
    )


class PartFile:
    """A download in progress: a later process can continue it where an earlier one stopped.

    Args:
        path: the file; None keeps only size and digest.
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
        with suppress(OSError):  # a full disk was already reported while writing
            self._close()

    @property
    def digest(self) -> str:
        """Return the digest of the bytes so far, as GitHub writes it ("sha256:…")."""
        return f"sha256:{self._hash.hexdigest()}"

    def first_bytes(self) -> bytes:
        """Return the first eight bytes, from which the format can be told."""
        return self._first

    def append(self, chunk: bytes) -> None:
        """Append bytes; raise ArtifactError if they cannot be written."""
        try:
            if self._file is not None:
                self._file.write(chunk)
        except OSError as error:
            raise self._unwritable(error) from None
        self._count(chunk)

    def restart(self) -> None:
        """Start over, with no bytes."""
        if self._file is not None:
            self._file.seek(0)
            self._file.truncate()
        self._hash, self._first, self.size, self.resumed = hashlib.sha256(), b"", 0, False

    def continued(self) -> None:
        """Note that the next bytes continue those of an earlier answer."""
        self.resumed = self.size > 0

    def discard(self) -> None:
        """Delete the file."""
        self._close()
        if self._path is not None:
            self._path.unlink(missing_ok=True)

    def move_to(self, path: Path) -> None:
        """Rename the file to its final name, which only complete files have."""
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
            f"{self._path} cannot be written: {error.strerror}.",
            advice="Free disk space on the runner, or use a runner with a larger disk.",
        )


def _opened(path: Path) -> IO[bytes]:
    """Open the file to append to; replace a link in its place without touching the link's target."""
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

    Decide as actions/toolkit does: by content type and URL, or by the first bytes if there is no content type.

    Raises:
        ArtifactError: a zip was announced, but these first bytes are not a zip's.
    """
    looks = first.startswith(ZIP_MAGIC)
    content_type = stream.headers.get("content-type", "").partition(";")[0].strip().lower()
    announced = content_type in ZIP_TYPES or urlsplit(stream.url).path.lower().endswith(".zip")
    if announced and not looks:
        raise ArtifactError(f"GitHub announced the artifact {artifact.name} as a zip, but it is not one.")
    return not announced and not (looks and not content_type)


def zip_path(artifact: Artifact, into: Path) -> Path:
    """Return the path of a zipped artifact."""
    return into / f"artifact-{artifact.id}.zip"


def raw_path(artifact: Artifact, stream: Stream, into: Path) -> Path:
    """Return the path of a raw artifact: alone in a folder, under its own name made safe."""
    return _raw_folder(artifact, into) / (
        disposed_name(stream.headers.get("content-disposition", "")) or _own_name(artifact)
    )


def already_here(artifact: Artifact, into: Path) -> Download | None:
    """Return the artifact if an earlier try downloaded it completely, as its digest shows."""
    if artifact.digest is None:
        return None
    folder = _raw_folder(artifact, into)
    raw = [(path, True) for path in sorted(folder.iterdir())] if folder.is_dir() else []
    for path, is_file in [(zip_path(artifact, into), False), *raw]:
        if path.is_file() and _digest_of(path) == artifact.digest:
            return landed(artifact, path, digest=artifact.digest, raw=is_file)
    return None


def landed(artifact: Artifact, path: Path, *, digest: str, raw: bool) -> Download:
    """Return the artifact, completely downloaded."""
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
    """Return the file name in a Content-Disposition header, without any path; None if there is no usable one."""
    message = EmailMessage()
    try:
        message["Content-Disposition"] = "".join(c for c in disposition if c.isprintable())
        named = message.get_filename()
    except (ValueError, LookupError):
        return None
    return safe_name(named or "")


def safe_name(name: str) -> str | None:
    """Return the last part of a name, without characters unsafe in file systems or terminals; None if nothing is left.

    At most 200 bytes of UTF-8.
    """
    last = re.split(r"[/\\]", name)[-1]
    kept = "".join(c for c in last if c.isprintable() and c not in ':*?"<>|').strip()
    bounded = kept.encode(errors="ignore")[:LONGEST_NAME].decode(errors="ignore")
    return None if bounded in {"", ".", ".."} else bounded
