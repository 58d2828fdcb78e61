"""Provenance: whether npm can create it, what a statement says, and whether it is ours. Pure: no input or output.

The registry and npm verify its signature.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from flotilla.npm.cli import ID_TOKEN_BEARER, ID_TOKEN_URL
from flotilla.npm.packument import Json
from flotilla.text import plain

_COMMIT = "[0-9a-f]{40}"
_WORKFLOW = r"\.github/workflows/[^/\s]+\.ya?ml"

Asked = Literal["auto", "true", "false"]


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """Whether to publish with provenance.

    Args:
        why: the reason, as a sentence for the log.
        refused: it was requested but cannot be created; stop before the tag.
    """

    on: bool
    why: str
    refused: bool = False


@dataclass(frozen=True, kw_only=True)
class Origin:
    """What a provenance statement must name.

    Args:
        repository: URL, https://github.com/OWNER/NAME.
        commit: GITHUB_SHA; None if an earlier run, perhaps of another commit, may have published the version.
        run_id: the workflow run's id; None if an earlier run may have published the version.
        workflow: path of the workflow file, .github/workflows/release.yml; None for any.
    """

    repository: str
    commit: str | None = None
    run_id: str | None = None
    workflow: str | None = None


def possible(
    asked: Asked, *, environment: Mapping[str, str], private: bool | None, access: str = "public"
) -> Provenance:
    """Return whether to publish with provenance: what was asked for, and whether npm can create it here.

    Args:
        asked: the input `provenance`.
        environment: the job's variables.
        private: whether the repository is private; None if unknown.
        access: the package's access, public or restricted.
    """
    if asked == "false":
        return Provenance(on=False, why="Provenance is turned off.")
    obstacles = _obstacles(environment, private=private, access=access)
    if not obstacles:
        return Provenance(on=True, why="npm will create a provenance statement for each package.")
    why = f"Provenance is not possible: {'; '.join(obstacles)}."
    return Provenance(on=False, why=why, refused=asked == "true")


def check_bundle(
    attestations: Sequence[Json] | None, *, integrity: str, name: str, version: str, expected: Origin
) -> list[str]:
    """Return what is wrong with the provenance of one published version, a line each; empty if nothing is.

    The registry and npm (`npm audit signatures`) verify the signature. This checks that the statement is about this
    tarball and this run.

    Args:
        attestations: as the registry returned them; None if there are none.
        integrity: the tarball's; it must contain a sha512.
        name: the package.
        version: its version.
        expected: the repository, commit and run to be named.
    """
    package = f"{name}@{version}"
    statements = documents(attestations)
    if not statements:
        return [f"{package} has no provenance on the registry."]
    if len(statements) > 1 or statements[0] is None:
        return [f"{package}: its provenance on the registry cannot be read."]
    faults = _subject_faults(statements[0], integrity, name, version) + _origin_faults(statements[0], expected)
    return [f"{package}: its provenance {fault}" for fault in faults]


def _obstacles(environment: Mapping[str, str], *, private: bool | None, access: str) -> list[str]:
    if environment.get("GITHUB_ACTIONS") != "true":
        return ["this is not a GitHub Actions job"]
    runner = environment.get("RUNNER_ENVIRONMENT", "")
    checks = {
        "the job lacks `permissions: id-token: write`": not (
            environment.get(ID_TOKEN_URL) and environment.get(ID_TOKEN_BEARER)
        ),
        f"the runner is {runner or 'of an unknown kind'}, and the registry accepts only GitHub-hosted ones": (
            runner != "github-hosted"
        ),
        "the repository is private, but the statement would be public": private is True,
        f"the package's access is {access}, but provenance is only for public packages": access != "public",
    }
    return [words for words, holds in checks.items() if holds]


def _subject_faults(statement: Json, integrity: str, name: str, version: str) -> list[str]:
    subjects = statement.get("subject")
    if not isinstance(subjects, list) or len(subjects) != 1:
        return ["does not have exactly one subject."]
    purl = f"pkg:npm/{name.replace('@', '%40', 1)}@{version}"
    return [
        *_unlike("is about the package", dig(subjects[0], "name"), purl),
        *_unlike("is about a tarball with sha512", dig(subjects[0], "digest", "sha512"), sha512_of(integrity)),
    ]


def _origin_faults(statement: Json, expected: Origin) -> list[str]:
    predicate = statement.get("predicate")
    workflow = dig(predicate, "buildDefinition", "externalParameters", "workflow")
    source = source_of(predicate)
    uri = dig(source, "uri")
    commit, run, path = dig(source, "digest", "gitCommit"), run_of(predicate), dig(workflow, "path")
    runs = f"{expected.repository}/actions/runs/"
    return [
        *_unlike("has the predicate", statement.get("predicateType"), PREDICATE),
        *_unlike("names the repository", dig(workflow, "repository"), expected.repository),
        *_unlike(
            "names the source", uri.partition("@")[0] if isinstance(uri, str) else uri, f"git+{expected.repository}"
        ),
        *_unlike_or_no("names the commit", commit, expected.commit, _COMMIT),
        *_unlike_or_no("names the workflow", path, expected.workflow, _WORKFLOW),
        *_unlike_or_no(
            "names the run", run, f"{runs}{expected.run_id}" if expected.run_id else None, re.escape(runs) + "[0-9]+"
        ),
    ]


def _unlike_or_no(what: str, found: object, expected: str | None, shape: str) -> list[str]:
    """Return a fault if the value is not the expected one or, if any is fine, has the wrong form."""
    if expected:
        return _unlike(what, found, expected)
    fits = isinstance(found, str) and re.fullmatch(shape, found)
    return [] if fits else [f"{what} {plain(str(found), longest=200)}, which is none."]


def _unlike(what: str, found: object, expected: str) -> list[str]:
    return [] if found == expected else [f"{what} {plain(str(found), longest=200)}, not {expected}."]


PREDICATE = "https://slsa.dev/provenance/v1"
PAYLOAD = "application/vnd.in-toto+json"
LONGEST = 400


@dataclass(frozen=True, kw_only=True)
class Statement:
    """A provenance statement; missing parts are empty.

    Args:
        predicate: the predicate type.
        subject: the package's URL, pkg:npm/%40acme/tool@1.0.0.
        sha512: of the tarball, in hex.
        repository: URL of the source repository.
        commit: the commit that was built, 40 hex digits.
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
    """Return the provenance statements among the attestations; None for one that cannot be read."""
    return [_document(each) for each in attestations or () if each.get("predicateType") == PREDICATE]


def stated(attestations: Sequence[Json] | None) -> Statement | None:
    """Return the provenance statement among the attestations; None if there is not exactly one that can be read."""
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
    """Return the source that the predicate names; None if it names none."""
    sources = dig(predicate, "buildDefinition", "resolvedDependencies")
    return sources[0] if isinstance(sources, list) and sources else None


def run_of(predicate: object) -> object:
    """Return the URL of the run that the predicate names, without its attempt."""
    invocation = dig(predicate, "runDetails", "metadata", "invocationId")
    return invocation.partition("/attempts/")[0] if isinstance(invocation, str) else invocation


def sha512_of(integrity: str) -> str:
    """Return the sha512 of a Subresource Integrity string, in hex; empty if it has none."""
    for part in integrity.split():
        algorithm, _, encoded = part.partition("?")[0].partition("-")
        if algorithm == "sha512":
            try:
                return base64.b64decode(encoded, validate=True).hex()
            except binascii.Error:
                break
    return ""


def dig(value: object, *path: str) -> object:
    """Return the value at a path of keys; None if there is none."""
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
