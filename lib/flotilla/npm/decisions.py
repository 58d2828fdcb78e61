"""Decide about a package before anything is written: publish it, already published, a conflict, or refused by npm."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, assert_never

from flotilla.errors import ConflictError
from flotilla.family.model import BuiltPackage, DistTag, PackedPackage
from flotilla.npm.cli import ID_TOKEN_BEARER, ID_TOKEN_URL, Staged, scope_of
from flotilla.npm.manifest_diff import Manifest, version_differences
from flotilla.npm.packument import Packument, PublishedVersion, is_own_tarball, same_integrity
from flotilla.npm.registry import path_of

# Returns how a published tarball's files differ from ours, a line each; empty if they do not.
Differs = Callable[[PublishedVersion], Sequence[str]]

OTHER_CONTENT = (
    "Nothing was published. Release under a new version number. Or, if flotilla.yml, the templates or the CI run have "
    "changed since the version was published, re-run with the ones it was made from."
)


# A package's status, from the decision to the output `packages` and the ledger.
Status = Literal["published", "already-published", "staged", "dry-run"]
# Statuses in which the registry has the version.
ON_REGISTRY = frozenset[Status]({"published", "already-published"})


@dataclass(frozen=True, kw_only=True)
class Terms:
    """What is the same for all packages of a release.

    Args:
        repository: OWNER/NAME, for the command that sets up trusted publishing.
        workflow: the file name of the calling workflow, release.yml; empty if unknown.
        staged: packages are staged instead of published.
        below: returns whether the version is lower than the given one.
        registry: the registry's URL.
        dist_tag: the dist-tag of the version.
    """

    repository: str
    workflow: str
    staged: bool
    below: Callable[[str], bool]
    registry: str
    dist_tag: DistTag


@dataclass(frozen=True, kw_only=True)
class Publish:
    """The registry does not have the version: publish it."""

    package: BuiltPackage


@dataclass(frozen=True, kw_only=True)
class AlreadyPublished:
    """The registry has the version, with this content.

    Args:
        wanted: this release's dist-tag. flotilla reports it and never moves it: only a publish sets it.
        wanted_on: the version that this dist-tag points to; None if there is none.
        dist_tag: one of the version's dist-tags, the wanted one if possible; empty if it has none.
        repacked: the registry has another tarball with the same files.
    """

    package: BuiltPackage
    published: PublishedVersion
    wanted: str
    wanted_on: str | None
    dist_tag: str
    repacked: bool

    def next_step(self, below: Callable[[str], bool]) -> str:
        """Return what to do if the dist-tag points elsewhere; empty if it does not.

        Args:
            below: returns whether this version is lower than the given one.
        """
        if self.dist_tag == self.wanted:
            return ""
        has = f'has the dist-tag "{self.dist_tag}", not "{self.wanted}"' if self.dist_tag else "has no dist-tag"
        if self.wanted_on is not None and below(self.wanted_on):
            return f'{has}: "{self.wanted}" points to {self.wanted_on}, a newer version, and stays there'
        on = f"on {self.wanted_on}" if self.wanted_on else "on no version"
        return f'{has}: "{self.wanted}" is {on}. To set it: npm dist-tag add {self.package} {self.wanted}'


@dataclass(frozen=True, kw_only=True)
class AlreadyStaged:
    """The version is staged with this content and awaits approval."""

    package: BuiltPackage
    staged: Staged
    wanted: str

    @property
    def dist_tag(self) -> str:
        """Return the dist-tag that it gets once approved, which was chosen when it was staged."""
        return self.staged.tag or self.wanted

    def next_step(self) -> str:
        """Return what to do if the dist-tag is not the wanted one; empty if it is."""
        if self.dist_tag == self.wanted:
            return ""
        return (
            f'an earlier run staged it with the dist-tag "{self.dist_tag}", not "{self.wanted}"; to change that, '
            f"reject it (npm stage reject {self.staged.id}) and re-run this job"
        )


@dataclass(frozen=True, kw_only=True)
class Conflict:
    """The registry has the version, published or staged, with other content."""

    package: BuiltPackage
    differences: tuple[str, ...]


Decision = Publish | AlreadyPublished | AlreadyStaged | Conflict
Settled = Publish | AlreadyPublished | AlreadyStaged


def decide(
    package: BuiltPackage,
    packument: Packument | None,
    terms: Terms,
    *,
    differs: Differs,
    files: Collection[str],
    staged: Sequence[Staged] = (),
) -> Decision:
    """Return what to do about one package.

    Args:
        package: packed, or not; a package that is not packed is compared by its files.
        packument: freshly read; None if the registry has no such package.
        terms: what is the same for all packages of the release.
        differs: called only if the registry has this version, and not with this very tarball.
        files: the package's paths.
        staged: versions that await approval, as far as the credential can see them; only for a packed package.
    """
    dist_tag = terms.dist_tag.name
    published = packument.versions.get(package.version) if packument else None
    if packument and published:
        integrity = package.integrity if isinstance(package, PackedPackage) else ""
        same = bool(integrity) and same_integrity(integrity, published.integrity)
        # A tarball at another address is a difference already, and must not be fetched.
        own = is_own_tarball(published.tarball, registry=terms.registry, name=package.name, version=package.version)
        changed = differs(published) if own and not same else ()
        # npm installs by the registry's manifest, so comparing the tarball is not enough.
        lines = version_differences(package.manifest, "", published, registry=terms.registry, files=files)
        if differences := (*changed, *(f"manifest: {line}" for line in lines)):
            return Conflict(package=package, differences=differences)
        tags = packument.tags_of(package.version)
        return AlreadyPublished(
            package=package,
            published=published,
            wanted=dist_tag,
            wanted_on=packument.dist_tags.get(dist_tag),
            dist_tag=dist_tag if dist_tag in tags else next(iter(tags), ""),
            repacked=bool(integrity) and not same,
        )
    waiting = next((each for each in staged if each.version == package.version), None)
    if waiting is None or not isinstance(package, PackedPackage):
        return Publish(package=package)
    return _compare_staged(package, waiting, dist_tag)


def decide_all(decisions: Sequence[Decision]) -> tuple[Settled, ...]:
    """Return the decisions for a whole job, in order; any conflict stops the job before it writes anything.

    Raises:
        ConflictError: names every package that exists with other content, and what differs.
    """
    faults: list[str] = []
    settled: list[Settled] = []
    for decision in decisions:
        match decision:
            case Conflict():
                words = "; ".join(decision.differences)
                faults.append(f"{decision.package} is on the registry with other content: {words}")
            case Publish() | AlreadyPublished() | AlreadyStaged():
                settled.append(decision)
            case _:
                assert_never(decision)
    if faults:
        raise ConflictError(faults, advice=OTHER_CONTENT)
    return tuple(settled)


def _compare_staged(package: PackedPackage, waiting: Staged, dist_tag: str) -> Decision:
    if waiting.shasum == package.shasum:
        return AlreadyStaged(package=package, staged=waiting, wanted=dist_tag)
    difference = f"it is staged as {waiting.id} with the shasum {waiting.shasum}; ours is {package.shasum}"
    return Conflict(package=package, differences=(difference,))


# publishConfig may set these; flotilla's flags override them (npm: lib/commands/publish.js, #getManifest).
_OVERRIDDEN = frozenset({"access", "tag", "registry", "provenance"})
# Settings of publishConfig that choose the credential or the connection, and that no flag overrides.
_STEERING = frozenset(
    {"_auth", "ca", "cafile", "cert", "key", "https-proxy", "noproxy", "otp", "provenance-file", "proxy", "strict-ssl"}
)


def refusals(manifest: Manifest, packument: Packument | None, terms: Terms) -> list[str]:
    """Return every reason, a line each, why this package must not be released; the lines do not name it.

    New names are reported once for all packages: see `NEW_NAME`.

    Args:
        manifest: the package.json to be published.
        packument: freshly read; None if the registry has no such package.
    """
    faults, version = manifest_faults(manifest, terms.dist_tag.name), str(manifest["version"])
    if packument is None or is_new(packument):
        return faults
    published = packument.versions.get(version)
    if published is not None:
        return faults + _other_manifest(manifest, published, terms)
    return faults + _burnt(version, packument) + _below_latest(version, packument, terms)


def is_new(packument: Packument | None) -> bool:
    """Return whether the registry has no version of a package yet."""
    return packument is None or not (packument.versions or packument.burnt)


NEW_NAME = "not on the registry yet, and trusted publishing needs an existing package"


def new_names_advice(names: Sequence[str], terms: Terms) -> str:
    """Return what to do about new packages if npm-token is not set.

    Args:
        names: the names of the new packages, at least one.
    """
    command = trust_command(*names, repository=terms.repository, workflow=terms.workflow, staged=terms.staged)
    return f"Publish the first version with npm-token, then run: {command}"


def manifest_faults(manifest: Manifest, dist_tag: str) -> list[str]:
    """Return what in the manifest would override how flotilla publishes: private, tag, publishConfig."""
    faults = []
    if manifest.get("private") is True:
        faults.append('"private": true in its package.json: npm refuses to publish it. Remove it.')
    # libnpmpublish: `const tag = manifest.tag || defaultTag`; no flag beats it.
    if manifest.get("tag") not in (None, "", dist_tag):
        faults.append(f'"tag" in its package.json would override the dist-tag {dist_tag}. Remove it.')
    config = manifest.get("publishConfig")
    return faults + [
        f'publishConfig in its package.json sets "{key}", which would override how flotilla publishes. Remove it.'
        for key in (config if isinstance(config, Mapping) else {})
        if _steers(str(key), str(manifest["name"]))
    ]


def trusted_publishing_faults(registry: str, *, environment: Mapping[str, str]) -> list[str]:
    """Return why no package can be published from this job by trusted publishing; reported before anything else.

    Args:
        registry: the registry's URL.
        environment: the job's.
    """
    checks = {
        (
            "The job lacks `permissions: id-token: write`, which trusted publishing needs. Add it to the job (for a "
            "reusable workflow, also to the job that calls it), or set npm-token."
        ): not (environment.get(ID_TOKEN_URL) and environment.get(ID_TOKEN_BEARER)),
        (
            "Trusted publishing works only on GitHub-hosted runners, and this one is self-hosted. "
            "Publish on a GitHub-hosted runner, or set npm-token."
        ): environment.get("RUNNER_ENVIRONMENT") == "self-hosted",
        # npm asks for its token at the root of the registry's host (npm: lib/utils/oidc.js).
        (
            f"The registry {registry} has a path, but trusted publishing works only with a registry at the root of its "
            "host. Set npm-token for this registry."
        ): bool(path_of(registry)),
    }
    return [words for words, holds in checks.items() if holds]


def trust_command(*names: str, repository: str, workflow: str, staged: bool, environment: str = "") -> str:
    """Return the command with which a maintainer allows this workflow to publish packages; one line of a shell.

    Args:
        names: at least one.
        environment: the deployment environment that the jobs run in; empty for none, or if it is not known.
    """
    words = ["--repo", repository, "--file", workflow or "<workflow file>"]
    words += ["--env", environment] if environment else []
    options = f"{shlex.join(words)} {'--allow-stage-publish' if staged else '--allow-publish'}"
    if len(names) == 1:
        return f"npm trust github {shlex.quote(names[0])} {options}"
    # npm's own advice for many packages (npm: docs/content/commands/npm-trust.md, "Bulk Usage").
    return f'for name in {shlex.join(names)}; do npm trust github "$name" {options} --yes; sleep 2; done'


def _other_manifest(manifest: Manifest, published: PublishedVersion, terms: Terms) -> list[str]:
    differences = version_differences(manifest, "", published, registry=terms.registry)
    if not differences:
        return []
    fault = (
        f"version {published.version} is already on the registry with a different manifest: {'; '.join(differences)}. "
        "Release under a new version number."
    )
    return [fault]


def _burnt(version: str, packument: Packument) -> list[str]:
    if version not in packument.burnt:
        return []
    fault = (
        f"version {version} was published and unpublished earlier; "
        "the registry never accepts a version number twice. Release under a new version number."
    )
    return [fault]


def _below_latest(version: str, packument: Packument, terms: Terms) -> list[str]:
    latest = packument.dist_tags.get("latest")
    if terms.dist_tag.name != "latest" or terms.dist_tag.given or latest is None or not terms.below(latest):
        return []
    fault = (
        f"version {version} is lower than the registry's latest, {latest}, so publishing would move `latest` back. "
        "Set publish.dist-tag in flotilla.yml, for example to v1-latest (or to latest, if you do want to move it)."
    )
    return [fault]


def _steers(key: str, name: str) -> bool:
    if key in _OVERRIDDEN or key == f"{scope_of(name)}:registry":
        return False
    return key in _STEERING or key.startswith(("//", "_")) or key.endswith(":registry")
