"""The ledger: from artifact to asset to tarball to registry to provenance, in a form that a machine can check again."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from flotilla.family import Package
from flotilla.github import Release, WantedAsset, WorkflowRun
from flotilla.jobs.inputs import Inputs
from flotilla.jobs.job import LEDGER, Job, write_output
from flotilla.jobs.record import Record
from flotilla.jobs.workshop import Built, Material
from flotilla.npm import ON_REGISTRY, Statement

SCHEMA = 1

Entry = Mapping[str, object]


@dataclass(frozen=True, kw_only=True)
class Known:
    """What a job knows of a release.

    Args:
        commit: what is released; None where the job ended before it was settled.
        ci_run: where the artifacts come from; None for a job that takes none.
        built: every package of the job.
        records: what became of them, as far as they were published.
        assets: of the GitHub release.
        artifacts_digest: of the whole family's artifacts; None if this job does not know it.
    """

    commit: str | None = None
    ci_run: WorkflowRun | None = None
    built: Sequence[Built] = ()
    records: Sequence[Record] = ()
    assets: Sequence[WantedAsset] = ()
    release: Release | None = None
    artifacts_digest: str | None = None


def write_ledger(job: Job[Inputs], known: Known, *, asset: bool = False) -> str:
    """Write what this job knows.

    Args:
        asset: it is to be an asset of the release, and says the same whichever run of the job writes it.

    Returns:
        the file's path, relative to the workspace.
    """
    materials = {one.material.artifact.id: one.material for one in known.built if one.material}
    done = {record.built.package.name: record for record in known.records}
    document = {
        "schema": SCHEMA,
        "family": job.family.config.family,
        "version": job.family.version,
        "tag": job.family.tag,
        "repository": job.facts.repository,
        "commit": known.commit,
        "registry": job.registry.url,
        "written-by": None if asset else _this_run(job),
        "ci-run": _ci_run(known.ci_run) if known.ci_run else None,
        "release": known.release.id if known.release else None,
        "artifacts-digest": known.artifacts_digest,
        "artifacts": [_artifact(material) for _, material in sorted(materials.items())],
        "assets": [_asset(one, materials.values()) for one in known.assets],
        "packages": [_package(one, done.get(one.package.name), _this_run(job)) for one in known.built],
    }
    return write_output(job.facts.workspace, LEDGER, json.dumps(document, indent=2) + "\n")


def _this_run(job: Job[Inputs]) -> str | None:
    return job.facts.run_url if job.facts.run_id else None


def _ci_run(run: WorkflowRun) -> Entry:
    return {"id": run.id, "url": run.url, "workflow": run.path, "event": run.event, "commit": run.commit}


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


def _asset(asset: WantedAsset, materials: Collection[Material]) -> Entry:
    origin = next((m.artifact.id for m in materials if asset.path.is_relative_to(m.files)), None)
    return {"name": asset.name, "size": asset.size, "digest": asset.digest, "artifact": origin}


def _package(built: Built, record: Record | None, this_run: str | None) -> Entry:
    on_registry = record is not None and record.status in ON_REGISTRY
    statement = record.provenance if record else None
    published_by = this_run if record and record.status in {"published", "staged"} else None
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
        "published-by": statement.run if statement else published_by,
        "provenance": _provenance(statement) if statement else None,
        "stage-id": record.stage_id or None if record else None,
        **_binaries(built.package),
    }


def _binaries(package: Package) -> Entry:
    """Return nothing for a package whose binaries were checked, so that its entry is what it always was."""
    platform = package.platform if package.kind == "platform" else None
    return {"binaries": platform.binaries} if platform and platform.binaries != "check" else {}


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
