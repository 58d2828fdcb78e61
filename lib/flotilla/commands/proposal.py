"""From what a repository says to a flotilla.yml: pure functions, in which each value has its source."""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from flotilla.commands.builds import Build, Named, builds, named
from flotilla.commands.members import Member, Members, file_of, members
from flotilla.commands.repository import EXTENSIONS, Archives, Repository
from flotilla.commands.workflows import UNKNOWN, Upload, Workflow
from flotilla.family.platforms import read_name

DEFAULT_PLATFORMS = ("darwin-arm64", "darwin-x64", "linux-arm64", "linux-x64")
NAPI_DEFAULTS = ("x86_64-apple-darwin", "x86_64-pc-windows-msvc", "x86_64-unknown-linux-gnu")
KEPT = ("name", "description", "keywords", "homepage", "bugs", "license", "author", "repository", "engines")
FOLDERS = frozenset(
    {"build", "dist", "out", "output", "release", "artifacts", "bin", "target", "binaries", "lib", "npm"}
)
LIBRARY = re.compile(r"\.(?:node|so|dylib|dll|a|lib)\*?$")
JAVASCRIPT = re.compile(r"\.(?:[cm]?js|[cm]?ts|json)$")
TAG = re.compile(r"(.*?)(\d+\.\d+\.\d+(?:-[\w.-]+)?)")
META_FOLDER, PLATFORM_FOLDER = "npm/meta", "npm/platform"
NAME = "{family}-{platform}{suffix}"
NOTHING = "nothing in the repository"


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
class Proposal:
    """What to write.

    Args:
        guesses: the values of flotilla.yml, in their order.
        templates: further files, by their paths.
        steps: what is left to do by hand.
        tag_push: CI runs on pushed tags only, so a release has to begin there, too.
    """

    guesses: tuple[Guess, ...]
    templates: Mapping[str, str] = field(default_factory=dict)
    steps: tuple[str, ...] = ()
    tag_push: bool = False


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What the parts of a proposal look at: the repository, its packages of the family, and what CI builds."""

    repository: Repository
    members: Members
    build: Build | None
    tool: Archives | None

    @property
    def meta(self) -> Member | None:
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
    def extensions(self) -> list[str]:
        """Return the extensions of the archives in the artifacts; none if they hold the files."""
        if self.build is None:
            return list(self.tool.extensions) if self.tool else []
        return list(dict.fromkeys(end for path in self.paths for end in EXTENSIONS if path.endswith(f".{end}")))


def propose(repository: Repository, answers: Mapping[str, str]) -> Proposal:
    """Return a proposal for a repository.

    Args:
        answers: what a person has said, by the keys of the guesses.
    """
    own = members(repository)
    found = builds(repository.workflows, variants=len(own.suffixes))
    build = next((one for one in found if _fits(one, own)), None)
    seen = Seen(repository=repository, members=own, build=build, tool=repository.goreleaser or repository.cargo_dist)
    family = _answered(_family(seen), answers)
    platforms = _answered(_platforms(seen), answers)
    workflow, ci, steps = _ci(seen, str(family.value))
    if any(target.startswith("wasm32") for target in _napi_targets(seen.napi)):
        steps.append(
            "platforms leaves out wasm32, whose package holds other files (*.wasm, *.wasi.cjs); add it by hand."
        )
    program = _answered(_program(seen, str(family.value)), answers)
    packages, templates, more = _packages(seen, str(family.value), program)
    guesses = [family, platforms, *_variants(seen), *ci, *packages, *_tag(seen, str(family.value))]
    return Proposal(
        guesses=tuple(_answered(guess, answers) for guess in guesses),
        templates=templates,
        steps=(*more, *steps, *_publishing(repository.workflows)),
        tag_push=workflow is not None and workflow.only_tags,
    )


def _answered(guess: Guess, answers: Mapping[str, str]) -> Guess:
    """Return the guess with what a person has answered instead; an empty answer takes what was proposed."""
    if guess.key not in answers:
        return guess
    answer = answers[guess.key].strip()
    said: object = answer or guess.value
    if answer and isinstance(guess.value, list):
        said = answer.replace(",", " ").split()
    elif answer and isinstance(guess.value, dict):
        said = {"bin": answer}
    elif answer.isdecimal() and isinstance(guess.value, int):
        said = int(answer)
    return Guess(key=guess.key, value=said, source="your answer")


def _fits(build: Build, own: Members) -> bool:
    """Return whether a build has platforms of the family's packages, or several if no package is known."""
    wanted = [one.platform for one in own.platforms if one.platform]
    if not wanted:
        return len(build.platforms) > 1
    return any(one.same_machine(platform) for one in wanted for platform in build.platforms.values())


# The family, its platforms and variants


def _family(seen: Seen) -> Guess:
    ask, repository = "The npm name that users will install, such as @acme/tool", seen.repository
    if seen.meta:
        return Guess(key="family", value=seen.meta.name, source=f"name in {file_of(seen.meta)}")
    if platforms := seen.members.platforms:
        before = platforms[0].platform.before if platforms[0].platform else ""
        return Guess(key="family", value=before.rstrip("-/"), source=f"name in {file_of(platforms[0])}", question=ask)
    dist = repository.cargo_dist
    if dist and dist.scope and dist.programs:
        name = f"{dist.scope}/{dist.package or dist.programs[0]}"
        return Guess(key="family", value=name, source=f"npm-scope in {dist.file}")
    if repository.remote:
        owner, _, name = repository.remote.lower().partition("/")
        value = f"@{owner}/{posixpath.basename(repository.folder).lower() or name}"
        return Guess(key="family", value=value, source="git's remote origin", question=ask)
    return Guess(key="family", value="@acme/tool", source=NOTHING, question=ask)


def _platforms(seen: Seen) -> Guess:
    words, source = _words(seen)
    if own := [
        one for one in seen.members.platforms if one.platform and one.platform.after == seen.members.suffixes[0]
    ]:
        value = [
            _entry(one.platform.word, one.platform, _word_of(one.platform, words, seen.build), one.manifest)
            for one in own
            if one.platform
        ]
        where = own[0].folder and f"{posixpath.dirname(own[0].folder)}/*/package.json"
        return Guess(key="platforms", value=value, source=where or f"optionalDependencies in {file_of(seen.meta)}")
    if targets := _napi_targets(seen.napi):
        found = {_napi_name(one): one for target in targets if (one := named(target)) and one.os}
        value = [_entry(name, one, _word_of(one, words, seen.build), {}) for name, one in found.items()]
        return Guess(key="platforms", value=value, source=f"napi.targets in {file_of(seen.meta)}")
    if words:
        return Guess(key="platforms", value=_from_words(words, library=seen.library), source=source)
    ask = "The platforms, in npm's words"
    return Guess(key="platforms", value=list(DEFAULT_PLATFORMS), source=NOTHING, question=ask)


def _words(seen: Seen) -> tuple[Mapping[str, Named], str]:
    """Return what CI calls the platforms, and where it says so."""
    if seen.build:
        return seen.build.platforms, seen.build.uploads[0].place
    if seen.tool:
        found = [one for name in seen.tool.names.values() if (one := named(name))]
        return {one.word: one for one in found}, f"the targets in {seen.tool.file}"
    return {}, ""


def _word_of(platform: Named, words: Mapping[str, Named], build: Build | None = None) -> str:
    """Return what CI calls a platform; of a system that is built for one processor, it may name the system alone."""
    same = [word for word, one in words.items() if one.same_machine(platform)]
    found = next((word for word in same if words[word].libc == platform.libc), "".join(same[:1]))
    return found or (build.systems.get("".join(platform.os), "") if build else "")


def _from_words(words: Mapping[str, Named], *, library: bool) -> list[object]:
    """Return the platforms of what CI builds.

    A Linux program for musl alone is static, and runs with any libc; one for glibc alone must not be installed on musl.
    """
    entries: dict[str, object] = {}
    for word, one in words.items():
        others = [other for other in words.values() if other is not one and (other.os, other.cpu) == (one.os, one.cpu)]
        static = one.libc == "musl" and not others and not library
        name = one.name.removesuffix("-musl") if static else one.name
        libc = {"libc": ["glibc"]} if one.libc == "glibc" and not others else {}
        entries.setdefault(name, _entry(name, one, word, libc, static=static))
    return list(entries.values())


def _entry(name: str, platform: Named, build: str, manifest: Mapping[str, object], *, static: bool = False) -> object:
    """Return an entry of platforms: its name, or a mapping that says what the name does not."""
    read = read_name(name)[0]
    own = {key: told for key in ("os", "cpu", "libc") if isinstance(told := manifest.get(key), list)}
    os, cpu = own.get("os") or list(platform.os), own.get("cpu") or list(platform.cpu)
    libc = own.get("libc") or ([] if static or platform.libc != "musl" else ["musl"])
    entry: dict[str, object] = {"name": name}
    if read is None or (list(read.os), list(read.cpu)) != (os, cpu):
        entry |= {"os": _one(os), "cpu": _one(cpu)}
    if libc and (read is None or list(read.libc) != libc):
        entry["libc"] = _one(libc)
    if build and build != name:
        entry["build"] = build
    return entry if len(entry) > 1 else name


def _one(words: list[object]) -> object:
    return words[0] if len(words) == 1 else words


def _napi_targets(napi: Mapping[str, object]) -> list[str]:
    if isinstance(told := napi.get("targets"), list):
        return [str(one) for one in told]
    triples = napi.get("triples")
    if not isinstance(triples, dict):
        return []
    more = triples.get("additional")
    return [
        *(NAPI_DEFAULTS if triples.get("defaults", True) else ()),
        *(map(str, more) if isinstance(more, list) else ()),
    ]


def _napi_name(platform: Named) -> str:
    """Return what napi-rs calls a platform; its loader looks for packages of that name."""
    system, arm = "".join(platform.os), platform.cpu == ("arm",)
    if system == "linux" and platform.libc != "musl":
        return f"{platform.name}-gnu{'eabihf' if arm else ''}"
    return platform.name + {"win32": "-msvc", "linux": "eabihf" if arm else "", "android": "-eabi" if arm else ""}.get(
        system, ""
    )


def _variants(seen: Seen) -> Iterator[Guess]:
    suffixes, built = seen.members.suffixes, seen.build.variants if seen.build else ()
    if len(suffixes) > 1:
        names = {suffix: suffix.strip("-_.") for suffix in suffixes}
        plain = [one for one in built if one and one not in names.values()]
        value = [
            {"name": name or (plain or ["default"])[0], **({} if suffix == f"-{name}" else {"suffix": suffix})}
            for suffix, name in names.items()
        ]
        value[0].pop("suffix", None)
        yield Guess(key="variants", value=value, source="the names of the platform packages")
    elif len(built) > 1 and seen.build:
        yield Guess(key="variants", value=[{"name": one} for one in built], source=seen.build.uploads[0].place)


# Where the binaries come from


def _ci(seen: Seen, family: str) -> tuple[Workflow | None, list[Guess], list[str]]:
    """Return the workflow that builds, what goes under ci, and what CI has to do besides."""
    if seen.build:
        return seen.build.workflow, _ci_of_build(seen.build, seen), []
    workflows = seen.repository.workflows
    if dist := seen.repository.cargo_dist:
        local = [
            (one, upload) for one in workflows for upload in one.uploads if upload.name == "artifacts-build-local-*"
        ]
        if local:
            workflow, upload = local[0]
            artifact = Guess(key="ci.artifact", value="artifacts-build-local-{build}", source=upload.place)
            return workflow, [_workflow(workflow), artifact, *_archive_of_tool(dist)], []
    static = [(one, upload) for one in workflows for upload in one.uploads if not named(upload.name)]
    return _ci_of_one_artifact(seen, static, family)


def _workflow(workflow: Workflow) -> Guess:
    return Guess(key="ci.workflow", value=workflow.file, source=f".github/workflows/{workflow.file}")


def _ci_of_build(build: Build, seen: Seen) -> list[Guess]:
    place = build.uploads[0].place
    guesses = [_workflow(build.workflow), Guess(key="ci.artifact", value=build.artifact, source=place)]
    if not (ends := seen.extensions):
        return guesses
    archive = f"*.{ends[0]}" if len(ends) == 1 else f"*.{{{','.join(ends)}}}"
    guesses.append(Guess(key="ci.archive", value=archive, source=place))
    if seen.library or seen.members.platforms:
        ask = "How many folders lie around the files in the archives"
        guesses.append(Guess(key="ci.strip-components", value=0, source=NOTHING, question=ask))
    return guesses


def _archive_of_tool(tool: Archives) -> list[Guess]:
    found = [one for name in tool.names.values() if (one := named(name))]
    around = {(one.before, one.after) for one in found}
    if len(around) != 1:
        ask = "The archives' names, with {version} and {build}"
        return [Guess(key="ci.archive", value="*_{build}.*", source=tool.file, question=ask)]
    [(before, after)] = around
    ends = f"{{{','.join(tool.extensions)}}}" if len(tool.extensions) > 1 else "".join(tool.extensions)
    return [Guess(key="ci.archive", value=f"{before}{{build}}{after}.{ends}", source=tool.file)]


def _ci_of_one_artifact(
    seen: Seen, static: Sequence[tuple[Workflow, Upload]], family: str
) -> tuple[Workflow | None, list[Guess], list[str]]:
    """Return what goes under ci if no artifact names its platform: one holds all, or none is uploaded yet."""
    goreleaser, roots = seen.repository.goreleaser, _npm_roots(seen.members)
    for workflow, upload in static:
        artifact = Guess(key="ci.artifact", value=upload.name.replace(UNKNOWN, "{build}"), source=upload.place)
        if UNKNOWN in upload.name and not roots and not goreleaser:
            ask = "The artifacts' name, with {build} for what CI calls the platform"
            artifact = Guess(key=artifact.key, value=artifact.value, source=artifact.source, question=ask)
            return workflow, [_workflow(workflow), artifact], []
        if goreleaser and any(path.startswith(("dist", "./dist")) for path in upload.paths):
            return workflow, [_workflow(workflow), artifact, *_archive_of_tool(goreleaser)], []
        for root in roots:
            within = [
                posixpath.relpath(root, path.rstrip("/")) for path in upload.paths if root.startswith(path.rstrip("/"))
            ]
            if within:
                return (
                    workflow,
                    [_workflow(workflow), artifact, Guess(key="ci.root", value=within[0], source=upload.place)],
                    [],
                )
    return _ci_without_artifacts(seen, family)


def _npm_roots(own: Members) -> list[str]:
    found = _pattern([(one.folder, _values(one)) for one in own.platforms if one.folder])
    return [found] if found else []


def _ci_without_artifacts(seen: Seen, family: str) -> tuple[Workflow | None, list[Guess], list[str]]:
    workflows, goreleaser = seen.repository.workflows, seen.repository.goreleaser
    likely = [one for one in workflows if goreleaser and "goreleaser" in one.text]
    workflow = next(iter(likely or workflows), None)
    ask = "" if likely or len(workflows) == 1 else "The workflow that builds the binaries"
    file = workflow.file if workflow else "ci.yml"
    guess = Guess(
        key="ci.workflow", value=file, source=f".github/workflows/{file}" if workflow else NOTHING, question=ask
    )
    if goreleaser:
        step = (
            f".github/workflows/{file} uploads no artifact. Let goreleaser only build (release --clean "
            "--skip=publish), and add after it: {uses: actions/upload-artifact@v7, with: {name: dist, path: dist/}}."
        )
        artifact = Guess(key="ci.artifact", value="dist", source=f"goreleaser's folder ({goreleaser.file})")
        return workflow, [guess, artifact, *_archive_of_tool(goreleaser)], [step]
    step = f"{file} must upload the binaries of each platform (actions/upload-artifact) under the name of ci.artifact."
    base = family.rpartition("/")[2]
    ask = "The artifacts' name, with {build} for what CI calls the platform"
    artifact = Guess(key="ci.artifact", value=f"{base}-{{build}}", source=NOTHING, question=ask)
    return workflow, [guess, artifact], [step]


# The packages


def _program(seen: Seen, family: str) -> Guess:
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


def _packages(seen: Seen, family: str, program: Guess) -> tuple[list[Guess], dict[str, str], list[str]]:
    """Return what goes under packages, the templates to write, and what to do by hand."""
    platform, templates = _platform_packages(seen, family, str(program.value))
    meta, more, steps = _meta_packages(seen, program)
    return [*platform, *_dev_packages(seen, family), *meta], {**templates, **more}, steps


def _platform_packages(seen: Seen, family: str, program: str) -> tuple[list[Guess], dict[str, str]]:
    key, own, templates = "packages.platform", seen.members.platforms, dict[str, str]()
    guesses = []
    name = _pattern([(one.name, {"family": family, **_values(one)}) for one in own])
    if name and name != NAME and not (name == "{family}-{platform}" and len(seen.members.suffixes) == 1):
        guesses.append(Guess(key=f"{key}.name", value=name, source=f"the names in {file_of(own[0])} and so on"))
    if folder := _pattern([(one.folder, _values(one)) for one in own if one.folder]):
        guesses.append(Guess(key=f"{key}.template", value=folder, source=f"{own[0].folder} and so on"))
    binary = seen.napi.get("binaryName") or seen.napi.get("name")
    main = _pattern([(str(one.manifest.get("main", "")), _values(one)) for one in own])
    if not own and binary:
        main = f"{binary}.{{platform}}.node"
        manifest = {
            "main": main,
            **{k: v for k, v in (seen.meta.manifest if seen.meta else {}).items() if k in KEPT[1:]},
        }
        templates[f"{PLATFORM_FOLDER}/package.json"] = _json(manifest)
        guesses.append(Guess(key=f"{key}.template", value=PLATFORM_FOLDER, source="napi's loader, which needs a main"))
    if main and main.endswith(".node"):
        source = f"main in {file_of(own[0])}" if own else f"napi in {file_of(seen.meta)}"
        guesses.append(Guess(key=f"{key}.files", value=[main], source=source))
    elif not seen.library and (files := _program_files(seen, program)):
        guesses.append(Guess(key=f"{key}.files", value=files, source="where the launcher looks for the program"))
    return guesses, templates


def _program_files(seen: Seen, program: str) -> list[object]:
    """Return how the program comes to bin/ or to its plain name, if it is not there already."""
    has_own = any(one.manifest.get("files") or one.manifest.get("bin") for one in seen.members.platforms)
    if has_own:
        return []
    if seen.extensions:
        return [{"from": f"**/{program}{{exe}}", "to": f"bin/{program}{{exe}}"}]
    names = {posixpath.basename(path).removesuffix(".exe").rstrip("*") for path in seen.paths if _stem(path) == program}
    told = [one for name in names if (one := named(name))]
    if not told or len(told) != len(names) or seen.build is None:
        return []
    around = {(one.before, one.after) for one in told}
    word = "{build}" if {one.word for one in told} == set(seen.build.platforms) else "*"
    [(before, after)] = around if len(around) == 1 else [("", "")]
    return [{"from": f"{before}{word}{after}{{exe}}", "to": f"{program}{{exe}}"}]


def _dev_packages(seen: Seen, family: str) -> Iterator[Guess]:
    for dev in seen.members.devs[:1]:
        files = dev.manifest.get("files")
        listed = [str(one) for one in files] if isinstance(files, list) else []
        own = {path for path in seen.repository.files if path.startswith(f"{dev.folder}/")}
        taken = [one for one in listed if not any(path.startswith(f"{dev.folder}/{one}".rstrip("/*")) for path in own)]
        value = {
            "name": dev.name.replace(family, "{family}"),
            "template": dev.folder,
            "files": [f"{one.rstrip('/')}/**" if "." not in one and "*" not in one else one for one in taken]
            or ["include/**"],
        }
        yield Guess(key="packages.dev", value=value, source=file_of(dev))


def _meta_packages(seen: Seen, program: Guess) -> tuple[list[Guess], dict[str, str], list[str]]:
    key, meta = "packages.meta", seen.meta
    if meta is None:
        return [_launcher(seen, program)], {}, []
    script = seen.repository.downloads.get(meta.folder)
    missing = _missing_entries(meta, seen.repository.files)
    built = [name for name in missing if JAVASCRIPT.search(name)]
    placed = [name for name in missing if name not in built]
    if (script or placed) and not _own_code(meta, seen.repository.files):
        return _without_install_script(seen, meta, script, program)
    folder = _pattern([(one.folder, {"suffix": _suffix(one, seen)}) for one in seen.members.metas]) or meta.folder
    guesses = [Guess(key=f"{key}.template", value=folder, source=file_of(meta))]
    if built:
        guesses += _built_entries(seen, built)
    if "bin" not in meta.manifest and not _has_entry(meta, seen.repository.files) and not built:
        guesses.append(_launcher(seen, program))
    steps = (
        [_script_step(meta, script, "Its code finds the program by require('./launcher.cjs').program().")]
        if script
        else []
    )
    return guesses, {}, steps


def _launcher(seen: Seen, program: Guess) -> Guess:
    if seen.library and "bin" not in (seen.meta.manifest if seen.meta else {}):
        source = seen.build.uploads[0].place if seen.build else "the platform packages"
        return Guess(key="packages.meta.launcher", value={"library": True}, source=source)
    value = {"bin": str(program.value)}
    return Guess(key="packages.meta.launcher", value=value, source=program.source, question=program.question)


def _without_install_script(
    seen: Seen, meta: Member, script: str | None, program: Guess
) -> tuple[list[Guess], dict[str, str], list[str]]:
    """Return a meta package of its own beside one that downloads its program."""
    manifest = {name: meta.manifest[name] for name in KEPT if name in meta.manifest}
    file = f"{META_FOLDER}/package.json"
    guesses = [
        Guess(key="packages.meta.template", value=META_FOLDER, source=f"{file_of(meta)}, without its install script"),
        _launcher(seen, program),
    ]
    return guesses, {file: _json(manifest)}, [_script_step(meta, script, f"{file} is published instead of it.")]


def _script_step(meta: Member, script: str | None, instead: str) -> str:
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


def _missing_entries(meta: Member, files: frozenset[str]) -> list[str]:
    told = meta.manifest.get("bin")
    names = [
        *(told.values() if isinstance(told, dict) else [told]),
        meta.manifest.get("main"),
        meta.manifest.get("types"),
    ]
    return [name for name in map(str, filter(None, names)) if not _there(meta.folder, name, files)]


def _there(folder: str, name: str, files: frozenset[str]) -> bool:
    path = posixpath.normpath(posixpath.join(folder, name))
    return any(one in files for one in (path, f"{path}.js", f"{path}/index.js"))


def _has_entry(meta: Member, files: frozenset[str]) -> bool:
    return "exports" in meta.manifest or "main" in meta.manifest or _there(meta.folder, "index.js", files)


def _own_code(meta: Member, files: frozenset[str]) -> bool:
    """Return whether a package has code besides its program that users import."""
    main = meta.manifest.get("main")
    return "exports" in meta.manifest or (isinstance(main, str) and _there(meta.folder, main, files))


def _suffix(meta: Member, seen: Seen) -> str:
    return next((one for one in reversed(seen.members.suffixes) if meta.name.endswith(one)), "")


def _values(one: Member) -> dict[str, str]:
    return {"platform": one.platform.word, "suffix": one.platform.after} if one.platform else {}


def _pattern(samples: Sequence[tuple[str, Mapping[str, str]]]) -> str:
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


# The release


def _tag(seen: Seen, family: str) -> Iterator[Guess]:
    """Yield the form of the tags, if the repository has some and they are not v1.2.3."""
    base, bare = family.rpartition("/")[2], {"", "v"}
    prefixes = [found[1] for tag in seen.repository.tags if (found := TAG.fullmatch(tag))]
    own = [one for one in prefixes if one not in bare and base in one]
    for prefix in (own or [one for one in prefixes if one in bare])[:1]:
        if prefix != "v":
            value = f"{prefix.replace(family, '{family}')}{{version}}"
            yield Guess(key="release.tag", value=value, source="git's tags")


def _publishing(workflows: Sequence[Workflow]) -> Iterator[str]:
    for place, command in dict.fromkeys(one for workflow in workflows for one in workflow.publishes):
        yield f"{place} runs {command}. flotilla publishes and releases: remove what would do the same."


def _json(manifest: Mapping[str, object]) -> str:
    return json.dumps(manifest, indent=2, ensure_ascii=False) + "\n"
