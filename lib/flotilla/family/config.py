"""flotilla.yml, read and checked: all its faults at once, each with line and column."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from flotilla.errors import ConfigError, Fault
from flotilla.family.checks import family_findings, word_findings
from flotilla.family.model import (
    MEGABYTE,
    WASM,
    Ci,
    Config,
    DevSpec,
    Key,
    Launcher,
    Limits,
    PackageSpec,
    PackagesSpec,
    Placed,
    Platform,
    PublishSpec,
    ReleaseSpec,
    Variant,
)
from flotilla.family.platforms import as_words, platform_warnings, read_words, with_libc
from flotilla.family.schema import schema_findings
from flotilla.family.yaml import Document, Finding, read_document

MOST_FAULTS = 100
# Any version shows what all of them have in common.
SAMPLE_VERSION = "1.0.0"
# What stands for a section with faults while the others are checked.
STAND_INS: Mapping[str, object] = {
    "schema": 1,
    "family": "family",
    "platforms": ["linux-x64"],
    "ci": {"workflow": "ci.yml", "artifact": "{platform}-{variant}"},
}


def parse_config(text: str, *, file: str = "flotilla.yml") -> Config:
    """Return the family that a flotilla.yml describes, and in `warnings` what may be wrong in it.

    Args:
        text: the file's text.
        file: its path, for the places that errors name.

    Raises:
        ConfigError: all that is wrong with it, each with line, column and the nearest right word.
    """
    document = read_document(text, file)
    if not isinstance(document.value, dict):
        raise _no_mapping(document)
    findings = [*document.findings, *schema_findings(document), *word_findings(document)]
    unfit = {section for finding in findings if (section := finding.section)}
    config = build_config(_sound(document.value, unfit))
    findings += family_findings(config, SAMPLE_VERSION, unfit=unfit)
    if findings:
        raise _refusal(document, findings)
    doubts = [*platform_warnings(document.value["platforms"]), *_pin_warnings(config)]
    return replace(config, warnings=tuple(document.fault(finding) for finding in doubts))


def _pin_warnings(config: Config) -> Iterator[Finding]:
    if config.packages.meta and not any(platform.pin for platform in config.platforms):
        text = "no platform is pinned, so the meta package installs no binaries; set pin: true for one of them."
        yield Finding(path=("platforms",), text=text)


def _no_mapping(document: Document) -> ConfigError:
    found = "is empty" if document.value is None else "is not a mapping of keys (schema, family, platforms, ci)"
    return ConfigError(
        [Fault(text=f"the file {found}.", place=document.place(()))],
        advice="Start with `schema: 1` and the family's name; `flotilla init` writes an example.",
    )


def _sound(values: Mapping[str, object], unfit: Collection[str]) -> dict[str, object]:
    return {**STAND_INS, **{key: value for key, value in values.items() if key not in unfit}}


def _refusal(document: Document, findings: Collection[Finding]) -> ConfigError:
    faults = sorted({document.fault(finding): None for finding in findings}, key=_position)
    more = [Fault(text=f"and {len(faults) - MOST_FAULTS} more faults.")] if faults[MOST_FAULTS:] else []
    return ConfigError([*faults[:MOST_FAULTS], *more], advice=f"Correct {document.file}, then run flotilla again.")


def _position(fault: Fault) -> tuple[int, int]:
    place = fault.place
    return (place.line or 0, place.column or 0) if place else (0, 0)


# The schema has checked these by the time they come here.
Values = Mapping[str, Any]

PLATFORM_NAME = "{family}-{platform}{suffix}"
DEV_NAME = "{family}-dev"
META_NAME = "{family}{suffix}"


def build_config(values: Values) -> Config:
    """Return the config of a flotilla.yml that the schema and the checks of words found sound."""
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
    """Return the platform that a word or mapping describes."""
    if isinstance(item, str):
        item = {"name": item}
    name = item["name"]
    words = read_words(name, told="os" in item and "cpu" in item)
    cpu = as_words(item["cpu"]) if "cpu" in item else words.cpu
    return Platform(
        name=name,
        os=as_words(item["os"]) if "os" in item else words.os,
        cpu=cpu,
        libc=as_words(item["libc"]) if "libc" in item else words.libc,
        build=item.get("build", name),
        glibc=item.get("glibc"),
        glibcxx=item.get("glibcxx"),
        macos=item.get("macos"),
        libraries=tuple(item.get("libraries", ())),
        binaries=item.get("binaries", "check"),
        pin=item.get("pin", cpu != (WASM,)),
    )


def build_variants(items: Sequence[Values] | None) -> tuple[Variant, ...]:
    """Return the variants; one unnamed one if the file lists none. The first has no suffix unless it gives one."""
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
        root=values.get("root"),
        strip_components=int(values.get("strip-components", 0)),
        pull_requests=values.get("pull-requests", False),
        jobs=tuple(values.get("jobs", ())),
    )


def _packages(values: Values, platforms: Sequence[Platform], variants: Sequence[Variant]) -> PackagesSpec:
    return PackagesSpec(
        platform=_package(("packages", "platform"), values.get("platform", {}), PLATFORM_NAME),
        dev=tuple(_dev(key, each, platforms, variants) for key, each in _devs(values)),
        meta=None if values.get("meta") is False else _package(("packages", "meta"), values.get("meta", {}), META_NAME),
    )


def _devs(values: Values) -> Iterator[tuple[Key, Values]]:
    """Yield what describes each dev package, one or a list of them, and where it stands."""
    dev, key = values.get("dev"), ("packages", "dev")
    if isinstance(dev, Sequence):
        yield from (((*key, index), each) for index, each in enumerate(dev))
    elif dev is not None:
        yield key, dev


def _package(key: Key, values: Values, name: str) -> PackageSpec:
    return PackageSpec(
        key=key,
        name=values.get("name", name),
        template=values.get("template"),
        artifact=values.get("artifact"),
        archive=values.get("archive"),
        files=tuple(
            Placed(source=item["from"], to=item["to"]) if isinstance(item, Mapping) else item
            for item in values.get("files", ())
        ),
        executables=tuple(values.get("executables", ())),
        version=values.get("version", PackageSpec.version),
        launcher=Launcher(bin=values["launcher"].get("bin")) if "launcher" in values else None,
    )


def _dev(key: Key, values: Values, platforms: Sequence[Platform], variants: Sequence[Variant]) -> DevSpec:
    spec = _package(key, values, DEV_NAME)
    source = values.get("from", {})
    return DevSpec(
        key=key,
        name=spec.name,
        template=spec.template,
        artifact=spec.artifact,
        archive=spec.archive,
        files=spec.files,
        executables=spec.executables,
        version=spec.version,
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
