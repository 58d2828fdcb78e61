"""Files that npm treats in a way of its own."""

from __future__ import annotations

import re
from collections.abc import Mapping
from fnmatch import fnmatchcase
from pathlib import Path

LEFT_OUT = (".gitignore", ".npmignore", ".DS_Store", "._*", "*.orig", ".*.swp", "npm-debug.log", ".svn", ".hg", "CVS")
LEFT_OUT_AT_TOP = frozenset({"package-lock.json", "yarn.lock", "pnpm-lock.yaml"})

REFUSED = {
    ".npmrc": "may hold a token, and npm reads it: keep it out of packages",
    ".git": "belongs to git: a package cannot hold a repository",
    "node_modules": "lies where npm puts dependencies, and would be lost",
}
SETTINGS = re.compile(r"\.env.*")
KEY_FILE = re.compile(r"id_(rsa|dsa|ecdsa|ed25519)(_sk)?|.+\.(p12|pfx|ppk)")
KEY_MARK = b"PRIVATE KEY"
# A line's end may be written as in JSON. A program that reads keys holds the first line alone, and is none.
KEY = re.compile(
    rb"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----(?:\\r|\\n|\s){1,20}"
    rb"(?:[A-Za-z-]{1,40}: [^\r\n\\]{1,200}(?:\\r|\\n|\s){1,20}){0,5}[A-Za-z0-9+/]{40}"
)
KEY_SPAN = 4096  # bytes in which a key's first lines lie
CHUNK = 1 << 20


def left_out(path: str) -> bool:
    """Whether npm pack leaves this file out of every package, for good reason; a package built here does too."""
    parts = path.split("/")
    return path in LEFT_OUT_AT_TOP or any(fnmatchcase(part, pattern) for part in parts for pattern in LEFT_OUT)


def refusal(path: str) -> str | None:
    """Why a package must not hold this file, None where it may."""
    parts = {part.casefold() for part in path.split("/")}  # for whom .NPMRC is .npmrc
    if why := next((why for name, why in REFUSED.items() if name in parts), None):
        return why
    if any(map(SETTINGS.fullmatch, parts)):
        return "may hold secrets: programs read their environment from it; keep it out of packages"
    if any(map(KEY_FILE.fullmatch, parts)):
        return "is named like a private key: keep it out of packages, or rename what is none"
    return None


def holds_private_key(file: Path) -> bool:
    """Return whether a private key stands in a file, in PEM's or OpenPGP's text form."""
    with file.open("rb") as source:
        rest = b""
        while part := source.read(CHUNK):
            text = rest + part
            if KEY_MARK in text and KEY.search(text):
                return True
            rest = text[-KEY_SPAN:]
    return False


def builds_on_install(path: str, manifest: Mapping[str, object]) -> bool:
    """Whether npm adds `node-gyp rebuild` as the install script for this file, though no manifest says so.

    Source: @npmcli/package-json lib/normalize.js (gypfile), which looks for *.gyp beside package.json.
    """
    scripts = manifest.get("scripts")
    own = isinstance(scripts, Mapping) and (scripts.get("install") or scripts.get("preinstall"))
    return "/" not in path and path.casefold().endswith(".gyp") and not own and manifest.get("gypfile") is not False
