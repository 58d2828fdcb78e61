"""npm: read the registry, plan what to publish, publish it, and explain the outcome."""

from flotilla.npm.cli import (
    ID_TOKEN_BEARER,
    ID_TOKEN_URL,
    Credential,
    PublishRequest,
    Staged,
    Token,
    TrustedPublishing,
)
from flotilla.npm.decisions import (
    NEW_NAME,
    ON_REGISTRY,
    AlreadyPublished,
    AlreadyStaged,
    Publish,
    Settled,
    Status,
    Terms,
    decide,
    decide_all,
    is_new,
    new_names_advice,
    refusals,
    trust_command,
    trusted_publishing_faults,
)
from flotilla.npm.manifest_diff import version_differences
from flotilla.npm.oidc import Claims, Exchange, IdTokens, TokenExchange, claims_of_job
from flotilla.npm.packument import Packument, PublishedVersion, same_integrity, with_shasum
from flotilla.npm.provenance import Origin, Provenance, Statement, check_bundle, possible, sha512_of, stated
from flotilla.npm.publish import Publisher
from flotilla.npm.registry import Awaited, Registry, await_visible, registry_url
from flotilla.npm.runner import Npm

__all__ = [
    "ID_TOKEN_BEARER",
    "ID_TOKEN_URL",
    "NEW_NAME",
    "ON_REGISTRY",
    "AlreadyPublished",
    "AlreadyStaged",
    "Awaited",
    "Claims",
    "Credential",
    "Exchange",
    "IdTokens",
    "Npm",
    "Origin",
    "Packument",
    "Provenance",
    "Publish",
    "PublishRequest",
    "PublishedVersion",
    "Publisher",
    "Registry",
    "Settled",
    "Staged",
    "Statement",
    "Status",
    "Terms",
    "Token",
    "TokenExchange",
    "TrustedPublishing",
    "await_visible",
    "check_bundle",
    "claims_of_job",
    "decide",
    "decide_all",
    "is_new",
    "new_names_advice",
    "possible",
    "refusals",
    "registry_url",
    "same_integrity",
    "sha512_of",
    "stated",
    "trust_command",
    "trusted_publishing_faults",
    "version_differences",
    "with_shasum",
]
