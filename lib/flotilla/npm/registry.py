"""Reads from the npm registry. Writing is the npm CLI's part."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import requests
import urllib3
from requests.auth import AuthBase

from flotilla.errors import RegistryError
from flotilla.npm.address import escaped, origin, registry_url, tarball_url
from flotilla.npm.packument import Json, Packument, PublishedVersion, as_object, parse_json, parse_packument
from flotilla.retry import RetryPolicy, TransientError, retry_after
from flotilla.text import plain

ABBREVIATED = "application/vnd.npm.install-v1+json"
JSON_LIMIT = 128 * 2**20
TARBALL_LIMIT = 2 * 2**30
CHUNK = 2**18
REDIRECTS = 5
TIMEOUTS = (15.0, 60.0)
SLOWEST = 600.0

_MAY_PASS = (
    requests.exceptions.ConnectionError,
    requests.exceptions.Timeout,
    requests.exceptions.ChunkedEncodingError,
    requests.exceptions.ContentDecodingError,
)


class Registry:
    """An npm registry, read over HTTP.

    Args:
        url: the registry's URL; a path below its origin is kept.
        token: goes to the registry's own origin only, never to a redirect's target elsewhere; None for none.
        policy: how long to keep trying.
    """

    def __init__(self, url: str, *, token: str | None, policy: RetryPolicy) -> None:
        self.url = registry_url(url)
        self._policy = policy
        self._session = _Unredirected()
        # Given an auth of our own, requests does not look into ~/.netrc for another.
        self._session.auth = _OwnOrigin(token, self.url)

    def fresh(self, name: str) -> Packument | None:
        """The full packument past every cache; None where there is no such package.

        A plain read would be answered from a cache for up to five minutes, and asking for a version before its publish
        would put the "no" into that cache.
        """
        return self._packument(name, path=f"{escaped(name)}?write=true", accept="application/json")

    def installable(self, name: str) -> Packument | None:
        """The packument as an ordinary `npm install` gets it, caches included; None where there is none."""
        return self._packument(name, path=escaped(name), accept=ABBREVIATED)

    def is_public(self, name: str) -> bool | None:
        """Whether everybody may read the package; None where it does not exist or the registry cannot tell."""
        what = f"ask {self.url} for the visibility of {name}"
        answer = self._json(f"-/package/{escaped(name)}/visibility", what=what)
        return None if answer is None else as_object(answer, what=what, part="the answer").get("public") is True

    def attestations(self, published: PublishedVersion) -> list[Json] | None:
        """The attestations of one version, each with predicateType and bundle; None where it has none."""
        what = f"read the attestations of {published.name}@{published.version}"
        answer = self._json(f"-/npm/v1/attestations/{escaped(published.name)}@{published.version}", what=what)
        if answer is None:
            return None
        listed = as_object(answer, what=what, part="the answer").get("attestations")
        if not isinstance(listed, list):
            raise RegistryError(f"{what}: the registry's answer makes no sense: attestations is not a list.")
        return [as_object(each, what=what, part="an attestation") for each in listed]

    def download(self, published: PublishedVersion, into: Path, *, limit: int = TARBALL_LIMIT) -> None:
        """The tarball of one version, streamed to a file; its integrity holds, or there is no file.

        Raises:
            RegistryError: the bytes are not those that the registry's own integrity names, or too many.
        """
        url = tarball_url(published.tarball, registry=self.url)
        what = f"download {published.name}@{published.version}"
        try:
            self._policy.retry(lambda: self._save(url, published.integrity, into, what, limit), what=what)
        except BaseException:
            into.unlink(missing_ok=True)
            raise

    def ping(self) -> None:
        """One small read, to tell a wrong URL before anything else."""
        what = f"reach the registry {self.url}"
        self._policy.retry(lambda: self._bytes(self.url + "-/ping", what=what), what=what)

    def _packument(self, name: str, *, path: str, accept: str) -> Packument | None:
        what = f"read {name} from {self.url}"
        document = self._json(path, what=what, accept=accept)
        return None if document is None else parse_packument(document, name=name, what=what)

    def _json(self, path: str, *, what: str, accept: str = "application/json") -> object | None:
        body = self._policy.retry(
            lambda: self._bytes(self.url + path, what=what, accept=accept, fresh="write=true" in path), what=what
        )
        return None if body is None else parse_json(body, what=what)

    def _bytes(self, url: str, *, what: str, accept: str = "application/json", fresh: bool = False) -> bytes | None:
        headers = {"Accept": accept, **({"Cache-Control": "no-cache"} if fresh else {})}
        with self._answer(url, headers, what) as response:
            if response.status_code == requests.codes.not_found:
                return None
            self._refuse(response, what)
            return b"".join(self._chunks(response, JSON_LIMIT, what))

    def _save(self, url: str, integrity: str, into: Path, what: str, limit: int) -> None:
        # identity: a content coding on top would have requests unpack the tarball itself.
        with (
            self._answer(url, {"Accept": "*/*", "Accept-Encoding": "identity"}, what) as response,
            into.open("wb") as file,
        ):
            self._refuse(response, what)
            algorithm, wanted = _digest(integrity, what)
            digest = hashlib.new(algorithm)
            for chunk in self._chunks(response, limit, what):
                digest.update(chunk)
                file.write(chunk)
        if not hmac.compare_digest(digest.digest(), wanted):
            raise RegistryError(
                f"{what}: the tarball is not the one that the registry's integrity names ({integrity}).",
                advice="Something on the way changes files, or the registry is damaged; do not go on.",
            )

    def _answer(self, url: str, headers: dict[str, str], what: str) -> requests.Response:
        for _ in range(REDIRECTS):
            response = self._get(url, headers)
            if not response.is_redirect:
                return response
            response.close()
            try:
                url = urljoin(url, response.headers["location"])
            except ValueError:
                url = ""
            if origin(url) is None:
                raise RegistryError(f"{what}: the registry redirects to something that is no http(s) URL.")
        raise RegistryError(f"{what}: the registry redirects in a circle.")

    def _get(self, url: str, headers: dict[str, str]) -> requests.Response:
        try:
            # By hand: requests would look for credentials of a redirect's target in ~/.netrc.
            return self._session.get(url, headers=headers, stream=True, timeout=TIMEOUTS, allow_redirects=False)
        except _MAY_PASS as error:
            if "CERTIFICATE_VERIFY_FAILED" in str(error):
                raise _untrusted(url) from None
            raise TransientError(_cut(error)) from error
        except requests.exceptions.RequestException as error:
            raise RegistryError(f"cannot ask {self.url}: {plain(str(error), longest=300)}") from error

    def _chunks(self, response: requests.Response, limit: int, what: str) -> Iterator[bytes]:
        size, started = 0, self._policy.clock.now()
        try:
            # What is there, and not a whole chunk: a server that sends a byte a minute would never fill one.
            while chunk := response.raw.read1(CHUNK, decode_content=True):
                size += len(chunk)
                if size > limit:
                    raise RegistryError(f"{what}: the answer is longer than {limit} bytes; reading stopped there.")
                # Not the job's deadline: the last read-back of a publish comes after it.
                if self._policy.clock.now() - started > SLOWEST:
                    raise TransientError("the answer comes too slowly")
                yield chunk
        except urllib3.exceptions.HTTPError as error:
            raise TransientError("the connection failed or was cut") from error

    def _refuse(self, response: requests.Response, what: str) -> None:
        status = response.status_code
        if status == requests.codes.ok:
            return
        if status in {408, 425, 429} or status >= requests.codes.internal_server_error:
            after = retry_after(response.headers.get("retry-after"), now=self._policy.clock.now())
            raise TransientError(f"the registry answered {status}", after=after)
        if status in {401, 403}:
            raise RegistryError(
                f"{what}: the registry answered {status}: it does not let this credential read.",
                advice="Check npm-token and the registry's URL.",
            )
        raise RegistryError(f"{what}: the registry answered {status}.", advice="Check the registry's URL.")


class _Unredirected(requests.Session):
    """Never looks at a redirect: requests would read its whole body, without end, even when told not to follow."""

    def get_redirect_target(self, resp: requests.Response) -> str | None:  # noqa: ARG002 - requests' own name
        return None


class _OwnOrigin(AuthBase):
    """Puts the token on requests to one origin, and on no others."""

    def __init__(self, token: str | None, url: str) -> None:
        self._token = token
        self._origin = origin(url)

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers.pop("Authorization", None)
        if self._token and origin(request.url or "") == self._origin:
            request.headers["Authorization"] = f"Bearer {self._token}"
        return request


def _digest(integrity: str, what: str) -> tuple[str, bytes]:
    hashes = dict(reversed([part.partition("?")[0].partition("-")[::2] for part in integrity.split()]))
    for algorithm in ("sha512", "sha384", "sha256", "sha1"):
        if algorithm in hashes:
            try:
                return algorithm, base64.b64decode(hashes[algorithm], validate=True)
            except binascii.Error:
                break
    raise RegistryError(
        f"{what}: the registry gives no integrity that can be checked ({plain(integrity, longest=120)})."
    )


def _untrusted(url: str) -> RegistryError:
    return RegistryError(
        f"The certificate of {urlsplit(url).hostname} is not one that this machine trusts.",
        advice="Give the file of your registry's or proxy's authority in two variables of the job, REQUESTS_CA_BUNDLE "
        "(for flotilla; with all other authorities in it) and NODE_EXTRA_CA_CERTS (for npm).",
    )


def _cut(error: Exception) -> str:
    return "no answer in time" if isinstance(error, requests.exceptions.Timeout) else "the connection failed or was cut"
