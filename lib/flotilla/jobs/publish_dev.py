"""publish-dev: publish the dev packages, which contain headers."""

from __future__ import annotations

from flotilla.errors import InputError
from flotilla.jobs.inputs import DevInputs, JobContext
from flotilla.jobs.publish_packages import publish_packages


def publish_dev(job: JobContext[DevInputs]) -> None:
    """Publish the dev packages from the run's artifacts, in flotilla.yml's order.

    Raises:
        InputError: the family has none.
    """
    if not job.family.devs:
        raise InputError(
            "the family has no dev package",
            advice="Remove this job from the workflow, or add packages.dev to flotilla.yml.",
        )
    then = "Next: action-publish-meta, once all platforms are published." if job.family.metas else ""
    publish_packages(job, job.family.devs, title="Headers", then=then, run_id=job.inputs.run_id)
