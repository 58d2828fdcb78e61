"""flotilla doctor: examine a published family, whoever published it, without an account."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Literal

from tabulate import tabulate

from flotilla.errors import ArchiveError, InputError
from flotilla.family import Limits, Platform
from flotilla.npm import Npm, Packument, PublishedVersion, Registry, Statement, registry_url, sha512_of, stated
from flotilla.packing import binary_faults, extract
from flotilla.retry import RetryPolicy, StopFlag, SystemClock, gather, until
from flotilla.runner import Runner
from flotilla.text import one_line

MINUTES = 15.0
EXACT = re.compile(r"v?\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?")
ALIAS = re.compile(r"npm:(?P<name>@?[^@]+)@(?P<range>.+)")
LIBC_IN_NAME = re.compile(r"-?(musl|gnu|glibc)")
WASM = "wasm32"
WORDS = ("os", "cpu", "libc")
INSTALL_SCRIPTS = ("preinstall", "install", "postinstall")


@dataclass(frozen=True, kw_only=True)
class Kind:
    """What a kind of finding means.

    Args:
        severity: an error breaks installs now; a warning broke some, or will.
        means: what users get.
        fix: what the maintainer can do.
    """

    severity: Literal["error", "warning"]
    means: str
    fix: str


KINDS: Mapping[str, Kind] = {
    "no-platforms": Kind(
        severity="error",
        means="the package pins no platform package in its optionalDependencies",
        fix="If this is a platform package itself, examine the package that users install.",
    ),
    "missing": Kind(
        severity="error",
        means="npm leaves a missing optional dependency out without an error, so the program has no binary there",
        fix="Publish the missing packages at this version, or a new version of the whole family.",
    ),
    "binary": Kind(
        severity="error",
        means="the binaries do not run on the platform of their package",
        fix="Publish a new version whose packages hold the binaries of their own platform.",
    ),
    "libc": Kind(
        severity="error",
        means="without libc in the manifest, npm installs the package on glibc and on musl (Alpine) alike",
        fix='Give the manifest "libc": ["glibc"] or "libc": ["musl"].',
    ),
    "range": Kind(
        severity="warning",
        means="a platform package pinned by a range arrives in a version that nobody tested with this one",
        fix="Pin each platform package to one exact version.",
    ),
    "wasm": Kind(
        severity="warning",
        means="no machine has the cpu wasm32, so npm never installs the package",
        fix="Leave it out of optionalDependencies, or leave cpu out of its manifest if every user should get it.",
    ),
    "no-platform": Kind(
        severity="warning",
        means="a package with neither os nor cpu is downloaded by every user",
        fix="Give its manifest os and cpu; a WebAssembly package is better not pinned.",
    ),
    "install-script": Kind(
        severity="warning",
        means="npm 12 runs no install script that the user has not allowed",
        fix="Let a launcher find the platform package at run time; then no script is needed.",
    ),
    "younger": Kind(
        severity="warning",
        means="installs between the two times lacked the platform package, and lock files made then still do",
        fix="Publish the meta package last, once every platform package is visible.",
    ),
    "dist-tag": Kind(
        severity="warning",
        means="npm install of the platform package alone gives another version than the family's",
        fix="npm dist-tag add NAME@VERSION latest",
    ),
    "provenance": Kind(
        severity="warning",
        means="nobody can tell that the packages were built together",
        fix="Publish the whole family from one commit, with provenance for each package.",
    ),
}


@dataclass(frozen=True, kw_only=True)
class Finding:
    """Something that is wrong with a published family.

    Args:
        kind: a key of KINDS.
        package: the package it is about, NAME@VERSION.
        text: what was found.
    """

    kind: str
    package: str
    text: str


@dataclass(frozen=True, kw_only=True)
class Member:
    """A package that the meta package pins.

    Args:
        pin: the range in the meta package.
        name: the package's name on the registry; another than the pinned one if the pin is an alias.
        version: the pinned version; None if the pin is a range.
        packument: None if the registry has no such package.
    """

    pin: str
    name: str
    version: str | None
    packument: Packument | None

    @property
    def found(self) -> PublishedVersion | None:
        """Return the pinned version as the registry has it."""
        return self.packument.versions.get(self.version or "") if self.packument else None

    @property
    def label(self) -> str:
        """Return NAME@VERSION, or NAME@RANGE."""
        return f"{self.name}@{self.version or self.pin}"

    def words(self, key: str) -> tuple[str, ...]:
        """Return the manifest's os, cpu or libc."""
        value = self.found.manifest.get(key) if self.found else None
        listed = value if isinstance(value, list) else [value]
        return tuple(word for word in listed if isinstance(word, str))


@dataclass(frozen=True, kw_only=True)
class Examined:
    """A family as the registry has it.

    Args:
        meta: the package that users install.
        times: when each version of the meta package was published.
        members: the packages it pins, sorted by name.
        statements: the provenance of the meta package and the members that have one, by NAME@VERSION.
        latest: whether the examined version is the one that `npm install` chooses.
    """

    meta: PublishedVersion
    times: Mapping[str, datetime]
    members: tuple[Member, ...]
    statements: Mapping[str, Statement | None]
    latest: bool

    @property
    def label(self) -> str:
        """Return the meta package's NAME@VERSION."""
        return f"{self.meta.name}@{self.meta.version}"


def doctor(
    name: str,
    environment: Mapping[str, str],
    runner: Runner,
    *,
    registry: str = "",
    with_binaries: bool = False,
    json_wanted: bool = False,
) -> int:
    """Examine a published family and print what is wrong with it.

    Args:
        name: the package that users install, NAME or NAME@VERSION; a dist-tag may stand for the version.
        environment: has NPM_TOKEN, if the family is private.
        runner: prints the report.
        registry: the registry's URL; empty for the one that npm is configured for.
        with_binaries: whether to download each platform package and check its binaries, too.
        json_wanted: whether to print JSON.

    Returns:
        1 if there is an error that breaks installs now, otherwise 0.

    Raises:
        InputError: there is no such package or version.
        RegistryError: the registry refuses or cannot be understood; likewise DeadlineError.
    """
    clock = SystemClock()
    policy = RetryPolicy(deadline=until(MINUTES, clock), clock=clock)
    url = registry_url(registry) if registry else Npm(environment=environment).configured_registry(Path.cwd())
    reads = Registry(url, token=environment.get("NPM_TOKEN", "").strip() or None, policy=policy)
    package, _, version = name[1:].partition("@")
    family = examine(reads, name[:1] + package, version=version or "latest", stop=policy.stop)
    found = findings(family)
    if with_binaries:
        found += binary_findings(reads, family, stop=policy.stop)
    runner.line((as_json if json_wanted else text)(family, found))
    return int(any(KINDS[one.kind].severity == "error" for one in found))


def examine(registry: Registry, name: str, *, version: str = "latest", stop: StopFlag) -> Examined:
    """Read a family from the registry.

    Args:
        registry: where to read.
        name: the meta package.
        version: a version or a dist-tag of it.
        stop: ends the reading if the command is cancelled.

    Raises:
        InputError: there is no such package or version.
        RegistryError: the registry refuses or cannot be understood.
    """
    packument = registry.fresh(name)
    if packument is None:
        raise InputError(f"{registry.url} has no package {name}.", advice="Check the name, or add --registry URL.")
    number = packument.dist_tags.get(version, version)
    if number not in packument.versions:
        tags = ", ".join(sorted(packument.dist_tags)) or "none"
        raise InputError(
            f"{name} has no version or dist-tag {one_line(version)} (dist-tags: {tags}).",
            advice="Choose one that exists.",
        )
    meta = packument.versions[number]
    pins = list(_pins(meta))
    names = sorted({each for each, _, _ in pins})
    read = dict(zip(names, gather([partial(registry.fresh, each) for each in names], stop=stop), strict=True))
    members = tuple(
        Member(pin=pin, name=each, version=exact, packument=read[each]) for each, pin, exact in sorted(pins)
    )
    signed = [found for found in (meta, *(member.found for member in members)) if found and found.attestations]
    statements = gather([partial(_statement, registry, each) for each in signed], stop=stop)
    return Examined(
        meta=meta,
        times=packument.times,
        members=members,
        statements={f"{each.name}@{each.version}": one for each, one in zip(signed, statements, strict=True)},
        latest=packument.dist_tags.get("latest") == number,
    )


def findings(family: Examined) -> list[Finding]:
    """Return what is wrong with a family, as far as the registry's answers show it."""
    none = Finding(kind="no-platforms", package=family.label, text=f"{family.label} has no platform packages")
    return [
        *([] if family.members else [none]),
        *(found for member in family.members for found in _member_findings(member, family)),
        *_libc_findings(family.members),
        *_script_findings(family),
        *_provenance_findings(family),
    ]


def binary_findings(registry: Registry, family: Examined, *, stop: StopFlag) -> list[Finding]:
    """Download each member and return what is wrong with its binaries."""
    found = []
    for member in family.members:
        if member.found:
            with tempfile.TemporaryDirectory(prefix="flotilla-doctor-") as folder:
                found += list(_of_binaries(registry, member, member.found, Path(folder), stop))
    return found


def text(family: Examined, found: Sequence[Finding]) -> str:
    """Return the report for a person."""
    rows = [_row(member, found) for member in family.members]
    several = "" if len(rows) == 1 else "s"
    lines = [f"{family.label}: {len(rows)} platform package{several}", ""]
    if rows:
        headers = ("package", "pinned", "os", "cpu", "libc", "")
        lines += [tabulate(rows, headers, disable_numparse=True), ""]
    for name, kind in KINDS.items():
        if same := [one for one in found if one.kind == name]:
            lines += [f"{kind.severity}: {name}: {kind.means}", *(f"  {one.text}" for one in same), f"  {kind.fix}", ""]
    return "\n".join([*lines, _counted(family, found)])


def _row(member: Member, found: Sequence[Finding]) -> tuple[str, ...]:
    kinds = dict.fromkeys(one.kind for one in found if one.package == member.label)
    mark = f"✗ {', '.join(kinds)}" if kinds else "✓"
    return member.name, member.version or member.pin, *(" ".join(member.words(key)) for key in WORDS), mark


def _counted(family: Examined, found: Sequence[Finding]) -> str:
    errors = sum(KINDS[one.kind].severity == "error" for one in found)
    warnings = len(found) - errors
    return (
        f"{family.label}: {errors} error{'' if errors == 1 else 's'}, {warnings} warning{'' if warnings == 1 else 's'}"
    )


def as_json(family: Examined, found: Sequence[Finding]) -> str:
    """Return the report for a program."""
    members = [
        {
            "name": member.name,
            "pin": member.pin,
            "version": member.version,
            **{key: list(member.words(key)) for key in WORDS},
        }
        for member in family.members
    ]
    made = {
        "name": family.meta.name,
        "version": family.meta.version,
        "members": members,
        "findings": [{"severity": KINDS[one.kind].severity, **asdict(one)} for one in found],
    }
    return json.dumps(made, indent=2, ensure_ascii=False)


def _pins(meta: PublishedVersion) -> Iterator[tuple[str, str, str | None]]:
    """Yield name, pin and exact version of each optional dependency that belongs to the family.

    An exact pin is a member's. A range is one only under the meta package's own name or scope: fsevents is not.
    """
    pinned = meta.manifest.get("optionalDependencies")
    for name, pin in pinned.items() if isinstance(pinned, dict) else ():
        if not isinstance(pin, str):
            continue
        alias = ALIAS.fullmatch(pin)
        real, wanted = (alias["name"], alias["range"]) if alias else (name, pin)
        if EXACT.fullmatch(wanted):
            yield real, pin, wanted.removeprefix("v")
        elif real.startswith((f"{meta.name}-", f"{meta.name}/", f"@{meta.name}/", *_scope(meta.name))):
            yield real, pin, None


def _scope(name: str) -> tuple[str, ...]:
    return (f"{name.partition('/')[0]}/",) if name.startswith("@") else ()


def _statement(registry: Registry, published: PublishedVersion) -> Statement | None:
    return stated(registry.attestations(published))


def _member_findings(member: Member, family: Examined) -> Iterator[Finding]:
    def found(kind: str, text: str) -> Finding:
        return Finding(kind=kind, package=member.label, text=text)

    if member.version is None:
        yield found("range", f"{member.name} is pinned by {one_line(member.pin)}")
    elif member.packument is None:
        yield found("missing", f"{member.label}: the registry has no such package")
    elif member.found is None:
        latest = member.packument.dist_tags.get("latest", "none")
        yield found("missing", f"{member.label}: the registry has the package, but not this version (latest: {latest})")
    else:
        if member.words("cpu") == (WASM,):
            yield found("wasm", f"{member.label} is pinned and has the cpu {WASM}")
        elif not member.words("os") and not member.words("cpu"):
            yield found("no-platform", f"{member.label} is pinned and has neither os nor cpu")
        latest = member.packument.dist_tags.get("latest", "no version")
        if family.latest and latest != member.version and member.name != family.meta.name:
            yield found("dist-tag", f"{member.name}: latest is {latest}, but {family.label} pins {member.version}")
        theirs, ours = member.packument.times.get(member.version), family.times.get(family.meta.version)
        if theirs and ours and theirs > ours:
            yield found("younger", f"{member.label}: published {theirs:%Y-%m-%d %H:%M:%S}, the meta {ours:%H:%M:%S}")


def _libc_findings(members: Sequence[Member]) -> Iterator[Finding]:
    """Yield each Linux package without libc that is for musl by its name, or has a twin for another libc."""
    linux = [member for member in members if "linux" in member.words("os")]
    stems = [LIBC_IN_NAME.sub("", f"{member.name} {member.words('cpu')}") for member in linux]
    for member, stem in zip(linux, stems, strict=True):
        if not member.words("libc") and (stems.count(stem) > 1 or "musl" in member.name):
            yield Finding(kind="libc", package=member.label, text=f"{member.label} has no libc")


def _script_findings(family: Examined) -> Iterator[Finding]:
    for found in (family.meta, *(member.found for member in family.members)):
        scripts = found.manifest.get("scripts") if found else None
        run = [name for name in INSTALL_SCRIPTS if isinstance(scripts, dict) and name in scripts]
        if found and run:
            label = f"{found.name}@{found.version}"
            yield Finding(kind="install-script", package=label, text=f"{label} has {' and '.join(run)}")


def _provenance_findings(family: Examined) -> Iterator[Finding]:
    """Yield what the statements of the packages of the meta package's own version contradict."""
    ours = family.statements.get(family.label)
    for member in family.members:
        found, theirs = member.found, family.statements.get(member.label)
        if found is None or member.version != family.meta.version:
            continue
        if found.attestations and theirs is None:
            why = f"the provenance of {member.label} cannot be read"
        elif theirs and theirs.sha512 != sha512_of(found.integrity):
            why = f"the provenance of {member.label} is about another tarball"
        elif bool(found.attestations) != bool(family.meta.attestations):
            has, lacks = (member.label, family.label) if found.attestations else (family.label, member.label)
            why = f"{has} has provenance, but {lacks} has none"
        elif theirs and ours and theirs.repository == ours.repository and theirs.commit != ours.commit:
            why = f"{member.label} is of the commit {theirs.commit[:12]}, but {family.label} of {ours.commit[:12]}"
        else:
            continue
        yield Finding(kind="provenance", package=member.label, text=why)


def _of_binaries(
    registry: Registry, member: Member, found: PublishedVersion, folder: Path, stop: StopFlag
) -> Iterator[Finding]:
    tarball, content = folder / "package.tgz", folder / "content"
    registry.download(found, tarball)
    try:
        extract(tarball, content, strip_components=1, limits=Limits(), stop=stop)
        wrong = binary_faults(content, _platform(member))
    except ArchiveError as error:
        wrong = [fault.text for fault in error.faults]
    for line in wrong:
        yield Finding(kind="binary", package=member.label, text=f"{member.label}: {line}")


def _platform(member: Member) -> Platform:
    os, cpu, libc = map(member.words, WORDS)
    return Platform(name=member.name, os=os, cpu=cpu, libc=libc, build=member.name)
