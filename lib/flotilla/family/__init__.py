"""The family model: flotilla.yml → family → packages → manifests. Pure: no files, network, clock or environment."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from functools import cached_property

from flotilla.errors import InputError
from flotilla.family.checks import family_findings
from flotilla.family.config import parse_config
from flotilla.family.entry_points import nothing_to_use
from flotilla.family.manifest import render_manifest, repository_url, same_repository
from flotilla.family.model import (
    ROOT,
    Archive,
    BuiltPackage,
    Config,
    DistTag,
    Limits,
    Manifest,
    Need,
    Package,
    PackedPackage,
    Placed,
    Platform,
)
from flotilla.family.packages import (
    NO_TAG,
    asset_patterns,
    binaries_told,
    family_packages,
    needs,
    notes_of,
    previous_tag,
    tag_of,
    tag_prefix,
    unpinned_told,
    version_of,
)
from flotilla.family.version_and_dist_tag import (
    LATEST,
    default_dist_tag,
    is_below,
    is_prerelease,
    last_before,
    settle_dist_tag,
)
from flotilla.text import did_you_mean, quoted

__all__ = [
    "LATEST",
    "NO_TAG",
    "ROOT",
    "Archive",
    "BuiltPackage",
    "Config",
    "DistTag",
    "Family",
    "Limits",
    "Manifest",
    "Need",
    "Package",
    "PackedPackage",
    "Placed",
    "Platform",
    "binaries_told",
    "is_below",
    "last_before",
    "nothing_to_use",
    "parse_config",
    "previous_tag",
    "render_manifest",
    "repository_url",
    "same_repository",
    "settle_dist_tag",
    "tag_prefix",
    "unpinned_told",
]

EVERY_PLATFORM = "all"


class Family:
    """A Config at one version.

    Args:
        config: the family's file.
        version: a semantic version, of which a leading v is dropped; or a tag of the form of release.tag.
        tagged: whether the version gets a tag and a release, if release.tag does not say none.

    Raises:
        InputError: npm would not take the version, or a name made from it is not fit.
    """

    def __init__(self, config: Config, version: str, *, tagged: bool = True) -> None:
        self.config = config
        self.version = version_of(config, version)
        self.tag = tag_of(config, self.version) if tagged and config.release.tag != NO_TAG else None
        self.prerelease = is_prerelease(self.version)
        self.default_dist_tag = default_dist_tag(self.version)
        if faults := [finding.text for finding in family_findings(config, self.version)]:
            raise InputError(faults, advice=f"Correct flotilla.yml, or choose another version than {self.version}.")

    @cached_property
    def packages(self) -> tuple[Package, ...]:
        """Return the platform packages (platform by platform), the dev packages and the meta packages."""
        return family_packages(self.config, self.version)

    @cached_property
    def devs(self) -> tuple[Package, ...]:
        """Return the dev packages; () if the family has none."""
        return tuple(package for package in self.packages if package.kind == "dev")

    @cached_property
    def metas(self) -> tuple[Package, ...]:
        """Return the meta packages, one for each variant; () if the family has none."""
        return tuple(package for package in self.packages if package.kind == "meta")

    @cached_property
    def artifacts(self) -> tuple[Need, ...]:
        """Return what packages take from the CI run's artifacts: first each platform and variant, then the others."""
        return needs(self.config, self.version)

    def needs_of(self, packages: Iterable[Package]) -> tuple[Need, ...]:
        """Return what some of the packages take from the CI run's artifacts."""
        taken = {(package.artifact, package.archive) for package in packages}
        return tuple(need for need in self.artifacts if (need.artifact, need.archive) in taken)

    @cached_property
    def asset_patterns(self) -> Mapping[str, tuple[str, ...]]:
        """Return the patterns that each pattern of release.assets stands for."""
        return asset_patterns(self.config, self.version)

    @property
    def notes(self) -> str | None:
        """Return the release notes' file, relative to the repository; None if GitHub generates them."""
        return notes_of(self.config, self.version)

    def of_platform(self, *names: str) -> tuple[Package, ...]:
        """Return the packages of some platforms, by their names; `all` alone stands for every platform.

        Raises:
            InputError: the family has no such platform, or one is named twice.
        """
        known = tuple(platform.name for platform in self.config.platforms)
        if names == (EVERY_PLATFORM,) and EVERY_PLATFORM not in known:
            names = known
        faults = [
            f"The family {self.config.family} has no platform {quoted(name)}; {did_you_mean(name, known)}"
            for name in dict.fromkeys(names)
            if name not in known
        ]
        faults += [
            f"The platform {quoted(name)} is named {count} times" for name, count in Counter(names).items() if count > 1
        ]
        if faults:
            raise InputError(faults, advice=f"Give each platform once, as flotilla.yml names it: {', '.join(known)}.")
        packages = [package for package in self.packages if package.kind == "platform" and package.platform]
        return tuple(one for name in names for one in packages if one.platform and one.platform.name == name)

    def below(self, latest: str) -> bool:
        """Return whether this version is lower than the registry's latest.

        Raises:
            RegistryError: that one is no version.
        """
        return is_below(self.version, latest)
