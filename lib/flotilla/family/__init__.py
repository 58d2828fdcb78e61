"""The family model: flotilla.yml → family → packages → manifests. Pure: no file, network, clock or environment."""

from __future__ import annotations

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

__all__ = [
    "Ci",
    "Config",
    "DevSpec",
    "Limits",
    "Need",
    "Package",
    "PackageSpec",
    "PackagesSpec",
    "Platform",
    "PublishSpec",
    "ReleaseSpec",
    "Variant",
]
