"""What a registry says about a package, checked at the door."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from urllib.parse import unquote, urlsplit

from flotilla import documents
from flotilla.documents import Document
from flotilla.errors import RegistryError
from flotilla.text import plain

Json = Mapping[str, object]

# Keys of `time` that are no version numbers.
_MOMENTS = frozenset({"created", "modified", "unpublished"})


@dataclass(frozen=True, kw_only=True)
class PublishedVersion:
    """One version as the registry has it.

    Args:
        integrity: Subresource Integrity; from the shasum where the registry has nothing better.
        tarball: where the registry says that the tarball is; untrusted.
        attestations: where its provenance is, None if it has none.
        manifest: the published manifest, as the registry gave it.
    """

    name: str
    version: str
    integrity: str
    tarball: str
    attestations: str | None = None
    manifest: Json = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, kw_only=True)
class Packument:
    """All versions of one package.

    Args:
        burnt: version numbers that were used and unpublished; the registry never takes them again.
    """

    name: str
    dist_tags: Mapping[str, str]
    versions: Mapping[str, PublishedVersion]
    burnt: frozenset[str] = frozenset()

    def tags_of(self, version: str) -> tuple[str, ...]:
        """Return the dist-tags that point at this version."""
        return tuple(sorted(tag for tag, tagged in self.dist_tags.items() if tagged == version))


def parse_json(text: bytes, *, what: str) -> object:
    """Return the document in these bytes, or a RegistryError that names what was asked."""
    try:
        return documents.parse_json(text)
    except ValueError as error:
        raise malformed(what, f"not JSON ({plain(str(error), longest=120)})") from error


def parse_packument(document: object, *, name: str, what: str) -> Packument:
    """Return the packument in a registry's answer, shape and name checked.

    Args:
        document: parsed JSON that nobody has looked at yet.
        name: the package that was asked for.
        what: the request in plain words, for the error.

    Raises:
        RegistryError: names the first part that has another shape.
    """
    top = Document.of(document, what, malformed)
    if top.fields.get("name", name) != name:
        raise malformed(what, f"the packument of another package, {_short(top.fields['name'])}")
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
    )


def same_integrity(ours: str, theirs: str) -> bool:
    """Return whether two Subresource Integrity strings name one content: by sha512, or sha1 if theirs has no better.

    Args:
        ours: of our tarball, by sha512; `with_shasum` adds its sha1.
        theirs: as the registry gives it.
    """
    algorithm = "sha1" if all(part.startswith("sha1-") for part in theirs.split()) else "sha512"
    return bool(_hashes(ours, algorithm) & _hashes(theirs, algorithm))


def is_own_tarball(url: str, *, registry: str, name: str, version: str) -> bool:
    """Return whether a tarball's address is the one of this version on this registry.

    npm writes http: into it, whatever the registry speaks, and reads it by the registry's scheme. A registry of many
    repositories (below a path) may serve files from another path of its host, and GitHub's has a form of its own.
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
    """Return a tarball's integrity and its sha1, for a registry that keeps no better.

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


def _from_shasum(shasum: str) -> str:
    return "sha1-" + base64.b64encode(bytes.fromhex(shasum)).decode()


def _hashes(integrity: str, algorithm: str) -> frozenset[str]:
    return frozenset(part.partition("?")[0] for part in integrity.split() if part.startswith(f"{algorithm}-"))


def _short(value: object) -> str:
    return plain(str(value), longest=100)


def malformed(what: str, why: str) -> RegistryError:
    """Return the error for an answer that cannot be read."""
    return RegistryError(
        f"{what}: the registry's answer makes no sense: {why}.",
        advice="Check that the registry's URL is right and that no proxy answers in its place.",
    )


def _port(scheme: str) -> int:
    return 443 if scheme == "https" else 80
