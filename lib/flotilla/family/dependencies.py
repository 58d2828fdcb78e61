"""The dependencies in a manifest: the family's own are settled here, and what users could not install is refused."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from flotilla.family.model import Package
from flotilla.family.names import LONGEST_NAME, PLACEHOLDER, rendered
from flotilla.family.platforms import reads_as_platform
from flotilla.text import as_json, quoted

# What npm installs with a package, and so what users must be able to install.
INSTALLED = ("dependencies", "optionalDependencies", "peerDependencies")
NAMED = (*INSTALLED, "devDependencies", "peerDependenciesMeta")
OPTIONAL = "optionalDependencies"

WORKSPACE = "workspace:"
ELSEWHERE = 'write the range of versions that users should get, such as "^1.0.0"'
# Specs that mean something in a working tree only, and what to do about each.
LOCAL_SPECS: Mapping[str, str] = {
    WORKSPACE: f"which stands for a version of a package of this family only, and that is none; {ELSEWHERE}",
    "catalog:": f"which only the repository's catalog knows; {ELSEWHERE}",
    "patch:": f"which only the repository's patches make; {ELSEWHERE}",
    **dict.fromkeys(
        ("file:", "link:", "portal:", "./", "../", "/", "~/"),
        f"which is a path that nobody else has; publish it, and {ELSEWHERE}",
    ),
}
Fields = Mapping[str, object]


@dataclass(frozen=True, kw_only=True)
class DependencyFault:
    """What is wrong with a dependency, and the keys of the template's package.json that lead to it."""

    text: str
    keys: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Dependencies:
    """The dependencies of a package, ready to publish.

    Args:
        fields: the values of those fields that a template has and flotilla changes.
        faults: what is wrong with them.
    """

    fields: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    faults: tuple[DependencyFault, ...] = ()


def settled_dependencies(given: Fields, package: Package) -> Dependencies:
    """Return the dependencies of a template whose values are rendered: names rendered, the family's own settled."""
    fields: dict[str, Mapping[str, object]] = {}
    faults: list[DependencyFault] = []
    for key in NAMED:
        named = given.get(key)
        if isinstance(named, Mapping):
            names = {template: rendered(template, package.placeholders) for template in named}
            settled = {name: _settled(key, name, named[template], package) for template, name in names.items()}
            templates = {name: template for template, name in names.items()}
            found = [*(_uninstallable(key, settled) if key in INSTALLED else ()), *_left_over(key, settled, package)]
            faults += _name_faults(key, names, package)
            faults += [replace(fault, keys=(key, templates[fault.keys[1]])) for fault in found]
            fields[key] = settled
        elif key in INSTALLED and named is not None:
            faults.append(DependencyFault(text=f"{key} must be an object of names and versions.", keys=(key,)))
    return Dependencies(fields=fields, faults=tuple(faults))


def _name_faults(key: str, names: Mapping[str, str], package: Package) -> Iterator[DependencyFault]:
    """Yield what is wrong with names, by their templates."""
    seen: set[str] = set()
    for template, name in names.items():
        if unknown := PLACEHOLDER.findall(name):
            text = f"{key} names {quoted(template)}, and {{{unknown[0]}}} has no value in {package.name}."
            yield DependencyFault(text=text, keys=(key, template))
        elif name in seen:
            yield DependencyFault(text=f"{key} names {quoted(name)} twice.", keys=(key, template))
        seen.add(name)


def _settled(key: str, name: str, spec: object, package: Package) -> object:
    """Return the spec of a package of the family as this release has it; any other spec as it is."""
    version = package.siblings.versions.get(name)
    if version is None:
        return _alias(spec, package)
    if key == OPTIONAL and package.kind == "meta":
        return version
    return _of_workspace(spec, version)


def _of_workspace(spec: object, version: str) -> object:
    """Return what a workspace's range stands for; pnpm and yarn write the same when they pack."""
    if not isinstance(spec, str) or not spec.startswith(WORKSPACE):
        return spec
    wanted = spec.removeprefix(WORKSPACE)
    if wanted in ("*", "^", "~"):
        return f"{wanted.strip('*')}{version}"
    return wanted if re.match(r"[\^~<>=v]*[0-9]", wanted) else spec


def _alias(spec: object, package: Package) -> object:
    """Return workspace:NAME@RANGE, which has another name for a package of the family, as npm writes it."""
    found = re.fullmatch(rf"{WORKSPACE}(@?[^@]+)@(.+)", spec) if isinstance(spec, str) else None
    version = package.siblings.versions.get(found[1]) if found else None
    if found is None or version is None:
        return spec
    return f"npm:{found[1]}@{_of_workspace(WORKSPACE + found[2], version)}"


def _uninstallable(key: str, named: Mapping[str, object]) -> Iterator[DependencyFault]:
    for name, spec in named.items():
        said = f"{key} has {quoted(name)} as {as_json(spec)}, "
        if not isinstance(spec, str):
            yield DependencyFault(
                text=f"{said}which is not text; write a range of versions in quotes.", keys=(key, name)
            )
        elif why := next((why for local, why in LOCAL_SPECS.items() if spec.startswith(local)), None):
            yield DependencyFault(text=f"{said}{why}.", keys=(key, name))


def _left_over(key: str, named: Mapping[str, object], package: Package) -> Iterator[DependencyFault]:
    """Yield the pins of packages of no platform: npm would install an old one, or skip it, and say nothing."""
    if key != OPTIONAL or package.kind != "meta":
        return
    for name, spec in named.items():
        platform = None if name in package.siblings.versions else _platform_of(name, package)
        if platform:
            text = (
                f"{OPTIONAL} pins {quoted(name)} to {as_json(spec)}, but flotilla.yml has no platform "
                f"{quoted(platform)}. Remove the pin, or add the platform to flotilla.yml."
            )
            yield DependencyFault(text=text, keys=(OPTIONAL, name))


def _platform_of(name: str, package: Package) -> str | None:
    """Return the platform that a name of the form of packages.platform.name would be of; None if it is of another."""
    for template in package.siblings.platform_names if len(name) <= LONGEST_NAME else ():
        literals = PLACEHOLDER.split(template)[::2]
        found = re.fullmatch("(.+)".join(map(re.escape, literals)), name)
        platform = "-".join(found.groups()) if found else ""
        if platform and reads_as_platform(platform, package.siblings.platforms):
            return platform
    return None


def line_of(text: str, keys: tuple[str, ...]) -> int | None:
    """Return the line of a JSON text with the last of these keys, each below the one before; None if unknown."""
    at = 0
    for key in keys:
        forms = {json.dumps(key), json.dumps(key, ensure_ascii=False)}
        found = re.compile(rf"(?:{'|'.join(map(re.escape, forms))})\s*:").search(text, at)
        if found is None:
            return None
        at = found.end()
    return text.count("\n", 0, at) + 1
