"""npm: what the registry has, what to publish, and how it went."""

from flotilla.npm.address import registry_url
from flotilla.npm.cli import Npm
from flotilla.npm.compared import manifest_differences
from flotilla.npm.decisions import (
    AlreadyPublished,
    AlreadyStaged,
    Conflict,
    Decision,
    Publish,
    Settled,
    Staged,
    Wanted,
    decide,
    decide_all,
)
from flotilla.npm.identity import Claims, IdTokens, claims_of_job
from flotilla.npm.packument import Packument, PublishedVersion, same_integrity, with_shasum
from flotilla.npm.provenance import Origin, Provenance, check_bundle, possible
from flotilla.npm.publishing import Published, Publisher
from flotilla.npm.refusals import Terms, is_new, new_names_fault, refusals, sign_in_faults, trust_command
from flotilla.npm.registry import Registry
from flotilla.npm.reply import NpmAnswer
from flotilla.npm.request import Credential, PublishRequest, Token, TrustedPublishing
from flotilla.npm.statement import Statement, sha512_of, stated
from flotilla.npm.visibility import Awaited, await_visible, visible

__all__ = [
    "AlreadyPublished",
    "AlreadyStaged",
    "Awaited",
    "Claims",
    "Conflict",
    "Credential",
    "Decision",
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
    "Terms",
    "Token",
    "TrustedPublishing",
    "Wanted",
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
    "visible",
    "with_shasum",
]
