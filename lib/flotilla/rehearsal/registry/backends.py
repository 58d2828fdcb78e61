"""What stores packages behind the registry's front: in memory here, and elsewhere a real verdaccio."""

from __future__ import annotations

import hashlib
import json
import posixpath
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import unquote, urlsplit

from flotilla.rehearsal.registry.publication import Publication
from flotilla.rehearsal.registry.state import RegistryState

Json = dict[str, Any]
JSON_TYPE = "application/json; charset=utf-8"
INSTALL_TYPE = "application/vnd.npm.install-v1+json"
OCTETS = "application/octet-stream; charset=utf-8"
# What verdaccio keeps of a manifest in the abbreviated form (convertAbbreviatedManifest in its storage-utils.js).
ABBREVIATED = (
    "name version description deprecated bin dist engines cpu os funding directories dependencies devDependencies "
    "peerDependencies peerDependenciesMeta optionalDependencies bundleDependencies _hasShrinkwrap"
)


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a backend answers."""

    status: int
    body: bytes
    content_type: str = JSON_TYPE


class Backend(Protocol):
    """Stores what the front accepted, and serves it."""

    async def read(self, path: str, *, accept: str, host: str) -> Answer:
        """Answer a GET.

        Args:
            path: as the client sent it, query included.
            accept: the client's Accept header.
            host: the client's Host header, for the tarballs' addresses.
        """

    async def store(self, publication: Publication) -> Answer:
        """Store a version that is not there yet."""

    async def tag(self, name: str, tag: str, version: str | None) -> Answer:
        """Set a dist-tag, or remove it."""

    async def wipe(self) -> None:
        """Forget all packages."""


class MemoryBackend:
    """Answers as verdaccio does, from the state's own documents; can be saved and restored with it."""

    def __init__(self, state: RegistryState) -> None:
        self._state = state

    async def read(self, path: str, *, accept: str, host: str) -> Answer:
        """Answer a GET for a packument, a version, a tarball or the dist-tags."""
        plain = unquote(urlsplit(path).path).strip("/")
        if "/-/" in f"/{plain}":
            return self._service(plain)
        name, version = split_name(plain)
        document = self._state.documents.get(name)
        if document is None:
            return answer({"error": "no such package available"}, 404)
        served = with_tarballs(document, host)
        if version:
            return _version(served, version)
        return (
            answer(abbreviated(served), content_type=f"{INSTALL_TYPE}; charset=utf-8")
            if INSTALL_TYPE in accept
            else answer(served)
        )

    async def store(self, publication: Publication) -> Answer:
        """Add a version to its package's document."""
        documents, moment = self._state.documents, _now()
        document = documents.setdefault(publication.name, _empty(publication, moment))
        manifest = json.loads(json.dumps(publication.manifest))
        document["readme"] = str(manifest.pop("readme", None) or "")
        manifest.pop("readmeFilename", None)
        document["versions"][publication.version] = {**manifest, "contributors": manifest.get("contributors", [])}
        document["time"] |= {publication.version: moment, "modified": moment}
        document["dist-tags"].setdefault("latest", publication.version)
        document["dist-tags"][publication.tag] = publication.version
        self._state.tarballs[tarball_path(publication.name, publication.version)] = publication.tarball
        return answer({"ok": "created new package", "success": True}, 201)

    async def tag(self, name: str, tag: str, version: str | None) -> Answer:
        """Set a dist-tag, or remove it."""
        tags = self._state.documents[name]["dist-tags"]
        if version is None:
            tags.pop(tag, None)
            return answer({"ok": "tag removed"}, 201)
        tags[tag] = version
        return answer({"ok": "package tagged"}, 201)

    async def wipe(self) -> None:
        """Forget all packages."""
        self._state.documents.clear()
        self._state.tarballs.clear()

    def _service(self, plain: str) -> Answer:
        if plain == "-/ping":
            return answer({})
        if plain.startswith("-/package/") and plain.endswith("/dist-tags"):
            document = self._state.documents.get(plain.removeprefix("-/package/").removesuffix("/dist-tags"))
            return answer(document["dist-tags"]) if document else answer({"error": "no such package available"}, 404)
        tarball = self._state.tarballs.get(plain)
        if tarball is not None:
            return Answer(status=200, body=tarball, content_type=OCTETS)
        return answer({"error": "no such file available" if plain.endswith(".tgz") else "File not found"}, 404)


def answer(document: Mapping[str, Any], status: int = 200, content_type: str = JSON_TYPE) -> Answer:
    """A document as verdaccio prints it."""
    text = json.dumps(document, indent=2, ensure_ascii=False) + "\n"
    return Answer(status=status, body=text.encode(), content_type=content_type)


def split_name(path: str) -> tuple[str, str]:
    """A package's name, and what follows it ("" for nothing)."""
    parts = path.split("/")
    length = 2 if path.startswith("@") else 1
    return "/".join(parts[:length]), "/".join(parts[length:])


def tarball_path(name: str, version: str) -> str:
    """Where a version's tarball lies, below the registry."""
    return f"{name}/-/{posixpath.basename(name)}-{version}.tgz"


def with_tarballs(document: Json, host: str) -> Json:
    """The document with each tarball's address at the host that the client speaks to."""
    copied: Json = json.loads(json.dumps(document))
    for version, manifest in copied["versions"].items():
        manifest["dist"]["tarball"] = f"http://{host}/{tarball_path(copied['name'], version)}"
    return copied


def abbreviated(document: Json) -> Json:
    """A packument's abbreviated form, as verdaccio gives it."""
    kept = ABBREVIATED.split()
    return {
        "name": document["name"],
        "dist-tags": document["dist-tags"],
        "versions": {
            version: {
                **{key: manifest[key] for key in kept if key in manifest},
                "hasInstallScript": bool({"preinstall", "install", "postinstall"} & set(manifest.get("scripts") or {})),
            }
            for version, manifest in document["versions"].items()
        },
        "modified": document["time"]["modified"],
        "time": document["time"],
    }


def _version(document: Json, wanted: str) -> Answer:
    version = document["dist-tags"].get(wanted, wanted)
    if version not in document["versions"]:
        return answer({"error": f"this version doesn't exist: {wanted}"}, 404)
    return answer(document["versions"][version])


def _empty(publication: Publication, moment: str) -> Json:
    return {
        "name": publication.name,
        "versions": {},
        "time": {"modified": moment, "created": moment},
        "users": {},
        "dist-tags": {},
        "_rev": f"1-{hashlib.sha256(publication.name.encode()).hexdigest()[:16]}",
        "_id": publication.name,
        "readme": "",
        "_attachments": {},
    }


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime())
