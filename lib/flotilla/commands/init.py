"""flotilla init: write a first flotilla.yml and release workflow."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from flotilla.errors import ConfigError, InputError
from flotilla.family import parse_config

CONFIG = "flotilla.yml"
WORKFLOW = ".github/workflows/release.yml"
OWNER = "OWNER/flotilla/"


def init(folder: Path, *, family: str, platforms: list[str], flotilla: str) -> list[str]:
    """Write the two files; return their names.

    Args:
        family: the npm name that users will install, "@acme/tool".
        platforms: in npm's words.
        flotilla: the repository that holds flotilla's actions, "owner/flotilla".

    Raises:
        InputError: one of the files exists (nothing is overwritten), or npm does not know a word.
    """
    names = (CONFIG, WORKFLOW)
    if there := [name for name in names if (folder / name).exists()]:
        raise InputError([f"{name} already exists" for name in there], advice="flotilla init does not overwrite files.")
    config = (
        _template(CONFIG).replace("@acme/tool", family).replace("tool-{build}", family.rpartition("/")[2] + "-{build}")
    )
    listed = "".join(f"  - {platform}\n" for platform in platforms)
    config = config.replace("  - linux-x64\n", listed)
    try:
        parsed = parse_config(config, file=CONFIG)
    except ConfigError as failure:
        raise InputError(
            list(dict.fromkeys(fault.text for fault in failure.faults)),
            advice="Correct --family or --platforms. Nothing was written.",
        ) from failure
    if parsed.warnings:  # a file to begin with says nothing that needs a warning
        raise InputError(
            [warning.text for warning in parsed.warnings], advice="Correct --platforms. Nothing was written."
        )
    (folder / WORKFLOW).parent.mkdir(parents=True, exist_ok=True)
    (folder / CONFIG).write_text(config, encoding="utf-8")
    (folder / WORKFLOW).write_text(_template("release.yml").replace(OWNER, f"{flotilla}/"), encoding="utf-8")
    return list(names)


def _template(name: str) -> str:
    return (resources.files(__package__) / "templates" / name).read_text(encoding="utf-8")
