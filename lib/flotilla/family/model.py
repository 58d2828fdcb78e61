"""What flotilla.yml says, and what a release is made of: frozen values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from flotilla.errors import Fault

Access = Literal["public", "restricted"]
Provenance = Literal["auto", "true", "false"]
Kind = Literal["platform", "dev", "meta"]
Binaries = Literal["check", "none", "unchecked"]
Key = tuple[str | int, ...]
Manifest = Mapping[str, object]
"""A package.json."""

MEGABYTE = 1_000_000
WASM = "wasm32"
ROOT = "."  # as a template: the folder of flotilla.yml itself, of which npm's rules choose


@dataclass(frozen=True, kw_only=True)
class Platform:
    """A machine that binaries are built for, in npm's own words.

    Args:
        name: what packages call it ("linux-x64-musl").
        os: npm's os words; empty for wasm32, which runs on any.
        cpu: npm's cpu words; several for a universal binary.
        libc: npm's libc words; empty if npm need not check it.
        build: what CI calls it.
        glibc: the newest glibc version that its binaries may ask for ("2.28"), None for no floor.
        glibcxx: the same of libstdc++'s GLIBCXX ("3.4.25").
        macos: the same of macOS ("11.0").
        libraries: patterns of the libraries that users must have installed.
        binaries: whether they are checked, or must not be there ("none").
        pin: whether the meta package pins its package.
    """

    name: str
    os: tuple[str, ...]
    cpu: tuple[str, ...]
    libc: tuple[str, ...] = ()
    build: str
    glibc: str | None = None
    glibcxx: str | None = None
    macos: str | None = None
    libraries: tuple[str, ...] = ()
    binaries: Binaries = "check"
    pin: bool = True

    @property
    def wasm(self) -> bool:
        """Tell whether it is WebAssembly and nothing else; no machine has that as its cpu."""
        return self.cpu == (WASM,)


@dataclass(frozen=True, kw_only=True)
class Variant:
    """One of the ways a family is built; a family with one, unnamed variant has it with empty name and suffix."""

    name: str = ""
    suffix: str = ""
    license: str | None = None


@dataclass(frozen=True, kw_only=True)
class Ci:
    """Where the binaries come from.

    Args:
        workflow: the CI workflow's file name, without its folder.
        artifact: template of the artifact's name.
        archive: pattern of the archive inside the artifact; None if the artifact contains the files themselves.
        root: template of the folder, in the archive or else in the artifact, that files are taken from; None takes all.
        strip_components: leading folders of the archive to drop.
        pull_requests: whether a run of a pull request of this repository may be released.
        jobs: names or patterns of the jobs that must have succeeded, if the job releases what its own run has built.
    """

    workflow: str
    artifact: str
    archive: str | None = None
    root: str | None = None
    strip_components: int = 0
    pull_requests: bool = False
    jobs: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Placed:
    """Files of an artifact that have another path in the package.

    Args:
        source: pattern of the files.
        to: the one file's path in the package, or a folder that ends in a slash.
    """

    source: str
    to: str


FileChoice = str | Placed
"""A pattern of files that keep their paths, or files with another path."""


@dataclass(frozen=True, kw_only=True)
class Launcher:
    """The generated entry of the meta packages, which finds the platform package of a user's machine.

    Args:
        bin: the name of the program that it runs; None for a library that it loads.
    """

    bin: str | None


@dataclass(frozen=True, kw_only=True)
class PackageSpec:
    """How the packages of one kind are made.

    Args:
        key: the keys and indices of flotilla.yml that lead to this.
        name: template of the npm name.
        template: template of the folder that is copied in, relative to flotilla.yml, None for a generated manifest.
        files: what is taken from the artifact; empty takes all of it.
        executables: patterns of files that are 0755 besides what is plainly executable.
        artifact: template of the name of an artifact of its own; None for that of the platform, or for none at all.
        archive: pattern of the archive in the artifact of its own, None if the artifact contains the files.
        version: template of a version of its own.
        launcher: the generated entry of a meta package, None for none.
    """

    key: Key = field(default=(), compare=False)
    name: str
    template: str | None = None
    artifact: str | None = None
    archive: str | None = None
    files: tuple[FileChoice, ...] = ()
    executables: tuple[str, ...] = ()
    version: str = "{version}"
    launcher: Launcher | None = None


@dataclass(frozen=True, kw_only=True)
class DevSpec(PackageSpec):
    """How a dev package is made, and the platform and variant whose artifact its files come from."""

    from_platform: str
    from_variant: str


@dataclass(frozen=True, kw_only=True)
class PackagesSpec:
    """How the packages of each kind are made; dev is empty and meta None if the family has none."""

    platform: PackageSpec
    dev: tuple[DevSpec, ...] = ()
    meta: PackageSpec | None


@dataclass(frozen=True, kw_only=True)
class ReleaseSpec:
    """How the GitHub release is made.

    Args:
        tag: template of the tag; "none" for versions without a tag and a release.
        assets: patterns of the artifacts' files that become assets.
        notes: "generate", or the path of a file in the repository (placeholders are rendered by Family.notes).
    """

    tag: str = "v{version}"
    assets: tuple[str, ...] = ()
    notes: str = "generate"


@dataclass(frozen=True, kw_only=True)
class PublishSpec:
    """How packages are published.

    Args:
        access: public or restricted.
        dist_tag: the default of the input of that name; None to derive it from the version.
        pause_seconds: seconds between two publishes of a job.
        provenance: the default of the input of that name.
        package_size: the most bytes that a packed package may have.
    """

    access: Access = "public"
    dist_tag: str | None = None
    pause_seconds: float = 5
    provenance: Provenance = "auto"
    package_size: int = 200 * MEGABYTE


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What an archive may hold at the most.

    Args:
        extracted_bytes: bytes of all its files together.
        files: entries.
        ratio: extracted bytes per byte of the archive.
    """

    extracted_bytes: int = 4096 * MEGABYTE
    files: int = 50_000
    ratio: int = 200


@dataclass(frozen=True, kw_only=True)
class Config:
    """A whole flotilla.yml, checked.

    Args:
        warnings: what may be wrong in it, each with its place.
    """

    schema: int = 1
    family: str
    platforms: tuple[Platform, ...]
    variants: tuple[Variant, ...]
    ci: Ci
    packages: PackagesSpec
    release: ReleaseSpec
    publish: PublishSpec
    limits: Limits
    warnings: tuple[Fault, ...] = field(default=(), compare=False)


@dataclass(frozen=True, kw_only=True)
class Archive:
    """The archive in an artifact that files are taken from.

    Args:
        pattern: matches one file of the artifact.
        strip_components: leading folders of the archive to drop.
    """

    pattern: str
    strip_components: int = 0


@dataclass(frozen=True, kw_only=True)
class Need:
    """What the family takes from an artifact of the CI run; one artifact may serve several.

    Args:
        archive: the archive in it; None if the artifact contains the files.
        root: the folder in it that the files are taken from; None takes all.
        placeholders: what each placeholder stands for in patterns of these files.
    """

    artifact: str
    archive: Archive | None = None
    root: str | None = None
    platform: Platform | None
    variant: Variant
    placeholders: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Siblings:
    """What a package's manifest must know of its family.

    Args:
        versions: of every package of the family, by name.
        platform_names: templates of the platform packages' names, one a variant, with placeholders of platforms only.
        platforms: those of the family.
    """

    versions: Mapping[str, str] = field(default_factory=dict)
    platform_names: tuple[str, ...] = ()
    platforms: tuple[Platform, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Package:
    """One npm package of a family, at one version.

    Args:
        kind: platform, dev or meta.
        key: the keys and indices of flotilla.yml that lead to what describes it.
        name: the npm name.
        version: the version of the family, or its own.
        platform: None for a meta package; for a dev package the one its files come from.
        variant: its variant; for a dev package the one its files come from.
        artifact: the CI artifact that its files come from, None for a package without.
        archive: the archive in the artifact, None if the artifact holds the files.
        root: the folder in it that the files are taken from; None takes all.
        template: the folder copied in, a posix path relative to flotilla.yml, None for a generated manifest.
        files: what is taken from the artifact; empty takes all of it.
        executables: patterns of files that are 0755 besides what is plainly executable.
        placeholders: what each placeholder stands for in this package.
        siblings: the family that it is of.
        pins: the platforms whose packages a meta package pins, by package name; unpinned ones are left out.
        launcher: the family's launcher: a meta package has it, and a platform package is what it finds.
    """

    kind: Kind
    key: Key = ()
    name: str
    version: str
    platform: Platform | None
    variant: Variant | None
    artifact: str | None
    archive: Archive | None = None
    root: str | None = None
    template: str | None
    files: tuple[FileChoice, ...] = ()
    executables: tuple[str, ...] = ()
    placeholders: Mapping[str, str] = field(default_factory=dict)
    siblings: Siblings = field(default_factory=Siblings, repr=False)
    pins: Mapping[str, Platform] = field(default_factory=dict)
    launcher: Launcher | None = None

    @property
    def depends_on(self) -> tuple[str, ...]:
        """Return the names that a meta package pins."""
        return tuple(self.pins)

    @property
    def sources(self) -> tuple[str, ...]:
        """Return the patterns of the artifact's files that are taken; none takes all."""
        return tuple(choice.source if isinstance(choice, Placed) else choice for choice in self.files)


@dataclass(frozen=True, kw_only=True)
class DistTag:
    """The dist-tag of a release.

    Args:
        given: set in flotilla.yml or as an input, not derived from the version.
    """

    name: str
    given: bool = False

    def __str__(self) -> str:
        """Return the name."""
        return self.name


@dataclass(frozen=True, kw_only=True)
class BuiltPackage:
    """A package as it will be published, packed or not.

    Args:
        manifest: its package.json.
    """

    name: str
    version: str
    manifest: Mapping[str, object]

    def __str__(self) -> str:
        """Return name@version."""
        return f"{self.name}@{self.version}"


@dataclass(frozen=True, kw_only=True)
class PackedPackage(BuiltPackage):
    """A package and its tarball, ready to publish.

    Args:
        path: the tarball.
        integrity: sha512 of the tarball, as npm writes it.
        shasum: sha1 of the tarball in hexadecimal; staged versions show no better.
        size: bytes of the tarball.
    """

    path: Path
    integrity: str
    shasum: str
    size: int
