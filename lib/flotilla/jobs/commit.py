"""The commit that a release is of."""

from __future__ import annotations

from flotilla.errors import ConflictError, InputError, RefusedError
from flotilla.jobs.inputs import Inputs
from flotilla.jobs.job import Job


def settle_commit(job: Job[Inputs], wanted: str = "") -> str:
    """The commit to release: the one asked for, else the tag's, else the one that triggered this run.

    Raises:
        ConflictError: the tag is there, on another commit.
        InputError: nothing names a commit.
    """
    tag = job.family.tag
    tagged = job.github.tag_commit(tag)
    if tagged and wanted and tagged != wanted:
        raise ConflictError(
            f"tag {tag} is on commit {tagged}, and this release is of commit {wanted}",
            advice="A tag is never moved. Release a new version, or leave the input `commit` out to release the tag's.",
        )
    commit = wanted or tagged or job.facts.commit
    if not commit:
        raise InputError("no commit is known: give the input `commit`, or set GITHUB_SHA")
    return _told(job, commit)


def tagged_commit(job: Job[Inputs]) -> str:
    """The commit that packages are published of: the tag's; in a dry run before the tag exists, this run's.

    Raises:
        RefusedError: there is no tag yet.
    """
    tagged = job.github.tag_commit(job.family.tag)
    if tagged is None and job.inputs.dry_run:
        return settle_commit(job)
    if tagged is None:
        raise RefusedError(
            f"tag {job.family.tag} does not exist, and packages are published from a tag's commit only",
            advice="Run action-release first, in a job that this one `needs`.",
        )
    return _told(job, tagged)


def require_tag(job: Job[Inputs], commit: str) -> None:
    """Hold the tag to the commit that is released, right before its release is published.

    Where there is none, GitHub would make one, and on another commit: the newest of the default branch.

    Raises:
        RefusedError: it is gone.
        ConflictError: it is on another commit.
    """
    tag = job.family.tag
    tagged = job.github.tag_commit(tag)
    if tagged is None:
        raise RefusedError(
            f"there is no tag {tag}, and publishing its release would make GitHub tag another commit",
            advice="Run action-release with draft: true first; where somebody deleted the tag, put it back on "
            f"{commit}. Then re-run this job.",
        )
    if tagged != commit:
        raise ConflictError(
            f"tag {tag} is on commit {tagged}, and this release is of commit {commit}",
            advice="The release was not published. Put the tag back, then re-run this job.",
        )


def _told(job: Job[Inputs], commit: str) -> str:
    """The commit; where it is not this run's, its reader hears of it, since templates come from the checkout."""
    here = job.facts.commit
    if here and commit != here:
        job.runner.notice(
            f"the release is of commit {commit}, and this workflow runs on {here}. flotilla.yml and the templates are "
            "those that this job checked out; where they changed in between, check the released commit out "
            "(actions/checkout with ref).",
            title="Another commit",
        )
    return commit
