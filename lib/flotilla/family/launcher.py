"""The generated entry of a meta package: it finds the platform package of a user's machine, and runs or loads it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources

from flotilla.family.model import Platform

LAUNCHER = "launcher.cjs"
TABLE = "const FAMILY = {};"
ENTRY_FIELDS = ("main", "module", "exports", "types", "typings")

DEFAULTS = {"type": "commonjs", "engines": {"node": ">=14"}}

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


@dataclass(frozen=True, kw_only=True)
class Launcher:
    """What a meta package's launcher is for.

    Args:
        meta: name of the meta package.
        bin: name of the program that it runs, None for a library that it loads.
        packages: the platform packages that the meta package pins, by name.
    """

    meta: str
    bin: str | None
    packages: Mapping[str, Platform]

    @property
    def override(self) -> str:
        """Return the environment variable that names another program or library: TOOL_BINARY_PATH."""
        word = self.bin or self.meta.rpartition("/")[2]
        kind = "BINARY" if self.bin else "LIBRARY"
        return f"{re.sub(r'[^A-Z0-9]+', '_', word.upper()).strip('_')}_{kind}_PATH"

    def files(self, template: Mapping[str, object]) -> dict[str, str]:
        """Return the generated files by their paths; only the launcher if the template's manifest has an entry.

        Args:
            template: the package.json of the meta package's template.
        """
        files = {LAUNCHER: self._launcher()}
        if not _has_entry(template):
            files |= _entries(self.bin)
        return files

    def fields(self, template: Mapping[str, object]) -> dict[str, object]:
        """Return what the launcher sets in the meta package's manifest."""
        fields: dict[str, object] = {"bin": {self.bin: LAUNCHER}} if self.bin else {}
        if not _has_entry(template):
            conditions = {
                "import": {"types": "./index.d.mts", "default": "./index.mjs"},
                "require": {"types": "./index.d.cts", "default": "./index.cjs"},
            }
            fields |= {
                "main": "./index.cjs",
                "types": "./index.d.cts",
                "exports": {".": conditions, "./package.json": "./package.json"},
                **{key: value for key, value in DEFAULTS.items() if key not in template},
            }
        return fields

    def _launcher(self) -> str:
        text = resources.files(__package__).joinpath(LAUNCHER).read_text(encoding="utf-8")
        # Packages for any machine come last: a program made for this one is better.
        packages = sorted(self.packages.items(), key=lambda item: not item[1].os)
        table = {
            "meta": self.meta,
            **({"bin": self.bin} if self.bin else {}),
            "override": self.override,
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
        before, mark, after = text.partition(TABLE)
        if not mark:
            raise AssertionError(f"{LAUNCHER} has no line {TABLE}")
        written = json.dumps(table, indent=2, ensure_ascii=True)
        return f"{before}const FAMILY = {written};{after.partition(chr(10))[1]}{after.partition(chr(10))[2]}"


def _entries(program: str | None) -> dict[str, str]:
    files = dict(PROGRAM if program else LIBRARY)
    return {**files, "index.d.mts": files.get("index.d.mts", files["index.d.cts"])}


def _has_entry(template: Mapping[str, object]) -> bool:
    return any(field in template for field in ENTRY_FIELDS)
