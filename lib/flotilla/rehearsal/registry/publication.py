"""The document that npm sends to publish: read, checked, and taken apart."""

from __future__ import annotations

import base64
import binascii
import hashlib
import io
import json
import tarfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]


class Refused(Exception):  # noqa: N818 - an answer, not an error of ours
    """An answer of the registry that is not a success.

    Args:
        status: of HTTP.
        error: its text, in npm's words.
        key: what the text stands under: "error" for most, "message" for the token exchange.
    """

    def __init__(
        self, status: int, error: str, *, headers: Mapping[str, str] | None = None, key: str = "error"
    ) -> None:
        super().__init__(error)
        self.status = status
        self.headers = dict(headers or {})
        self.document = {key: error}


@dataclass(frozen=True, kw_only=True)
class Publication:
    """One version as npm wants it published.

    Args:
        tarball: its bytes.
        bundle: the provenance bundle, if there is one.
        stored: the document without the bundle: what a registry stores.
    """

    name: str
    version: str
    tag: str
    access: str | None
    manifest: Json
    integrity: str
    shasum: str
    tarball: bytes
    bundle: Json | None
    stored: bytes

    @property
    def spec(self) -> str:
        """Return name@version."""
        return f"{self.name}@{self.version}"


def read_publication(body: bytes, *, name: str) -> Publication:
    """Take a publish document apart.

    Raises:
        Refused: it is none, or its parts do not belong together.
    """
    try:
        document = json.loads(body)
        return _taken_apart(document, body, name)
    except (ValueError, KeyError, TypeError, AttributeError, binascii.Error) as error:
        raise Refused(400, f"bad publish document: {error!r}") from error


def _taken_apart(document: Json, body: bytes, name: str) -> Publication:
    ((version, manifest),) = document["versions"].items()
    ((tag, _tagged),) = document["dist-tags"].items()
    attachments = document["_attachments"]
    bundles = [key for key in attachments if key.endswith(".sigstore")]
    ((_file, attachment),) = ((key, value) for key, value in attachments.items() if key not in bundles)
    tarball = base64.b64decode(attachment["data"], validate=True)
    _check(document, name, tarball, attachment, manifest)
    bundle = json.loads(attachments[bundles[0]]["data"]) if bundles else None
    for key in bundles:
        del attachments[key]
    return Publication(
        name=name,
        version=version,
        tag=tag,
        access=document.get("access"),
        manifest=manifest,
        integrity=manifest["dist"]["integrity"],
        shasum=manifest["dist"]["shasum"],
        tarball=tarball,
        bundle=bundle,
        stored=json.dumps(document).encode() if bundles else body,
    )


def _check(document: Json, name: str, tarball: bytes, attachment: Json, manifest: Json) -> None:
    if document["name"] != name or manifest["name"] != name:
        raise Refused(400, f"the document is of {document['name']}, not of {name}")
    if attachment["length"] != len(tarball):
        raise Refused(400, "the attachment's length is not that of its data")
    if manifest["dist"]["integrity"] != integrity_of(tarball):
        raise Refused(400, "the tarball's integrity is not the one in dist")


def integrity_of(tarball: bytes) -> str:
    """Return sha512-… of Subresource Integrity."""
    return f"sha512-{base64.b64encode(hashlib.sha512(tarball).digest()).decode()}"


def unpacked_size(tarball: bytes) -> int:
    """Return the bytes of a tarball's files; 0 if it cannot be read."""
    try:
        with tarfile.open(fileobj=io.BytesIO(tarball), mode="r:gz") as archive:
            return sum(member.size for member in archive if member.isfile())
    except (tarfile.TarError, OSError, EOFError, zlib.error):
        return 0
