"""publish-platform: one platform's packages, one a variant."""

from __future__ import annotations

from flotilla.jobs.inputs import PlatformInputs
from flotilla.jobs.job import Job
from flotilla.jobs.publishing import publish_packages


def publish_platform(job: Job[PlatformInputs]) -> None:
    """Publish one platform's packages from the artifacts of the run.

    Raises:
        InputError: the family has no such platform.
    """
    packages = job.family.of_platform(job.inputs.platform)
    publish_packages(job, packages, title=f"Platform {job.inputs.platform}", run_id=job.inputs.run_id)
