"""publish-platform: one platform's packages, one a variant."""

from __future__ import annotations

from flotilla.jobs.context import JobContext
from flotilla.jobs.inputs import PlatformInputs
from flotilla.jobs.publish_packages import publish_packages


def publish_platform(job: JobContext[PlatformInputs]) -> None:
    """Publish one platform's packages from the artifacts of the run.

    Raises:
        InputError: the family has no such platform.
    """
    packages = job.family.of_platform(job.inputs.platform)
    last = ", then action-publish-meta" if job.family.metas else ""
    title, then = f"Platform {job.inputs.platform}", f"Next: the jobs of the other platforms{last}."
    publish_packages(job, packages, title=title, then=then, run_id=job.inputs.run_id)
