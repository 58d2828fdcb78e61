"""The bytes of an artifact, as upload-artifact would have stored them."""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Mapping
from pathlib import Path

ZIP_DATE = (2020, 1, 1, 0, 0, 0)


def sha256(content: bytes) -> str:
    """The digest as GitHub writes it."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def raw_bytes(content: Path | bytes | Mapping[str, bytes]) -> bytes:
    """The one file that a raw artifact is."""
    if isinstance(content, bytes):
        return content
    if isinstance(content, Path):
        return content.read_bytes()
    (only,) = content.values()
    return only


def zipped(content: Path | bytes | Mapping[str, bytes]) -> bytes:
    """The zip that upload-artifact would have made: every file 0644, as its README warns."""
    if isinstance(content, bytes):
        return content
    if isinstance(content, Path) and content.is_file() and content.suffix == ".zip":
        return content.read_bytes()
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, data in sorted(_files(content).items()):
            entry = zipfile.ZipInfo(name, ZIP_DATE)
            entry.external_attr = 0o100644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, data)
    return sink.getvalue()


def _files(content: Path | Mapping[str, bytes]) -> dict[str, bytes]:
    if not isinstance(content, Path):
        return dict(content)
    if content.is_file():
        return {content.name: content.read_bytes()}
    return {path.relative_to(content).as_posix(): path.read_bytes() for path in content.rglob("*") if path.is_file()}
