"""Compare two manifests of one package, ours and the registry's. Pure: no input or output.

npm publishes a tarball with a separate manifest, and installs by that manifest: npm 11 runs the install scripts that
it names, whatever the tarball's package.json says. So every field counts, except those that npm is known to add or to
rewrite (npm: @npmcli/package-json, lib/normalize.js and lib/normalize-data.js, the steps of `prepare`; libnpmpublish,
lib/publish.js).
"""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Callable, Collection, Iterator, Mapping

from flotilla.npm.packument import PublishedVersion, is_own_tarball, same_integrity
from flotilla.text import printable, quoted

Manifest = Mapping[str, object]

# Fields that npm or the registry adds and no install uses. Names that begin with "_" are npm's own, too: it removes
# ours before it publishes.
NOT_COMPARED = frozenset(
    {
        *("dist", "readme", "readmeFilename", "gitHead", "maintainers", "contributors", "deprecated"),
        # npm renames the first to bundleDependencies, and removes the second.
        *("bundledDependencies", "modules"),
    }
)
MOST_NAMED = 5
LONGEST_VALUE = 80

_NODE_GYP = "node-gyp rebuild"
_SERVER = "node server.js"
_HOSTS = {"github": "github.com", "gitlab": "gitlab.com", "bitbucket": "bitbucket.org"}
_BIN_FOLDER = re.compile(r"^(\.[/\\])?node_modules[/\\]\.bin[\\/]")


def manifest_differences(ours: Manifest, theirs: Manifest, files: Collection[str] | None = None) -> list[str]:
    """Return how the registry's manifest differs from ours, a line each; empty if npm made it from ours.

    Args:
        ours: the tarball's package.json.
        theirs: the registry's manifest, not trusted.
        files: the package's paths, from which npm fills some fields. None if unknown: then any file may exist except
            .gyp files, for which npm runs node-gyp on install and which no package built here has.
    """
    if isinstance(several := ours.get("repositories"), list) and several:
        ours = {**ours, "repository": several[0]}
    here, there = as_published(ours), as_published(theirs)
    _drop_additions(here, there, files)
    return [line for key in sorted(here.keys() | there.keys()) for line in _lines(key, here.get(key), there.get(key))]


def version_differences(
    ours: Manifest,
    integrity: str,
    published: PublishedVersion,
    *,
    registry: str,
    files: Collection[str] | None = None,
) -> list[str]:
    """Return how a published version differs from ours, a line each: the tarball, its URL, and every other field.

    Args:
        ours: our tarball's package.json.
        integrity: our tarball's; empty if the caller compares it.
        published: the version as the registry has it.
        registry: URL of the registry.
        files: as for manifest_differences.
    """
    lines = manifest_differences(ours, published.manifest, files)
    if integrity and not same_integrity(integrity, published.integrity):
        lines.insert(0, f"dist.integrity is {quoted(published.integrity)} on the registry, {quoted(integrity)} here")
    if not is_own_tarball(published.tarball, registry=registry, name=published.name, version=published.version):
        lines.append(f"dist.tarball is {quoted(published.tarball)}, which is not this package's URL on this registry")
    return lines


def as_published(manifest: Manifest) -> dict[str, object]:
    """Return a manifest as npm publishes it, without npm's additions; a published one comes back unchanged."""
    made = {key: value for key, value in manifest.items() if key not in NOT_COMPARED and not key.startswith("_")}
    made["bundleDependencies"] = _bundled(manifest)
    for key, rewrite in _REWRITTEN.items():
        if key in made:
            made[key] = rewrite(made[key])
    made["bin"] = _bin(made.get("bin"), str(made.get("name", "")))
    made["dependencies"] = _dependencies(made)
    if made.get("hasInstallScript") is False:
        del made["hasInstallScript"]
    return {key: plain for key, value in made.items() if (plain := _plain(value)) is not None}


def _drop_additions(here: dict[str, object], there: dict[str, object], files: Collection[str] | None) -> None:
    """Remove from theirs what npm adds to a manifest like ours."""
    scripts = there.get("scripts")
    installs = isinstance(scripts, dict) and {"preinstall", "install", "postinstall"} & scripts.keys()
    if there.get("hasInstallScript") is True and installs:
        # Some registries add this for a version with an install script; the script itself is compared.
        del there["hasInstallScript"]
    for key, is_addition in _ADDED.items():
        if key not in here and key in there and is_addition(there[key], here, files):
            del there[key]
    if "gypfile" not in here and there.get("gypfile") is True and _has_gyp(here, files):
        _drop_script(here, there, "install", _NODE_GYP)
        del there["gypfile"]
    if _may_exist(files, "server.js"):
        _drop_script(here, there, "start", _SERVER)


def _drop_script(here: Manifest, there: dict[str, object], name: str, command: str) -> None:
    ours, theirs = here.get("scripts"), there.get("scripts")
    absent = not isinstance(ours, dict) or name not in ours
    if absent and isinstance(theirs, dict) and theirs.get(name) == command:
        there["scripts"] = {key: value for key, value in theirs.items() if key != name}
        if not there["scripts"]:
            del there["scripts"]


def _has_gyp(here: Manifest, files: Collection[str] | None) -> bool:
    scripts = here.get("scripts")
    own = isinstance(scripts, dict) and {"install", "preinstall"} & scripts.keys()
    return not own and any(re.fullmatch(r"[^/.][^/]*\.gyp", file) for file in files or ())


def _may_exist(files: Collection[str] | None, file: str) -> bool:
    return files is None or file in files


def _is_types(value: object, here: Manifest, files: Collection[str] | None) -> bool:
    """Return whether npm found these types beside main."""
    if "typings" in here:
        return False
    stem = posixpath.splitext(str(here.get("main") or "index.js"))[0]
    file = posixpath.normpath(f"{stem}.d.ts")
    return value == f"./{file}" and _may_exist(files, file.removeprefix("/"))


def _is_bin(value: object, here: Manifest, files: Collection[str] | None) -> bool:
    """Return whether all commands are files of directories.bin, under their own names."""
    folder = _directory(here, "bin")
    if folder is None or not isinstance(value, dict):
        return False
    paths = {name: str(file) for name, file in value.items()}
    return all(
        file.startswith(f"{folder}/") and posixpath.basename(file) == name and _may_exist(files, file)
        for name, file in paths.items()
    )


def _is_man(value: object, here: Manifest, files: Collection[str] | None) -> bool:
    folder = _directory(here, "man")
    return (
        folder is not None
        and isinstance(value, list)
        and all(str(file).startswith(f"{folder}/") and _may_exist(files, str(file)) for file in value)
    )


def _is_description(value: object, _here: Manifest, files: Collection[str] | None) -> bool:
    """Return whether npm may have taken the description from the readme."""
    readme = files is None or any(re.fullmatch(r"readme(\.[^/]*)?", file, re.IGNORECASE) for file in files)
    return isinstance(value, str) and readme


def _is_page(value: object, here: Manifest, _files: Collection[str] | None) -> bool:
    """Return whether a homepage or bugs page belongs to the repository."""
    url = value.get("url") if isinstance(value, dict) and value.keys() == {"url"} else value
    repository = here.get("repository")
    of = repository.get("url") if isinstance(repository, dict) else None
    return isinstance(url, str) and isinstance(of, str) and url.startswith("https://") and _project(url) == of


_Addition = Callable[[object, Manifest, Collection[str] | None], bool]
_ADDED: dict[str, _Addition] = {
    "types": _is_types,
    "bin": _is_bin,
    "man": _is_man,
    "description": _is_description,
    "homepage": _is_page,
    "bugs": _is_page,
}


def _directory(manifest: Manifest, key: str) -> str | None:
    directories = manifest.get("directories")
    folder = directories.get(key) if isinstance(directories, dict) else None
    return _inside(folder) if isinstance(folder, str) else None


def _bundled(manifest: Manifest) -> object:
    value = manifest.get("bundleDependencies", manifest.get("bundledDependencies"))
    dependencies = manifest.get("dependencies")
    if value is True:
        value = dependencies
    return sorted(map(str, value)) if isinstance(value, list | dict) else None


def _dependencies(manifest: Manifest) -> object:
    """Return dependencies as npm writes them: it may list optional ones among them, and adds bundled ones."""
    value, optional = manifest.get("dependencies"), manifest.get("optionalDependencies")
    bundled = manifest.get("bundleDependencies")
    if not isinstance(value, Mapping | None):
        return value
    left_out = optional if isinstance(optional, Mapping) else {}
    added = dict.fromkeys(bundled, "*") if isinstance(bundled, list) else {}
    made = _git_specs({**added, **(value or {})})
    return {name: spec for name, spec in made.items() if name not in left_out} if isinstance(made, dict) else made


def _git_specs(value: object) -> object:
    """Return dependencies, with those from git in one of npm's equivalent forms (hosted-git-info)."""
    if not isinstance(value, Mapping):
        return value
    return {name: _git(spec) for name, spec in value.items()}


def _git(spec: object) -> object:
    hosted = _hosted(spec) if isinstance(spec, str) else None
    found = re.fullmatch(r"(\w+:[^/#]+/[^/#]+?)(?:\.git)?/?(#.*)?", hosted or "")
    return f"{found[1]}{found[2] or ''}" if found else spec


def _project(url: str) -> str:
    """Return a URL's repository as HOST:OWNER/NAME if npm knows the host; otherwise the URL."""
    found = re.match(r"(\w+:[^/#]+/[^/#]+)", _hosted(url) or "")
    return found[1].removesuffix(".git") if found else url


def _hosted(url: str) -> str | None:
    """Return HOST:OWNER/NAME and the rest, for a URL or shortcut of a host that npm knows; otherwise None."""
    short = url.removeprefix("git+")
    for name, host in _HOSTS.items():
        prefix = rf"(?:{name}:|(?:ssh|https?|git)://(?:git@)?(?:www\.)?{host}/|git@{host}:)(?=[^/:@\s#]+/[^/\s#])"
        if found := re.match(prefix, short):
            return f"{name}:{short[found.end() :]}"
    return f"github:{short}" if re.fullmatch(r"[^/:@~.\s#][^/:@\s#]*/[^/\s#]+/?(#.*)?", short) else None


def _repository(value: object) -> object:
    made = {"type": "git", "url": value} if isinstance(value, str) else value
    if isinstance(made, Mapping) and isinstance(made.get("url"), str):
        return {**made, "url": _project(str(made["url"]))}
    return made


def _bin(value: object, name: str) -> object:
    """Return commands and their files as npm writes them (normalizePackageBin); a bare path gets the package's name."""
    match value:
        case str():
            value = {name: value}
        case list():
            value = {posixpath.basename(str(file)): file for file in value}
    if not isinstance(value, Mapping):
        return None
    return {posixpath.basename(str(command)): _inside(file) for command, file in value.items() if isinstance(file, str)}


def _man(value: object) -> object:
    return [_inside(file) for file in (value if isinstance(value, list) else [value]) if isinstance(file, str)]


def _scripts(value: object) -> object:
    if not isinstance(value, Mapping):
        return None
    return {name: _BIN_FOLDER.sub("", line) for name, line in value.items() if isinstance(line, str)}


def _person(value: object) -> object:
    """Return an author as npm parses "NAME <EMAIL> (URL)"."""
    if isinstance(value, Mapping):
        email, url = value.get("email") or value.get("mail"), value.get("url") or value.get("web")
        value = f"{value.get('name') or ''}{f' <{email}>' if email else ''}{f' ({url})' if url else ''}"
    if not isinstance(value, str):
        return value
    patterns = {"name": r"^([^(<]+)", "email": r"<([^<>]+)>", "url": r"\(([^()]+)\)"}
    found = {key: match[1].strip() for key, pattern in patterns.items() if (match := re.search(pattern, value))}
    return {key: text for key, text in found.items() if text}


def _bugs(value: object) -> object:
    if isinstance(value, str):
        return {"email" if "@" in value and value.index("@") < value.rindex(".") else "url": value}
    if not isinstance(value, Mapping):
        return value
    url = next((value[key] for key in ("name", "web", "url") if key in value), None)
    return {key: text for key, text in {"url": url, "email": value.get("email")}.items() if isinstance(text, str)}


def _homepage(value: object) -> object:
    if not isinstance(value, str):
        return None
    return value if re.match(r"[A-Za-z][A-Za-z0-9+.-]*:", value) else f"http://{value}"


def _keywords(value: object) -> object:
    words = re.split(r",\s+", value) if isinstance(value, str) else value
    return _texts(words)


def _texts(value: object) -> object:
    return [text for text in value if isinstance(text, str) and text] if isinstance(value, list) else None


_REWRITTEN: dict[str, Callable[[object], object]] = {
    "scripts": _scripts,
    "repository": _repository,
    "author": _person,
    "bugs": _bugs,
    "homepage": _homepage,
    "keywords": _keywords,
    "files": _texts,
    "man": _man,
    "description": lambda value: value if isinstance(value, str) else None,
    "devDependencies": _git_specs,
    "funding": lambda value: {"url": value} if isinstance(value, str) else value,
}


def _inside(path: str) -> str:
    return posixpath.normpath(posixpath.join("/", path.replace("\\", "/").replace(":", "/").lstrip("/"))).lstrip("/")


def _plain(value: object) -> object:
    """Return a value without its empty parts, because some registries write empty lists and objects."""
    if isinstance(value, Mapping):
        return {str(key): each for key, old in value.items() if (each := _plain(old)) is not None} or None
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value] or None
    return None if value == "" else value


def _lines(key: str, ours: object, theirs: object) -> Iterator[str]:
    """Yield a line for each difference; for an object, a line for each differing key."""
    if _same(ours, theirs):
        return
    if isinstance(ours, dict | None) and isinstance(theirs, dict | None):
        here, there = ours or {}, theirs or {}
        names = sorted(name for name in here.keys() | there.keys() if not _same(here.get(name), there.get(name)))
        yield from (_line(f"{key}.{name}", here.get(name), there.get(name)) for name in names[:MOST_NAMED])
        if len(names) > MOST_NAMED:
            yield f"{key}: {len(names) - MOST_NAMED} more"
    else:
        yield _line(key, ours, theirs)


def _line(key: str, ours: object, theirs: object) -> str:
    return f"{quoted(key)[1:-1]} is {_shown(theirs)} on the registry, {_shown(ours)} here"


def _shown(value: object) -> str:
    if value is None:
        return "missing"
    if isinstance(value, str):
        return quoted(value, longest=LONGEST_VALUE)
    return printable(json.dumps(value), longest=LONGEST_VALUE)


def _same(ours: object, theirs: object) -> bool:
    # As JSON, because Python considers 1 and True equal.
    return json.dumps(ours, sort_keys=True) == json.dumps(theirs, sort_keys=True)
