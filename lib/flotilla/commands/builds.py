"""Platforms that the names of artifacts, archives and packages tell: linux-x64, x86_64-unknown-linux-gnu, macos-13."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from flotilla.commands.workflows import Upload, Workflow
from flotilla.family.platforms import CPU, CPU_ALIASES, OS, OS_ALIASES, PIECES, WASM_WORDS

TOKEN = re.compile(r"x86[_-]64|[a-z0-9]+", re.IGNORECASE)
# A label of GitHub's runners, which many workflows put into the names of artifacts.
RUNNER = re.compile(r"\b(ubuntu|macos|windows)-(?:latest|(\d+)(?:\.\d+)?)(?:-(arm|intel|large|xlarge))?\b")
OLDEST_ARM_MACOS = 14
MORE_OS = {"androideabi": "android"}
MORE_CPU = {"riscv64gc": "riscv64", "androideabi": "arm", "x86_64": "x64", "x86-64": "x64"}
KNOWN = PIECES | {*MORE_CPU, "all", "wasip1", "threads"}
SEPARATORS = "-_."
EVERY_MAC = ("x64", "arm64")


@dataclass(frozen=True, kw_only=True)
class Named:
    """A text that names a platform: what stands before its word, the word, what stands after it, and what it means.

    Args:
        libc: glibc or musl if the word says so, else empty.
    """

    before: str
    word: str
    after: str
    os: tuple[str, ...]
    cpu: tuple[str, ...]
    libc: str = ""

    @property
    def name(self) -> str:
        """Return the platform's name in npm's words; glibc goes without saying."""
        if not self.os:
            return "wasm32-wasi"
        cpu = "universal" if len(self.cpu) > 1 else self.cpu[0]
        return f"{self.os[0]}-{cpu}" + ("-musl" if self.libc == "musl" else "")

    def same_machine(self, other: Named) -> bool:
        """Return whether both mean the same machine; a libc that only one of them names does not tell them apart."""
        libcs = {self.libc, other.libc} - {""}
        return self.os == other.os and set(self.cpu) == set(other.cpu) and len(libcs) < 2  # noqa: PLR2004


@dataclass(frozen=True, kw_only=True)
class Build:
    """The artifacts of a workflow that differ only in platform and variant.

    Args:
        workflow: the workflow.
        artifact: the template of their name.
        platforms: what each names, by the word that {build} stands for.
        variants: what {variant} or {suffix} stands for.
        uploads: the artifacts.
        systems: words for a system alone, of artifacts that tell no processor (bindings-freebsd), by npm's word.
    """

    workflow: Workflow
    artifact: str
    platforms: Mapping[str, Named]
    variants: tuple[str, ...] = ()
    uploads: tuple[Upload, ...] = field(default=(), repr=False)
    systems: Mapping[str, str] = field(default_factory=dict)


def named(text: str) -> Named | None:
    """Return the platform that a text names, None if it names none."""
    if label := RUNNER.search(text):
        return _runner(text, label)
    for first, last in _runs(text):
        word = text[first:last]
        system, cpu, libc = _read([token[0].lower() for token in TOKEN.finditer(word)])
        if cpu and (system or cpu == ("wasm32",)):
            return Named(before=text[:first], word=word, after=text[last:], os=system, cpu=cpu, libc=libc)
    return None


def _runner(text: str, label: re.Match[str]) -> Named:
    system, version, kind = label[1], int(label[2] or 99), label[3]
    intel_mac = kind in ("intel", "large") or (kind != "xlarge" and version < OLDEST_ARM_MACOS)
    arm = kind == "arm" or (system == "macos" and not intel_mac)
    return Named(
        before=text[: label.start()],
        word=label[0],
        after=text[label.end() :],
        os=({"ubuntu": "linux", "macos": "darwin", "windows": "win32"}[system],),
        cpu=("arm64",) if arm else ("x64",),
    )


def _runs(text: str) -> Iterator[tuple[int, int]]:
    """Yield where words of platforms stand side by side."""
    first = last = -1
    for token in TOKEN.finditer(text):
        known = token[0].lower() in KNOWN
        if first >= 0 and (not known or text[last : token.start()] not in (*SEPARATORS,)):
            yield first, last
            first = -1
        if known:
            first, last = (token.start() if first < 0 else first), token.end()
    if first >= 0:
        yield first, last


def _read(words: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...], str]:
    if set(words) & set(WASM_WORDS):
        return (), ("wasm32",), ""
    others, aliases = {**OS_ALIASES, **MORE_OS}, {**CPU_ALIASES, **MORE_CPU}
    systems = [word if word in OS else others[word] for word in words if word in OS or word in others]
    cpus = [word if word in CPU else aliases[word] for word in words if word in CPU or word in aliases]
    system = next((one for one in ("android", "ios", "openharmony") if one in systems), systems[0] if systems else "")
    cpu = tuple(cpus[:1])
    if system == "darwin" and {"universal", "all"} & set(words):
        cpu = EVERY_MAC
    gnu = any(word.startswith(("gnu", "glibc", "linuxgnu")) for word in words)
    musl = any("musl" in word or word == "alpine" for word in words)
    libc = ("musl" if musl else "glibc" if gnu else "") if system == "linux" else ""
    return (system,) if system else (), cpu, libc


def builds(workflows: Sequence[Workflow], *, variants: int, wanted: Sequence[Named]) -> list[Build]:
    """Return what the workflows build for several platforms, the best first.

    Args:
        variants: how many the repository's packages have; 0 if they do not tell.
        wanted: the platforms of these packages; what builds most of them is best, else what builds for most platforms.
    """
    found = [build for workflow in workflows for build in _of_workflow(workflow, variants)]
    automatic = {"push", "workflow_dispatch", "schedule", "merge_group", "release"}

    def worth(build: Build) -> tuple[int, int, bool]:
        matched = [word for word in words_of(wanted, build.platforms) if word]
        return len(matched), len(build.platforms), bool(build.workflow.triggers & automatic)

    least = 1 if wanted else 0
    return [
        one
        for one in sorted(found, key=worth, reverse=True)
        if worth(one)[0] >= least and (wanted or worth(one)[1] > 1)
    ]


def words_of(platforms: Sequence[Named], words: Mapping[str, Named]) -> list[str]:
    """Return what CI calls each platform, empty where it has none; the same libc is better than one not told."""
    found: dict[int, str] = {}
    for exactly in (True, False):
        for index, platform in enumerate(platforms):
            free = [word for word, one in words.items() if one.same_machine(platform) and word not in found.values()]
            free = [word for word in free if not exactly or words[word].libc == platform.libc]
            if index not in found and free:
                found[index] = free[0]
    return [found.get(index, "") for index in range(len(platforms))]


def _of_workflow(workflow: Workflow, variants: int) -> Iterator[Build]:
    groups: dict[tuple[str, str], list[tuple[Named, Upload]]] = {}
    for upload in workflow.uploads:
        if (one := named(upload.name)) and "*" not in upload.name:
            groups.setdefault((one.before, one.after), []).append((one, upload))
    for befores, afters in _merged(list(groups), variants):
        together = [pair for key in groups if key[0] in befores and key[1] in afters for pair in groups[key]]
        before, names = _template(befores)
        after, after_names = _template(afters)
        yield Build(
            workflow=workflow,
            artifact=f"{before}{{build}}{after}",
            platforms={one.word: one for one, _ in together},
            variants=tuple(names or after_names),
            uploads=tuple(upload for _, upload in together),
            systems=_systems(workflow, before, after),
        )


def _systems(workflow: Workflow, before: str, after: str) -> dict[str, str]:
    names = [
        upload.name for upload in workflow.uploads if upload.name.startswith(before) and upload.name.endswith(after)
    ]
    words = [name[len(before) : len(name) - len(after)] for name in names]
    return {OS_ALIASES.get(word, word): word for word in words if word in OS or word in OS_ALIASES}


def _merged(keys: Sequence[tuple[str, str]], variants: int) -> Iterator[tuple[list[str], list[str]]]:
    """Yield what stands before and after the platforms of one build: several of one kind if it has variants."""
    befores, afters = list(dict.fromkeys(b for b, _ in keys)), list(dict.fromkeys(a for _, a in keys))
    several = max(len(befores), len(afters))
    if min(len(befores), len(afters)) == 1 < several and (variants == several or (not variants and len(befores) == 1)):
        yield befores, afters
    else:
        yield from (([before], [after]) for before, after in keys)


def _template(texts: Sequence[str]) -> tuple[str, list[str]]:
    """Return a template of these texts with {variant} or {suffix} where they differ, and what stands there."""
    if len(texts) == 1:
        return texts[0], []
    if "" in texts:
        return "{suffix}", [text.lstrip(SEPARATORS) for text in texts]
    begin = os.path.commonprefix(list(texts))  # noqa: RUF071 - characters are meant
    begin = begin[: max((begin.rfind(mark) for mark in SEPARATORS), default=-1) + 1]
    rests = [text.removeprefix(begin) for text in texts]
    end = os.path.commonprefix([rest[::-1] for rest in rests])[::-1]  # noqa: RUF071
    starts = [end.find(mark) for mark in SEPARATORS if mark in end]
    end = end[min(starts) :] if starts else ""
    return f"{begin}{{variant}}{end}", [rest.removesuffix(end) if end else rest for rest in rests]
