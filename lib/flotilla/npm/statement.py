"""What a provenance statement says. Pure; its signature is the registry's to verify, and npm's."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from flotilla.npm.packument import Json
from flotilla.text import plain

PREDICATE = "https://slsa.dev/provenance/v1"
PAYLOAD = "application/vnd.in-toto+json"
LONGEST = 400


@dataclass(frozen=True, kw_only=True)
class Statement:
    """A provenance statement, each part empty where it says nothing there.

    Args:
        predicate: the type of what is stated.
        subject: the package's URL, pkg:npm/%40acme/tool@1.0.0.
        sha512: of the tarball, in hex.
        repository: URL of the source repository.
        commit: what was built, 40 hex digits.
        workflow: path of the workflow file that published.
        run: URL of the workflow run that published, without its attempt.
    """

    predicate: str
    subject: str
    sha512: str
    repository: str
    commit: str
    workflow: str
    run: str


def documents(attestations: Sequence[Json] | None) -> list[Json | None]:
    """The provenance statements among the attestations; None for one that cannot be read."""
    return [_document(each) for each in attestations or () if each.get("predicateType") == PREDICATE]


def stated(attestations: Sequence[Json] | None) -> Statement | None:
    """The one provenance statement among the attestations; None where there is none, or more, or it is unreadable."""
    found = documents(attestations)
    if len(found) != 1 or found[0] is None:
        return None
    subjects = found[0].get("subject")
    subject = subjects[0] if isinstance(subjects, list) and len(subjects) == 1 else None
    predicate = found[0].get("predicate")
    workflow = dig(predicate, "buildDefinition", "externalParameters", "workflow")
    return Statement(
        predicate=_text(found[0].get("predicateType")),
        subject=_text(dig(subject, "name")),
        sha512=_text(dig(subject, "digest", "sha512")),
        repository=_text(dig(workflow, "repository")),
        commit=_text(dig(source_of(predicate), "digest", "gitCommit")),
        workflow=_text(dig(workflow, "path")),
        run=_text(run_of(predicate)),
    )


def source_of(predicate: object) -> object:
    """What was built, as the predicate names it; None where it does not."""
    sources = dig(predicate, "buildDefinition", "resolvedDependencies")
    return sources[0] if isinstance(sources, list) and sources else None


def run_of(predicate: object) -> object:
    """The URL of the run that the predicate names, without its attempt."""
    invocation = dig(predicate, "runDetails", "metadata", "invocationId")
    return invocation.partition("/attempts/")[0] if isinstance(invocation, str) else invocation


def sha512_of(integrity: str) -> str:
    """The sha512 of a Subresource Integrity string, in hex; empty where it has none."""
    for part in integrity.split():
        algorithm, _, encoded = part.partition("?")[0].partition("-")
        if algorithm == "sha512":
            try:
                return base64.b64decode(encoded, validate=True).hex()
            except binascii.Error:
                break
    return ""


def dig(value: object, *path: str) -> object:
    """What lies at a path of keys; None where nothing does."""
    for key in path:
        if not isinstance(value, Mapping):
            return None
        value = value.get(key)
    return value


def _document(attestation: Json) -> Json | None:
    envelope = dig(attestation, "bundle", "dsseEnvelope")
    payload = dig(envelope, "payload")
    if not isinstance(payload, str) or dig(envelope, "payloadType") != PAYLOAD:
        return None
    try:
        statement = json.loads(base64.b64decode(payload, validate=True))
    except (ValueError, RecursionError, binascii.Error):
        return None
    return statement if isinstance(statement, dict) else None


def _text(value: object) -> str:
    return plain(value, longest=LONGEST) if isinstance(value, str) else ""
