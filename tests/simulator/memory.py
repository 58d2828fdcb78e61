"""Packages in memory instead of in verdaccio: answers as it does, and can be saved, restored and read late."""

from __future__ import annotations

import hashlib
import json
import posixpath
import time
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urlsplit

from flotilla.rehearsal.registry import state
from flotilla.rehearsal.registry.front import INSTALL_TYPE, Answer, Backend, answer, split_name
from flotilla.rehearsal.registry.publication import Publication
from flotilla.rehearsal.registry.reads import is_plain_packument

Json = dict[str, Any]
OK, CREATED = 200, 201
OCTETS = "application/octet-stream; charset=utf-8"
# What verdaccio keeps of a manifest in the abbreviated form (convertAbbreviatedManifest in its storage-utils.js).
ABBREVIATED = (
    "name version description deprecated bin dist engines cpu os funding directories dependencies devDependencies "
    "peerDependencies peerDependenciesMeta optionalDependencies bundleDependencies _hasShrinkwrap"
)


# Set while a request is answered with what was true before the last write.
LAGGING: ContextVar[bool] = ContextVar("lagging", default=False)


@dataclass(kw_only=True)
class RegistryState(state.RegistryState):
    """A registry's state, its packages included.

    Args:
        documents: the packuments.
        tarballs: by path.
        previous: each package's packument before its last version, None if there was none.
    """

    documents: dict[str, Json] = field(default_factory=dict)
    tarballs: dict[str, bytes] = field(default_factory=dict)
    previous: dict[str, Json | None] = field(default_factory=dict)


class LaggingBackend:
    """A backend whose replicas may not have seen the last write yet."""

    def __init__(self, behind: Backend, state: RegistryState) -> None:
        self._behind = behind
        self._state = state

    async def read(self, path: str, *, accept: str, host: str) -> Answer:
        """Answer a GET, a plain packument late where LAGGING says so."""
        name, _ = split_name(unquote(urlsplit(path).path).strip("/"))
        if not LAGGING.get() or not is_plain_packument(path) or name not in self._state.previous:
            return await self._behind.read(path, accept=accept, host=host)
        document = self._state.previous[name]
        return answer({"error": "no such package available"}, 404) if document is None else _packument(document, accept)

    async def store(self, publication: Publication) -> Answer:
        """Store a version, and remember the package as it was."""
        before = await self._behind.read(f"/{publication.name}", accept="", host="127.0.0.1")
        stored = await self._behind.store(publication)
        if stored.status == CREATED:
            self._state.previous[publication.name] = json.loads(before.body) if before.status == OK else None
        return stored

    async def tag(self, name: str, tag: str, version: str | None) -> Answer:
        """Set a dist-tag, or remove it."""
        return await self._behind.tag(name, tag, version)


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
        return _packument(served, accept)

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


def tarball_path(name: str, version: str) -> str:
    """Return where a version's tarball lies, below the registry."""
    return f"{name}/-/{posixpath.basename(name)}-{version}.tgz"


def with_tarballs(document: Json, host: str) -> Json:
    """Return the document with each tarball's address at the host that the client speaks to."""
    copied: Json = json.loads(json.dumps(document))
    for version, manifest in copied["versions"].items():
        manifest["dist"]["tarball"] = f"http://{host}/{tarball_path(copied['name'], version)}"
    return copied


def abbreviated(document: Json) -> Json:
    """Return a packument's abbreviated form, as verdaccio gives it."""
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


def _packument(document: Json, accept: str) -> Answer:
    if INSTALL_TYPE in accept:
        return answer(abbreviated(document), content_type=f"{INSTALL_TYPE}; charset=utf-8")
    return answer(document)


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
