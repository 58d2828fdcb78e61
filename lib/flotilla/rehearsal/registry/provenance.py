"""What the registry makes of a provenance bundle: whether it is of this tarball, and of a build it accepts."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any
from urllib.parse import quote

from cryptography import x509

from flotilla.rehearsal.registry.publication import Publication, Refused

SLSA = "https://slsa.dev/provenance/v1"
PUBLISH = "https://github.com/npm/attestation/tree/main/specs/publish/v0.1"
# Fulcio's extensions: github.com/sigstore/fulcio, docs/oid-info.md.
RUNNER, SOURCE, VISIBILITY = (f"1.3.6.1.4.1.57264.1.{last}" for last in (11, 12, 22))
Json = dict[str, Any]


def check_provenance(publication: Publication) -> None:
    """Check that the registry takes the bundle, if there is one.

    Raises:
        Refused: 422 in npm's words, as the public registry answers.
    """
    if publication.bundle is None:
        return
    subject = statement(publication.bundle)["subject"][0]
    if subject["name"] != purl(publication.name, publication.version):
        raise _unverified(f"Failed to validate subject: {subject['name']} is not {publication.spec}")
    if subject["digest"]["sha512"] != hashlib.sha512(publication.tarball).hexdigest():
        raise _unverified("Failed to validate subject: the digest is not the tarball's")
    _check_build(publication, certificate_claims(publication.bundle))


def _check_build(publication: Publication, claims: dict[str, str]) -> None:
    if (runner := claims.get(RUNNER)) != "github-hosted":
        raise _unverified(
            f'Unsupported GitHub Actions runner environment: "{runner}". '
            'Only "github-hosted" runners are supported when publishing with provenance.'
        )
    if (visibility := claims.get(VISIBILITY)) != "public":
        raise _unverified(
            f'Unsupported GitHub Actions source repository visibility: "{visibility}". '
            "Only public source repositories are supported when publishing with provenance."
        )
    url = repository_url(publication.manifest)
    if url.removeprefix("git+").removesuffix(".git") != claims.get(SOURCE):
        raise _unverified(
            f'Failed to validate repository information: package.json: "repository.url" is "{url}", '
            f'expected to match "{claims.get(SOURCE)}" from provenance'
        )


def _unverified(why: str) -> Refused:
    return Refused(422, f"Error verifying sigstore provenance bundle: {why}")


def repository_url(manifest: Json) -> str:
    """Return the manifest's repository, empty if it has none."""
    repository = manifest.get("repository") or ""
    return str(repository.get("url", "")) if isinstance(repository, dict) else str(repository)


def purl(name: str, version: str) -> str:
    """Return the package's URL in a statement's subject."""
    return f"pkg:npm/{quote(name, safe='/')}@{version}"


def statement(bundle: Json) -> Json:
    """Return the in-toto statement that the bundle signs."""
    document = json.loads(base64.b64decode(bundle["dsseEnvelope"]["payload"]))
    if document.get("predicateType") != SLSA:
        raise _unverified(f"Unsupported predicate type {document.get('predicateType')}")
    return dict(document)


def subject_digest(bundle: Json) -> str:
    """Return the sha512 of what the bundle speaks of."""
    return str(statement(bundle)["subject"][0]["digest"]["sha512"])


def certificate_claims(bundle: Json) -> dict[str, str]:
    """Return what Fulcio certified of the build, by the extensions' ids."""
    material = bundle["verificationMaterial"]
    raw = material.get("certificate") or material["x509CertificateChain"]["certificates"][0]
    certificate = x509.load_der_x509_certificate(base64.b64decode(raw["rawBytes"]))
    unknown = [e for e in certificate.extensions if isinstance(e.value, x509.UnrecognizedExtension)]
    return {
        e.oid.dotted_string: _text(e.value.value) for e in unknown if isinstance(e.value, x509.UnrecognizedExtension)
    }


def _text(der: bytes) -> str:
    # A UTF8String of DER: its tag, its length in one byte or more, the text. Older extensions hold the bare text.
    if der[:1] != b"\x0c":
        return der.decode(errors="replace")
    skipped = 2 + (der[1] & 0x7F if der[1] & 0x80 else 0)
    return der[skipped:].decode(errors="replace")


def attestations(publication_name: str, version: str, bundle: Json) -> Json:
    """Return what /-/npm/v1/attestations answers: the provenance, and the registry's own publish attestation."""
    subject = statement(bundle)["subject"]
    published = {
        "_type": "https://in-toto.io/Statement/v0.1",
        "subject": subject,
        "predicateType": PUBLISH,
        "predicate": {"name": publication_name, "version": version},
    }
    envelope = {
        "payload": base64.b64encode(json.dumps(published).encode()).decode(),
        "payloadType": "application/vnd.in-toto+json",
        "signatures": [{"keyid": "SHA256:rehearsal", "sig": ""}],
    }
    own = {"mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json", "dsseEnvelope": envelope}
    return {"attestations": [{"predicateType": PUBLISH, "bundle": own}, {"predicateType": SLSA, "bundle": bundle}]}
