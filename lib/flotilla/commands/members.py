"""The packages of a family that a repository has, and what flotilla.yml says of them: names, templates, entry."""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from flotilla.commands.builds import Build, Named, named
from flotilla.commands.repository import EXTENSIONS, Archives, Manifest, Repository

KEPT = ("name", "description", "keywords", "homepage", "bugs", "license", "author", "repository", "engines")
LIBRARY = re.compile(r"\.(?:node|so|dylib|dll|a|lib)\*?$")
JAVASCRIPT = re.compile(r"\.(?:[cm]?js|[cm]?ts|json)$")
NAME = "{family}-{platform}{suffix}"
NOTHING = "nothing in the repository"
FOLDERS = frozenset(
    {"build", "dist", "out", "output", "release", "artifacts", "bin", "target", "binaries", "lib", "npm"}
)
DEV = re.compile(r"[-/](?:dev|headers|include)(?:-|$)")


@dataclass(frozen=True, kw_only=True)
class OwnPackage:
    """A package of the family that the repository has, or names as a dependency: then it has no folder."""

    name: str
    folder: str = ""
    manifest: Manifest = field(default_factory=dict)
    platform: Named | None = None


@dataclass(frozen=True, kw_only=True)
class Members:
    """The family's packages, as far as the repository has them.

    Args:
        platforms: those with binaries.
        metas: what users install; the one with the shortest name is first.
        devs: those with headers.
        others: names of other families in the repository.
    """

    platforms: tuple[OwnPackage, ...]
    metas: tuple[OwnPackage, ...]
    devs: tuple[OwnPackage, ...]
    others: tuple[str, ...] = ()

    @property
    def names(self) -> list[str]:
        """Return the names that the family may go by."""
        begun = [one.platform.before.rstrip("-/") for one in self.platforms[:1] if one.platform]
        return [*(one.name for one in self.metas), *begun, ""]

    @property
    def suffixes(self) -> list[str]:
        """Return what the names of platform packages end in, nothing first."""
        return sorted(dict.fromkeys(one.platform.after for one in self.platforms if one.platform), key=bool)


@dataclass(frozen=True, kw_only=True)
class Guess:
    """A value of flotilla.yml.

    Args:
        key: the keys that lead to it, with dots.
        value: what is proposed.
        source: where it comes from.
        question: what a person is asked, because the repository does not tell; empty if it does.
    """

    key: str
    value: object
    source: str
    question: str = ""


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What the parts of a proposal look at: the repository, its packages of the family, and what CI builds.

    Args:
        archive: the archive in the artifacts, if a person has said so.
    """

    repository: Repository
    members: Members
    build: Build | None
    tool: Archives | None
    archive: str = ""

    @property
    def meta(self) -> OwnPackage | None:
        """Return the package that users install, if the repository has it."""
        return self.members.metas[0] if self.members.metas else None

    @property
    def napi(self) -> Mapping[str, object]:
        """Return the settings of napi-rs."""
        told = self.meta.manifest.get("napi") if self.meta else None
        return told if isinstance(told, dict) else {}

    @property
    def paths(self) -> list[str]:
        """Return what the artifacts of the platforms take, without trailing slashes."""
        return [path.rstrip("/") for upload in (self.build.uploads if self.build else ()) for path in upload.paths]

    @property
    def library(self) -> bool:
        """Return whether the binaries are libraries rather than programs."""
        mains = [str(one.manifest.get("main", "")) for one in self.members.platforms]
        return bool(self.napi) or any(LIBRARY.search(path) for path in (*mains, *self.paths))

    @property
    def opaque(self) -> bool:
        """Return whether the artifacts take folders alone, so that only a run tells what they hold."""
        patterns = any(LIBRARY.search(path) or "*" in posixpath.basename(path) for path in self.paths)
        return bool(self.paths) and not (patterns or self.extensions or any(map(_stem, self.paths)))

    @property
    def extensions(self) -> list[str]:
        """Return the extensions of the archives in the artifacts; none if they hold the files."""
        if self.archive:
            return [end for end in EXTENSIONS if self.archive.endswith(f".{end}")] or [self.archive]
        if self.build is None:
            return list(self.tool.extensions) if self.tool else []
        return list(dict.fromkeys(end for path in self.paths for end in EXTENSIONS if path.endswith(f".{end}")))


def file_of(member: OwnPackage | None) -> str:
    """Return the package.json of a package."""
    return posixpath.normpath(posixpath.join(member.folder if member else "", "package.json"))


def members(repository: Repository, family: str) -> Members:
    """Return the packages of a family that a repository has.

    Args:
        family: its name, to choose among several families; empty for the one with the most platforms.
    """
    public = [
        OwnPackage(name=str(manifest["name"]), folder=folder, manifest=manifest, platform=named(str(manifest["name"])))
        for folder, manifest in repository.manifests.items()
        if isinstance(manifest.get("name"), str) and "{" not in manifest["name"] and not manifest.get("private")
    ]
    found = [_family_of(public, before) for before in _beginnings(public)]
    found = sorted(found or [_named_family(repository, public)], key=lambda one: -len(one.platforms))
    own = next((one for one in found if family in one.names), found[0])
    return replace(own, others=tuple(one.names[0] for one in found if one is not own))


def _members(platforms: Sequence[OwnPackage], metas: Sequence[OwnPackage], devs: Sequence[OwnPackage]) -> Members:
    return Members(
        platforms=tuple(platforms), metas=tuple(sorted(metas, key=lambda one: len(one.name))), devs=tuple(devs)
    )


def _beginnings(public: Sequence[OwnPackage]) -> list[str]:
    """Return what the names of platform packages begin with, one for each family."""
    for_machines = [one for one in public if one.manifest.get("os") or one.manifest.get("cpu")]
    return list(dict.fromkeys(one.platform.before for one in for_machines if one.platform))


def _family_of(public: Sequence[OwnPackage], before: str) -> Members:
    """Return the family whose platform packages are committed, and have names that begin so."""
    platforms = [one for one in public if one.platform and one.platform.before == before]
    names = {one.name for one in platforms}
    rest = [one for one in public if not one.platform]
    plain = {f"{before.rstrip('-/')}{one.platform.after}" for one in platforms if one.platform}
    metas = [one for one in rest if names & set(_pins(one))] or [one for one in rest if one.name in plain]
    return _members(platforms, metas, [one for one in rest if one not in metas and DEV.search(one.name)])


def _named_family(repository: Repository, public: Sequence[OwnPackage]) -> Members:
    """Return the family of the package that users install; it may name platform packages as dependencies."""
    rest = [one for one in public if not DEV.search(one.name)]
    pinning = [one for one in rest if any(named(name) and _own(one.name, name) for name in _pins(one))]
    pinned = [name for one in pinning for name in _pins(one) if _own(one.name, name)]
    platforms = [OwnPackage(name=name, platform=found) for name in dict.fromkeys(pinned) if (found := named(name))]
    telling = [one for one in rest if "napi" in one.manifest or one.folder in repository.downloads]
    metas = pinning or (telling or [one for one in rest if "bin" in one.manifest] or rest)[:1]
    return _members(platforms, metas, [one for one in public if one not in rest])


def _pins(one: OwnPackage) -> list[str]:
    pins = one.manifest.get("optionalDependencies")
    return list(pins) if isinstance(pins, dict) else []


def _own(meta: str, name: str) -> bool:
    """Return whether a dependency has a name as packages of the family have."""
    scope = meta.rpartition("/")[0]
    return name.startswith((f"{meta}-", f"@{meta.lstrip('@')}/", *([f"{scope}/"] if scope else [])))


# What flotilla.yml says of them


def program_guess(seen: Seen, family: str) -> Guess:
    """Return the name of the program that users run."""
    key, base = "packages.meta.launcher", family.rpartition("/")[2]
    told = seen.meta.manifest.get("bin") if seen.meta else None
    if isinstance(told, dict) and told:
        return Guess(key=key, value=next(iter(told)), source=f"bin in {file_of(seen.meta)}")
    if isinstance(told, str):
        return Guess(key=key, value=base, source=f"bin in {file_of(seen.meta)}")
    if seen.tool and seen.tool.programs:
        return Guess(key=key, value=seen.tool.programs[0], source=seen.tool.file)
    if seen.repository.programs:
        return Guess(key=key, value=seen.repository.programs[0], source="Cargo.toml")
    if seen.build and (found := [name for path in seen.paths if (name := _stem(path))]):
        return Guess(key=key, value=found[0], source=seen.build.uploads[0].place)
    ask = "The program that users run, without .exe"
    return Guess(key=key, value=base, source="the family's name", question=ask)


def _stem(path: str) -> str:
    """Return the name of the program in a path such as target/release/tool-linux-x64.exe; empty if it tells none."""
    name = posixpath.basename(path).removesuffix(".exe").rstrip("*.")
    if any(name.endswith(f".{end}") for end in EXTENSIONS):
        return ""
    found = named(name)
    name = (found.before.rstrip("-_.") or found.after.lstrip("-_.")) if found else name
    return "" if name in FOLDERS or not re.fullmatch(r"[A-Za-z0-9][\w.-]*", name) else name


def package_guesses(seen: Seen, family: str, program: Guess) -> tuple[list[Guess], dict[str, str], list[str]]:
    """Return what goes under packages, the templates to write, and what to do by hand."""
    platform, templates = _platform_packages(seen, family, str(program.value))
    meta, more, steps = _meta_packages(seen, program)
    return [*platform, *_dev_packages(seen, family), *meta], {**templates, **more}, steps


def _platform_packages(seen: Seen, family: str, program: str) -> tuple[list[Guess], dict[str, str]]:
    key, own, templates = "packages.platform", seen.members.platforms, dict[str, str]()
    guesses = []
    name = pattern([(one.name, {"family": family, **values_of(one)}) for one in own])
    if name and name != NAME and not (name == "{family}-{platform}" and len(seen.members.suffixes) == 1):
        guesses.append(Guess(key=f"{key}.name", value=name, source=f"the names in {file_of(own[0])} and so on"))
    if folder := pattern([(one.folder, values_of(one)) for one in own if one.folder]):
        guesses.append(Guess(key=f"{key}.template", value=folder, source=f"{own[0].folder} and so on"))
    binary = seen.napi.get("binaryName") or seen.napi.get("name")
    main = pattern([(str(one.manifest.get("main", "")), values_of(one)) for one in own])
    if not own and binary:
        main = f"{binary}.{{platform}}.node"
        manifest = {
            "main": main,
            **{k: v for k, v in (seen.meta.manifest if seen.meta else {}).items() if k in KEPT[1:]},
        }
        template = f"{seen.repository.templates}/platform"
        templates[f"{template}/package.json"] = _json(manifest)
        guesses.append(Guess(key=f"{key}.template", value=template, source="napi's loader, which needs a main"))
    if main and main.endswith(".node"):
        source = f"main in {file_of(own[0])}" if own else f"napi in {file_of(seen.meta)}"
        guesses.append(Guess(key=f"{key}.files", value=[main], source=source))
    elif (
        seen.members.devs
        and len(taken := {tuple(_taken(one, seen.repository.files)) for one in own}) == 1
        and any(taken)
    ):
        guesses.append(Guess(key=f"{key}.files", value=list(*taken), source=f"files in {file_of(own[0])} and so on"))
    elif not seen.library and (files := _program_files(seen, program)):
        guesses.append(Guess(key=f"{key}.files", value=files, source="where the launcher looks for the program"))
    return guesses, templates


def archive_name(tool: Archives) -> str:
    """Return the template of the names that a build tool gives its archives; empty if they have none in common."""
    found = [one for name in tool.names.values() if (one := named(name))]
    around = {f"{one.before}{{build}}{one.after}" for one in found}
    return around.pop() if len(around) == 1 else ""


def _program_files(seen: Seen, program: str) -> list[object]:
    """Return how the program comes to bin/ or to its plain name, if it is not there already."""
    if any(one.manifest.get("files") or one.manifest.get("bin") for one in seen.members.platforms):
        return []
    if seen.tool and seen.tool.bare and not seen.build:
        name = archive_name(seen.tool)
        return [{"from": f"{name}{{exe}}", "to": f"bin/{program}{{exe}}"}] if name else []
    if seen.extensions:
        return [{"from": f"**/{program}{{exe}}", "to": f"bin/{program}{{exe}}"}]
    names = {posixpath.basename(path).removesuffix(".exe").rstrip("*") for path in seen.paths if _stem(path) == program}
    told = [one for name in names if (one := named(name))]
    if not told or len(told) != len(names) or seen.build is None:
        return []
    around = {(one.before, one.after) for one in told}
    if len(around) != 1:
        return []
    word = "{build}" if {one.word for one in told} == set(seen.build.platforms) else "*"
    [(before, after)] = around
    return [{"from": f"{before}{word}{after}{{exe}}", "to": f"{program}{{exe}}"}]


def _dev_packages(seen: Seen, family: str) -> Iterator[Guess]:
    value = [
        {
            "name": dev.name.replace(family, "{family}"),
            "template": dev.folder,
            "files": _taken(dev, seen.repository.files) or ["include/**"],
        }
        for dev in seen.members.devs
    ]
    if value:
        source = ", ".join(map(file_of, seen.members.devs))
        yield Guess(key="packages.dev", value=value if len(value) > 1 else value[0], source=source)


def _taken(one: OwnPackage, files: frozenset[str]) -> list[str]:
    """Return patterns of what a manifest's `files` lists and its folder does not hold: it comes from the artifact."""
    listed = one.manifest.get("files")
    own = [posixpath.relpath(path, one.folder) for path in files if path.startswith(f"{one.folder}/")]
    names = [str(name).strip("/") for name in listed] if isinstance(listed, list) else []
    names = [name for name in names if not any(f"{path}/".startswith(f"{name}/") for path in own)]
    return [name if "." in name or "*" in name else f"{name}/**" for name in names]


def _meta_packages(seen: Seen, program: Guess) -> tuple[list[Guess], dict[str, str], list[str]]:
    key, meta = "packages.meta", seen.meta
    if meta is None and any(one.folder for one in seen.members.platforms):
        return [Guess(key=key, value=False, source="no package has the family's name or pins its packages")], {}, []
    if meta is None:
        return [_launcher(seen, program)], {}, []
    script = seen.repository.downloads.get(meta.folder)
    missing = _missing_entries(meta, seen.repository.files)
    built = [name for name in missing if JAVASCRIPT.search(name)]
    placed = [name for name in missing if name not in built]
    if (script or placed) and not _own_code(meta):
        return _without_install_script(seen, meta, script, program)
    folder = pattern([(one.folder, {"suffix": _suffix(one, seen)}) for one in seen.members.metas]) or meta.folder
    guesses = [Guess(key=f"{key}.template", value=folder, source=file_of(meta))]
    if built:
        guesses += _built_entries(seen, built)
    if "bin" not in meta.manifest and (script or not (built or _has_entry(meta, seen.repository.files))):
        guesses.append(_launcher(seen, program))
    own = "Its code finds the program by require('./launcher.cjs').program().path."
    if "bin" in meta.manifest:
        own += f" Remove bin, too, and give packages.meta in flotilla.yml launcher: {{bin: {program.value}}}."
    return guesses, {}, [_script_step(meta, script, own)] if script or placed else []


def _launcher(seen: Seen, program: Guess) -> Guess:
    if seen.library and "bin" not in (seen.meta.manifest if seen.meta else {}):
        source = seen.build.uploads[0].place if seen.build else "the platform packages"
        return Guess(key="packages.meta.launcher", value={"library": True}, source=source)
    value = {"bin": str(program.value)}
    return Guess(key="packages.meta.launcher", value=value, source=program.source, question=program.question)


def _without_install_script(
    seen: Seen, meta: OwnPackage, script: str | None, program: Guess
) -> tuple[list[Guess], dict[str, str], list[str]]:
    """Return a meta package of its own beside one that downloads its program."""
    manifest = {name: meta.manifest[name] for name in KEPT if name in meta.manifest}
    folder = f"{seen.repository.templates}/meta"
    file = f"{folder}/package.json"
    guesses = [
        Guess(key="packages.meta.template", value=folder, source=f"{file_of(meta)}, without its install script"),
        _launcher(seen, program),
    ]
    return guesses, {file: _json(manifest)}, [_script_step(meta, script, f"{file} is published instead of it.")]


def _script_step(meta: OwnPackage, script: str | None, instead: str) -> str:
    if script is None:
        return f"{file_of(meta)} names a program that the repository does not have. {instead}"
    return (
        f"{file_of(meta)} downloads the program in an install script ({script}), which npm 12 does not run unless "
        f"the user allows it. npm installs a platform package by itself, for the user's machine. {instead} "
        f"Remove the script and what it needs, and set private: true in {file_of(meta)} if nothing else publishes it."
    )


def _built_entries(seen: Seen, built: Sequence[str]) -> list[Guess]:
    """Return the artifact of the JavaScript that the build makes."""
    wanted = {posixpath.basename(name) for name in built}
    for workflow in seen.repository.workflows:
        for upload in workflow.uploads:
            names = {posixpath.basename(path) for path in upload.paths}
            if not named(upload.name) and names & wanted:
                taken = [posixpath.basename(path) for path in upload.paths]
                return [
                    Guess(key="packages.meta.artifact", value=upload.name, source=upload.place),
                    Guess(key="packages.meta.files", value=taken, source=upload.place),
                ]
    ask = f"The artifact with {', '.join(built)}, which the repository does not have"
    return [Guess(key="packages.meta.artifact", value="javascript", source=NOTHING, question=ask)]


def _missing_entries(meta: OwnPackage, files: frozenset[str]) -> list[str]:
    told = meta.manifest.get("bin")
    names = [
        *(told.values() if isinstance(told, dict) else [told]),
        meta.manifest.get("main"),
        meta.manifest.get("types"),
    ]
    return [name for name in dict.fromkeys(map(str, filter(None, names))) if not _there(meta.folder, name, files)]


def _there(folder: str, name: str, files: frozenset[str]) -> bool:
    path = posixpath.normpath(posixpath.join(folder, name))
    return any(one in files for one in (path, f"{path}.js", f"{path}/index.js"))


def _has_entry(meta: OwnPackage, files: frozenset[str]) -> bool:
    return "exports" in meta.manifest or "main" in meta.manifest or _there(meta.folder, "index.js", files)


def _own_code(meta: OwnPackage) -> bool:
    """Return whether a package has code besides its program that users import."""
    return any(field in meta.manifest for field in ("main", "module", "exports", "types"))


def _suffix(meta: OwnPackage, seen: Seen) -> str:
    return next((one for one in reversed(seen.members.suffixes) if meta.name.endswith(one)), "")


def values_of(one: OwnPackage) -> dict[str, str]:
    return {"platform": one.platform.word, "suffix": one.platform.after} if one.platform else {}


def pattern(samples: Sequence[tuple[str, Mapping[str, str]]]) -> str:
    """Return the template that gives each text with the values beside it; empty if there is none."""
    for text, values in sorted(samples, key=lambda sample: not all(sample[1].values())):
        made = text
        for name, value in sorted(values.items(), key=lambda item: -len(item[1])):
            before, found, after = made.rpartition(value) if value else ("", "", made)
            made = f"{before}{{{name}}}{after}" if found else made
        if all(_filled(made, each) == sample for sample, each in samples):
            return made
    return ""


def _filled(template: str, values: Mapping[str, str]) -> str:
    for name, value in values.items():
        template = template.replace(f"{{{name}}}", value)
    return template


def _json(manifest: Mapping[str, object]) -> str:
    return json.dumps(manifest, indent=2, ensure_ascii=False) + "\n"
