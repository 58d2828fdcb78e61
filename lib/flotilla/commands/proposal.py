"""From what a repository says to a flotilla.yml: pure functions, in which each value has its source."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from flotilla.commands.builds import Build, Named, builds, named, words_of
from flotilla.commands.members import (
    NOTHING,
    Guess,
    Members,
    Seen,
    archive_name,
    file_of,
    members,
    package_guesses,
    pattern,
    program_guess,
    values_of,
)
from flotilla.commands.repository import Archives, Repository
from flotilla.commands.workflows import UNKNOWN, Upload, Workflow
from flotilla.family.platforms import read_name

DEFAULT_PLATFORMS = ("darwin-arm64", "darwin-x64", "linux-arm64", "linux-x64")
NAPI_DEFAULTS = ("x86_64-apple-darwin", "x86_64-pc-windows-msvc", "x86_64-unknown-linux-gnu")
TAG = re.compile(r"(.*?)(\d+\.\d+\.\d+(?:-[\w.-]+)?)")


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """What to write.

    Args:
        guesses: the values of flotilla.yml, in their order.
        templates: further files, by their paths.
        steps: what is left to do by hand.
        tag_push: CI runs on pushed tags only, so a release has to begin there, too.
        version: the version that CI builds, as far as the repository tells; empty if it does not.
    """

    guesses: tuple[Guess, ...]
    templates: Mapping[str, str] = field(default_factory=dict)
    steps: tuple[str, ...] = ()
    tag_push: bool = False
    version: str = ""


def propose(repository: Repository, answers: Mapping[str, str]) -> Proposal:
    """Return a proposal for a repository.

    Args:
        answers: what a person has said, by the keys of the guesses.
    """
    own = members(repository, answers.get("family") or repository.family)
    wanted = [one.platform for one in own.platforms if one.platform and one.platform.after == own.suffixes[0]]
    build = next(iter(builds(repository.workflows, variants=len(own.suffixes), wanted=wanted)), None)
    seen = Seen(
        repository=repository,
        members=own,
        build=build,
        tool=repository.goreleaser or repository.cargo_dist,
        archive=answers.get("ci.archive", "").strip(),
    )
    family = _answered(_family(seen), answers)
    platforms = _answered(_platforms(seen), answers)
    workflow, ci, steps = _ci(seen, str(family.value))
    if any(target.startswith("wasm32") for target in _napi_targets(seen.napi)):
        steps.append(
            "platforms leaves out wasm32, whose package holds other files (*.wasm, *.wasi.cjs); add it by hand."
        )
    program = _answered(program_guess(seen, str(family.value)), answers)
    packages, templates, more = package_guesses(seen, str(family.value), program)
    guesses = [family, platforms, *_variants(seen), *ci, *packages, *_tag(seen, str(family.value))]
    return Proposal(
        guesses=tuple(one for guess in guesses if (one := _answered(guess, answers)).value != "" or one.question),
        templates=templates,
        steps=(*more, *steps, *_without_artifact(platforms, build), *_publishing(repository.workflows), *_others(own)),
        tag_push=workflow is not None and workflow.only_tags,
        version=_version(seen),
    )


def _answered(guess: Guess, answers: Mapping[str, str]) -> Guess:
    """Return the guess with what a person has answered instead; an empty answer takes what was proposed."""
    if guess.key not in answers:
        return guess
    answer = answers[guess.key].strip()
    said: object = answer or guess.value
    if answer and isinstance(guess.value, list):
        entries = {one["name"]: one for one in guess.value if isinstance(one, dict) and "name" in one}
        said = [entries.get(name, name) for name in answer.replace(",", " ").split()]
    elif answer and isinstance(guess.value, dict):
        said = {"bin": answer}
    elif answer.isdecimal() and isinstance(guess.value, int):
        said = int(answer)
    return Guess(key=guess.key, value=said, source="your answer")


# The family, its platforms and variants


def _family(seen: Seen) -> Guess:
    ask, repository = "The npm name that users will install, such as @acme/tool", seen.repository
    if repository.family:
        return Guess(key="family", value=repository.family, source="the flotilla.yml that is there")
    if seen.meta:
        return Guess(key="family", value=seen.meta.name, source=f"name in {file_of(seen.meta)}")
    if platforms := seen.members.platforms:
        before = platforms[0].platform.before if platforms[0].platform else ""
        ask = "What the names of the packages begin with"
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
    own = [one for one in seen.members.platforms if one.platform and one.platform.after == seen.members.suffixes[0]]
    if own:
        told = [(one.platform.word, one.platform, one.manifest) for one in own if one.platform]
        where = own[0].folder and f"{posixpath.dirname(own[0].folder)}/*/package.json"
        value = _entries(told, words, seen.build)
        return Guess(key="platforms", value=value, source=where or f"optionalDependencies in {file_of(seen.meta)}")
    if targets := _napi_targets(seen.napi):
        found = {_napi_name(one): one for target in targets if (one := named(target)) and one.os}
        value = _entries([(name, one, {}) for name, one in found.items()], words, seen.build)
        return Guess(key="platforms", value=value, source=f"napi.targets in {file_of(seen.meta)}")
    if words and seen.napi:
        value = [_entry(_napi_name(one), one, word, {}) for word, one in words.items() if one.os]
        return Guess(key="platforms", value=value, source=source)
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


def _entries(
    told: Sequence[tuple[str, Named, Mapping[str, object]]], words: Mapping[str, Named], build: Build | None
) -> list[object]:
    """Return platforms by name, with what CI calls each; if it builds a system once, that may be the system alone."""
    found = words_of([platform for _, platform, _ in told], words)
    alone = build.systems if build else {}
    return [
        _entry(name, platform, word or alone.get("".join(platform.os), ""), manifest)
        for (name, platform, manifest), word in zip(told, found, strict=True)
    ]


def _without_artifact(platforms: Guess, build: Build | None) -> Iterator[str]:
    """Yield the platforms for which a build has no artifact."""
    entries = platforms.value if isinstance(platforms.value, list) else []
    names = [(str(one["name"]), str(one.get("build", one["name"]))) for one in map(_mapping_of, entries)]
    missing = [name for name, word in names if build and word not in {*build.platforms, *build.systems.values()}]
    if missing and build:
        yield (
            f".github/workflows/{build.workflow.file} has no artifact for {', '.join(missing)}: give these platforms "
            "build: WORD, as CI calls them, or remove them."
        )


def _mapping_of(entry: object) -> Mapping[str, object]:
    return entry if isinstance(entry, dict) else {"name": entry}


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
    ends = seen.extensions
    if seen.opaque or seen.archive:
        ask = "The archive in each artifact, such as *.tar.gz; nothing if the artifact holds the files themselves"
        guesses.append(Guess(key="ci.archive", value="", source=NOTHING, question=ask))
    elif ends:
        archive = f"*.{ends[0]}" if len(ends) == 1 else f"*.{{{','.join(ends)}}}"
        guesses.append(Guess(key="ci.archive", value=archive, source=place))
    if ends and (seen.library or seen.members.platforms):
        ask = "How many folders lie around the files in the archives"
        guesses.append(Guess(key="ci.strip-components", value=0, source=NOTHING, question=ask))
    return guesses


def _archive_of_tool(tool: Archives) -> list[Guess]:
    if tool.bare:
        return []
    if not (name := archive_name(tool)):
        ask = "The archives' names, with {version} and {build}"
        return [Guess(key="ci.archive", value="*_{build}.*", source=tool.file, question=ask)]
    ends = f"{{{','.join(tool.extensions)}}}" if len(tool.extensions) > 1 else "".join(tool.extensions)
    return [Guess(key="ci.archive", value=f"{name}.{ends}", source=tool.file)]


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
    found = pattern([(one.folder, values_of(one)) for one in own.platforms if one.folder])
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


def _version(seen: Seen) -> str:
    told = str(seen.meta.manifest.get("version", "")) if seen.meta else ""
    newest = next((found[2] for tag in seen.repository.tags if (found := TAG.fullmatch(tag))), "")
    return newest if told in ("", "0.0.0") else told


def _publishing(workflows: Sequence[Workflow]) -> Iterator[str]:
    """Yield for each workflow the steps that do what flotilla does."""
    files: dict[str, list[str]] = {}
    for place, command in dict.fromkeys(one for workflow in workflows for one in workflow.publishes):
        file, _, line = place.rpartition(":")
        files.setdefault(file, []).append(f"{command} (line {line})")
    for file, commands in files.items():
        yield f"{file} runs {', '.join(commands)}. flotilla publishes and releases: remove what would do the same."


def _others(own: Members) -> Iterator[str]:
    for name in own.others:
        yield f"{name} is another family: run flotilla init again, with --family {name} and --config for another file."
