"""Check flotilla.yml beyond its schema: single words, and the family as a whole."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from flotilla.family.model import Config, FileChoice, Need, Package, Placed
from flotilla.family.names import (
    ALL,
    FAMILY,
    PLACEHOLDER,
    RELEASE,
    VARIANT,
    artifact_faults,
    folder_faults,
    package_name_faults,
    path_faults,
    pattern_faults,
    placeholder_faults,
    rendered,
    tag_faults,
)
from flotilla.family.packages import NO_TAG, family_packages, notes_of, own_needs, platform_packages, tag_of
from flotilla.family.platforms import platform_findings
from flotilla.family.version_and_dist_tag import dist_tag_fault, version_fault
from flotilla.family.yaml import Document, Finding, Path, dotted
from flotilla.text import did_you_mean, quoted

DEV = ("packages", "dev")
OF_VARIANT = (*FAMILY, *VARIANT, *RELEASE)
TEMPLATES: Mapping[Path, tuple[str, ...]] = {
    ("ci", "artifact"): ALL,
    ("ci", "root"): ALL,
    ("packages", "platform", "name"): ALL,
    ("packages", "platform", "template"): ALL,
    ("packages", "dev", "artifact"): ALL,
    ("packages", "dev", "name"): OF_VARIANT,
    ("packages", "dev", "template"): OF_VARIANT,
    ("packages", "dev", "version"): ("version",),
    ("packages", "meta", "artifact"): OF_VARIANT,
    ("packages", "meta", "name"): OF_VARIANT,
    ("packages", "meta", "template"): OF_VARIANT,
    ("packages", "meta", "version"): ("version",),
    ("release", "tag"): (*FAMILY, "version"),
    ("release", "notes"): (*FAMILY, *RELEASE),
}
CHECKED_PATHS: Mapping[Path, Callable[[str], list[str]]] = {
    ("ci", "root"): path_faults,
    **{path: path_faults for path in TEMPLATES if path[-1] == "template"},
}
# The dev package's patterns are rendered for the platform and variant that its files come from.
PATTERNS: Mapping[Path, tuple[str, ...]] = {
    ("ci", "archive"): ALL,
    ("packages", "platform", "files"): ALL,
    ("packages", "platform", "executables"): ALL,
    ("packages", "dev", "archive"): ALL,
    ("packages", "dev", "files"): ALL,
    ("packages", "dev", "executables"): ALL,
    ("packages", "meta", "archive"): OF_VARIANT,
    ("packages", "meta", "files"): OF_VARIANT,
    ("release", "assets"): ALL,
}


def word_findings(document: Document) -> Iterator[Finding]:
    """Yield what is wrong with single words; the schema reports values of the wrong type."""
    yield from _platform_findings(document)
    yield from _variant_findings(document)
    yield from _template_findings(document)
    yield from _pattern_findings(document)
    yield from _dist_tag_findings(document)


def _platform_findings(document: Document) -> Iterator[Finding]:
    items = _list(document, ("platforms",))
    for index, item in enumerate(items):
        yield from platform_findings(item, ("platforms", index))
    names: dict[Path, str | None] = {("platforms", index): _name(item) for index, item in enumerate(items)}
    yield from _twice(document, names, "the platform")


def _variant_findings(document: Document) -> Iterator[Finding]:
    items = _list(document, ("variants",))
    names: dict[Path, str | None] = {("variants", index): _name(item) for index, item in enumerate(items)}
    twice = list(_twice(document, names, "the variant"))
    suffixes: dict[Path, str | None] = {("variants", i): _suffix(item, i) for i, item in enumerate(items)}
    yield from twice or _twice(document, suffixes, "the suffix")


def _suffix(item: object, index: int) -> str | None:
    if not isinstance(item, dict):
        return None
    name = _name(item)
    default = "" if not index else f"-{name}" if name is not None else None
    suffix = item.get("suffix", default)
    return suffix if isinstance(suffix, str) else None


def _name(item: object) -> str | None:
    name = item.get("name") if isinstance(item, dict) else item
    return name if isinstance(name, str) else None


def _twice(document: Document, words: Mapping[Path, str | None], what: str) -> Iterator[Finding]:
    first: dict[str, Path] = {}
    for path, word in words.items():
        if word is not None and first.setdefault(word.lower(), path) != path:
            line = document.place(first[word.lower()]).line
            yield Finding(
                path=path, text=f"duplicate {what.removeprefix('the ')} {quoted(word)} (first on line {line})."
            )


def _template_findings(document: Document) -> Iterator[Finding]:
    for path, available in TEMPLATES.items():
        for where in _each(document, path):
            if (text := _text(document, where)) is not None:
                faults = placeholder_faults(text, available)
                if not faults and path in CHECKED_PATHS:
                    faults = CHECKED_PATHS[path](text)
                yield from (Finding(path=where, text=fault) for fault in faults)


def _each(document: Document, path: Path) -> Iterator[Path]:
    """Yield a path of the dev package for each of them if there is a list; any other path as it is."""
    several = document.at(DEV)
    if path[: len(DEV)] == DEV and isinstance(several, list):
        yield from ((*DEV, index, *path[len(DEV) :]) for index in range(len(several)))
    else:
        yield path


def _pattern_findings(document: Document) -> Iterator[Finding]:
    patterns = [(path, available) for each, available in PATTERNS.items() for path in _each(document, each)]
    for path, available in patterns:
        single = _text(document, path)
        items = {path: single} if single is not None else dict(_texts(document, path))
        for where, pattern in items.items():
            faults = [*path_faults(pattern), *pattern_faults(pattern, available)]
            yield from (Finding(path=where, text=fault) for fault in faults)
        for index, item in enumerate(_list(document, path)):
            if isinstance(item, dict):
                yield from _placed_findings(item, (*path, index), available)


def _placed_findings(item: Mapping[str, object], path: Path, available: Collection[str]) -> Iterator[Finding]:
    """Yield what is wrong with an entry of files that has `from` and `to`."""
    source, to = item.get("from"), item.get("to")
    if isinstance(source, str) and source:
        faults = [*path_faults(source), *pattern_faults(source, available)]
        yield from (Finding(path=(*path, "from"), text=fault) for fault in faults)
    if isinstance(to, str) and to:
        faults = [*path_faults(to), *placeholder_faults(to, available)]
        if "*" in to or "?" in to:
            faults.append(f"{quoted(to)} is a pattern; `to` must be one path, or a folder that ends with /.")
        yield from (Finding(path=(*path, "to"), text=fault) for fault in faults)


def _dist_tag_findings(document: Document) -> Iterator[Finding]:
    path = ("publish", "dist-tag")
    tag = _text(document, path)
    if tag is not None and (fault := dist_tag_fault(tag)):
        yield Finding(path=path, text=fault)


def _texts(document: Document, path: Path) -> Iterator[tuple[Path, str]]:
    for index, item in enumerate(_list(document, path)):
        if isinstance(item, str):
            yield (*path, index), item


def _text(document: Document, path: Path) -> str | None:
    value = document.at(path)
    return value if isinstance(value, str) and value else None


def _list(document: Document, path: Path) -> Sequence[object]:
    value = document.at(path)
    return value if isinstance(value, list) else ()


T = TypeVar("T")

Check = Callable[[Config, str], Iterator[Finding]]
Checks = tuple[tuple[tuple[str, ...], Check], ...]
MOST_NAMED = 4
EMPTY_PART = re.compile(r"[-_.](?=[-_./]|$)")


def family_findings(config: Config, version: str, *, unfit: Collection[str] = ()) -> list[Finding]:
    """Return what is wrong with a config at a version.

    Args:
        config: the config; its unfit sections may hold anything that is well formed.
        version: a semantic version.
        unfit: sections that have faults of their own, so that nothing is said about what depends on them.
    """
    roots = _found(ROOTS, config, version, unfit)
    spoilt = {section for finding in roots if (section := finding.section)}
    unlicensed = _found(LICENSES, config, version, unfit)
    return [*roots, *unlicensed, *_found(REST, _licensed(config), version, {*unfit, *spoilt})]


def _found(checks: Checks, config: Config, version: str, unfit: Collection[str]) -> list[Finding]:
    fit = [check for sections, check in checks if not set(sections) & set(unfit)]
    return [finding for check in fit for finding in check(config, version)]


def _licensed(config: Config) -> Config:
    """Return the config with a licence everywhere, so that a missing one does not show as a fault of each name."""
    return replace(config, variants=tuple(replace(v, license=v.license or "license") for v in config.variants))


def _family(config: Config, _version: str) -> Iterator[Finding]:
    yield from (Finding(path=("family",), text=fault) for fault in package_name_faults(config.family))


def _access(config: Config, _version: str) -> Iterator[Finding]:
    if config.publish.access == "restricted" and not config.family.startswith("@"):
        text = f"npm allows restricted access only for scoped packages; {quoted(config.family)} has no scope."
        yield Finding(path=("publish", "access"), text=text)


def _dev_source(config: Config, _version: str) -> Iterator[Finding]:
    platforms = tuple(platform.name for platform in config.platforms)
    variants = tuple(variant.name for variant in config.variants)
    for dev in config.packages.dev:
        for word, name, names in (("platform", dev.from_platform, platforms), ("variant", dev.from_variant, variants)):
            if name not in names:
                text = f"the family has no {word} {quoted(name)}; {did_you_mean(name, tuple(filter(None, names)))}"
                yield Finding(path=(*dev.key, "from", word), text=text)


def _licenses(config: Config, _version: str) -> Iterator[Finding]:
    without = [variant.name for variant in config.variants if variant.license is None]
    for path, template in _templates(config):
        if without and "license" in PLACEHOLDER.findall(template):
            whose = f"the variant {quoted(without[0])}" if without[0] else "a family without variants"
            yield Finding(path=path, text=f"{{license}} has no value: {whose} has no license.")


def _empty_values(config: Config, _version: str) -> Iterator[Finding]:
    """Yield placeholders without a value that would leave an empty part in a name, and so on the registry for good."""
    unnamed = any(not variant.name for variant in config.variants)
    bare = next((platform.name for platform in config.platforms if not platform.libc), None)
    for path, template in _templates(config):
        if path[-1] == "name" and unnamed and _leaves_a_gap(template, "variant"):
            text = "{variant} has no value: the family has no variants. Remove it, with the hyphen beside it."
            yield Finding(path=path, text=text)
        if path[-1] == "name" and bare and _leaves_a_gap(template, "libc"):
            text = (
                f"{{libc}} has no value for the platform {quoted(bare)}, which leaves an empty part in the name. "
                "Use {platform}, or {build} with each platform's own."
            )
            yield Finding(path=path, text=text)


def _leaves_a_gap(template: str, word: str) -> bool:
    """Return whether a template has an empty part only because this placeholder is empty."""
    empty, filled = (len(EMPTY_PART.findall(rendered(template, {word: value}))) for value in ("", "x"))
    return empty > filled


def _templates(config: Config) -> Iterator[tuple[Path, str]]:
    yield ("ci", "artifact"), config.ci.artifact
    yield ("ci", "archive"), config.ci.archive or ""
    yield ("ci", "root"), config.ci.root or ""
    packages = config.packages
    for spec in filter(None, (packages.platform, *packages.dev, packages.meta)):
        yield from _file_templates((*spec.key, "files"), spec.files)
        yield from (((*spec.key, "executables", index), text) for index, text in enumerate(spec.executables))
        yield (*spec.key, "name"), spec.name
        yield (*spec.key, "template"), spec.template or ""
        yield (*spec.key, "artifact"), spec.artifact or ""
        yield (*spec.key, "archive"), spec.archive or ""


def _file_templates(path: Path, choices: Sequence[FileChoice]) -> Iterator[tuple[Path, str]]:
    for index, choice in enumerate(choices):
        if isinstance(choice, Placed):
            yield (*path, index, "from"), choice.source
            yield (*path, index, "to"), choice.to
        else:
            yield (*path, index), choice


def _tag(config: Config, version: str) -> Iterator[Finding]:
    path = ("release", "tag")
    if config.release.tag == NO_TAG:
        return
    yield from (Finding(path=path, text=fault) for fault in tag_faults(tag_of(config, version)))
    if "{version}" not in config.release.tag:
        yield Finding(path=path, text="the tag must contain {version}; otherwise all versions would have the same tag.")


def _notes(config: Config, version: str) -> Iterator[Finding]:
    notes = notes_of(config, version)
    faults = folder_faults(notes) if notes is not None else []
    yield from (Finding(path=("release", "notes"), text=fault) for fault in faults)


def _package_names(config: Config, version: str) -> Iterator[Finding]:
    packages = family_packages(config, version)
    yield from _first_of_each_kind(packages, config, "name", lambda package: package_name_faults(package.name))
    yield from _first_of_each_kind(
        packages, config, "template", lambda p: [] if p.template is None else path_faults(p.template)
    )


def _first_of_each_kind(
    packages: Iterable[Package], config: Config, key: str, faults_of: Callable[[Package], list[str]]
) -> Iterator[Finding]:
    """Yield the faults of the first package of a kind that has some: its siblings' have the same cause."""
    faulty = [(package, faults) for package in packages if (faults := faults_of(package))]
    for of in dict.fromkeys(package.key for package, _faults in faulty):
        of_kind = [(package, faults) for package, faults in faulty if package.key == of]
        package, faults = of_kind[0]
        more = f" (The same is wrong with {len(of_kind) - 1} more.)" if of_kind[1:] else ""
        path, instead = (*of, key), _origin(package, config)
        if key == "name" and instead[0] == "variants" and _capital(package):
            more += " Give the variant a `suffix` in lower case."
        yield from (Finding(path=path, instead=instead, text=fault + more) for fault in faults)


def _origin(package: Package, config: Config) -> Path:
    """Return where the platform or variant stands that a package with a default name has its name from."""
    if package.kind == "platform" and package.platform and not _capital(package):
        return ("platforms", config.platforms.index(package.platform))
    if package.kind == "dev" and package.key != DEV:
        return package.key
    return ("variants", config.variants.index(package.variant)) if package.variant else ("family",)


def _capital(package: Package) -> bool:
    """Return whether the package's variant brings a capital letter into its name."""
    return package.variant is not None and package.variant.suffix != package.variant.suffix.lower()


def _own_versions(config: Config, version: str) -> Iterator[Finding]:
    faulty = {
        package.key: f"the version {quoted(package.version)} {fault}"
        for package in family_packages(config, version)
        if package.version != version and (fault := version_fault(package.version))
    }
    yield from (Finding(path=(*key, "version"), text=fault) for key, fault in faulty.items())


def _same_names(config: Config, version: str) -> Iterator[Finding]:
    groups = _clashing(family_packages(config, version), lambda package: package.name)
    by_kinds: dict[frozenset[Path], list[list[Package]]] = {}
    for group in groups:
        by_kinds.setdefault(frozenset(package.key for package in group), []).append(group)
    for clash, *more in by_kinds.values():
        path, instead = (*clash[-1].key, "name"), _origin(clash[-1], config)
        advice = _apart(clash, config.packages.platform.name, ("platform", "suffix"))
        text = f"{len(clash)} packages would be named {quoted(clash[0].name)}: {_called(clash)}; {advice}{_and(more)}"
        yield Finding(path=path, instead=instead, text=text)


def _artifacts(config: Config, version: str) -> Iterator[Finding]:
    found = platform_packages(config, version)
    wrong = next((faults for one in found if (faults := artifact_faults(one.artifact or ""))), [])
    yield from (Finding(path=("ci", "artifact"), text=fault) for fault in wrong)
    roots = [one.root for one in found if one.root is not None]
    wrong = next((faults for root in roots if (faults := path_faults(root))), [])
    yield from (Finding(path=("ci", "root"), text=fault) for fault in wrong)


def _own_artifacts(config: Config, version: str) -> Iterator[Finding]:
    faulty = {key: faults for key, need in own_needs(config, version) if (faults := artifact_faults(need.artifact))}
    for key, faults in faulty.items():
        yield from (Finding(path=(*key, "artifact"), text=fault) for fault in faults)


def _same_files(config: Config, version: str) -> Iterator[Finding]:
    """Yield a fault if packages would have exactly the same files of one artifact."""
    groups = _clashing(platform_packages(config, version), lambda p: (p.artifact, p.archive, p.root, p.sources))
    if groups:
        clash, *more = groups
        files = (text for _path, text in _file_templates((), config.packages.platform.files))
        templates = (config.ci.artifact, config.ci.archive, config.ci.root, *files)
        advice = _apart(clash, " ".join(filter(None, templates)), ("build", "variant"))
        if advice.endswith("}."):
            advice = f"{advice.removesuffix('.')} to ci.artifact, ci.archive, ci.root or packages.platform.files."
        same = f"would have the same files from the artifact {quoted(clash[0].artifact or '')}"
        text = f"{len(clash)} packages {same}: {_called(clash)}; {advice}{_and(more)}"
        yield Finding(path=("ci", "artifact"), text=text)


def _clashing(items: Iterable[T], key: Callable[[T], Hashable]) -> list[list[T]]:
    groups: dict[Hashable, list[T]] = {}
    for item in items:
        groups.setdefault(key(item), []).append(item)
    return [group for group in groups.values() if group[1:]]


def _called(items: Sequence[Package | Need]) -> str:
    named = [_words_for(item) for item in items[:MOST_NAMED]]
    return ", ".join([*named, "…"] if items[MOST_NAMED:] else named)


def _words_for(item: Package | Need) -> str:
    platform = item.platform.name if item.platform and not (isinstance(item, Package) and item.kind == "dev") else ""
    variant = item.variant.name if item.variant else ""
    kind = f"the {item.kind} package" if isinstance(item, Package) and item.kind != "platform" else ""
    if isinstance(item, Package) and item.kind == "dev" and item.key != DEV:
        kind = dotted(item.key)
    return " ".join(filter(None, (kind, platform, variant)))


def _apart(clash: Sequence[Package | Need], template: str, words: tuple[str, str]) -> str:
    """Return what would make clashing names differ: the placeholder that the template lacks."""
    if len({item.key for item in clash if isinstance(item, Package)}) > 1:
        return "rename one of them."
    of_platform, of_variant = words
    used = PLACEHOLDER.findall(template)
    if len({item.platform for item in clash}) > 1:
        known = f"platforms[].{of_platform}" if of_platform in used else f"{{{of_platform}}}"
        return f"each platform needs its own: {'look at' if of_platform in used else 'add'} {known}."
    return f"each variant needs its own: {'look at' if of_variant in used else 'add'} {{{of_variant}}}."


def _and(more: Sequence[object]) -> str:
    return f" (There are {len(more)} more such clashes.)" if more else ""


# Each check with the sections that it needs to be sound. What the first ones find would show again in the others.
ROOTS: Checks = ((("family",), _family),)
LICENSES: Checks = ((("variants", "packages", "ci"), _licenses),)
REST: Checks = (
    (("family", "publish"), _access),
    (("platforms", "variants", "packages", "ci"), _empty_values),
    (("platforms", "variants", "packages"), _dev_source),
    (("family", "release"), _tag),
    (("family", "release"), _notes),
    (("family", "platforms", "variants", "packages", "release"), _package_names),
    (("family", "platforms", "variants", "packages", "release"), _same_names),
    (("family", "platforms", "variants", "packages", "release"), _own_versions),
    (("family", "platforms", "variants", "ci", "release"), _artifacts),
    (("family", "platforms", "variants", "packages", "release"), _own_artifacts),
    (("family", "platforms", "variants", "packages", "ci", "release"), _same_files),
)
