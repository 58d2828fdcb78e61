"""GitHub: workflow runs, artifacts, tags and releases, as frozen values and in plain words."""

from flotilla.github.artifacts import ArtifactRow, artifact_table, artifacts_digest
from flotilla.github.assets import (
    MOST_ASSETS,
    UPLOADED,
    AssetPlan,
    WantedAsset,
    decide_assets,
    plan_for,
)
from flotilla.github.client import GitHub
from flotilla.github.models import Artifact, Asset, Download, Release, WorkflowJob, WorkflowRun
from flotilla.github.releases import the_release
from flotilla.github.runs import (
    Choice,
    Failed,
    NotYet,
    Running,
    Succeeded,
    Trusted,
    choose_run,
    from_earlier_attempts,
    job_faults,
    origin_faults,
    run_faults,
    stale_faults,
)

__all__ = [
    "MOST_ASSETS",
    "UPLOADED",
    "Artifact",
    "ArtifactRow",
    "Asset",
    "AssetPlan",
    "Choice",
    "Download",
    "Failed",
    "GitHub",
    "NotYet",
    "Release",
    "Running",
    "Succeeded",
    "Trusted",
    "WantedAsset",
    "WorkflowJob",
    "WorkflowRun",
    "artifact_table",
    "artifacts_digest",
    "choose_run",
    "decide_assets",
    "from_earlier_attempts",
    "job_faults",
    "origin_faults",
    "plan_for",
    "run_faults",
    "stale_faults",
    "the_release",
]
