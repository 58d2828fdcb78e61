"""The package.json of each package: the template's own, and what flotilla sets in it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from urllib.parse import urlsplit

from flotilla.errors import ConfigError, Fault, Place
from flotilla.family.entry_points import launcher_fields
from flotilla.family.model import ROOT, WASM, Package
from flotilla.family.names import LONGEST_NAME, PLACEHOLDER, rendered
from flotilla.family.platforms import reads_as_platform
from flotilla.text import as_json, quoted

# What npm installs with a package, and so what users must be able to install.
INSTALLED = ("dependencies", "optionalDependencies", "peerDependencies")
NAMED = (*INSTALLED, "devDependencies", "peerDependenciesMeta")
OPTIONAL = "optionalDependencies"
BUNDLED = ("bundleDependencies", "bundledDependencies")

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
    faults += _bundled(given, package)
    return Dependencies(fields=fields, faults=tuple(faults))


def _bundled(given: Fields, package: Package) -> Iterator[DependencyFault]:
    """Yield what npm would pack of node_modules: a root is packed as npm packs it, but for that."""
    for key in BUNDLED if package.template == ROOT else ():
        if given.get(key):
            text = (
                f"{key} makes npm pack what a job installed into node_modules, which flotilla never packs. Remove it: "
                "npm installs what `dependencies` names; or bundle that into the files that CI builds."
            )
            yield DependencyFault(text=text, keys=(key,))


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


DEEPEST = 100
WORD_LISTS = ("os", "cpu", "libc")


def render_manifest(
    package: Package, template: Mapping[str, object] | None, *, repository: str | None, file: str, text: str = ""
) -> dict[str, object]:
    """Return the manifest of a package.

    Args:
        package: the package.
        template: the package.json of its template folder, None for a generated manifest.
        repository: the URL to set if the template has no repository (see repository_url); None for none.
        file: the path of the template's package.json, for messages.
        text: the text of that, for the lines in messages.

    Raises:
        ConfigError: the template says otherwise than flotilla.yml, or could not be published; all faults at once.
    """
    given = {key: _rendered(value, package.placeholders, file) for key, value in (template or {}).items()}
    dependencies = settled_dependencies(given, package)
    given |= dependencies.fields
    if package.kind == "platform" and package.platform and package.platform.wasm and _is_wasm(given.get("cpu")):
        del given["cpu"]  # npm would install it nowhere
    wanted = _wanted(package, given, repository)
    faults = [Fault(text=text, place=Place(file=file)) for text in _faults(given, wanted, package)]
    faults += [
        Fault(text=one.text, place=Place(file=file, line=line_of(text, one.keys))) for one in dependencies.faults
    ]
    if faults:
        raise ConfigError(
            faults,
            advice=f"Correct {file}: remove what flotilla.yml sets for {package.name}, or make both the same.",
        )
    return _merged(given, wanted)


def _rendered(value: object, placeholders: Mapping[str, str], file: str, depth: int = 1) -> object:
    if depth > DEEPEST:
        raise ConfigError(Fault(text=f"it is nested more than {DEEPEST} deep.", place=Place(file=file)))
    if isinstance(value, str):
        return rendered(value, placeholders)
    if isinstance(value, Mapping):
        return {key: _rendered(item, placeholders, file, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_rendered(item, placeholders, file, depth + 1) for item in value]
    return value


def _wanted(package: Package, given: dict[str, object], repository: str | None) -> dict[str, object]:
    """Return what flotilla sets, in the order of a manifest that has none of it."""
    wanted: dict[str, object] = {"name": package.name, "version": package.version}
    if not given:
        wanted["description"] = _description(package)
    if package.variant and package.variant.license is not None:
        wanted["license"] = package.variant.license
    wanted |= _repository(given.get("repository"), repository)
    if package.kind == "platform" and package.platform:
        cpu = () if package.platform.wasm else package.platform.cpu
        words = {"os": package.platform.os, "cpu": cpu, "libc": package.platform.libc}
        wanted |= {key: list(values) for key, values in words.items() if values}
    wanted |= launcher_fields(package, given)
    if package.kind == "meta" and package.depends_on:
        pins = {name: package.siblings.versions.get(name, package.version) for name in package.depends_on}
        wanted["optionalDependencies"] = pins
    return wanted


def _repository(given: object, url: str | None) -> dict[str, object]:
    """Return the repository if the template has none; one that only names a directory keeps it."""
    if url is None or (given and not isinstance(given, Mapping)):
        return {}
    own = given if isinstance(given, Mapping) else {}
    kept = {key: value for key, value in own.items() if key not in ("type", "url")}
    return {} if own.get("url") else {"repository": {"type": "git", "url": url, **kept}}


def _description(package: Package) -> str:
    values = package.placeholders
    variant = f" ({package.variant.name})" if package.variant and package.variant.name else ""
    family = values.get("family", package.name)
    if package.kind == "platform":
        return f"The binaries of {family}{variant} for {values['platform']}"
    return f"The headers of {family}" if package.kind == "dev" else f"{family}{variant}, with prebuilt binaries"


def _faults(given: dict[str, object], wanted: dict[str, object], package: Package) -> Iterator[str]:
    yield from _contradictions(given, wanted, package)
    yield from _publish_faults(given)


def _contradictions(given: dict[str, object], wanted: dict[str, object], package: Package) -> Iterator[str]:
    for key in ("name", "license"):
        if key in given and key in wanted and given[key] != wanted[key]:
            yield f"{key} is {as_json(given[key])}, but flotilla.yml sets it to {as_json(wanted[key])}."
    if "bin" in given and "bin" in wanted and given["bin"] != wanted["bin"]:
        yield (
            f"bin is {as_json(given['bin'])}, but packages.meta.launcher sets it to {as_json(wanted['bin'])}; take bin "
            "out of the template, or launcher out of flotilla.yml."
        )
    if given.get("license") == "{license}":
        yield "license is {license}, which has no value: flotilla.yml sets none."
    if package.kind == "platform":
        yield from _platform_contradictions(given, wanted)


def _platform_contradictions(given: dict[str, object], wanted: dict[str, object]) -> Iterator[str]:
    for key in WORD_LISTS:
        if key in given and _as_set(given[key]) != _as_set(wanted.get(key, [])):
            ours = as_json(wanted[key]) if key in wanted else "none"
            yield f"{key} is {as_json(given[key])}, but the platform's in flotilla.yml is {ours}."


def _is_wasm(words: object) -> bool:
    return words in (WASM, [WASM])


def _as_set(words: object) -> frozenset[str]:
    return frozenset(map(str, words)) if isinstance(words, list) else frozenset({str(words)})


def _publish_faults(manifest: Mapping[str, object]) -> Iterator[str]:
    """Yield what a manifest holds that npm would refuse, or that would quietly change how it is published."""
    if manifest.get("private") not in (None, False):
        yield "private is set, but npm does not publish private packages; remove it."
    if "tag" in manifest:
        # libnpmpublish: const tag = manifest.tag || defaultTag
        yield 'the key "tag" would override the dist-tag; remove it.'
    if "repositories" in manifest:
        yield 'the key "repositories" would override repository; remove it.'


def _merged(given: dict[str, object], wanted: dict[str, object]) -> dict[str, object]:
    """Return the template's keys in its order, then ours; name and version go first if the template lacks them."""
    keys = list(given)
    if "name" not in keys:
        keys.insert(0, "name")
    if "version" not in keys:
        keys.insert(keys.index("name") + 1, "version")
    merged = {key: wanted.get(key, given.get(key)) for key in dict.fromkeys((*keys, *wanted))}
    optional = given.get("optionalDependencies")
    if isinstance(optional, Mapping):
        pins = wanted.get("optionalDependencies")
        merged["optionalDependencies"] = {**optional, **(pins if isinstance(pins, Mapping) else {})}
    return merged


SHORTHAND = re.compile(r"(?:github:)?([^/:@#?\s]+)/([^/:@#?\s]+)")
GITHUB = "https://github.com"


def repository_url(server_url: str, repository: str) -> str:
    """Return the URL for a manifest: git+https://github.com/OWNER/REPO.git.

    Args:
        server_url: GITHUB_SERVER_URL.
        repository: GITHUB_REPOSITORY, OWNER/REPO.
    """
    return f"git+{server_url.rstrip('/')}/{repository}.git"


def same_repository(manifest_repository: object, server_url: str, repository: str) -> bool:
    """Return whether the registry would accept provenance from a repository for a manifest with this repository field.

    The registry compares npm's normal form of repository.url with the server's URL and OWNER/REPO, case-sensitive.
    Forms that npm leaves with another scheme (ssh, git, http) count as different: write https.

    Args:
        manifest_repository: the manifest's repository field: a string, or an object with url.
        server_url: GITHUB_SERVER_URL.
        repository: GITHUB_REPOSITORY, OWNER/REPO.
    """
    url = manifest_repository.get("url") if isinstance(manifest_repository, Mapping) else manifest_repository
    if not isinstance(url, str):
        return False
    server = server_url.rstrip("/")
    return _normal(url.strip()) == f"{server}/{repository}"


def _normal(url: str) -> str | None:
    """Return the https form of a repository's URL, without git+ and .git; None for one that names something else.

    Source: hosted-git-info as @npmcli/package-json uses it (fixRepositoryField).
    """
    if short := SHORTHAND.fullmatch(url):
        # npm takes a bare OWNER/REPO for one of github.com, whatever server the workflow runs on.
        return f"{GITHUB}/{short[1]}/{short[2].removesuffix('.git')}"
    try:
        parts = urlsplit(url.removeprefix("git+"))
    except ValueError:
        return None
    if parts.fragment or parts.username is not None:
        return None
    host = parts.netloc.lower().removesuffix(":443")
    path = parts.path.strip("/").removesuffix(".git")
    return f"{parts.scheme}://{host.removeprefix('www.')}/{path}" if path.count("/") == 1 else None
