"""A Config from the plain values of a sound flotilla.yml, with its defaults."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from flotilla.family.model import (
    MEGABYTE,
    Ci,
    Config,
    DevSpec,
    Limits,
    PackageSpec,
    PackagesSpec,
    Platform,
    PublishSpec,
    ReleaseSpec,
    Variant,
)
from flotilla.family.platforms import read_words, with_libc

# The schema has checked these by the time they come here.
Values = Mapping[str, Any]

PLATFORM_NAME = "{family}-{platform}{suffix}"
DEV_NAME = "{family}-dev"
META_NAME = "{family}{suffix}"


def build_config(values: Values) -> Config:
    """The config of a flotilla.yml that the schema and the checks of words found sound."""
    platforms = with_libc([build_platform(item) for item in values["platforms"]])
    variants = build_variants(values.get("variants"))
    ci = _ci(values["ci"])
    return Config(
        schema=values["schema"],
        family=values["family"],
        platforms=platforms,
        variants=variants,
        ci=ci,
        packages=_packages(values.get("packages", {}), platforms, variants),
        release=_release(values.get("release", {}), ci),
        publish=_publish(values.get("publish", {})),
        limits=_limits(values.get("limits", {})),
    )


def build_platform(item: str | Values) -> Platform:
    """The platform that a word or mapping describes."""
    if isinstance(item, str):
        item = {"name": item}
    name = item["name"]
    words = read_words(name, told="os" in item and "cpu" in item)
    return Platform(
        name=name,
        os=as_words(item["os"]) if "os" in item else words.os,
        cpu=as_words(item["cpu"]) if "cpu" in item else words.cpu,
        libc=as_words(item["libc"]) if "libc" in item else words.libc,
        build=item.get("build", name),
        glibc=item.get("glibc"),
        binaries=item.get("binaries", "check"),
    )


def as_words(value: object) -> tuple[str, ...]:
    """A word, or a list of them."""
    if isinstance(value, str):
        return (value,)
    return tuple(word for word in value if isinstance(word, str)) if isinstance(value, list) else ()


def build_variants(items: Sequence[Values] | None) -> tuple[Variant, ...]:
    """The variants; one unnamed one where the file lists none. The first has no suffix unless it gives one."""
    if not items:
        return (Variant(),)
    return tuple(
        Variant(
            name=item["name"],
            suffix=item.get("suffix", f"-{item['name']}" if index else ""),
            license=item.get("license"),
        )
        for index, item in enumerate(items)
    )


def _ci(values: Values) -> Ci:
    return Ci(
        workflow=values["workflow"],
        artifact=values["artifact"],
        archive=values.get("archive"),
        strip_components=int(values.get("strip-components", 0)),
        pull_requests=values.get("pull-requests", False),
    )


def _packages(values: Values, platforms: Sequence[Platform], variants: Sequence[Variant]) -> PackagesSpec:
    return PackagesSpec(
        platform=_package(values.get("platform", {}), PLATFORM_NAME),
        dev=_dev(values["dev"], platforms, variants) if "dev" in values else None,
        meta=_package(values.get("meta", {}), META_NAME),
    )


def _package(values: Values, name: str) -> PackageSpec:
    return PackageSpec(
        name=values.get("name", name),
        template=values.get("template"),
        files=tuple(values.get("files", ())),
        executables=tuple(values.get("executables", ())),
    )


def _dev(values: Values, platforms: Sequence[Platform], variants: Sequence[Variant]) -> DevSpec:
    spec = _package(values, DEV_NAME)
    source = values.get("from", {})
    return DevSpec(
        name=spec.name,
        template=spec.template,
        files=spec.files,
        executables=spec.executables,
        from_platform=source.get("platform", platforms[0].name),
        from_variant=source.get("variant", variants[0].name),
    )


def _release(values: Values, ci: Ci) -> ReleaseSpec:
    return ReleaseSpec(
        tag=values.get("tag", ReleaseSpec.tag),
        assets=tuple(values.get("assets", (ci.archive,) if ci.archive else ())),
        notes=values.get("notes", ReleaseSpec.notes),
    )


def _publish(values: Values) -> PublishSpec:
    provenance = values.get("provenance", PublishSpec.provenance)
    return PublishSpec(
        access=values.get("access", PublishSpec.access),
        dist_tag=values.get("dist-tag"),
        pause_seconds=float(values.get("pause-seconds", PublishSpec.pause_seconds)),
        provenance=str(provenance).lower() if isinstance(provenance, bool) else provenance,  # type: ignore[arg-type]  # the schema's enum
        package_size=_bytes(values, "size-limit-mb", PublishSpec.package_size),
    )


def _limits(values: Values) -> Limits:
    return Limits(
        extracted_bytes=_bytes(values, "extracted-mb", Limits.extracted_bytes),
        files=int(values.get("files", Limits.files)),
        ratio=int(values.get("ratio", Limits.ratio)),
    )


def _bytes(values: Values, key: str, default: int) -> int:
    return round(values[key] * MEGABYTE) if key in values else default
