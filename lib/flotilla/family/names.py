"""Rules of npm, git and GitHub for names and paths, and the {placeholders} in them."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Collection, Mapping

from wcmatch import glob

from flotilla.text import did_you_mean, quoted

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
    """Return why npm would not accept this as a new package's name.

    Source: validate-npm-package-name, validForNewPackages.
    """
    scope, slash, bare = name.rpartition("/")
    if slash and not scope.startswith("@"):
        return [f"the package name {quoted(name)} has a slash and no scope; write @scope/name."]
    parts = [scope[1:], bare] if slash else [bare]
    faults = [fault for part in parts for fault in _part_faults(part, first_not="." if slash else "._-")]
    if not slash and (bare in RESERVED or f" {bare} " in CORE_MODULES):
        faults.append("it is the name of a module of node.")
    if len(name) > LONGEST_NAME:
        faults.append(f"it has {len(name)} characters; npm allows {LONGEST_NAME}.")
    return [f"the package name {quoted(name)}: {fault}" for fault in dict.fromkeys(faults)]


def _part_faults(part: str, *, first_not: str) -> list[str]:
    if not part:
        return ["a part of it is empty."]
    if part[0] in first_not:
        return [f"it must not begin with {quoted(part[0])}."]
    if part != part.lower():
        return ["npm does not allow capital letters."]
    allowed = NAME_PART.fullmatch(part)
    return [] if allowed else ["it may contain only lower-case letters, digits, hyphens, dots and underscores."]


def tag_faults(tag: str) -> list[str]:
    """Return why git would not accept this as a tag.

    Source: git check-ref-format; git tag refuses a leading hyphen too.
    """
    found = BAD_IN_REF.search(tag)
    parts = tag.split("/")
    rules = {
        f"git does not allow {quoted(found[0] if found else '')} in a tag": found is not None,
        "git does not allow control characters in a tag": not tag.isprintable(),
        "a tag must not begin with a hyphen": tag.startswith("-"),
        "a tag must not be empty, or begin or end with a slash": not parts[0] or not parts[-1],
        "a tag must not end with a dot": tag.endswith("."),
        "no part of a tag may begin with a dot": any(part.startswith(".") for part in parts),
        "no part of a tag may end with .lock": any(part.endswith(".lock") for part in parts),
        "@ alone is not a valid tag": tag == "@",
    }
    return [f"the tag {quoted(tag)}: {rule}." for rule, broken in rules.items() if broken]


def artifact_faults(name: str) -> list[str]:
    """Return why actions/upload-artifact would not accept this as an artifact's name."""
    if found := BAD_IN_ARTIFACT.search(name):
        return [f"the artifact name {quoted(name)}: GitHub does not allow {found[0]} in it."]
    if not name.strip() or len(name) > LONGEST_ARTIFACT:
        return [f"the artifact name {quoted(name)} must have 1 to {LONGEST_ARTIFACT} characters."]
    return []


def path_faults(path: str) -> list[str]:
    """Return why a path or pattern is not inside the repository."""
    parts = path.split("/")
    rules = {
        "is not inside the repository; write it relative to flotilla.yml, without a leading / or drive": (
            path.startswith(("/", "~")) or DRIVE.match(path) is not None
        ),
        'leaves the repository; remove ".."': ".." in parts,
        "contains a backslash; write / instead": "\\" in path,
        "is empty": not path.strip(),
        "is inside .git, which may contain credentials": any(part.lower() == ".git" for part in parts),
    }
    return [f"{quoted(path)} {rule}." for rule, broken in rules.items() if broken]


def folder_faults(path: str) -> list[str]:
    """Return why a path is not that of a folder or file below the repository's own folder."""
    if not path_faults(path) and posixpath.normpath(path) == ".":
        return [f"{quoted(path)} is the folder of flotilla.yml itself; name a folder below it."]
    return path_faults(path)


FAMILY = ("family", "scope", "name")
RELEASE = ("version", "tag")
VARIANT = ("variant", "suffix", "license")
PLATFORM = ("platform", "os", "cpu", "libc", "build", "exe")
ALL = (*FAMILY, *PLATFORM, *VARIANT, *RELEASE)

PLACEHOLDER = re.compile(r"\{([A-Za-z0-9_-]*)\}")
BRACE = re.compile(r"[{}]")
PATTERN_SIGN = re.compile(r"[][*?{}!\\|]")


def rendered(template: str, values: Mapping[str, str]) -> str:
    """Return the template with each placeholder that has a value replaced, once; others stay."""
    return PLACEHOLDER.sub(lambda found: values.get(found[1], found[0]), template)


def placeholder_faults(template: str, available: Collection[str]) -> list[str]:
    """Return what is wrong with the placeholders of a template in flotilla.yml."""
    faults = [_fault(word, available) for word in PLACEHOLDER.findall(template) if word not in available]
    if BRACE.search(PLACEHOLDER.sub("", template)):
        faults.append("unmatched brace; write placeholders as {like-this}, without spaces.")
    return faults


def _fault(word: str, available: Collection[str]) -> str:
    if word in ALL:
        return f"the placeholder {{{word}}} has no value here; use one of {', '.join(f'{{{w}}}' for w in available)}."
    return f"the placeholder {{{word}}} is unknown; {did_you_mean(word, tuple(available))}"


def rendered_pattern(pattern: str, values: Mapping[str, str]) -> str:
    """Return the pattern with its placeholders replaced; a value stands for itself, whatever characters it has."""
    literal = {word: glob.escape(value) if PATTERN_SIGN.search(value) else value for word, value in values.items()}
    return rendered(pattern, literal)


def pattern_faults(pattern: str, available: Collection[str]) -> list[str]:
    """Return what is wrong with the placeholders of a pattern; {a,b} is none."""
    return [_fault(word, available) for word in PLACEHOLDER.findall(pattern) if word not in available]
