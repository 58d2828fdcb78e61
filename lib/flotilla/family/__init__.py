"""The family model: flotilla.yml → family → packages → manifests. Pure: no file, network, clock or environment."""

from __future__ import annotations

from flotilla.family.config import parse_config
from flotilla.family.family import Family
from flotilla.family.model import (
    Ci,
    Config,
    DevSpec,
    Limits,
    Need,
    Package,
    PackageSpec,
    PackagesSpec,
    Platform,
    PublishSpec,
    ReleaseSpec,
    Variant,
)
from flotilla.family.versions import dist_tag_fault, parse_version

__all__ = [
    "Ci",
    "Config",
    "DevSpec",
    "Family",
    "Limits",
    "Need",
    "Package",
    "PackageSpec",
    "PackagesSpec",
    "Platform",
    "PublishSpec",
    "ReleaseSpec",
    "Variant",
    "dist_tag_fault",
    "parse_config",
    "parse_version",
]
