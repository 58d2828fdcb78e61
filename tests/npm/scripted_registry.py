"""A registry, GitHub's id-token service and sigstore on loopback, which answer as they are told."""

from __future__ import annotations

import base64
import json
import ssl
import threading
import uuid
from collections import defaultdict, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import trustme
from tests.world.http_server import HttpServer, body_of


@dataclass(frozen=True, kw_only=True)
class Reply:
    """What to answer to one request; with the effect that it would have had, or without."""

    status: int = 200
    body: object = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    cut: bool = False
    short_by: int = 0
    effect: bool = False


@dataclass(frozen=True, kw_only=True)
class Seen:
    """One request that came in."""

    method: str
    path: str
    query: Mapping[str, list[str]]
    headers: Mapping[str, str]
    body: bytes

    @property
    def bearer(self) -> str:
        return self.headers.get("authorization", "").removeprefix("Bearer ")


def jwt(**claims: object) -> str:
    """Return an id-token that nobody signed."""
    parts = [{"alg": "RS256", "typ": "JWT"}, claims]
    encoded = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts]
    return ".".join([*encoded, "c2lnbmF0dXJl"])


class _Server(HttpServer):
    """A loopback server that keeps what it saw and follows a script before its own mind."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Seen] = []
        self._script: dict[tuple[str, str], deque[Reply]] = defaultdict(deque)
        self._stalled: dict[str, threading.Event] = {}

    def script(self, method: str, path: str, *replies: Reply) -> None:
        """Answer the next requests of this method whose path starts so, one reply each."""
        self._script[(method, path)].extend(replies)

    def stall(self, method: str, until: threading.Event) -> None:
        """Let the next request of this method wait."""
        self._stalled[method] = until

    def requests(self, method: str, path: str = "/") -> list[Seen]:
        return [seen for seen in self.seen if seen.method == method and seen.path.startswith(path)]

    def serve(self, handler: BaseHTTPRequestHandler) -> None:
        parts = urlsplit(handler.path)
        seen = Seen(
            method=handler.command,
            path=parts.path,
            query=parse_qs(parts.query, keep_blank_values=True),
            headers={key.lower(): value for key, value in handler.headers.items()},
            body=body_of(handler),
        )
        self.seen.append(seen)
        if seen.method in self._stalled:
            self._stalled.pop(seen.method).wait(30)
        told = self._told(seen)
        if told is None or told.effect:
            own = self.answer(seen)
            told = own if told is None else told
        _send(handler, told)

    def answer(self, seen: Seen) -> Reply:
        raise NotImplementedError

    def _told(self, seen: Seen) -> Reply | None:
        for (method, path), replies in self._script.items():
            if replies and method == seen.method and seen.path.startswith(path):
                return replies.popleft()
        return None


class ScriptedRegistry(_Server):
    """An npm registry with token exchange, staging and visibility, and GitHub's id-token endpoint beside it."""

    def __init__(self) -> None:
        super().__init__()
        self.url = self.origin + "/"
        self.packages: dict[str, dict[str, Any]] = {}
        self.cached: dict[str, deque[dict[str, Any] | None]] = defaultdict(deque)
        self.documents: list[dict[str, Any]] = []
        self.staged: dict[str, dict[str, Any]] = {}
        self.accepted: list[str] = []
        self.minted: list[str] = []
        self.claims: dict[str, object] = {"repository": "acme/ffmpeg", "repository_visibility": "public"}

    @property
    def id_token_environment(self) -> dict[str, str]:
        return {
            "ACTIONS_ID_TOKEN_REQUEST_URL": f"{self.origin}/_id-token?api-version=2.0",
            "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "runner-request-token-canary",
        }

    def answer(self, seen: Seen) -> Reply:  # noqa: PLR0911 - one line an endpoint
        if seen.path == "/_id-token":
            audience = seen.query["audience"][0]
            return Reply(body={"value": jwt(aud=audience, sub="repo:acme/ffmpeg:ref:refs/heads/main", **self.claims)})
        if seen.path.startswith("/-/npm/v1/oidc/token/exchange/package/"):
            return self._exchange()
        if seen.path.startswith("/-/stage"):
            return self._stage(seen)
        if seen.path.endswith("/visibility"):
            known = unquote(seen.path.removeprefix("/-/package/").removesuffix("/visibility")) in self.packages
            return Reply(body={"public": True}) if known else Reply(status=404, body={"error": "not found"})
        if seen.path == "/-/ping":
            return Reply()
        if seen.method == "PUT":
            return self._take(json.loads(seen.body))
        return self._packument(seen)

    def put(self, document: dict[str, Any]) -> None:
        """Store a publish document without a request."""
        self._take(document)

    def _exchange(self) -> Reply:
        self.minted.append(f"npm_oidc{uuid.uuid4().hex}")
        return Reply(status=201, body={"token_type": "oidc", "token": self.minted[-1]})

    def _take(self, document: dict[str, Any]) -> Reply:
        name, version = document["name"], next(iter(document["versions"]))
        held = self.packages.setdefault(name, {"name": name, "dist-tags": {}, "versions": {}})
        if version in held["versions"]:
            return Reply(status=409, body={"error": "this package is already present"})
        self.documents.append(document)
        self.accepted.append(f"{name}@{version}")
        held["versions"][version] = document["versions"][version]
        held["dist-tags"] |= document["dist-tags"]
        return Reply(status=201, body={"ok": "created"})

    def _stage(self, seen: Seen) -> Reply:
        if seen.method == "GET":
            items = list(self.staged.values())
            return Reply(body={"items": items, "total": len(items)})
        document = json.loads(seen.body)
        version, manifest = next(iter(document["versions"].items()))
        if any(item["version"] == version and item["packageName"] == document["name"] for item in self.staged.values()):
            return Reply(status=409, body={"error": f'Cannot publish over previously staged version "{version}"'})
        stage_id = str(uuid.uuid4())
        shasum = manifest["dist"]["shasum"]
        self.staged[stage_id] = {"id": stage_id, "packageName": document["name"], "version": version, "shasum": shasum}
        return Reply(status=201, body={"stageId": stage_id})

    def _packument(self, seen: Seen) -> Reply:
        name = unquote(seen.path[1:])
        held = self.packages.get(name)
        if "write" not in seen.query and self.cached[name]:
            held = self.cached[name].popleft()
        return Reply(status=404, body={"error": "Not found"}) if held is None else Reply(body=held)


class ScriptedSigstore(_Server):
    """Fulcio and Rekor behind a CONNECT proxy that ends TLS with a certificate of its own authority."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        authority = trustme.CA()
        certificate = authority.issue_cert("fulcio.sigstore.dev", "rekor.sigstore.dev")
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate.configure_cert(self._tls)
        self._pem = certificate.cert_chain_pems[0].bytes().decode()
        self.environment = {
            "HTTPS_PROXY": self.origin,
            "NO_PROXY": "127.0.0.1",
            "NODE_EXTRA_CA_CERTS": str(folder / "authority.pem"),
        }
        authority.cert_pem.write_to_path(self.environment["NODE_EXTRA_CA_CERTS"])

    @property
    def identities(self) -> list[str]:
        """Return the id-tokens that Fulcio was shown."""
        return [
            json.loads(seen.body)["credentials"]["oidcIdentityToken"]
            for seen in self.requests("POST", "/api/v2/signingCert")
        ]

    def connect(self, handler: BaseHTTPRequestHandler) -> None:
        if handler.path.partition(":")[0] not in {"fulcio.sigstore.dev", "rekor.sigstore.dev"}:
            handler.send_error(403)
            return
        handler.send_response(200)
        handler.end_headers()
        handler.wfile.flush()
        inner = self._tls.wrap_socket(handler.connection, server_side=True)
        try:
            self._handler(inner, handler.client_address, self._http)
        finally:
            inner.close()
            handler.close_connection = True

    def answer(self, seen: Seen) -> Reply:
        if seen.path == "/api/v2/signingCert":
            return Reply(body={"signedCertificateEmbeddedSct": {"chain": {"certificates": [self._pem]}}})
        entry = json.loads(seen.body)
        body = base64.b64encode(
            json.dumps({"kind": entry["kind"], "apiVersion": entry["apiVersion"]}).encode()
        ).decode()
        logged = {
            "body": body,
            "integratedTime": 1_700_000_000,
            "logID": "00" * 32,
            "logIndex": len(self.seen),
            "verification": {"signedEntryTimestamp": "c2V0"},
        }
        return Reply(status=201, body={uuid.uuid4().hex: logged})


def _send(handler: BaseHTTPRequestHandler, reply: Reply) -> None:
    if reply.cut:
        handler.close_connection = True
        return
    body = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
    handler.send_response_only(reply.status)  # without a date, so that the client's clock counts
    length = len(body) + reply.short_by
    for key, value in {"content-type": "application/json", **reply.headers, "content-length": str(length)}.items():
        handler.send_header(key, value)
    handler.end_headers()
    handler.wfile.write(body)
    handler.close_connection |= bool(reply.short_by)
