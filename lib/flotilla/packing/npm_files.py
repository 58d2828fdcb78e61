"""Files that npm treats in a way of its own."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase

LEFT_OUT = (".gitignore", ".npmignore", ".DS_Store", "._*", "*.orig", ".*.swp", "npm-debug.log", ".svn", ".hg", "CVS")
LEFT_OUT_AT_TOP = frozenset({"package-lock.json", "yarn.lock", "pnpm-lock.yaml"})

REFUSED = {
    ".npmrc": "may hold a token, and npm reads it: keep it out of packages",
    ".git": "belongs to git: a package cannot hold a repository",
    "node_modules": "lies where npm puts dependencies, and would be lost",
}


def left_out(path: str) -> bool:
    """Whether npm pack leaves this file out of every package, for good reason; a package built here does too."""
    parts = path.split("/")
    return path in LEFT_OUT_AT_TOP or any(fnmatchcase(part, pattern) for part in parts for pattern in LEFT_OUT)


def refusal(path: str) -> str | None:
    """Why a package must not hold this file, None where it may."""
    parts = {part.casefold() for part in path.split("/")}  # for whom .NPMRC is .npmrc
    return next((why for name, why in REFUSED.items() if name in parts), None)


def builds_on_install(path: str, manifest: Mapping[str, object]) -> bool:
    """Whether npm adds `node-gyp rebuild` as the install script for this file, though no manifest says so.

    Source: @npmcli/package-json lib/normalize.js (gypfile), which looks for *.gyp beside package.json.
    """
    scripts = manifest.get("scripts")
    own = isinstance(scripts, Mapping) and (scripts.get("install") or scripts.get("preinstall"))
    return "/" not in path and path.casefold().endswith(".gyp") and not own and manifest.get("gypfile") is not False
