"""GitHub: workflow runs, artifacts, tags and releases, as frozen values and in plain words."""

from flotilla.github.artifacts import (
    ArtifactRow,
    artifact_faults,
    artifact_table,
    artifacts_digest,
    from_earlier_attempts,
    newest,
)
from flotilla.github.assets import (
    MOST_ASSETS,
    UPLOADED,
    AssetPlan,
    Replacement,
    WantedAsset,
    asset_name_faults,
    decide_assets,
    plan_for,
    same_content,
)
from flotilla.github.client import GitHub
from flotilla.github.releases import the_release
from flotilla.github.trust import (
    Choice,
    Failed,
    NotYet,
    Running,
    Succeeded,
    Trusted,
    choose_run,
    origin_faults,
    run_faults,
    workflow_path,
)
from flotilla.github.values import Artifact, Asset, Download, Release, Repository, WorkflowRun

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
    "Replacement",
    "Repository",
    "Running",
    "Succeeded",
    "Trusted",
    "WantedAsset",
    "WorkflowRun",
    "artifact_faults",
    "artifact_table",
    "artifacts_digest",
    "asset_name_faults",
    "choose_run",
    "decide_assets",
    "from_earlier_attempts",
    "newest",
    "origin_faults",
    "plan_for",
    "run_faults",
    "same_content",
    "the_release",
    "workflow_path",
]
