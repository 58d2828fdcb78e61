"""A ledger, checked at the door: it may have been written by anybody."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, NoReturn

from jsonschema import Draft202012Validator

from flotilla.errors import Fault, InputError, Place
from flotilla.npm import sha512_of

SCHEMA_FILE = "ledger.schema.json"
LARGEST = 16 * 2**20
FAULTS_SHOWN = 20
LONGEST_FAULT = 300

Ledger = Mapping[str, Any]
"""A ledger that fits its schema."""


@cache
def ledger_schema() -> Mapping[str, object]:
    """The JSON schema of the ledger."""
    text = resources.files("flotilla.jobs").joinpath(SCHEMA_FILE).read_text(encoding="utf-8")
    loaded: Mapping[str, object] = json.loads(text)
    return loaded


def read_ledger(file: Path) -> Ledger:
    """The ledger in a file.

    Raises:
        InputError: it cannot be read, or is not a ledger; with what does not fit.
    """
    place = Place(file=str(file))
    try:
        with file.open("rb") as stream:
            data = stream.read(LARGEST + 1)
    except OSError as failure:
        raise InputError(Fault(text=f"the ledger cannot be read: {failure.strerror}", place=place)) from failure
    if len(data) > LARGEST:
        raise InputError(Fault(text=f"the ledger is larger than {LARGEST // 2**20} MiB", place=place))
    try:
        document = json.loads(data, parse_constant=_no_number, object_pairs_hook=_distinct)
    except (ValueError, RecursionError) as failure:
        raise InputError(Fault(text=f"is not JSON: {_cut(str(failure))}", place=place)) from failure
    if faults := list(schema_faults(document)):
        raise InputError(
            [Fault(text=text, place=place) for text in faults[:FAULTS_SHOWN]],
            advice="This is not a ledger of flotilla's: take the file that the output `ledger` names, or the asset.",
        )
    ledger: Ledger = document
    return ledger


def schema_faults(document: object) -> Iterator[str]:
    """In what a document is no ledger, a line each."""
    for error in Draft202012Validator(ledger_schema()).iter_errors(document):
        yield _cut(f"{error.json_path}: {error.message}")


def inner_faults(ledger: Ledger) -> Iterator[str]:
    """Where a ledger contradicts itself, a line each."""
    known = {artifact["id"] for artifact in ledger["artifacts"]}
    for one in [*ledger["assets"], *ledger["packages"]]:
        if one["artifact"] is not None and one["artifact"] not in known:
            yield f"{one['name']} is from artifact {one['artifact']}, which the ledger does not list"
    for artifact in ledger["artifacts"]:
        if artifact["recorded-digest"] not in (None, artifact["digest"]):
            yield f"artifact {artifact['name']} was taken though GitHub had recorded another digest of it"
        if ledger["ci-run"] is None or artifact["run"] != ledger["ci-run"]["id"]:
            yield f"artifact {artifact['name']} is of run {artifact['run']}, which is not the CI run of the ledger"
    if ledger["ci-run"] and ledger["ci-run"]["commit"] != ledger["commit"]:
        yield f"the CI run built {ledger['ci-run']['commit']}, and the release is of {ledger['commit']}"
    for package in ledger["packages"]:
        yield from _package_faults(package, ledger["version"])


def _package_faults(package: Mapping[str, Any], version: str) -> Iterator[str]:
    name, there, stated = package["name"], package["registry-integrity"], package["provenance"]
    if package["version"] != version:
        yield f"{name} has version {package['version']}, and the release {version}"
    if package["status"] == "published" and there != package["integrity"]:
        yield f"{name} was published with another integrity than its tarball's"
    if package["status"] in {"published", "already-published"} and there is None:
        yield f"{name} is {package['status']}, and the ledger has no integrity of the registry"
    if stated and (stated["sha512"] != sha512_of(there or "") or stated["subject"] != subject_of(name, version)):
        yield f"the provenance of {name} is about another package or tarball"


def subject_of(name: str, version: str) -> str:
    """How a provenance statement names a package."""
    return f"pkg:npm/{name.replace('@', '%40', 1)}@{version}"


def _distinct(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """An object whose keys are all different: of two, readers disagree which counts."""
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueError("a key stands twice in one object")
    return made


def _no_number(word: str) -> NoReturn:
    raise ValueError(f"{word} is no JSON number")


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST_FAULT else f"{text[:LONGEST_FAULT]}…"
