"""The files that a template gives to its package: as npm pack takes them of a folder, or of the repository's root."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

from flotilla.packing.packlist import IGNORE_FILES, MANIFEST, left_out, packed_files
from flotilla.packing.paths import entries_below, files_below
from flotilla.text import printable

# Of a repository, what lies in its root and is never packed.
NEVER = (".git", "node_modules")
MOST_NAMES = 10  # of files in one message


def template_files(template: Path | None, manifest: Mapping[str, object]) -> tuple[dict[str, Path], list[str]]:
    """Return the files that npm would pack of a template's folder, except its manifest, and what is wrong with others.

    A folder of templates holds nothing that is there by chance, so what npm would drop by its name is told.
    """
    listed, faults = listed_files(template, "the template's ")
    texts = _ignore_files(files_below(template)[0] if template else {})
    unlisted = {MANIFEST, *unlisted_files(listed, manifest, texts)}
    return {path: file for path, file in listed.items() if path not in unlisted}, faults


def root_files(
    root: Path, manifest: Mapping[str, object], *, beside: Collection[Path]
) -> tuple[dict[str, Path], list[str]]:
    """Return the files that npm would pack of a repository's root, except its manifest, and a notice of links.

    Args:
        manifest: the rendered package.json, whose `files` counts.
        beside: folders that lie in the root and are not of the repository.
    """
    files, others = entries_below(root, without={*beside, *(root / name for name in NEVER)})
    packed = packed_files({*files, *others}, manifest, ignore_files=_ignore_files(files)) - {MANIFEST}
    links = [printable(path) for path in sorted(packed & others.keys())]
    more = f" and {len(links) - MOST_NAMES} more" if links[MOST_NAMES:] else ""
    told = [f"left out, as npm pack does, since these are links: {', '.join(links[:MOST_NAMES])}{more}"]
    return {path: file for path, file in files.items() if path in packed}, told if links else []


def unlisted_files(
    paths: Iterable[str], manifest: Mapping[str, object], ignore_files: Mapping[str, str]
) -> frozenset[str]:
    """Return the paths that npm drops for the manifest's `files` or an ignore file, and takes without them."""
    if "files" not in manifest and not ignore_files:
        return frozenset()
    files = {*paths, MANIFEST}
    unfiltered = {key: value for key, value in manifest.items() if key != "files"}
    return packed_files(files, unfiltered) - packed_files(files, manifest, ignore_files=ignore_files)


def listed_files(root: Path | None, whose: str) -> tuple[dict[str, Path], list[str]]:
    """Return the regular files below a folder that npm packs at all, and a fault for each link or special file."""
    if root is None:
        return {}, []
    if not root.is_dir():
        return {}, [f"{whose}folder {printable(root.name)} does not exist"]
    files, faults = files_below(root)
    return {path: file for path, file in files.items() if not left_out(path)}, [f"{whose}{fault}" for fault in faults]


def _ignore_files(files: Mapping[str, Path]) -> dict[str, str]:
    """Return the texts of the ignore files among some files, by their paths."""
    return {
        path: file.read_text(encoding="utf-8", errors="replace")
        for path, file in files.items()
        if file.name in IGNORE_FILES
    }
