"""Choose the files of a folder that npm packs, by the manifest's `files`, ignore files, and npm's own fixed rules.

Source: npm-packlist 10 (lib/index.js), ignore-walk 8 and minimatch 10 of npm 11; the tests ask the real npm.
Bundled dependencies and workspaces are not supported.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from functools import lru_cache
from itertools import groupby

import bracex
from wcmatch import fnmatch

from flotilla.errors import PackageError
from flotilla.packing.paths import PATTERNS
from flotilla.text import printable

MANIFEST = "package.json"
IGNORE_FILES = (".npmignore", ".gitignore")  # the first that a folder has counts
SEGMENT = fnmatch.EXTMATCH | fnmatch.DOTMATCH | fnmatch.IGNORECASE | fnmatch.FORCEUNIX

# In every folder, first. A rule that begins with ! keeps files, any other drops them; the last match counts.
DEFAULTS = (
    *(".npmignore", ".gitignore", "**/.git", "**/.svn", "**/.hg", "**/CVS"),
    *("**/.git/**", "**/.svn/**", "**/.hg/**", "**/CVS/**"),
    *("/.lock-wscript", "/.wafpickle-*", "/build/config.gypi", "npm-debug.log", "**/.npmrc", ".*.swp"),
    *(".DS_Store", "**/.DS_Store/**", "._*", "**/._*/**", "*.orig", "/archived-packages/**"),
)
# In the package's own folder, last.
ALWAYS = (
    *("/.git", f"!/{MANIFEST}", "!/readme{,.*[^~$]}", "!/copying{,.*[^~$]}", "!/license{,.*[^~$]}"),
    *("!/licence{,.*[^~$]}", "/.git", "/node_modules", ".npmrc"),
    *("/package-lock.json", "/yarn.lock", "/pnpm-lock.yaml", "/bun.lockb"),
)
# What packages built here never contain; names are case-sensitive.
LEFT_OUT = (".gitignore", ".npmignore", ".DS_Store", "._*", "*.orig", ".*.swp", "npm-debug.log", ".svn", ".hg", "CVS")
LEFT_OUT_AT_TOP = frozenset({"package-lock.json", "yarn.lock", "pnpm-lock.yaml"})


def packed_files(
    files: Iterable[str], manifest: Mapping[str, object], *, ignore_files: Mapping[str, str] | None = None
) -> frozenset[str]:
    """Return the files of a folder that `npm pack` would pack.

    Args:
        files: the regular files below the folder, as posix paths.
        manifest: its package.json.
        ignore_files: the texts of its .npmignore and .gitignore files, by their paths.

    Raises:
        PackageError: the braces of a pattern stand for too many patterns.
    """
    folders = _folders(files)
    rules = _root_rules(manifest, folders, ignore_files or {})
    return frozenset(_walk(_Level(rules), "", folders, ignore_files or {}, _required(manifest, folders)))


class _Rule:
    """One line of a list of rules."""

    def __init__(self, line: str) -> None:
        pattern = line.lstrip("!")
        self.takes = (len(line) - len(pattern)) % 2 == 1
        self._patterns = [_parts(one) for one in _expanded(pattern)]
        # For each pattern, the part that matches the fewest names; a path without such a name cannot match.
        self.signs = {max(parts, key=lambda part: len(part.strip("*?"))) for parts in self._patterns}
        # node_modules and node_modules/ match at every depth.
        self._any_depth = any(len(parts) <= (1 if parts[-1] else 2) for parts in self._patterns)

    def matches(self, path: str, *, folder: bool, name: str | None) -> bool:
        """Return whether the rule matches a path or a folder; `name` is its last part if it is in a subfolder."""
        if self._match(path):
            return True
        return folder and (
            self._match(f"{path}/") or (name is not None and self._any_depth and self._match(f"{name}/"))
        )

    def leads_on(self, path: str, *, name: str | None) -> bool:
        """Return whether the rule may match a path below this folder."""
        if self._match(path, begins=True):
            return True
        return name is not None and self._any_depth and self._match(name, begins=True)

    def _match(self, path: str, *, begins: bool = False) -> bool:
        names = path.split("/")
        base = [names[-1] or names[-2]]
        return any(
            _fits(parts, base, begins=begins)
            if len(parts) == 1
            else _fits(parts, ["", *names], begins=begins) or _fits(parts, names, begins=begins)
            for parts in self._patterns
        )


class _Group:
    """Consecutive rules that all keep or all drop."""

    def __init__(self, rules: Sequence[_Rule]) -> None:
        self.takes = rules[0].takes
        self._rules = sorted(rules, key=lambda rule: min(map(len, rule.signs)))  # * is about everything: ask it first
        self._signs = frozenset().union(*(rule.signs for rule in rules))
        self._known: dict[str, bool] = {}  # the same names come again and again

    def matches(self, path: str, *, folder: bool, name: str | None) -> bool:
        """Return whether any rule matches a path; see _Rule.matches."""
        if any(map(self._may_match, path.split("/"))) and any(
            rule.matches(path, folder=folder, name=name) for rule in self._rules
        ):
            return True
        return folder and self.takes and any(rule.leads_on(path, name=name) for rule in self._rules)

    def _may_match(self, name: str) -> bool:
        known = self._known.get(name)
        if known is None:
            known = self._known[name] = any(sign in ("", "**") or _fits_part(sign, name) for sign in self._signs)
        return known


class _Level:
    """A folder on the way down, with the rules that apply in it besides those above."""

    def __init__(
        self, rules: Sequence[_Group], *, above: _Level | None = None, name: str = "", taken: bool = False
    ) -> None:
        self._rules = rules
        self._above = above
        self._name = name
        self._taken = taken  # as a whole: rules of its own may take what rules above would drop

    def takes(self, path: str, *, folder: bool = False, name: str | None = None) -> bool:
        """Return whether a path below this folder is packed; for a folder, whether something in it may be."""
        included = True
        if self._above is not None:
            included = self._above.takes(f"{self._name}/{path}", folder=folder, name=name or path)
            if not included and not self._taken:
                return False
        for rule in self._rules:
            if rule.takes != included and rule.matches(path, folder=folder, name=name):
                included = rule.takes
        return included


Folders = Mapping[str, Mapping[str, bool]]
"""The names in each folder, "" for the top, and whether each is a folder."""


def _folders(files: Iterable[str]) -> Folders:
    found: dict[str, dict[str, bool]] = {"": {}}
    for file in files:
        path = ""
        *folders, name = file.split("/")
        for folder in folders:
            found[path][folder] = True
            path = f"{path}/{folder}" if path else folder
            found.setdefault(path, {})
        found[path][name] = False
    return found


def _walk(
    level: _Level, path: str, folders: Folders, ignore_files: Mapping[str, str], required: list[str]
) -> Iterator[str]:
    for name, is_folder in folders[path].items():
        if "*" in name:  # npm leaves out what Windows cannot hold
            continue
        below = f"{path}/{name}" if path else name
        if not is_folder:
            if level.takes(name):
                yield below
        elif level.takes(name, folder=True):
            own = [posixpath.basename(file) for file in required if posixpath.dirname(posixpath.normpath(file)) == name]
            rules = _rules([*DEFAULTS, *_ignored(below, ignore_files), "/.git", *(f"!{file}" for file in own)])
            taken = level.takes(name) or level.takes(f"{name}/")
            yield from _walk(_Level(rules, above=level, name=name, taken=taken), below, folders, ignore_files, own)


def _ignored(folder: str, ignore_files: Mapping[str, str]) -> list[str]:
    for name in IGNORE_FILES:
        text = ignore_files.get(f"{folder}/{name}" if folder else name)
        if text is not None:
            return text.split("\n")
    return []


def _root_rules(manifest: Mapping[str, object], folders: Folders, ignore_files: Mapping[str, str]) -> Sequence[_Group]:
    selected = manifest.get("files")
    listed, exact = _selection(selected, folders) if isinstance(selected, list) else ([], [])
    own = ["*", *listed] if isinstance(selected, list) else _ignored("", ignore_files)
    named = [value for value in (manifest.get("browser"), manifest.get("main")) if isinstance(value, str) and value]
    ends = [*ALWAYS, *(f"!/{path}" for path in (*named, *_bins(manifest, folders)))]
    return _rules([*DEFAULTS, *own, *(f"!{entry}" for entry in reversed(exact)), *ends])


def _selection(entries: list[object], folders: Folders) -> tuple[list[str], list[str]]:
    """Return the rules that `files` stands for, and its entries that are files, which override everything else."""
    rules: list[str] = []
    exact: list[str] = []
    for entry in _entries(entries):
        plain = entry.lstrip("!")
        path = posixpath.normpath(f"./{plain}").lstrip("/")
        above, _, name = ("", "", "") if path == "." else path.rpartition("/")
        is_folder = path == "." or folders.get(above, {}).get(name)
        if is_folder is False and not plain.endswith("/"):
            exact.append(entry)
        elif is_folder:
            rules += [f"!{entry}", f"!{entry}/**"]
        else:
            rules.append(f"!{entry}")
    return rules, exact


def _entries(entries: list[object]) -> Iterator[str]:
    for entry in entries:
        if isinstance(entry, str):
            bare = entry[1:] if entry.startswith("./") else entry
            yield f"{bare}*" if bare.endswith("/*") else bare


def _required(manifest: Mapping[str, object], folders: Folders) -> list[str]:
    selected = manifest.get("files")
    _, exact = _selection(selected, folders) if isinstance(selected, list) else ([], [])
    return [entry.removeprefix("/") for entry in exact]


def _bins(manifest: Mapping[str, object], folders: Folders) -> list[str]:
    match manifest.get("bin"), manifest.get("directories"):
        case str() as path, _ if path:
            return [_inside(path)]
        case Mapping() as paths, _ if paths:
            return [_inside(path) for path in paths.values() if isinstance(path, str)]
        case list() as paths, _:
            return [_inside(path) for path in paths if isinstance(path, str)]
        case _, {"bin": str() as folder}:
            return list(_below(_inside(folder), folders))
    return []


def _below(folder: str, folders: Folders) -> Iterator[str]:
    for name, is_folder in folders.get(folder, {}).items():
        if name.startswith("."):
            continue
        yield f"{folder}/{name}"
        if is_folder:
            yield from _below(f"{folder}/{name}", folders)


def _inside(path: str) -> str:
    """Return a path as npm turns it into one inside the package."""
    return posixpath.normpath("/" + path.replace("\\", "/").replace(":", "/")).lstrip("/")


def _rules(lines: Iterable[str]) -> Sequence[_Group]:
    text = "\n".join(lines).replace("\r\n", "\n")
    stripped = (line.strip().strip("\ufeff").strip() for line in text.split("\n"))
    return _grouped(tuple(line for line in stripped if line and not line.startswith("#")))


@lru_cache(maxsize=256)
def _grouped(lines: tuple[str, ...]) -> Sequence[_Group]:
    return [_Group(tuple(rules)) for _, rules in groupby(map(_Rule, lines), lambda rule: rule.takes)]


def _expanded(pattern: str) -> list[str]:
    if not re.search(r"\{[^{]*\}", pattern):
        return [pattern]
    try:
        return bracex.expand(pattern, keep_escapes=True, limit=PATTERNS)
    except bracex.ExpansionLimitException as error:
        text = f'the pattern "{printable(pattern)}" expands to more than {PATTERNS} patterns.'
        raise PackageError(text, advice="Use fewer braces in it.") from error


def _parts(pattern: str) -> tuple[str, ...]:
    """Return a pattern's parts, with `..` resolved and consecutive ** merged."""
    parts: list[str] = []
    for part in re.split("/+", pattern):
        last = parts[-1] if parts else ""
        if part == "**" and last == "**":
            continue
        if part == ".." and last not in ("", "..", ".", "**"):
            parts.pop()
        else:
            parts.append(part)
    return tuple(parts) or ("",)


def _fits(parts: tuple[str, ...], names: list[str], *, begins: bool) -> bool:
    """Return whether names match a pattern; with `begins`, whether names below them could."""
    if begins:
        head = parts[: parts.index("**")] if "**" in parts else parts
        if len(names) > len(head):
            if "**" not in parts:
                return False
            names = names[: len(head)]
        return all(map(_fits_part, head, names))
    return _fits_whole(parts, names) or (names[-1] == "" and _fits_whole(parts, names[:-1]))


def _fits_whole(parts: tuple[str, ...], names: list[str]) -> bool:
    """Return whether names match a whole pattern; ** stands for any number of names, at the end for at least one."""
    ends = ((parts[0], names[:1]), (parts[-1], names[-1:]))
    if any(part != "**" and not (name and _fits_part(part, name[0])) for part, name in ends):
        return False
    if "**" not in parts and len(parts) != len(names):
        return False
    reached = {0}  # the counts of names that the parts so far can stand for
    for at, part in enumerate(parts):
        if part == "**":
            least = min(reached) + (at == len(parts) - 1)
            reached = set(range(least, len(names) + 1))
        else:
            reached = {count + 1 for count in reached if count < len(names) and _fits_part(part, names[count])}
        if not reached:
            return False
    return len(names) in reached


@lru_cache(maxsize=1 << 16)
def _fits_part(part: str, name: str) -> bool:
    if not part or not name:
        return part == name
    return _compiled(part).match(name)


@lru_cache(maxsize=4096)
def _compiled(part: str) -> fnmatch.WcMatcher[str]:
    return fnmatch.compile(part, flags=SEGMENT)


def left_out(path: str) -> bool:
    """Return whether npm pack leaves this file out of every package, as flotilla does too."""
    parts = path.split("/")
    return path in LEFT_OUT_AT_TOP or any(fnmatchcase(part, pattern) for part in parts for pattern in LEFT_OUT)


def builds_on_install(path: str, manifest: Mapping[str, object]) -> bool:
    """Return whether this file makes npm add the install script `node-gyp rebuild`, which the manifest does not show.

    Source: @npmcli/package-json lib/normalize.js (gypfile), which looks for *.gyp beside package.json.
    """
    scripts = manifest.get("scripts")
    own = isinstance(scripts, Mapping) and (scripts.get("install") or scripts.get("preinstall"))
    return "/" not in path and path.casefold().endswith(".gyp") and not own and manifest.get("gypfile") is not False
