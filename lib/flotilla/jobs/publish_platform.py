"""publish-platform: publish the packages of one or more platforms, one for each variant."""

from __future__ import annotations

from flotilla.jobs.inputs import JobContext, PlatformInputs
from flotilla.jobs.publish_packages import publish_packages


def publish_platform(job: JobContext[PlatformInputs]) -> None:
    """Publish the platforms' packages from the run's artifacts, in the order given; decide about all of them first.

    Raises:
        InputError: the family has no such platform, or one is named twice.
    """
    packages, family = job.family.of_platform(*job.inputs.platform), job.family
    names = list(dict.fromkeys(package.platform.name for package in packages if package.platform))
    others = len(names) < len(family.config.platforms)
    steps = [
        *(["the jobs of the other platforms"] if others else ["action-publish-dev"] if family.devs else []),
        *(["action-publish-meta"] if family.metas else []),
    ]
    publish_packages(
        job,
        packages,
        title=f"Platform{'s' if len(names) > 1 else ''} {', '.join(names)}",
        then=f"Next: {', then '.join(steps)}." if steps else "",
        run_id=job.inputs.run_id,
    )
