"""The generated entry of a meta package: it finds the platform package of a user's machine, and runs or loads it."""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Mapping
from importlib import resources

from flotilla.family.model import Package

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
