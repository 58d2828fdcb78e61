"""npm: what the registry has, what to publish, and how it went."""

from flotilla.npm.manifest_diff import manifest_differences, version_differences
from flotilla.npm.oidc import Claims, IdTokens, claims_of_job
from flotilla.npm.output import NpmAnswer
from flotilla.npm.packument import Packument, PublishedVersion, same_integrity, with_shasum
from flotilla.npm.plan import (
    ON_REGISTRY,
    AlreadyPublished,
    AlreadyStaged,
    Conflict,
    Decision,
    DistTag,
    Publish,
    Settled,
    Staged,
    Status,
    Terms,
    decide,
    decide_all,
)
from flotilla.npm.preflight import is_new, new_names_fault, refusals, sign_in_faults, trust_command
from flotilla.npm.provenance import Origin, Provenance, Statement, check_bundle, possible, sha512_of, stated
from flotilla.npm.publish import Published, Publisher
from flotilla.npm.publish_command import Credential, PublishRequest, Token, TrustedPublishing
from flotilla.npm.registry import Awaited, Registry, await_visible, registry_url, visible
from flotilla.npm.runner import Npm

__all__ = [
    "ON_REGISTRY",
    "AlreadyPublished",
    "AlreadyStaged",
    "Awaited",
    "Claims",
    "Conflict",
    "Credential",
    "Decision",
    "DistTag",
    "IdTokens",
    "Npm",
    "NpmAnswer",
    "Origin",
    "Packument",
    "Provenance",
    "Publish",
    "PublishRequest",
    "Published",
    "PublishedVersion",
    "Publisher",
    "Registry",
    "Settled",
    "Staged",
    "Statement",
    "Status",
    "Terms",
    "Token",
    "TrustedPublishing",
    "await_visible",
    "check_bundle",
    "claims_of_job",
    "decide",
    "decide_all",
    "is_new",
    "manifest_differences",
    "new_names_fault",
    "possible",
    "refusals",
    "registry_url",
    "same_integrity",
    "sha512_of",
    "sign_in_faults",
    "stated",
    "trust_command",
    "version_differences",
    "visible",
    "with_shasum",
]
