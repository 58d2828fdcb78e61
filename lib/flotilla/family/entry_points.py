"""The entry of a package: the files that its manifest names, which of them it lacks, and a generated launcher."""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Literal

from wcmatch import glob

from flotilla.family.model import Package
from flotilla.text import quoted

Form = Literal["file", "module", "pattern", "selection"]

DEEPEST = 50
# A pattern with more of these could keep the matcher busy for hours; nobody's files entries have them.
MOST_SIGNS = {"*": 10, "{": 3, ",": 15, "..": 0}
# How node, and TypeScript for its own, complete the name of a module.
ENDINGS = ("", ".js", ".cjs", ".mjs", ".json", ".node", ".d.ts", ".d.cts", ".d.mts")
GLOB = glob.GLOBSTAR | glob.DOTGLOB | glob.BRACE | glob.FORCEUNIX
MODULES = ("main", "types", "typings")
USED = (*MODULES, "module", "browser", "exports", "bin")
INDEXES = ("index.js", "index.json", "index.node")


@dataclass(frozen=True, kw_only=True)
class NamedFile:
    """A file, or several, that a manifest names.

    Args:
        field: where the manifest names it (exports["./lib"].import).
        path: a posix path or pattern below the package's folder, without a leading ./.
        form: file (exactly it), module (node completes the name), pattern (* stands for any text), selection (an
            entry of files: a file, a folder or a pattern).
    """

    field: str
    path: str
    form: Form = "file"


def named_files(manifest: Mapping[str, object]) -> tuple[NamedFile, ...]:
    """Return what main, module, browser, bin, exports, types, typings, man and files of a manifest name."""
    return tuple(dict.fromkeys(_named(manifest)))


def missing_files(manifest: Mapping[str, object], paths: Collection[str]) -> tuple[str, ...]:
    """Return what a manifest names and a package does not have, a line each.

    Args:
        manifest: the package.json.
        paths: the package's files, posix paths relative to its folder.
    """
    absent = (named for named in named_files(manifest) if not is_there(named, paths))
    return tuple(f"{named.field} names {quoted(named.path)}, but the package does not contain it." for named in absent)


def nothing_to_use(manifest: Mapping[str, object], paths: Collection[str]) -> bool:
    """Return whether users of a package can neither import nor run anything of it.

    Args:
        paths: the package's files, posix paths relative to its folder.
    """
    directories = manifest.get("directories")
    bins = isinstance(directories, Mapping) and directories.get("bin")
    # Without main, node takes index.js.
    return not (bins or any(manifest.get(field) for field in USED) or any(index in paths for index in INDEXES))


def is_there(named: NamedFile, paths: Collection[str]) -> bool:
    """Return whether a package with these files has what is named."""
    if named.form == "file":
        return named.path in paths
    if named.form == "module":
        return any(module in paths for module in _completed(named.path))
    if named.form == "pattern":
        return any(_fits(named.path.split("*"), path) for path in paths)
    return _selects(named.path, paths)


def _fits(parts: Sequence[str], path: str) -> bool:
    """Return whether the parts of a pattern between its * stand in a path in order; in linear time, unlike a regex."""
    first, *middle, last = parts
    if not path.startswith(first) or not path.endswith(last) or len(path) < len(first) + len(last) + len(middle) + 1:
        return False
    at, end = len(first) + 1, len(path) - len(last)
    for part in middle:
        at = path.find(part, at, end - 1) + len(part) + 1
        if at <= len(part):
            return False
    return at <= end


def _completed(path: str) -> Iterator[str]:
    folder = f"{path}/" if path != "." else ""
    if path != ".":
        yield from (path + ending for ending in ENDINGS)
    yield from (f"{folder}index{ending}" for ending in ENDINGS[1:])


def _selects(entry: str, paths: Collection[str]) -> bool:
    if entry == "." or entry in paths or any(path.startswith(f"{entry}/") for path in paths):
        return True
    if any(entry.count(sign) > most for sign, most in MOST_SIGNS.items()):
        return False
    return any(glob.globmatch(path, [entry, f"{entry}/**"], flags=GLOB) for path in paths)


def _named(manifest: Mapping[str, object]) -> Iterator[NamedFile]:
    for field in MODULES:
        yield from _one(field, manifest.get(field), "module")
    yield from _one("module", manifest.get("module"), "file")
    yield from _browser(manifest.get("browser"))
    yield from _bin(manifest.get("bin"))
    yield from _exports("exports", manifest.get("exports"))
    yield from _each("man", manifest.get("man"))
    yield from _selection(manifest.get("files"))


def _one(field: str, value: object, form: Form) -> Iterator[NamedFile]:
    if isinstance(value, str) and value:
        yield NamedFile(field=field, path=_normal(value), form=form)


def _each(field: str, value: object) -> Iterator[NamedFile]:
    items = value if isinstance(value, list) else [value]
    for item in items:
        yield from _one(field, item, "file")


def _browser(value: object) -> Iterator[NamedFile]:
    """Yield the files that browser names: one in place of main, or a map; names of other packages are left out."""
    if not isinstance(value, Mapping):
        yield from _one("browser", value, "module")
        return
    for key, target in value.items():
        if isinstance(target, str) and target.startswith("."):
            yield from _one(f"browser[{quoted(key)}]", target, "module")


def _bin(value: object) -> Iterator[NamedFile]:
    if not isinstance(value, Mapping):
        yield from _one("bin", value, "file")
        return
    for key, target in value.items():
        yield from _one(f"bin.{key}", target, "file")


def _exports(field: str, value: object, depth: int = 1) -> Iterator[NamedFile]:
    """Yield the targets of exports, through conditions, subpaths and fallbacks; null excludes, and names nothing."""
    if isinstance(value, str):
        yield from _one(field, value, "pattern" if "*" in value else "file")
    elif isinstance(value, Mapping) and depth < DEEPEST:
        for key, target in value.items():
            part = f"[{quoted(key)}]" if str(key).startswith(".") else f".{key}"
            yield from _exports(f"{field}{part}", target, depth + 1)
    elif isinstance(value, list) and depth < DEEPEST:
        for target in value:
            yield from _exports(field, target, depth + 1)


def _selection(value: object) -> Iterator[NamedFile]:
    for entry in value if isinstance(value, list) else ():
        if isinstance(entry, str) and not entry.startswith("!"):
            yield from _one("files", entry.lstrip("/") or ".", "selection")


def _normal(path: str) -> str:
    return posixpath.normpath(path)


LAUNCHER = "launcher.cjs"
SHEBANG = "#!/usr/bin/env node\n"
TABLE = "const FAMILY = {}; // filled in when the package is built"
ENTRY_FIELDS = ("main", "module", "exports", "types", "typings")

ENTRY: Mapping[str, object] = {
    "main": "./index.cjs",
    "types": "./index.d.cts",
    "exports": {
        ".": {
            "import": {"types": "./index.d.mts", "default": "./index.mjs"},
            "require": {"types": "./index.d.cts", "default": "./index.cjs"},
        },
        "./package.json": "./package.json",
    },
}
DEFAULTS: Mapping[str, object] = {"type": "commonjs", "engines": {"node": ">=14"}}

PROGRAM = {
    "index.cjs": """"use strict";

const { name, folder, path } = require("./launcher.cjs").program();

exports.name = name;
exports.folder = folder;
exports.path = path;
""",
    "index.mjs": """import launcher from "./launcher.cjs";

export const { name, folder, path } = launcher.program();
""",
    "index.d.cts": """/** The package that holds the program for this machine. */
export declare const name: string;
/** That package's folder. */
export declare const folder: string;
/** The program. */
export declare const path: string;
""",
}
LIBRARY = {
    "index.cjs": """"use strict";

module.exports = require("./launcher.cjs").load();
""",
    "index.mjs": """import launcher from "./launcher.cjs";

export default launcher.load();
""",
    "index.d.cts": """/** What the addon exports. For other libraries: { name, folder } of the package that holds it. */
declare const library: any;
export = library;
""",
    "index.d.mts": """/** What the addon exports. For other libraries: { name, folder } of the package that holds it. */
declare const library: any;
export default library;
""",
}


def override_of(package: Package) -> str:
    """Return the environment variable that names another program or library: TOOL_BINARY_PATH, TOOL_LIBRARY_PATH."""
    program = package.launcher.bin if package.launcher else None
    word = program or package.name.rpartition("/")[2]
    kind = "BINARY" if program else "LIBRARY"
    return f"{re.sub(r'[^A-Z0-9]+', '_', word.upper()).strip('_')}_{kind}_PATH"


def launcher_fields(package: Package, template: Mapping[str, object]) -> dict[str, object]:
    """Return what the family's launcher sets in the manifest of a meta or a platform package.

    Args:
        template: the package.json of the package's template; with an entry of its own it gets no other.
    """
    if package.launcher is None or package.kind == "dev":
        return {}
    if package.kind == "platform":  # yarn PnP would leave programs and libraries in a zip file
        return {} if "preferUnplugged" in template else {"preferUnplugged": True}
    fields: dict[str, object] = {"bin": {package.launcher.bin: LAUNCHER}} if package.launcher.bin else {}
    if not any(field in template for field in ENTRY_FIELDS):
        fields |= {**ENTRY} | {key: value for key, value in DEFAULTS.items() if key not in template}
    return fields


def launcher_files(package: Package, manifest: Mapping[str, object]) -> dict[str, str]:
    """Return the generated files of a meta package, by their paths; none if it has no launcher.

    Args:
        manifest: its rendered package.json.
    """
    if package.launcher is None or package.kind != "meta":
        return {}
    entries = manifest.get("exports") == ENTRY["exports"]
    return {LAUNCHER: _launcher(package), **(_entries(package.launcher.bin) if entries else {})}


def program_files(package: Package, manifest: Mapping[str, object]) -> tuple[str, ...]:
    """Return the paths of a platform package at which the launcher looks for the program; () if it runs none."""
    program = package.launcher.bin if package.launcher else None
    if program is None or package.kind != "platform":
        return ()
    bins = manifest.get("bin")
    named = bins.get(program) if isinstance(bins, Mapping) else bins
    own = (posixpath.normpath(named),) if isinstance(named, str) else ()
    return (*own, *(f"{folder}{program}{end}" for end in (".exe", "") for folder in ("bin/", "")))


def _launcher(package: Package) -> str:
    text = resources.files(__package__).joinpath(LAUNCHER).read_text(encoding="utf-8")
    # Packages for any machine come last: a program made for this one is better.
    packages = sorted(package.pins.items(), key=lambda item: not item[1].os)
    program = package.launcher.bin if package.launcher else None
    table = {
        "meta": package.name,
        **({"bin": program} if program else {}),
        "override": override_of(package),
        "packages": [
            {
                "name": name,
                "os": list(platform.os),
                "cpu": [] if platform.wasm else list(platform.cpu),
                "libc": list(platform.libc),
            }
            for name, platform in packages
        ],
    }
    written = text.replace(TABLE, f"const FAMILY = {json.dumps(table, indent=2)};")
    return written if program else written.removeprefix(SHEBANG)


def _entries(program: str | None) -> dict[str, str]:
    files = dict(PROGRAM if program else LIBRARY)
    return {**files, "index.d.mts": files.get("index.d.mts", files["index.d.cts"])}
