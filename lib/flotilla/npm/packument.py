"""Parse and check what a registry says about a package."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import MappingProxyType
from urllib.parse import unquote, urlsplit

from flotilla import documents
from flotilla.documents import Document
from flotilla.errors import RegistryError
from flotilla.text import plain

Json = Mapping[str, object]

# Keys of `time` that are not versions.
_MOMENTS = frozenset({"created", "modified", "unpublished"})


@dataclass(frozen=True, kw_only=True)
class PublishedVersion:
    """One version as the registry has it.

    Args:
        integrity: Subresource Integrity; made from the shasum if the registry has nothing better.
        tarball: the tarball's URL by the registry; not trusted.
        attestations: the URL of its provenance; None if it has none.
        manifest: the published manifest, as the registry returned it.
    """

    name: str
    version: str
    integrity: str
    tarball: str
    attestations: str | None = None
    manifest: Json = field(default_factory=lambda: MappingProxyType({}))

    @property
    def unpacked_size(self) -> int | None:
        """Return the bytes of its files as the registry counted them; None if it did not, as many do not."""
        dist = self.manifest.get("dist")
        counted = dist.get("unpackedSize") if isinstance(dist, Mapping) else None
        return counted if isinstance(counted, int) and counted > 0 else None


@dataclass(frozen=True, kw_only=True)
class Packument:
    """All versions of one package.

    Args:
        burnt: version numbers that were used and unpublished; the registry never accepts them again.
        times: when each version was published, in UTC; empty if the registry does not tell.
    """

    name: str
    dist_tags: Mapping[str, str]
    versions: Mapping[str, PublishedVersion]
    burnt: frozenset[str] = frozenset()
    times: Mapping[str, datetime] = field(default_factory=lambda: MappingProxyType({}))

    def tags_of(self, version: str) -> tuple[str, ...]:
        """Return the dist-tags that point to this version."""
        return tuple(sorted(tag for tag, tagged in self.dist_tags.items() if tagged == version))


def parse_json(text: bytes, *, what: str) -> object:
    """Return the JSON document; raise a RegistryError that names the request if it is not JSON."""
    try:
        return documents.parse_json(text)
    except ValueError as error:
        raise malformed(what, f"not JSON ({plain(str(error), longest=120)})") from error


def parse_packument(document: object, *, name: str, what: str) -> Packument:
    """Return the packument in a registry's answer, shape and name checked.

    Args:
        document: parsed JSON, not checked yet.
        name: the requested package.
        what: the request in plain words, for the error.

    Raises:
        RegistryError: names the first field of the wrong type.
    """
    top = Document.of(document, what, malformed)
    if top.fields.get("name", name) != name:
        raise malformed(what, f"it is about another package, {_short(top.fields['name'])}")
    tags, versions = (top.inner(key) if key in top.fields else None for key in ("dist-tags", "versions"))
    numbers = versions.fields if versions else ()
    parsed = {
        number: _parse_version(versions.inner(number), name=name, number=number) for number in numbers if versions
    }
    return Packument(
        name=name,
        dist_tags={tag: tags.text(tag) for tag in tags.fields} if tags else {},
        versions=parsed,
        burnt=_burnt(top) - parsed.keys(),
        times=_times(top),
    )


def same_integrity(ours: str, theirs: str) -> bool:
    """Return whether two Subresource Integrity strings mean the same content, by sha512 or, if theirs lacks it, sha1.

    Args:
        ours: our tarball's sha512; `with_shasum` adds its sha1.
        theirs: the registry's.
    """
    algorithm = "sha1" if all(part.startswith("sha1-") for part in theirs.split()) else "sha512"
    return bool(_hashes(ours, algorithm) & _hashes(theirs, algorithm))


def is_own_tarball(url: str, *, registry: str, name: str, version: str) -> bool:
    """Return whether a tarball's URL is that of this version on this registry.

    npm writes http: into it and reads it with the registry's own scheme. A registry below a path may serve files from
    another path of its host, and GitHub's registry has its own form of URLs.
    """
    try:
        there, own = urlsplit(url), urlsplit(registry)
        same_port = (there.port or _port(there.scheme)) == (own.port or _port(own.scheme))
    except ValueError:
        return False
    if there.scheme not in {"http", "https"} or there.hostname != own.hostname or "@" in there.netloc:
        return False
    if not same_port and not (there.scheme == "http" and own.scheme == "https"):
        return False
    path = unquote(there.path)
    if "?" in url or "#" in url or any(part in {".", ".."} for part in path.split("/")):
        return False
    files = [f"/{name}/-/{file}-{version}.tgz" for file in (name, name.rpartition("/")[2])]
    below = own.path.rstrip("/")
    if any(path == below + file for file in files) or (below and path.endswith(tuple(files))):
        return True
    return re.fullmatch(re.escape(f"/download/{name}/{version}/") + "[0-9a-f]+", path) is not None


def with_shasum(integrity: str, shasum: str) -> str:
    """Return a tarball's integrity and its sha1, for registries that store only sha1.

    Args:
        integrity: its Subresource Integrity.
        shasum: its sha1 in hexadecimal.
    """
    return f"{integrity} {_from_shasum(shasum)}"


def _parse_version(manifest: Document, *, name: str, number: str) -> PublishedVersion:
    dist = manifest.inner("dist")
    attestations = dist.optional_inner("attestations")
    return PublishedVersion(
        name=name,
        version=number,
        integrity=_integrity(dist),
        tarball=dist.text("tarball"),
        attestations=attestations.text("url") if attestations else None,
        manifest=manifest.fields,
    )


def _integrity(dist: Document) -> str:
    given = dist.optional_text("integrity")
    if given is not None:
        return given
    try:
        return _from_shasum(dist.text("shasum"))
    except ValueError as error:
        raise malformed(dist.about, "shasum is not hexadecimal") from error


def _burnt(packument: Document) -> frozenset[str]:
    time = packument.optional_inner("time")
    if time is None:
        return frozenset()
    moments = time.fields
    unpublished = moments.get("unpublished")
    listed = unpublished.get("versions") if isinstance(unpublished, dict) else None
    gone = [number for number in listed if isinstance(number, str)] if isinstance(listed, list) else []
    return frozenset(moments.keys() - _MOMENTS) | frozenset(gone)


def _times(packument: Document) -> dict[str, datetime]:
    time = packument.optional_inner("time")
    moments = {}
    for key, moment in time.fields.items() if time else ():
        with suppress(ValueError):  # some registries write other things
            if isinstance(moment, str):
                moments[key] = datetime.fromisoformat(moment)
    return {key: moment.astimezone(UTC) for key, moment in moments.items() if moment.tzinfo}


def _from_shasum(shasum: str) -> str:
    return "sha1-" + base64.b64encode(bytes.fromhex(shasum)).decode()


def _hashes(integrity: str, algorithm: str) -> frozenset[str]:
    return frozenset(part.partition("?")[0] for part in integrity.split() if part.startswith(f"{algorithm}-"))


def _short(value: object) -> str:
    return plain(str(value), longest=100)


def malformed(what: str, why: str) -> RegistryError:
    """Return the error for an answer that cannot be read."""
    return RegistryError(
        f"{what}: the registry's answer cannot be used: {why}.",
        advice="Check that the registry's URL is right, and that no proxy answers instead.",
    )


def _port(scheme: str) -> int:
    return 443 if scheme == "https" else 80
