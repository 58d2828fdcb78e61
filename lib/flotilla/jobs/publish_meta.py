"""publish-meta: last, when `npm install` sees every platform package."""

from __future__ import annotations

from collections.abc import Sequence

from flotilla.errors import RefusedError
from flotilla.jobs.inputs import PublishInputs
from flotilla.jobs.job import Job
from flotilla.jobs.markdown import code
from flotilla.jobs.publishing import publish_packages
from flotilla.jobs.watching import visible_minutes
from flotilla.npm import Awaited, await_visible


def publish_meta(job: Job[PublishInputs]) -> None:
    """Publish the meta packages; each pins its platform packages, so these come first.

    Raises:
        RefusedError: a platform package was never published.
        DeadlineError: one was, and `npm install` does not see it in time.
        ConflictError: `npm install` sees other content than the registry has.
    """
    names = " or ".join(code(f"npm install {meta.name}@{meta.version}") for meta in job.family.metas)
    then = f"The family can be installed: {names}. A release kept as a draft is published by the phase `finish`."
    publish_packages(
        job, job.family.metas, title="Meta packages", then=then, run_id=None, before=lambda: _platforms_first(job)
    )


def _platforms_first(job: Job[PublishInputs]) -> None:
    """Wait for the platform packages; what is staged, or only rehearsed, is told and not waited for."""
    names = dict.fromkeys(name for meta in job.family.metas for name in meta.depends_on)
    found = {name: _published(job, name) for name in names}
    missing = [name for name, awaited in found.items() if awaited is None]
    if missing and not (job.inputs.staged or job.inputs.dry_run):
        raise RefusedError(
            [f"{name}@{job.family.version} is not on the registry, and a meta package pins it" for name in missing],
            advice="Publish the platform packages first: run action-publish-platform for each, then re-run this job.",
        )
    if missing:
        _tell(job, missing)
    await_visible(
        job.registry,
        [awaited for awaited in found.values() if awaited],
        policy=job.policy,
        minutes=visible_minutes(job),
        told=job.runner.line,
    )


def _tell(job: Job[PublishInputs], missing: Sequence[str]) -> None:
    order = "Approve them" if job.inputs.staged else "A release publishes them"
    job.runner.warning(
        f"{len(missing)} platform packages are not on the registry yet: {', '.join(missing)}. "
        f"{order} before the meta packages: without them an install ends without binaries, and says nothing.",
        title="Approve in order" if job.inputs.staged else "Dry run",
    )


def _published(job: Job[PublishInputs], name: str) -> Awaited | None:
    packument = job.registry.fresh(name)
    version = packument.versions.get(job.family.version) if packument else None
    return (name, version.version, version.integrity) if version else None
