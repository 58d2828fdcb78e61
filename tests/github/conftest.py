"""A scripted GitHub on loopback: every request must be one that the test wrote down, and each of those must come."""

from __future__ import annotations

import hashlib
import json
import threading
from collections import defaultdict, deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.world.http_server import HttpServer, body_of

from flotilla.documents import Document
from flotilla.github import Artifact, Asset, Download, GitHub, Release, WantedAsset, WorkflowRun
from flotilla.github.models import parse_artifact, parse_asset, parse_release, parse_workflow_run, unusable
from flotilla.retry import RetryPolicy

if TYPE_CHECKING:
    from tests.conftest import RecordedClock

TOKEN = "ghs_canary0123456789"  # noqa: S105 - no secret, but a canary
COMMIT = "c0ffee" * 6 + "c0ff"
REPO = "/repos/acme/ffmpeg"


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What the server does with one request; cut_at ends the connection after so many bytes of the body."""

    status: int
    body: bytes
    headers: Mapping[str, str]
    cut_at: int | None = None
    dropped: bool = False


@dataclass(frozen=True, kw_only=True)
class Seen:
    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def document(self) -> Any:
        return json.loads(self.body)


@dataclass
class ScriptedServer:
    """Answers each (method, target) with what was written down for it, in that order."""

    url: str = ""
    seen: list[Seen] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)
    script: dict[tuple[str, str], deque[Answer]] = field(default_factory=lambda: defaultdict(deque))
    lock: threading.Lock = field(default_factory=threading.Lock)

    def on(  # noqa: PLR0913 - an answer has these parts
        self,
        method: str,
        target: str,
        status: int = 200,
        *,
        reply: object = None,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        cut_at: int | None = None,
    ) -> None:
        """Answer the next such request like this; reply is sent as JSON, body as it is."""
        sent = body if body is not None else b"" if reply is None else json.dumps(reply).encode()
        typed = {"Content-Type": "application/json"} if body is None else {}
        answer = Answer(status=status, body=sent, headers=typed | dict(headers or {}), cut_at=cut_at)
        self.script[method, target].append(answer)

    def drop(self, method: str, target: str) -> None:
        """Read the next such request, and close the connection without an answer."""
        self.script[method, target].append(Answer(status=0, body=b"", headers={}, dropped=True))

    def requests(self) -> list[str]:
        return [f"{seen.method} {seen.target}" for seen in self.seen]

    def answer(self, seen: Seen) -> Answer:
        with self.lock:
            self.seen.append(seen)
            planned = self.script[seen.method, seen.target]
            if planned:
                return planned.popleft()
            self.unexpected.append(f"{seen.method} {seen.target}")
            return Answer(status=418, body=b"", headers={})

    def left_over(self) -> list[str]:
        return [f"{method} {target}" for (method, target), answers in self.script.items() for _ in answers]


class Scripted(HttpServer):
    """Answers as the script says."""

    def __init__(self, script: ScriptedServer) -> None:
        super().__init__()
        self._script = script
        script.url = self.origin

    def serve(self, handler: BaseHTTPRequestHandler) -> None:
        seen = Seen(
            method=handler.command, target=handler.path, headers=dict(handler.headers.items()), body=body_of(handler)
        )
        answer = self._script.answer(seen)
        if answer.dropped:
            handler.close_connection = True
            return
        handler.send_response(answer.status)
        for name, value in answer.headers.items():
            handler.send_header(name, value)
        if "Content-Length" not in answer.headers and answer.status != 204:
            handler.send_header("Content-Length", str(len(answer.body)))
        handler.end_headers()
        handler.wfile.write(answer.body[: answer.cut_at])
        handler.close_connection = handler.close_connection or answer.cut_at is not None


def running() -> Iterator[ScriptedServer]:
    server = ScriptedServer()
    with Scripted(server):
        yield server
    assert not server.unexpected
    assert not server.left_over()


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    """Yield the API."""
    yield from running()


@pytest.fixture
def storage() -> Iterator[ScriptedServer]:
    """Yield another origin, which artifacts are redirected to."""
    yield from running()


@pytest.fixture
def told() -> list[str]:
    """Return the lines that were said about waiting."""
    return []


@pytest.fixture
def policy(recorded_clock: RecordedClock, told: list[str]) -> RetryPolicy:
    return RetryPolicy(
        deadline=recorded_clock.time + 3600, clock=recorded_clock, jitter=lambda: 1.0, told=told.append, attempts=12
    )


@pytest.fixture
def github(server: ScriptedServer, policy: RetryPolicy) -> Iterator[GitHub]:
    with GitHub(api_url=server.url, token=TOKEN, repository="acme/ffmpeg", policy=policy) as client:
        yield client


@dataclass(frozen=True)
class Maker:
    """GitHub's documents, and our values of them, a few fields changed."""

    api: str

    def run(self, run_id: int = 7, **changed: object) -> dict[str, object]:
        return {
            "id": run_id,
            "html_url": f"https://github.com/acme/ffmpeg/actions/runs/{run_id}",
            "status": "completed",
            "conclusion": "success",
            "head_sha": COMMIT,
            "event": "push",
            "path": ".github/workflows/ci.yml",
            "repository": {"full_name": "acme/ffmpeg"},
            "head_repository": {"full_name": "acme/ffmpeg"},
            "run_attempt": 1,
            "created_at": f"2026-01-02T03:04:{run_id:02}Z",
            "run_started_at": f"2026-01-02T03:04:{run_id:02}Z",
        } | changed

    def artifact(self, artifact_id: int = 31, **changed: object) -> dict[str, object]:
        return {
            "id": artifact_id,
            "name": "ffmpeg-linux-x64-free",
            "size_in_bytes": 4000,
            "expired": False,
            "digest": None,
            "workflow_run": {"id": 7},
            "created_at": "2026-01-02T03:10:00Z",
        } | changed

    def asset(self, asset_id: int = 51, **changed: object) -> dict[str, object]:
        return {
            "id": asset_id,
            "name": "a.tar.gz",
            "size": 5,
            "digest": sha256(b"hello"),
            "state": "uploaded",
            "browser_download_url": "https://github.com/acme/ffmpeg/releases/download/v1.0.0/a.tar.gz",
        } | changed

    def release(self, release_id: int = 90, **changed: object) -> dict[str, object]:
        return {
            "id": release_id,
            "tag_name": "v1.0.0",
            "name": "1.0.0",
            "body": "Notes",
            "target_commitish": "main",
            "draft": True,
            "prerelease": False,
            "immutable": False,
            "html_url": f"https://github.com/acme/ffmpeg/releases/{release_id}",
            "upload_url": f"{self.api}{REPO}/releases/{release_id}/assets{{?name,label}}",
            "assets": [],
        } | changed

    def a_run(self, run_id: int = 7, **changed: object) -> WorkflowRun:
        return parse_workflow_run(Document(self.run(run_id, **changed), "a run", unusable))

    def an_artifact(self, artifact_id: int = 31, **changed: object) -> Artifact:
        return parse_artifact(Document(self.artifact(artifact_id, **changed), "an artifact", unusable), 7)

    def an_asset(self, asset_id: int = 51, **changed: object) -> Asset:
        return parse_asset(Document(self.asset(asset_id, **changed), "an asset", unusable))

    def a_release(self, release_id: int = 90, **changed: object) -> Release:
        return parse_release(Document(self.release(release_id, **changed), "a release", unusable))

    def wanted(self, folder: Path, name: str = "a.tar.gz", content: bytes = b"hello") -> WantedAsset:
        path = folder / name
        path.write_bytes(content)
        return WantedAsset(name=name, size=len(content), digest=sha256(content), path=path)


def download(github: GitHub, artifact: Artifact, into: Path) -> Download:
    (here,) = github.artifacts.download([artifact], into)
    return here


def sha256(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


@pytest.fixture
def make(server: ScriptedServer) -> Maker:
    return Maker(server.url)
