"""Manifests of an OCI registry: read by tag or digest, and the index of both architectures."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import urllib.parse
from typing import Any

from scripts.release.http import Answer, call
from scripts.release.settings import ReleaseError, Settings

INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
DOCKER_INDEX = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
TYPES = (INDEX, MANIFEST, DOCKER_INDEX, DOCKER_MANIFEST)
MISSING, UNAUTHORIZED = 404, 401


def sha256(content: bytes) -> str:
    """Return the digest of some bytes, as registries write it."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


class Registry:
    """One image's repository in a registry.

    Args:
        settings: name the image; their token signs in if the registry asks for it.
    """

    def __init__(self, settings: Settings) -> None:
        self._host, _, self.name = settings.image.partition("/")
        scheme = "http" if self._host.split(":")[0] in {"127.0.0.1", "localhost"} else "https"
        self._origin = f"{scheme}://{self._host}"
        self._user = settings.environment.get("GITHUB_ACTOR", "flotilla")
        self._token = settings.token
        self._bearer = ""

    def manifest(self, reference: str) -> tuple[str, bytes] | None:
        """Return the digest and the bytes of a manifest, None if there is none of this tag or digest.

        Raises:
            ReleaseError: if the bytes are not those of the digest that was asked for.
        """
        answer = self._call("GET", f"manifests/{reference}", accepted=(200, MISSING))
        if answer.status == MISSING:
            return None
        digest = sha256(answer.body)
        if reference.startswith("sha256:") and digest != reference:
            raise ReleaseError(f"{self._host} answers {reference} with a manifest whose digest is {digest}")
        return digest, answer.body

    def put(self, reference: str, content: bytes) -> str:
        """Store a manifest under a tag and return its digest, read back.

        Raises:
            ReleaseError: if the registry does not show it then.
        """
        media_type = json.loads(content)["mediaType"]
        self._call("PUT", f"manifests/{reference}", body=content, media_type=media_type, accepted=(200, 201))
        digest = sha256(content)
        if (found := self.manifest(digest)) is None or found[1] != content:
            raise ReleaseError(f"{self._host} does not show {self.name}@{digest}, which it accepted")
        return digest

    def config(self, manifest: bytes) -> dict[str, Any]:
        """Return the image configuration that a manifest names.

        Raises:
            ReleaseError: if its bytes are not those of its digest.
        """
        digest = json.loads(manifest)["config"]["digest"]
        answer = self._call("GET", f"blobs/{digest}", accepted=(200, 302, 307))
        if location := answer.headers.get("location", ""):
            answer = call("GET", urllib.parse.urljoin(self._origin, location), headers={})
        if sha256(answer.body) != digest:
            raise ReleaseError(f"{self._host} answers {digest} with other bytes")
        document = answer.json()
        if not isinstance(document, dict):
            raise ReleaseError(f"{self._host}: the image configuration {digest} is not an object")
        return document

    def one_image(self, reference: str) -> tuple[str, bytes] | None:
        """Return the one image manifest of a tag: a builder may wrap it into an index with attestations.

        Raises:
            ReleaseError: if there is more than one image.
        """
        found = self.manifest(reference)
        if found is None or json.loads(found[1])["mediaType"] in (MANIFEST, DOCKER_MANIFEST):
            return found
        entries = json.loads(found[1])["manifests"]
        images = [one["digest"] for one in entries if one.get("platform", {}).get("os") != "unknown"]
        if len(images) != 1:
            raise ReleaseError(f"expected one image under {self.name}:{reference}, got {len(images)}")
        return self.manifest(images[0])

    def _call(
        self, method: str, path: str, *, accepted: tuple[int, ...], body: bytes | None = None, media_type: str = ""
    ) -> Answer:
        url = f"{self._origin}/v2/{self.name}/{path}"
        headers = {"Accept": ", ".join(TYPES), **({"Content-Type": media_type} if media_type else {})}
        for _ in range(2):
            signed = {**headers, **({"Authorization": f"Bearer {self._bearer}"} if self._bearer else {})}
            answer = call(method, url, headers=signed, body=body, accepted=(*accepted, UNAUTHORIZED))
            if answer.status != UNAUTHORIZED:
                return answer
            self._bearer = self._sign_in(answer.headers.get("www-authenticate", ""))
        raise ReleaseError(f"{self._host} refuses the token; the job needs `packages: write`")

    def _sign_in(self, challenge: str) -> str:
        """Exchange GITHUB_TOKEN for the registry's own (distribution spec, token authentication)."""
        asked = dict(re.findall(r'(\w+)="([^"]*)"', challenge))
        realm = asked.get("realm", "")
        if urllib.parse.urlsplit(realm).netloc != self._host:
            raise ReleaseError(f'{self._host} asks for a sign-in elsewhere: "{realm}"')
        query = urllib.parse.urlencode(
            {"service": asked.get("service", ""), "scope": f"repository:{self.name}:pull,push"}
        )
        basic = base64.b64encode(f"{self._user}:{self._token}".encode()).decode()
        answer = call("GET", f"{realm}?{query}", headers={"Authorization": f"Basic {basic}"} if self._token else {})
        return str(answer.json()["token"])
