"""The ledger: from artifact to asset to tarball to registry, in a form that a machine can check again."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence

from flotilla.github import WantedAsset
from flotilla.jobs.inputs import Inputs
from flotilla.jobs.job import Job
from flotilla.jobs.record import Record
from flotilla.jobs.workshop import Built, Material

SCHEMA = 1
OUTPUT_FOLDER = "flotilla-output"
LEDGER = "flotilla-ledger.json"

Entry = Mapping[str, object]


def write_ledger(
    job: Job[Inputs],
    *,
    built: Sequence[Built],
    records: Iterable[Record] = (),
    assets: Iterable[WantedAsset] = (),
) -> str:
    """Write what this job knows.

    Args:
        built: every package of the job.
        records: what became of them, as far as they were published.
        assets: of the GitHub release.

    Returns:
        the file's path, relative to the workspace.
    """
    done = {record.built.package.name: record for record in records}
    materials = {one.material.artifact.id: one.material for one in built if one.material}
    document = {
        "schema": SCHEMA,
        "family": job.family.config.family,
        "version": job.family.version,
        "tag": job.family.tag,
        "repository": job.facts.repository,
        "run": job.facts.run_url,
        "registry": job.registry.url,
        "artifacts": [_artifact(material) for material in materials.values()],
        "assets": [{"name": asset.name, "size": asset.size, "digest": asset.digest} for asset in assets],
        "packages": [_package(one, done.get(one.package.name)) for one in built],
    }
    name = f"{OUTPUT_FOLDER}/{LEDGER}"
    file = job.facts.workspace / name
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    return name


def _artifact(material: Material) -> Entry:
    artifact = material.artifact
    return {
        "id": artifact.id,
        "run": artifact.run_id,
        "name": artifact.name,
        "size": artifact.size,
        "digest": material.digest,
        "recorded-digest": artifact.digest,
    }


def _package(built: Built, record: Record | None) -> Entry:
    on_registry = record is not None and record.status in {"published", "already-published"}
    return {
        "name": built.tarball.name,
        "version": built.tarball.version,
        "kind": built.package.kind,
        "artifact": built.material.artifact.id if built.material else None,
        "integrity": built.tarball.integrity,
        "size": built.tarball.size,
        "status": record.status if record else "built",
        "dist-tag": record.dist_tag if record else None,
        "registry-integrity": record.integrity if record and on_registry else None,
        "provenance": record.provenance if record else False,
        "stage-id": record.stage_id or None if record else None,
    }
