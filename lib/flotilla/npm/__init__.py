"""npm: read the registry, plan what to publish, publish it, and explain the outcome."""

from flotilla.npm.manifest_diff import version_differences
from flotilla.npm.packument import Packument, PublishedVersion, same_integrity, with_shasum
from flotilla.npm.plan import (
    ON_REGISTRY,
    AlreadyPublished,
    AlreadyStaged,
    DistTag,
    Publish,
    Settled,
    Staged,
    Status,
    Terms,
    decide,
    decide_all,
)
from flotilla.npm.preflight import is_new, new_names_fault, refusals, sign_in_faults
from flotilla.npm.provenance import Origin, Provenance, Statement, check_bundle, possible, sha512_of, stated
from flotilla.npm.publish import Publisher
from flotilla.npm.publish_command import Credential, PublishRequest, Token, TrustedPublishing
from flotilla.npm.registry import Awaited, Registry, await_visible, registry_url, visible
from flotilla.npm.runner import Npm

__all__ = [
    "ON_REGISTRY",
    "AlreadyPublished",
    "AlreadyStaged",
    "Awaited",
    "Credential",
    "DistTag",
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
    "TrustedPublishing",
    "await_visible",
    "check_bundle",
    "decide",
    "decide_all",
    "is_new",
    "new_names_fault",
    "possible",
    "refusals",
    "registry_url",
    "same_integrity",
    "sha512_of",
    "sign_in_faults",
    "stated",
    "version_differences",
    "visible",
    "with_shasum",
]
