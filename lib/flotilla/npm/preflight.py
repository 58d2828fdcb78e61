"""Find out before the tag exists what the registry would refuse or change. Pure: no input or output."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence

from flotilla.npm.manifest_diff import Manifest, version_differences
from flotilla.npm.packument import Packument, PublishedVersion
from flotilla.npm.plan import Terms
from flotilla.npm.publish_command import ID_TOKEN_BEARER, ID_TOKEN_URL
from flotilla.npm.registry import path_of, scope_of

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
        environment: the deployment environment that the jobs run in; empty for none, or where it is not known.
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
