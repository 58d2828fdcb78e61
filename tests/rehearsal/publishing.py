"""Publishes to the throwaway registry without npm: the document that npm would send."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import tarfile
from pathlib import Path
from typing import Any

import requests
from tests.rehearsal.client import Client
from tests.simulator.faults import FaultPlan
from tests.simulator.memory import RegistryState
from tests.simulator.servers import RegistryServer

from flotilla.rehearsal.loopback import Serving
from flotilla.rehearsal.registry import VerdaccioBackend, integrity_of

TARBALL = b"a tarball, as far as a registry can tell: "


def document(name: str, version: str, *, tag: str, access: str | None, content: bytes, **fields: Any) -> dict[str, Any]:
    """Return a publish document (libnpmpublish, buildMetadata)."""
    tarball = content + version.encode()
    dist = {
        "integrity": integrity_of(tarball),
        "shasum": hashlib.sha1(tarball, usedforsecurity=False).hexdigest(),
        "tarball": f"http://127.0.0.1/{name}/-/{name}-{version}.tgz",
    }
    attachment = {
        "content_type": "application/octet-stream",
        "data": base64.b64encode(tarball).decode(),
        "length": len(tarball),
    }
    manifest = {"name": name, "version": version, "_id": f"{name}@{version}", "readme": "# x", **fields, "dist": dist}
    return {
        "_id": name,
        "name": name,
        "dist-tags": {tag: version},
        "versions": {version: manifest},
        "access": access,
        "_attachments": {f"{name}-{version}.tgz": attachment},
    }


def put(  # noqa: PLR0913 - keyword-only, each a part of the document
    client: Client,
    name: str,
    version: str,
    *,
    tag: str = "latest",
    access: str | None = "public",
    content: bytes = TARBALL,
    path: str = "",
    **fields: Any,
) -> requests.Response:
    """Publish, or stage where `path` says so."""
    body = document(name, version, tag=tag, access=access, content=content, **fields)
    return client.send("POST" if path else "PUT", path or f"/{name.replace('/', '%2f')}", body=body)


def published(serving: Serving, backend: VerdaccioBackend | None, plan: FaultPlan, name: str) -> RegistryServer:
    """Return a registry with three versions of a package."""
    registry = RegistryServer(RegistryState(), serving, backend=backend, plan=plan)
    with Client(registry.url, token=next(iter(registry.state.tokens))) as client:
        put(client, name, "1.0.0-rc.1", tag="next", description="d", scripts={"install": "x"})
        put(
            client, name, "1.0.0", os=["linux"], cpu=["x64"], libc=["musl"], bin={"a": "bin/a"}, engines={"node": ">=1"}
        )
        put(client, name, "1.1.0", dependencies={"a": "1"}, optionalDependencies={"b": "1"})
    return registry


def npm_tarball(folder: Path, name: str, version: str, **fields: Any) -> Path:
    """Return a tarball that npm can publish: a package.json and a file."""
    manifest = {
        "name": name,
        "version": version,
        "repository": {"type": "git", "url": "git+https://github.com/acme/tool.git"},
        **fields,
    }
    path = folder / f"{name.replace('/', '-').removeprefix('@')}-{version}.tgz"
    with tarfile.open(path, "w:gz") as tar:
        for file, content in {"package.json": json.dumps(manifest).encode(), "README.md": b"# x\n"}.items():
            entry = tarfile.TarInfo(f"package/{file}")
            entry.size = len(content)
            entry.mode = 0o644
            tar.addfile(entry, io.BytesIO(content))
    return path
