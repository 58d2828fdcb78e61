"""What a repository says about its packages, builds and releases: its files and git, read and not yet judged."""

from __future__ import annotations

import json
import os
import re
import subprocess
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from flotilla.commands.workflows import Workflow, read_workflows

WORKFLOWS = ".github/workflows"
LARGEST = 1_000_000
MOST_FILES = 50_000
MOST_TAGS = 200
MOST_VALUES = 100_000
MOST_MERGES = 50
LONGEST_TEMPLATE = 2000
GIT_SECONDS = 60
INSTALLING = ("preinstall", "install", "postinstall")
DOWNLOADERS = re.compile(r"\b(?:prebuild-install|node-pre-gyp|binary-install|go-npm|install-from-cache)\b")
DOWNLOADING = re.compile(
    r"https?://(?!(?:www\.)?(?:npmjs|nodejs)\.)|\b(?:https?\.get|fetch|axios|got|download|curl|wget)\("
)
SCRIPT = re.compile(r"[\w./-]+\.[cm]?js\b")
REMOTE = re.compile(r"[/:]([\w.-]+)/([\w.-]+?)(?:\.git)?/?$")
GORELEASER = tuple(f"{dot}goreleaser.{end}" for dot in (".", "") for end in ("yaml", "yml"))
GO_OS = ("linux", "darwin", "windows")
GO_CPU = ("386", "amd64", "arm64")
ARCHIVE_NAME = (
    "{{ .ProjectName }}_{{ .Version }}_{{ .Os }}_{{ .Arch }}{{ with .Arm }}v{{ . }}{{ end }}"
    '{{ if not (eq .Amd64 "v1") }}{{ .Amd64 }}{{ end }}'
)
EXTENSIONS = ("tar.gz", "tgz", "tar.xz", "txz", "tar.zst", "tar.bz2", "zip")

Manifest = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Archives:
    """The archives that a build tool makes of its programs.

    Args:
        file: the tool's file.
        names: what the archive of each platform is called, without extension, by the tool's word for the platform;
            {version} stands for the version. Empty if the names cannot be told.
        extensions: of all archives.
        programs: the names of the programs, without .exe.
        scope: the npm scope that the file names.
        package: the npm name that the file names.
        bare: there are no archives, but the programs themselves under these names.
    """

    file: str
    names: Mapping[str, str]
    extensions: tuple[str, ...]
    programs: tuple[str, ...]
    scope: str = ""
    package: str = ""
    bare: bool = False


@dataclass(frozen=True, kw_only=True)
class Repository:
    """What was read.

    Args:
        folder: the folder for flotilla.yml, below the repository's top; empty at the top.
        remote: owner/name on GitHub; empty if git names none.
        tags: git's, the newest first.
        files: what git lists in the folder.
        manifests: each package.json, by its folder; "." is the folder itself.
        workflows: those that an event starts.
        goreleaser: what its file says, None without one.
        cargo_dist: what its file says, None without one.
        programs: the programs of Cargo.toml.
        downloads: folders of packages whose install script downloads something, and the script.
        unread: files that could not be read, and why.
        templates: the folder for new templates, which git does not ignore.
        family: the name in the flotilla.yml that is there, empty without one.
    """

    folder: str = ""
    remote: str = ""
    tags: tuple[str, ...] = ()
    files: frozenset[str] = frozenset()
    manifests: Mapping[str, Manifest] = field(default_factory=dict)
    workflows: Sequence[Workflow] = ()
    goreleaser: Archives | None = None
    cargo_dist: Archives | None = None
    programs: tuple[str, ...] = ()
    downloads: Mapping[str, str] = field(default_factory=dict)
    unread: tuple[str, ...] = ()
    templates: str = "npm"
    family: str = ""


def top_of(folder: Path) -> Path:
    """Return the top of the repository that a folder is in; the folder itself outside of one."""
    told = _git(folder, "rev-parse", "--show-toplevel")
    top = Path(told[0]) if told else folder
    return top if folder.resolve().is_relative_to(top.resolve()) else folder


def read_repository(folder: Path, config: str) -> Repository:
    """Return what the repository says about the family whose flotilla.yml is to be in this folder."""
    top, unread = top_of(folder), list[str]()
    files = frozenset(_listed(folder))
    reader = _Files(folder=folder, unread=unread)
    manifests = {
        PurePosixPath(name).parent.as_posix(): manifest
        for name in sorted(files)
        if PurePosixPath(name).name == "package.json" and isinstance(manifest := reader.json(name), dict)
    }
    remote = _remote(_git(folder, "config", "--get", "remote.origin.url"))
    crates = [
        _Crate(told=reader.toml(name), program=f"{name.removesuffix('Cargo.toml')}src/main.rs" in files)
        for name in sorted(files, key=lambda name: (len(name), name))
        if PurePosixPath(name).name == "Cargo.toml"
    ]
    project = remote.rpartition("/")[2] or folder.resolve().name
    workflows = _Files(folder=top / WORKFLOWS, unread=unread)
    found = {name: (workflows.text(name), workflows.yaml(name)) for name in _yaml_files(top / WORKFLOWS)}
    return Repository(
        folder="" if folder.resolve() == top.resolve() else folder.resolve().relative_to(top.resolve()).as_posix(),
        remote=remote,
        tags=tuple(
            _git(folder, "for-each-ref", "refs/tags", "--sort=-creatordate", f"--count={MOST_TAGS}", TAG_FORMAT)
        ),
        files=files,
        manifests=manifests,
        workflows=read_workflows(found, project),
        goreleaser=next(
            (read_goreleaser(reader.yaml(name), name, project) for name in GORELEASER if name in files), None
        ),
        cargo_dist=_cargo_dist(reader, crates),
        programs=tuple(program for crate in crates for program in crate.programs),
        downloads=dict(_downloads(manifests, reader)),
        unread=tuple(unread),
        family=str(reader.yaml(config).get("family", "")),
        templates="templates" if _git(folder, "check-ignore", "npm/package.json") else "npm",
    )


TAG_FORMAT = "--format=%(refname:short)"


@dataclass(frozen=True, kw_only=True)
class _Files:
    """The files of a folder, read only where they are plain ones, in it, and small; others are told as unread."""

    folder: Path
    unread: list[str]

    def text(self, name: str) -> str:
        file = self.folder / name
        try:
            if not file.is_file():
                return ""
            if not file.resolve().is_relative_to(self.folder.resolve()) or file.stat().st_size > LARGEST:
                return self.none(name, "a link to another folder, or too large")
            return file.read_text(encoding="utf-8")
        except (OSError, ValueError) as failure:
            return self.none(name, failure)

    def json(self, name: str) -> object:
        try:
            return json.loads(self.text(name) or "null")
        except (ValueError, RecursionError) as failure:
            return self.none(name, failure)

    def yaml(self, name: str) -> Manifest:
        text = self.text(name)
        try:
            if text.count("<<") > MOST_MERGES or not _few(document := yaml.safe_load(text)):
                return _mapping(self.none(name, "too many aliases"))
            return _mapping(document)
        except (yaml.YAMLError, RecursionError) as failure:
            mark = getattr(failure, "problem_mark", None)
            return _mapping(self.none(name, f"no YAML{f', at line {mark.line + 1}' if mark else ''}"))

    def toml(self, name: str) -> Manifest:
        try:
            return tomllib.loads(self.text(name))
        except (tomllib.TOMLDecodeError, RecursionError) as failure:
            return _mapping(self.none(name, failure))

    def none(self, name: str, why: object) -> str:
        self.unread.append(f"{name}: {why.strerror if isinstance(why, OSError) else why}")
        return ""


def _few(document: object) -> bool:
    """Return whether a document has a bearable number of values once its aliases are followed."""
    left, count = [document], 0
    while left and count < MOST_VALUES:
        value, count = left.pop(), count + 1
        left += value.values() if isinstance(value, dict) else value if isinstance(value, list) else []
    return count < MOST_VALUES


def _yaml_files(folder: Path) -> list[str]:
    if not folder.is_dir():
        return []
    return sorted(file.name for file in folder.iterdir() if file.suffix in (".yml", ".yaml"))


def _git(folder: Path, *arguments: str) -> list[str]:
    """Return the lines that git answers; none where it does not know the folder, or is not there."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    command = ["git", *arguments]
    try:
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, timeout=GIT_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return []
    return [] if done.returncode else [os.fsdecode(line) for line in done.stdout.splitlines()]


def _listed(folder: Path) -> Iterator[str]:
    """Yield the files that git tracks or would add; outside of git, all but those that others installed."""
    names = _git(folder, "-c", "core.quotePath=false", "ls-files", "--cached", "--others", "--exclude-standard")
    if names:
        yield from (name for name in names[:MOST_FILES] if (folder / name).is_file())
        return
    for count, (path, folders, files) in enumerate(os.walk(folder)):
        folders[:] = sorted(name for name in folders if name not in ("node_modules", ".git", ".venv", "target"))
        yield from ((Path(path) / name).relative_to(folder).as_posix() for name in files)
        if count > MOST_FILES:
            return


def _remote(lines: Sequence[str]) -> str:
    found = REMOTE.search(lines[0]) if lines else None
    return f"{found[1]}/{found[2]}" if found else ""


def _downloads(manifests: Mapping[str, Manifest], reader: _Files) -> Iterator[tuple[str, str]]:
    """Yield the packages whose install script downloads something: their folder, and `postinstall: node install.js`."""
    for folder, manifest in manifests.items():
        scripts = _mapping(manifest.get("scripts"))
        for key in INSTALLING:
            command = str(scripts.get(key, ""))
            named = [(PurePosixPath(folder) / name).as_posix() for name in SCRIPT.findall(command)]
            if DOWNLOADERS.search(command) or any(DOWNLOADING.search(reader.text(name)) for name in named):
                yield folder, f"{key}: {command}"
                break


@dataclass(frozen=True, kw_only=True)
class _Crate:
    """A Cargo.toml, and whether src/main.rs is beside it."""

    told: Manifest
    program: bool

    @property
    def name(self) -> str:
        return str(_mapping(self.told.get("package")).get("name") or "")

    @property
    def programs(self) -> tuple[str, ...]:
        bins = [str(one["name"]) for one in _list(self.told.get("bin")) if isinstance(one, dict) and "name" in one]
        return tuple(bins or ([self.name] if self.program and self.name else []))


def read_goreleaser(told: Manifest, file: str, project: str) -> Archives:
    """Return the archives that a .goreleaser.yaml describes; without a project_name, of this project."""
    builds = [one for one in _list(told.get("builds")) if isinstance(one, dict)] or [{}]
    project = str(told.get("project_name") or project)
    programs = tuple(dict.fromkeys(str(one.get("binary") or project) for one in builds))
    archive = next((one for one in _list(told.get("archives")) if isinstance(one, dict)), {})
    universal = bool(told.get("universal_binaries"))
    template = str(archive.get("name_template") or ARCHIVE_NAME)
    names = {}
    for system, cpu in _go_targets(builds[0], universal=universal):
        values = {"ProjectName": project, "Binary": programs[0], "Version": "{version}", "Tag": "{tag}"}
        values |= {
            "Os": system,
            "Arch": cpu,
            "Arm": "6" if cpu == "arm" else "",
            "Amd64": "v1" if cpu == "amd64" else "",
        }
        names[f"{system}_{cpu}"] = go_template(template, values)
    formats = [*_words(archive, "format", "formats")] or ["tar.gz"]
    for override in _list(archive.get("format_overrides")):
        formats += _words(_mapping(override), "format", "formats")
    told_all = all(name is not None for name in names.values())
    return Archives(
        file=file,
        names={word: str(name) for word, name in names.items()} if told_all else {},
        extensions=tuple(dict.fromkeys(one for one in formats if one in EXTENSIONS)),
        programs=tuple(filter(None, programs)),
        bare=set(formats) == {"binary"},
    )


def _go_targets(build: Manifest, *, universal: bool) -> Iterator[tuple[str, str]]:
    ignored = {(str(o.get("goos")), str(o.get("goarch"))) for o in map(_mapping, _list(build.get("ignore")))}
    targets = [str(one).split("_") for one in _list(build.get("targets"))]
    pairs = [(one[0], one[1]) for one in targets if one[1:]] or [
        (system, cpu)
        for system in map(str, _list(build.get("goos")) or GO_OS)
        for cpu in map(str, _list(build.get("goarch")) or GO_CPU)
    ]
    impossible = {("darwin", "386"), ("darwin", "arm"), ("windows", "arm"), *ignored}
    if universal:
        yield "darwin", "all"
    yield from (p for p in dict.fromkeys(pairs) if p not in impossible and not (universal and p[0] == "darwin"))


GO_PIECE = re.compile(r"\{\{(-?)\s*(.*?)\s*(-?)\}\}", re.DOTALL)
GO_FIELD = re.compile(r"(?:(title|tolower|toupper)\s+)?\.(\w*)")
GO_TEST = re.compile(r"(not\s+)?\(?\s*(?:(eq|ne)\s+\.(\w+)\s+\"([^\"]*)\"|\.(\w+))\s*\)?")
CASES: Mapping[str, Callable[[str], str]] = {"title": str.title, "tolower": str.lower, "toupper": str.upper, "": str}


def go_template(template: str, values: Mapping[str, str]) -> str | None:
    """Return a Go template with fields, if, else, with and end filled in; None where it says more than that."""
    if len(template) > LONGEST_TEMPLATE:
        return None
    out, stack, position, trim = "", [(True, True)], 0, False
    dots = [""]
    for piece in GO_PIECE.finditer(template):
        text = template[position : piece.start()]
        text = text.lstrip() if trim else text
        text = text.rstrip() if piece[1] else text
        showing = all(shown for shown, _ in stack)
        out += text if showing else ""
        position, trim, word = piece.end(), bool(piece[3]), piece[2]
        if word == "end":
            if len(stack) == 1:
                return None
            stack.pop()
            dots.pop()
        elif word == "else" or word.startswith("else if "):
            shown = None if word == "else" else _go_test(word.removeprefix("else if "), values)
            if len(stack) == 1 or (shown is None and word != "else"):
                return None
            done = stack[-1][1]
            stack[-1] = (not done and shown is not False, done or shown is not False)
        elif word.startswith(("if ", "with ")):
            kind, _, rest = word.partition(" ")
            if (shown := _go_test(rest, values)) is None:
                return None
            stack.append((shown, shown))
            dots.append(values.get(rest.strip().removeprefix("."), "") if kind == "with" else dots[-1])
        elif (found := GO_FIELD.fullmatch(word)) and (found[2] in values or not found[2]):
            value = values[found[2]] if found[2] else dots[-1]
            out += CASES[found[1] or ""](value) if showing else ""
        else:
            return None
    rest = template[position:]
    return out + (rest.lstrip() if trim else rest) if len(stack) == 1 else None


def _go_test(text: str, values: Mapping[str, str]) -> bool | None:
    found = GO_TEST.fullmatch(text.strip())
    if not found:
        return None
    equal = values.get(found[3], "") == found[4]
    holds = equal is (found[2] == "eq") if found[2] else bool(values.get(found[5], ""))
    return holds is not bool(found[1])


def _cargo_dist(reader: _Files, crates: Sequence[_Crate]) -> Archives | None:
    workspace = reader.toml("dist-workspace.toml") or reader.toml("dist.toml")
    inside = [_mapping(_mapping(_mapping(one.told.get("workspace")).get("metadata")).get("dist")) for one in crates]
    told = _mapping(workspace.get("dist")) or next(filter(None, inside), {})
    if not told:
        return None
    crate = next((one for one in crates if one.programs), _Crate(told={}, program=False))
    name = crate.name
    ends = (str(told.get("unix-archive", ".tar.xz")), str(told.get("windows-archive", ".zip")))
    return Archives(
        file="dist-workspace.toml" if workspace else "Cargo.toml",
        names={target: f"{name}-{target}" for target in map(str, _list(told.get("targets")))} if name else {},
        extensions=tuple(dict.fromkeys(end.lstrip(".") for end in ends)),
        programs=crate.programs,
        scope=str(told.get("npm-scope", "")),
        package=str(told.get("npm-package", "")),
    )


def _words(of: Manifest, *keys: str) -> list[str]:
    return [str(word) for key in keys for word in (_list(of.get(key)) or [of.get(key)]) if word]


def _mapping(value: object) -> Manifest:
    return value if isinstance(value, dict) else {}


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
