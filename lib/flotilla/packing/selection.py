"""Which of a package's files a pattern or its manifest names."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator, Mapping

from wcmatch import glob

from flotilla.errors import PackageError
from flotilla.text import printable

GLOB = glob.GLOBSTAR | glob.DOTGLOB | glob.BRACE | glob.FORCEUNIX | glob.CASE
PATTERNS = 1000  # that braces may make of one


def matching(paths: Iterable[str], pattern: str) -> set[str]:
    """The paths that a pattern matches; one that names a folder means all below it, as in a manifest's `files`.

    Raises:
        PackageError: its braces stand for too many patterns.
    """
    bare = pattern.removeprefix("./").rstrip("/")
    try:
        matcher = glob.compile([bare, f"{bare}/**"], flags=GLOB, limit=PATTERNS)
    except Exception as error:  # wcmatch does not export its own for too many braces
        text = f'the pattern "{printable(pattern)}" stands for more than {PATTERNS} patterns.'
        raise PackageError(text, advice="Write it with fewer braces.") from error
    return {path for path in paths if matcher.match(path)}


def bins(manifest: Mapping[str, object], paths: Iterable[str]) -> set[str]:
    """The paths that the manifest's bin names, or that lie in its directories.bin."""
    named, folders = set(_files(manifest.get("bin"))), tuple(_folders(manifest.get("directories")))
    return {path for path in paths if path in named or path.startswith(folders)}


def _files(bin_: object) -> Iterator[str]:
    paths = bin_.values() if isinstance(bin_, Mapping) else (bin_,)
    return (posixpath.normpath(path) for path in paths if isinstance(path, str))


def _folders(directories: object) -> Iterator[str]:
    match directories:
        case {"bin": str() as folder}:
            yield f"{posixpath.normpath(folder)}/"
