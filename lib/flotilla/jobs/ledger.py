"""The ledger: what a job did to each package, from artifact to asset to tarball to registry to provenance.

A program can check a ledger again (`flotilla verify`). It is not trusted when it is read.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, Literal, cast

from jsonschema import Draft202012Validator

from flotilla.documents import parse_json
from flotilla.errors import Fault, InputError, Place
from flotilla.github import Release, WantedAsset, WorkflowRun
from flotilla.jobs.build import Built, UnpackedArtifact
from flotilla.jobs.inputs import Inputs, JobContext, is_same_run
from flotilla.npm import ON_REGISTRY, Statement, Status, sha512_of
from flotilla.packing import contents_digest
from flotilla.runner import LEDGER, write_output
from flotilla.text import as_json, one_line, quoted


@dataclass(frozen=True, kw_only=True)
class Record:
    """One package at the end of this job.

    Args:
        dist_tag: its dist-tag on the registry, now or once approved; empty if it has none.
        integrity: the registry's tarball's; ours if the registry has none yet.
        provenance: the registry's provenance statement, checked; None if there is none.
        stage_id: the id that approves a staged package; empty if unknown.
        note: what else to report; may be empty.
        read_back: the registry's answer was lost, but it has the package, perhaps from another run.
        signed_in: how this job signed in to publish or stage it; empty if it did not.
    """

    built: Built
    status: Status
    dist_tag: str
    integrity: str
    provenance: Statement | None = None
    stage_id: str = ""
    note: str = ""
    read_back: bool = False
    signed_in: Literal["trusted-publishing", "token", ""] = ""


def packages_output(records: Iterable[Record]) -> str:
    """Return the output `packages`: a JSON array with an object for each package."""
    return json.dumps(
        [
            {
                "name": record.built.packed.name,
                "version": record.built.packed.version,
                "status": record.status,
                "integrity": record.integrity,
                "size": record.built.packed.size,
                "dist-tag": record.dist_tag,
            }
            for record in records
        ]
    )


SCHEMA = 1

Entry = Mapping[str, object]


@dataclass(frozen=True, kw_only=True)
class Known:
    """What a job knows of a release.

    Args:
        commit: the released commit; None if the job ended before it was known.
        ci_run: the run that made the artifacts; None for a job that uses none.
        built: every package of the job.
        records: the packages that were published, or found on the registry.
        assets: those of the GitHub release.
        artifacts_digest: the digest of all the family's artifacts; None if this job does not know it.
    """

    commit: str | None = None
    ci_run: WorkflowRun | None = None
    built: Sequence[Built] = ()
    records: Sequence[Record] = ()
    assets: Sequence[WantedAsset] = ()
    release: Release | None = None
    artifacts_digest: str | None = None


def write_ledger(job: JobContext[Inputs], known: Known, *, asset: bool = False) -> str:
    """Write what this job knows.

    Args:
        asset: it becomes an asset of the release, and must be the same whichever run of the job writes it.

    Returns:
        The file's path, relative to the workspace.
    """
    unpacked = {one.source.artifact.id: one.source for one in known.built if one.source}
    done = {record.built.package.name: record for record in known.records}
    document = {
        "schema": SCHEMA,
        "family": job.family.config.family,
        "version": job.family.version,
        "tag": job.family.tag,
        "repository": job.variables.repository,
        "commit": known.commit,
        "registry": job.registry.url,
        "written-by": None if asset else _this_run(job),
        "ci-run": _ci_run(job, known.ci_run) if known.ci_run else None,
        "release": known.release.id if known.release else None,
        "artifacts-digest": known.artifacts_digest,
        "artifacts": [_artifact(source) for _, source in sorted(unpacked.items())],
        "assets": [_asset(one, unpacked.values()) for one in known.assets],
        "packages": [_package(one, done.get(one.package.name), _this_run(job)) for one in known.built],
    }
    return write_output(job.variables.workspace, LEDGER, json.dumps(document, indent=2) + "\n")


def _this_run(job: JobContext[Inputs]) -> str | None:
    return job.variables.run_url if job.variables.run_id else None


def _ci_run(job: JobContext[Inputs], run: WorkflowRun) -> Entry:
    entry = {"id": run.id, "url": run.url, "workflow": run.path, "event": run.event, "commit": run.commit}
    return {**entry, "same-run": True} if is_same_run(job, run) else entry


def _artifact(source: UnpackedArtifact) -> Entry:
    artifact = source.artifact
    return {
        "id": artifact.id,
        "run": artifact.run_id,
        "name": artifact.name,
        "size": artifact.size,
        "digest": source.digest,
        "recorded-digest": artifact.digest,
    }


def _asset(asset: WantedAsset, unpacked: Collection[UnpackedArtifact]) -> Entry:
    origin = next((m.artifact.id for m in unpacked if asset.path.is_relative_to(m.files)), None)
    return {"name": asset.name, "size": asset.size, "digest": asset.digest, "artifact": origin}


def _package(built: Built, record: Record | None, this_run: str | None) -> Entry:
    on_registry = record is not None and record.status in ON_REGISTRY
    statement = record.provenance if record else None
    published_by = this_run if record and record.status in {"published", "staged"} else None
    return {
        "name": built.package.name,
        "version": built.package.version,
        "kind": built.package.kind,
        "artifact": built.source.artifact.id if built.source else None,
        "contents": contents_digest(built.contents),
        "integrity": built.tarball.integrity if built.tarball else None,
        "size": built.tarball.size if built.tarball else None,
        "status": record.status if record else "built",
        "dist-tag": record.dist_tag if record else None,
        "registry-integrity": record.integrity if record and on_registry else None,
        "published-by": statement.run if statement else published_by,
        "provenance": _provenance(statement) if statement else None,
        "stage-id": record.stage_id or None if record else None,
        **({"signed-in-with": record.signed_in} if record and record.signed_in else {}),
        **_binaries(built),
    }


def _binaries(built: Built) -> Entry:
    """Return what binaries need, or that they were not checked; nothing if there is nothing to say."""
    platform = built.package.platform if built.package.kind == "platform" else None
    floors = built.files.floors.as_json()
    return {
        **({"binaries": platform.binaries} if platform and platform.binaries != "check" else {}),
        **({"floors": floors} if floors else {}),
    }


def _provenance(statement: Statement) -> Entry:
    return {
        "predicate-type": statement.predicate,
        "subject": statement.subject,
        "sha512": statement.sha512,
        "repository": statement.repository,
        "commit": statement.commit,
        "workflow": statement.workflow,
        "run": statement.run,
    }


SCHEMA_FILE = "ledger.schema.json"
LARGEST = 16 * 2**20
FAULTS_SHOWN = 20
LONGEST_FAULT = 300

Ledger = Mapping[str, Any]
"""A ledger that fits its schema."""


@cache
def ledger_schema() -> Mapping[str, object]:
    """Return the JSON schema of the ledger."""
    text = resources.files("flotilla.jobs").joinpath(SCHEMA_FILE).read_text(encoding="utf-8")
    loaded: Mapping[str, object] = json.loads(text)
    return loaded


def read_ledger(file: Path) -> Ledger:
    """Return the ledger in a file.

    Raises:
        InputError: it cannot be read, or is not a ledger; says what is wrong.
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
        document = parse_json(data, strict=True)
    except ValueError as failure:
        raise InputError(Fault(text=f"this is not JSON: {_cut(str(failure))}", place=place)) from failure
    if faults := list(schema_faults(document)):
        raise InputError(
            [Fault(text=text, place=place) for text in faults[:FAULTS_SHOWN]],
            advice="Give a ledger that flotilla wrote: the file of a job's output `ledger`, or the release's asset.",
        )
    return cast("Ledger", document)


def schema_faults(document: object) -> Iterator[str]:
    """Return why a document is not a ledger, a line each."""
    missing: dict[str, list[str]] = {}
    for error in Draft202012Validator(ledger_schema()).iter_errors(document):
        where = "the ledger" if error.json_path == "$" else one_line(error.json_path.removeprefix("$."))
        found, wanted = as_json(error.instance), error.validator_value
        match error.validator:
            case "required":
                missing.setdefault(where, [])
                missing[where] += [key for key in wanted if key not in {*error.instance, *missing[where]}]
            case "additionalProperties":
                unknown = ", ".join(quoted(key) for key in error.instance if key not in error.schema["properties"])
                yield _cut(f"{where} has unknown keys: {unknown}")
            case "type":
                kinds = [wanted] if isinstance(wanted, str) else wanted
                yield _cut(f"{where} must be of type {' or '.join(kinds)}, got {found}")
            case "enum" | "const":
                yield _cut(f"{where} must be {as_json(wanted)}, got {found}")
            case _:
                yield _cut(f"{where} is malformed: {found}")
    yield from (_cut(f"{where} lacks {', '.join(keys)}") for where, keys in missing.items())


def inner_faults(ledger: Ledger) -> Iterator[str]:
    """Return where a ledger contradicts itself, a line each."""
    known = {artifact["id"] for artifact in ledger["artifacts"]}
    for one in [*ledger["assets"], *ledger["packages"]]:
        if one["artifact"] is not None and one["artifact"] not in known:
            yield f"{one['name']} comes from artifact {one['artifact']}, which the ledger does not list"
    for artifact in ledger["artifacts"]:
        if artifact["recorded-digest"] not in (None, artifact["digest"]):
            yield f"artifact {artifact['name']} was used although GitHub had recorded another digest"
        if ledger["ci-run"] is None or artifact["run"] != ledger["ci-run"]["id"]:
            yield f"artifact {artifact['name']} is from run {artifact['run']}, which is not the ledger's CI run"
    if ledger["ci-run"] and ledger["ci-run"]["commit"] != ledger["commit"]:
        yield f"the CI run built {ledger['ci-run']['commit']}, but the release is of {ledger['commit']}"
    for package in ledger["packages"]:
        yield from _package_faults(package, ledger["version"])


def _package_faults(package: Mapping[str, Any], version: str) -> Iterator[str]:
    name, there, stated = package["name"], package["registry-integrity"], package["provenance"]
    if package["version"] != version and package["kind"] == "platform":  # the others may have one of their own
        yield f"{name} has the version {package['version']}, but the release has {version}"
    if package["status"] == "published" and there != package["integrity"]:
        yield f"{name} was published with a different integrity than its tarball's"
    if package["status"] in {"published", "already-published"} and there is None:
        yield f"{name} is {package['status']}, but the ledger has no integrity from the registry"
    if stated and (stated["sha512"] != sha512_of(there or "") or stated["subject"] != subject_of(name, version)):
        yield f"the provenance of {name} is about another package or tarball"


def subject_of(name: str, version: str) -> str:
    """Return a package's name in a provenance statement."""
    return f"pkg:npm/{name.replace('@', '%40', 1)}@{version}"


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST_FAULT else f"{text[:LONGEST_FAULT]}…"
