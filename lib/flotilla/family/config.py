"""flotilla.yml, read and checked: all its faults at once, each with line and column."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

from flotilla.errors import ConfigError, Fault
from flotilla.family.building import build_config
from flotilla.family.checks import family_findings
from flotilla.family.document import Document, read_document
from flotilla.family.findings import Finding
from flotilla.family.model import Config
from flotilla.family.schema import schema_findings
from flotilla.family.wording import word_findings, word_warnings

MOST_FAULTS = 100
# Any version shows what all of them have in common.
SAMPLE_VERSION = "1.0.0"
# What stands for a section with faults while the others are checked.
STAND_INS: Mapping[str, object] = {
    "schema": 1,
    "family": "family",
    "platforms": ["linux-x64"],
    "ci": {"workflow": "ci.yml", "artifact": "{platform}-{variant}"},
}


def parse_config(text: str, *, file: str = "flotilla.yml") -> Config:
    """Return the family that a flotilla.yml describes, and in `warnings` what may be wrong in it.

    Args:
        text: the file's text.
        file: its path, for the places that errors name.

    Raises:
        ConfigError: all that is wrong with it, each with line, column and the nearest right word.
    """
    document = read_document(text, file)
    if not isinstance(document.value, dict):
        raise _no_mapping(document)
    findings = [*document.findings, *schema_findings(document), *word_findings(document)]
    unfit = {section for finding in findings if (section := finding.section)}
    config = build_config(_sound(document.value, unfit))
    findings += family_findings(config, SAMPLE_VERSION, unfit=unfit)
    if findings:
        raise _refusal(document, findings)
    return replace(config, warnings=tuple(map(document.fault, word_warnings(document))))


def _no_mapping(document: Document) -> ConfigError:
    found = "is empty" if document.value is None else "is not a mapping of keys (schema, family, platforms, ci)"
    return ConfigError(
        [Fault(text=f"the file {found}.", place=document.place(()))],
        advice="Begin it with schema: 1 and the family's name; flotilla init writes one.",
    )


def _sound(values: Mapping[str, object], unfit: Collection[str]) -> dict[str, object]:
    return {**STAND_INS, **{key: value for key, value in values.items() if key not in unfit}}


def _refusal(document: Document, findings: Collection[Finding]) -> ConfigError:
    faults = sorted({document.fault(finding): None for finding in findings}, key=_position)
    more = [Fault(text=f"and {len(faults) - MOST_FAULTS} more faults.")] if faults[MOST_FAULTS:] else []
    return ConfigError([*faults[:MOST_FAULTS], *more], advice=f"Correct {document.file}, then run flotilla again.")


def _position(fault: Fault) -> tuple[int, int]:
    place = fault.place
    return (place.line or 0, place.column or 0) if place else (0, 0)
