"""The packages, artifacts and tag of a config at one version."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace

from semver import Version

from flotilla.errors import InputError
from flotilla.family.model import (
    Archive,
    Config,
    DevSpec,
    FileChoice,
    Key,
    Kind,
    Need,
    Package,
    PackageSpec,
    Placed,
    Platform,
    ReleaseSpec,
    Siblings,
    Variant,
)
from flotilla.family.names import rendered, rendered_pattern
from flotilla.family.version_and_dist_tag import parse_version, parsed_version, version_fault
from flotilla.text import quoted

# Stands for the version in a tag; no flotilla.yml can hold it.
MARK = "\0"
NO_TAG = "none"  # as release.tag, and as the input tag

BINARIES_TOLD: Mapping[str, str] = {
    "none": "contains no binaries (binaries: none)",
    "unchecked": "its binaries are not checked (binaries: unchecked)",
}


def tag_of(config: Config, version: str) -> str:
    """Return the tag of a version, or the one that it would have if it had one."""
    return rendered(_tag_form(config), family_values(config.family) | {"version": version})


def _tag_form(config: Config) -> str:
    return ReleaseSpec.tag if config.release.tag == NO_TAG else config.release.tag


def version_of(config: Config, given: str) -> str:
    """Return the version that an input names, itself or as a tag of the family, such as the one that was pushed.

    Raises:
        InputError: npm would not take the version, or it is in a tag of another form than release.tag.
    """
    before, *after = rendered(_tag_form(config), family_values(config.family) | {"version": MARK}).split(MARK)
    plain = before in {"", "v"} and after == [""]
    bare = given.removeprefix("v")
    if parsed_version(bare) or not given or (plain and bare[:1].isdigit()):
        return parse_version(given)
    form = before + "".join(f"{{version}}{part}" for part in after)
    pattern = re.escape(before) + "(.+)" + "\\1".join(map(re.escape, after))
    found = re.fullmatch(pattern, given) if after else None
    if found is None and bare[:1].isdigit():
        return parse_version(given)
    if found is None:
        raise InputError(
            f"The version {quoted(given)} is neither a version nor a tag of the form {quoted(form)} (release.tag)",
            advice="Give a version such as 1.2.3, push a tag of that form, or correct release.tag in flotilla.yml.",
        )
    if fault := version_fault(found[1]):
        raise InputError(
            f"The tag {quoted(given)} of the form {quoted(form)} (release.tag) names the version {quoted(found[1])}, "
            f"which {fault}",
            advice="Push a tag with a version such as 1.2.3 or 1.2.3-beta.1.",
        )
    return found[1]


def tag_prefix(config: Config) -> str:
    """Return what the family's tags begin with and no other family's do; empty for the default form and the like."""
    before = rendered(_tag_form(config), family_values(config.family) | {"version": MARK}).partition(MARK)[0]
    return "" if before == "v" else before


def previous_tag(config: Config, version: str, tags: Iterable[str]) -> str | None:
    """Return the family's tag before a version: of the highest lower version, a stable one for a stable version."""
    this, found = parsed_version(version), list[tuple[Version, str]]()
    for tag in tags:
        with suppress(InputError):
            other = parsed_version(version_of(config, tag))
            if this and other and other < this and (this.prerelease or not other.prerelease):
                found.append((other, tag))
    return max(found)[1] if found else None


def notes_of(config: Config, version: str) -> str | None:
    """Return the file with the release's notes, relative to the repository; None if GitHub generates them."""
    notes = config.release.notes
    return None if notes == "generate" else posixpath.normpath(rendered(notes, _release_values(config, version)))


def platform_packages(config: Config, version: str) -> tuple[Package, ...]:
    """Return the packages with the binaries, platform by platform."""
    launcher = config.packages.meta.launcher if config.packages.meta else None
    return tuple(
        replace(_platform(config, version, platform, variant), launcher=launcher)
        for platform, variant in _pairs(config)
    )


def _platform(config: Config, version: str, platform: Platform, variant: Variant) -> Package:
    values, need = _values(config, version, variant, platform), _need(config, version, platform, variant)
    return _package("platform", config.packages.platform, values, need=need)


def dev_packages(config: Config, version: str) -> tuple[Package, ...]:
    """Return the packages with the headers, in the order of flotilla.yml; none if the family has none."""
    return tuple(_dev(config, spec, version) for spec in config.packages.dev)


def _dev(config: Config, spec: DevSpec, version: str) -> Package:
    # A name that is none of the family's is a fault of its own; the first stands in while the others are looked for.
    platform = next((p for p in config.platforms if p.name == spec.from_platform), config.platforms[0])
    variant = next((v for v in config.variants if v.name == spec.from_variant), config.variants[0])
    need = _own_need(config, version, spec, variant, platform) or _need(config, version, platform, variant)
    return _package("dev", spec, _values(config, version, variant), need=need)


def meta_packages(config: Config, version: str) -> tuple[Package, ...]:
    """Return the packages that users install, one a variant; none if the family has none."""
    spec = config.packages.meta
    return tuple(_meta(config, spec, version, variant) for variant in config.variants) if spec else ()


def family_packages(config: Config, version: str) -> tuple[Package, ...]:
    """Return every package: the platform packages, platform by platform; the dev packages; the meta packages."""
    packages = (
        *platform_packages(config, version),
        *dev_packages(config, version),
        *meta_packages(config, version),
    )
    name = config.packages.platform.name
    siblings = Siblings(
        versions={package.name: package.version for package in packages},
        platform_names=tuple(rendered(name, _values(config, version, variant)) for variant in config.variants),
        platforms=config.platforms,
    )
    return tuple(replace(package, siblings=siblings) for package in packages)


def asset_patterns(config: Config, version: str) -> dict[str, tuple[str, ...]]:
    """Return for each pattern of release.assets those that it stands for: one for each value of its placeholders."""
    values = [_values(config, version, variant, platform) for platform, variant in _pairs(config)]
    return {
        pattern: tuple(dict.fromkeys(rendered_pattern(pattern, each) for each in values))
        for pattern in config.release.assets
    }


def needs(config: Config, version: str) -> tuple[Need, ...]:
    """Return what is taken from the CI run's artifacts: for each platform and variant, then for other packages."""
    found = [_need(config, version, platform, variant) for platform, variant in _pairs(config)]
    return (*found, *(need for _key, need in own_needs(config, version)))


def own_needs(config: Config, version: str) -> Iterator[tuple[Key, Need]]:
    """Yield what the dev and the meta packages take from artifacts of their own, and where flotilla.yml says so."""
    specs = {spec.key: spec for spec in (*config.packages.dev, config.packages.meta) if spec}
    for package in (*dev_packages(config, version), *meta_packages(config, version)):
        spec = specs[package.key]
        if package.variant and (need := _own_need(config, version, spec, package.variant, package.platform)):
            yield package.key, need


def binaries_told(packages: Iterable[Package]) -> list[str]:
    """Return a line for each platform package whose binaries are not checked as those of others are."""
    return [
        f"{package.name}: {BINARIES_TOLD[package.platform.binaries]}"
        for package in packages
        if package.kind == "platform" and package.platform and package.platform.binaries in BINARIES_TOLD
    ]


def unpinned_told(packages: Iterable[Package]) -> list[str]:
    """Return a line for each platform package that the meta packages do not pin."""
    packages = tuple(packages)
    if not any(package.kind == "meta" for package in packages):
        return []
    return [
        f"{package.name}: the meta package does not pin it; users install it by name"
        for package in packages
        if package.kind == "platform" and package.platform and not package.platform.pin
    ]


def family_values(family: str) -> dict[str, str]:
    """Return family, scope and name: @acme/ffmpeg is of scope @acme and has the name ffmpeg."""
    scope, slash, name = family.rpartition("/")
    return {"family": family, "scope": scope if slash else "", "name": name}


def variant_values(variant: Variant) -> dict[str, str]:
    """Return variant, suffix, and license if it has one."""
    values = {"variant": variant.name, "suffix": variant.suffix}
    return values if variant.license is None else {**values, "license": variant.license}


def platform_values(platform: Platform) -> dict[str, str]:
    """Return platform, os, cpu, libc, build and exe; several words are joined by hyphens."""
    words = {"os": platform.os, "cpu": platform.cpu, "libc": platform.libc}
    exe = ".exe" if platform.os == ("win32",) else ""
    values = {"platform": platform.name, "build": platform.build, "exe": exe}
    return values | {key: "-".join(of) for key, of in words.items()}


def _pairs(config: Config) -> Iterator[tuple[Platform, Variant]]:
    return ((platform, variant) for platform in config.platforms for variant in config.variants)


def _release_values(config: Config, version: str) -> dict[str, str]:
    return family_values(config.family) | {"version": version, "tag": tag_of(config, version)}


def _values(config: Config, version: str, variant: Variant, platform: Platform | None = None) -> dict[str, str]:
    own = platform_values(platform) if platform else {}
    return {**_release_values(config, version), **variant_values(variant), **own}


def _need(config: Config, version: str, platform: Platform, variant: Variant) -> Need:
    ci, values = config.ci, _values(config, version, variant, platform)
    archive = None
    if ci.archive is not None:
        archive = Archive(pattern=rendered_pattern(ci.archive, values), strip_components=ci.strip_components)
    root = None if ci.root is None else posixpath.normpath(rendered(ci.root, values))
    return Need(
        artifact=rendered(ci.artifact, values),
        archive=archive,
        root=root,
        platform=platform,
        variant=variant,
        placeholders=values,
    )


def _own_need(
    config: Config, version: str, spec: PackageSpec, variant: Variant, platform: Platform | None
) -> Need | None:
    """Return what a package takes from an artifact of its own, None if it has none."""
    if spec.artifact is None:
        return None
    values = _values(config, version, variant, platform)
    return Need(
        artifact=rendered(spec.artifact, values),
        archive=Archive(pattern=rendered_pattern(spec.archive, values)) if spec.archive is not None else None,
        platform=platform,
        variant=variant,
        placeholders=values,
    )


def _meta(config: Config, spec: PackageSpec, version: str, variant: Variant) -> Package:
    name = config.packages.platform.name
    pins = {
        rendered(name, _values(config, version, variant, platform)): platform
        for platform in config.platforms
        if platform.pin
    }
    need = _own_need(config, version, spec, variant, None)
    return replace(_package("meta", spec, _values(config, version, variant), need=need, variant=variant), pins=pins)


def _chosen(choice: FileChoice, values: Mapping[str, str]) -> FileChoice:
    if isinstance(choice, Placed):
        return Placed(source=rendered_pattern(choice.source, values), to=rendered(choice.to, values))
    return rendered_pattern(choice, values)


def _folder(template: str | None, values: Mapping[str, str]) -> str | None:
    """Return a template's folder; placeholders without a value make no root of it."""
    folder = None if template is None else rendered(template, values)
    return posixpath.normpath(folder) if folder else folder


def _package(
    kind: Kind,
    spec: PackageSpec,
    values: Mapping[str, str],
    *,
    need: Need | None = None,
    variant: Variant | None = None,
) -> Package:
    of_files = need.placeholders if need else values
    return Package(
        kind=kind,
        key=spec.key,
        name=rendered(spec.name, values),
        version=rendered(spec.version, {"version": values["version"]}),
        platform=need.platform if need else None,
        variant=need.variant if need else variant,
        artifact=need.artifact if need else None,
        archive=need.archive if need else None,
        root=need.root if need else None,
        template=_folder(spec.template, values),
        files=tuple(_chosen(choice, of_files) for choice in spec.files),
        executables=tuple(rendered_pattern(pattern, of_files) for pattern in spec.executables),
        placeholders=values,
        launcher=spec.launcher,
    )
