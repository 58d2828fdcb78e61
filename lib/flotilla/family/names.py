"""What npm, git, GitHub and a repository take for a name or path."""

from __future__ import annotations

import posixpath
import re

from flotilla.text import quoted

LONGEST_NAME = 214
RESERVED = frozenset({"node_modules", "favicon.ico"})
# node's own modules (validate-npm-package-name, builtin-modules.json); npm takes none as a new package's name.
CORE_MODULES = (
    " _http_agent _http_client _http_common _http_incoming _http_outgoing _http_server _stream_duplex "
    "_stream_passthrough _stream_readable _stream_transform _stream_wrap _stream_writable _tls_common _tls_wrap "
    "assert async_hooks buffer child_process cluster console constants crypto dgram diagnostics_channel dns domain "
    "events fs http http2 https inspector module net os path perf_hooks process punycode querystring readline repl "
    "stream string_decoder sys timers tls trace_events tty url util v8 vm wasi worker_threads zlib "
)
NAME_PART = re.compile(r"[a-z0-9_.-]+")

LONGEST_ARTIFACT = 255
BAD_IN_ARTIFACT = re.compile(r'["<>|*?:/\\]')
BAD_IN_REF = re.compile(r"[ ~^:?*\[\\]|\.\.|@\{|//")
DRIVE = re.compile(r"[A-Za-z]:")


def package_name_faults(name: str) -> list[str]:
    """Why npm would not take this as a new package's name.

    Source: validate-npm-package-name, validForNewPackages.
    """
    scope, slash, bare = name.rpartition("/")
    if slash and not scope.startswith("@"):
        return [f"the package name {quoted(name)} has a slash and no scope; write @scope/name."]
    parts = [scope[1:], bare] if slash else [bare]
    faults = [fault for part in parts for fault in _part_faults(part, first_not="." if slash else "._-")]
    if not slash and (bare in RESERVED or f" {bare} " in CORE_MODULES):
        faults.append("that name belongs to node itself.")
    if len(name) > LONGEST_NAME:
        faults.append(f"it has {len(name)} characters; npm takes {LONGEST_NAME}.")
    return [f"the package name {quoted(name)}: {fault}" for fault in dict.fromkeys(faults)]


def _part_faults(part: str, *, first_not: str) -> list[str]:
    if not part:
        return ["a part of it is empty."]
    if part[0] in first_not:
        return [f"it may not begin with {quoted(part[0])}."]
    if part != part.lower():
        return ["npm takes no capital letters."]
    allowed = NAME_PART.fullmatch(part)
    return [] if allowed else ["it may hold small letters, digits, hyphens, dots and underscores only."]


def tag_faults(tag: str) -> list[str]:
    """Why git would not take this as a tag.

    Source: git check-ref-format; git tag refuses a leading hyphen too.
    """
    found = BAD_IN_REF.search(tag)
    parts = tag.split("/")
    rules = {
        f"git takes no {quoted(found[0] if found else '')} in a tag": found is not None,
        "git takes no control character in a tag": not tag.isprintable(),
        "a tag may not begin with a hyphen": tag.startswith("-"),
        "a tag is not empty, and neither begins nor ends with a slash": not parts[0] or not parts[-1],
        "a tag may not end with a dot": tag.endswith("."),
        "no part of a tag may begin with a dot": any(part.startswith(".") for part in parts),
        "no part of a tag may end with .lock": any(part.endswith(".lock") for part in parts),
        "@ alone is no tag": tag == "@",
    }
    return [f"the tag {quoted(tag)}: {rule}." for rule, broken in rules.items() if broken]


def artifact_faults(name: str) -> list[str]:
    """Why actions/upload-artifact would not take this as an artifact's name."""
    if found := BAD_IN_ARTIFACT.search(name):
        return [f"the artifact name {quoted(name)}: GitHub takes no {found[0]} in it."]
    if not name.strip() or len(name) > LONGEST_ARTIFACT:
        return [f"the artifact name {quoted(name)} must have 1 to {LONGEST_ARTIFACT} characters."]
    return []


def path_faults(path: str) -> list[str]:
    """Why a path or pattern is not one inside the repository."""
    parts = path.split("/")
    rules = {
        "is not inside the repository; write it relative to flotilla.yml, without a leading / or drive": (
            path.startswith(("/", "~")) or DRIVE.match(path) is not None
        ),
        "leaves the repository; take .. out": ".." in parts,
        "has a backslash; write /": "\\" in path,
        "is empty": not path.strip(),
        "reaches into .git, which holds credentials": any(part.lower() == ".git" for part in parts),
    }
    return [f"{quoted(path)} {rule}." for rule, broken in rules.items() if broken]


def folder_faults(path: str) -> list[str]:
    """Why a path is not that of a folder or file below the repository's own folder."""
    if not path_faults(path) and posixpath.normpath(path) == ".":
        return [f"{quoted(path)} is the whole folder of flotilla.yml; name one below it."]
    return path_faults(path)
