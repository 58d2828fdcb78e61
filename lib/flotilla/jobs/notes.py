"""The release's notes, where the family writes its own."""

from __future__ import annotations

from pathlib import Path

from flotilla.errors import ConfigError, Fault, Place
from flotilla.family import Family
from flotilla.jobs.manifests import named_from

# Characters that GitHub takes: "body is too long (maximum is 125000 characters)".
LONGEST_NOTES = 125_000


def own_notes(family: Family, root: Path, *, top: Path | None = None) -> str | None:
    """What the file that release.notes names says; None where GitHub is to generate the notes.

    Args:
        root: folder of flotilla.yml.
        top: the folder that places in errors are named from; root where it is not given.

    Raises:
        ConfigError: it is not there, is no text, is too long, or lies outside the repository.
    """
    if family.notes is None:
        return None
    file, name = root / family.notes, named_from(top, root, family.notes)
    # A link could publish any file of this machine as the release's notes, the environment of this process included.
    if not file.resolve().is_relative_to(root.resolve()):
        raise ConfigError(Fault(text="release.notes lies outside the repository", place=Place(file=name)))
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as failure:
        why = failure.strerror if isinstance(failure, OSError) else "it is not UTF-8 text"
        raise ConfigError(
            Fault(text=f"release.notes cannot be read: {why}", place=Place(file=name)),
            advice="Commit the file, or correct release.notes in flotilla.yml (generate: GitHub writes them).",
        ) from failure
    if len(text) > LONGEST_NOTES:
        fault = f"release.notes has {len(text)} characters; GitHub takes {LONGEST_NOTES}"
        raise ConfigError(Fault(text=fault, place=Place(file=name)), advice="Shorten it, or link to the whole of it.")
    return text
