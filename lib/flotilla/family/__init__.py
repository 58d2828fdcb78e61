"""The family model: flotilla.yml → family → packages → manifests. Pure: no files, network, clock or environment."""

from __future__ import annotations

from flotilla.family.config import parse_config
from flotilla.family.entry_points import (
    NamedFile,
    launcher_files,
    missing_files,
    named_files,
    nothing_to_use,
    program_files,
)
from flotilla.family.family import Family
from flotilla.family.manifest import render_manifest, repository_url, same_repository
from flotilla.family.model import (
    ROOT,
    Archive,
    BuiltPackage,
    Ci,
    Config,
    DevSpec,
    DistTag,
    FileChoice,
    Limits,
    Manifest,
    Need,
    Package,
    PackageSpec,
    PackagesSpec,
    PackedPackage,
    Placed,
    Platform,
    PublishSpec,
    ReleaseSpec,
    Variant,
)
from flotilla.family.packages import NO_TAG, binaries_told, previous_tag, tag_prefix, unpinned_told
from flotilla.family.platforms import OS
from flotilla.family.schema import schema
from flotilla.family.version_and_dist_tag import (
    LATEST,
    dist_tag_fault,
    is_below,
    last_before,
    parse_version,
    settle_dist_tag,
)

__all__ = [
    "LATEST",
    "NO_TAG",
    "OS",
    "ROOT",
    "Archive",
    "BuiltPackage",
    "Ci",
    "Config",
    "DevSpec",
    "DistTag",
    "Family",
    "FileChoice",
    "Limits",
    "Manifest",
    "NamedFile",
    "Need",
    "Package",
    "PackageSpec",
    "PackagesSpec",
    "PackedPackage",
    "Placed",
    "Platform",
    "PublishSpec",
    "ReleaseSpec",
    "Variant",
    "binaries_told",
    "dist_tag_fault",
    "is_below",
    "last_before",
    "launcher_files",
    "missing_files",
    "named_files",
    "nothing_to_use",
    "parse_config",
    "parse_version",
    "previous_tag",
    "program_files",
    "render_manifest",
    "repository_url",
    "same_repository",
    "schema",
    "settle_dist_tag",
    "tag_prefix",
    "unpinned_told",
]
