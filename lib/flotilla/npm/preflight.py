"""What the registry would refuse, or make of a package, found out before the tag exists. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from flotilla.npm.manifest_diff import Manifest, version_differences
from flotilla.npm.packument import Packument, PublishedVersion
from flotilla.npm.plan import Terms
from flotilla.npm.publish_command import ID_TOKEN_BEARER, ID_TOKEN_URL, Credential, TrustedPublishing
from flotilla.npm.registry import path_of, scope_of

# publishConfig may say these; flotilla's flags override them (npm: lib/commands/publish.js, #getManifest).
_OVERRIDDEN = frozenset({"access", "tag", "registry", "provenance"})
# Settings of publishConfig that choose the credential or the connection. A flag of ours beats none of them.
_STEERING = frozenset(
    {"_auth", "ca", "cafile", "cert", "key", "https-proxy", "noproxy", "otp", "provenance-file", "proxy", "strict-ssl"}
)


def refusals(manifest: Manifest, packument: Packument | None, terms: Terms) -> list[str]:
    """Return every reason, a line each, why this package must not be released as it is; no line names the package.

    That a name is new is said once for all packages, by `new_names_fault`.

    Args:
        manifest: the package.json to be published.
        packument: a fresh read, None where the registry has no such package.
    """
    faults, version = manifest_faults(manifest, terms.dist_tag.name), str(manifest["version"])
    if packument is None or is_new(packument):
        return faults
    published = packument.versions.get(version)
    if published is not None:
        return faults + _other_manifest(manifest, published, terms)
    return faults + _burnt(version, packument) + _below_latest(version, packument, terms)


def is_new(packument: Packument | None) -> bool:
    """Return whether a package's first version is still to come."""
    return packument is None or not (packument.versions or packument.burnt)


def new_names_fault(names: Sequence[str], terms: Terms) -> str:
    """Return why packages that are new to the registry cannot be published, and what to do; empty if they can.

    Args:
        names: of the packages that are new, at least one.
    """
    if not terms.trusted_publishing:
        return ""
    (one, each) = (names[0], "") if len(names) == 1 else ("<package>", ", for each")
    command = trust_command(one, repository=terms.repository, workflow=terms.workflow, staged=terms.staged)
    return (
        "not on the registry yet, and trusted publishing can publish only to a package that is. "
        f"Publish the first version with npm-token, then run{each}: {command}"
    )


def manifest_faults(manifest: Manifest, dist_tag: str) -> list[str]:
    """Return what in the manifest itself would decide where, how or as what npm publishes, in place of flotilla."""
    faults = []
    if manifest.get("private") is True:
        faults.append('"private": true in its package.json; npm refuses to publish it. Take it out.')
    # libnpmpublish: `const tag = manifest.tag || defaultTag`; no flag beats it.
    if manifest.get("tag") not in (None, "", dist_tag):
        faults.append(f'"tag" in its package.json would override the dist-tag {dist_tag}. Take it out.')
    config = manifest.get("publishConfig")
    return faults + [
        f'publishConfig in its package.json sets "{key}", which decides how npm publishes. Take it out.'
        for key in (config if isinstance(config, Mapping) else {})
        if _steers(str(key), str(manifest["name"]))
    ]


def sign_in_faults(registry: str, credential: Credential, *, environment: Mapping[str, str]) -> list[str]:
    """Return what stands in the way of this way to sign in; to be said before anything else.

    Args:
        registry: its URL.
        credential: the token, or trusted publishing.
        environment: the job's.
    """
    if not isinstance(credential, TrustedPublishing):
        return []
    checks = {
        (
            "The job lacks `permissions: id-token: write`, which trusted publishing needs (in the job, and in one that "
            "calls a reusable workflow). Add it, or give npm-token."
        ): not (environment.get(ID_TOKEN_URL) and environment.get(ID_TOKEN_BEARER)),
        (
            "Trusted publishing works on GitHub-hosted runners only, and this one is self-hosted. "
            "Publish on a GitHub-hosted runner, or give npm-token."
        ): environment.get("RUNNER_ENVIRONMENT") == "self-hosted",
        # npm asks for its token at the root of the registry's host (npm: lib/utils/oidc.js).
        (
            f"registry: {registry} has a path, and trusted publishing works only with a registry at the root of its "
            "host. Give npm-token for this registry."
        ): bool(path_of(registry)),
    }
    return [words for words, holds in checks.items() if holds]


def trust_command(name: str, *, repository: str, workflow: str, staged: bool) -> str:
    """Return the command with which a maintainer allows this workflow to publish a package."""
    allowed = "--allow-stage-publish" if staged else "--allow-publish"
    return f"npm trust github {name} --repo {repository} --file {workflow or '<workflow file>'} {allowed}"


def _other_manifest(manifest: Manifest, published: PublishedVersion, terms: Terms) -> list[str]:
    differences = version_differences(manifest, "", published, registry=terms.registry)
    if not differences:
        return []
    fault = (
        f"version {published.version} is on the registry with another manifest: {'; '.join(differences)}. "
        "Release under a new version number."
    )
    return [fault]


def _burnt(version: str, packument: Packument) -> list[str]:
    if version not in packument.burnt:
        return []
    fault = (
        f"version {version} was published once and unpublished; "
        "the registry never takes a version number twice. Release under a new version number."
    )
    return [fault]


def _below_latest(version: str, packument: Packument, terms: Terms) -> list[str]:
    latest = packument.dist_tags.get("latest")
    if terms.dist_tag.name != "latest" or terms.dist_tag.given or latest is None or not terms.below(latest):
        return []
    fault = (
        f"version {version} is below the registry's latest, {latest}: publishing would move `latest` back. "
        "Set publish.dist-tag in flotilla.yml, for example to v1-latest; to latest, if that is what you want."
    )
    return [fault]


def _steers(key: str, name: str) -> bool:
    if key in _OVERRIDDEN or key == f"{scope_of(name)}:registry":
        return False
    return key in _STEERING or key.startswith(("//", "_")) or key.endswith(":registry")
