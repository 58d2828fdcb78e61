"""Reads from the npm registry. Writing is the npm CLI's part."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Callable, Iterator, Sequence
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import SplitResult, quote, urljoin, urlsplit

import requests
import urllib3
from requests.auth import AuthBase

from flotilla.errors import ConflictError, DeadlineError, Fault, InputError, RegistryError
from flotilla.npm.packument import (
    Json,
    Packument,
    PublishedVersion,
    as_object,
    parse_json,
    parse_packument,
    same_integrity,
)
from flotilla.retry import RetryPolicy, TransientError, as_utc, retry_after
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


_NAME = re.compile(r"(@[A-Za-z0-9~_.-]+/)?[A-Za-z0-9~_.!'()*-]+")
_PORTS = {"http": 80, "https": 443}


def registry_url(given: str) -> str:
    """The registry's URL as flotilla uses it, with a slash at its end.

    Raises:
        InputError: it is no http(s) URL, is plain http to another machine, or carries a password, query or fragment.
    """
    parts = _split(given.strip())
    if parts is None or parts.scheme not in _PORTS or not parts.hostname:
        raise InputError(
            f'registry: "{given}" is not an http(s) URL.', advice="Give it as https://host/ or leave it out."
        )
    if parts.username is not None or parts.query or parts.fragment:
        raise InputError(
            "registry: the URL carries a user name, a query or a fragment.",
            advice="Give the bare URL; a token belongs into the input npm-token.",
        )
    if parts.scheme == "http" and not _is_here(parts.hostname):
        raise InputError(
            f"registry: {parts.hostname} would be spoken to by plain http, and the credential would cross the network "
            "for anybody to read.",
            advice="Give an https URL, as the input registry or in .npmrc; plain http is for this machine only.",
        )
    # As npm writes it, which looks for the credential under that: small letters, and no port that goes without saying.
    return parts._replace(netloc=_netloc(parts)).geturl().rstrip("/") + "/"


def origin(url: str) -> tuple[str, str, int] | None:
    """Scheme, host and port of a URL; None where it is no http(s) URL."""
    parts = _split(url)
    if parts is None or parts.scheme not in _PORTS or not parts.hostname:
        return None
    return parts.scheme, parts.hostname, parts.port or _PORTS[parts.scheme]


def path_of(registry: str) -> str:
    """The registry's path below its origin, empty for none."""
    return urlsplit(registry).path.strip("/")


def credential_key(registry: str) -> str:
    """The key under which npm's configuration keeps a token for this registry: //host:port/path/."""
    parts = urlsplit(registry)
    return f"//{parts.netloc}{parts.path}"


def escaped(name: str) -> str:
    """A package's name as one part of a path: @acme%2Ftool.

    Raises:
        RegistryError: no package can have this name.
    """
    if not _NAME.fullmatch(name) or name in {".", ".."} or name.endswith(("/.", "/..")):
        raise RegistryError(f'"{name}" cannot be the name of a package.')
    return quote(name, safe="@")


def scope_of(name: str) -> str | None:
    """The scope of a package's name, @ included; None for none."""
    return name.partition("/")[0] if name.startswith("@") else None


def tarball_url(given: str, *, registry: str) -> str:
    """Where to fetch a tarball that the registry names.

    npm itself writes `http:` into dist.tarball, whatever the registry speaks;
    on its own host the registry's scheme counts.

    Raises:
        RegistryError: it is no http(s) URL, or leaves an https registry for plain http.
    """
    ours, theirs = urlsplit(registry), _split(given)
    if theirs is None or theirs.scheme not in _PORTS or not theirs.hostname:
        raise RegistryError(
            "the registry names a tarball at no http(s) URL.", advice="Check the registry; nothing was fetched."
        )
    if theirs.scheme == "https" or ours.scheme == "http":
        return given
    if theirs.hostname == ours.hostname:
        return theirs._replace(scheme="https", netloc=ours.netloc).geturl()
    raise RegistryError(
        f"the registry names a tarball at {theirs.hostname} by plain http.",
        advice="Check the registry; nothing was fetched.",
    )


def _netloc(parts: SplitResult) -> str:
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname or ""
    return host if parts.port in {None, _PORTS[parts.scheme]} else f"{host}:{parts.port}"


def _is_here(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _split(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises for a port that is no number
    except ValueError:
        return None
    return parts


FIRST_PAUSE = 2.0
LONGEST_PAUSE = 15.0

# Name, version, and the integrity that the registry has (not our tarball's, where it was packed anew).
Awaited = tuple[str, str, str]


def await_visible(
    registry: Registry,
    wanted: Sequence[Awaited],
    *,
    policy: RetryPolicy,
    minutes: float,
    told: Callable[[str], None] = lambda _line: None,
) -> None:
    """Returns once every version is in the packument that npm installs from. It reads and never publishes.

    Args:
        registry: the registry to ask, caches included.
        wanted: name, version and the registry's integrity of each.
        policy: the job's deadline and clock.
        minutes: how long to wait at the most, within the deadline.
        told: is given a line for each round of waiting.

    Raises:
        DeadlineError: names every version that is not visible, and since when it was awaited.
        ConflictError: a version is visible with another integrity.
    """
    clock, started = policy.clock, policy.clock.now()
    deadline = min(policy.deadline, started + minutes * 60)
    pause, missing = FIRST_PAUSE, list(wanted)
    while True:
        try:
            missing = _not_visible(registry, missing)
        except DeadlineError as late:
            raise _too_late(missing, since=started, now=clock.now(), because=late.faults) from late
        if not missing:
            return
        if clock.now() + pause > deadline:
            raise _too_late(missing, since=started, now=clock.now())
        told(f"{len(missing)} of {len(wanted)} not visible yet; looking again in {pause:.0f} s")
        clock.sleep(pause)
        pause = min(LONGEST_PAUSE, pause * 1.5)


def visible(registry: Registry, wanted: Awaited) -> bool:
    """Whether `npm install` sees this version now.

    Raises:
        ConflictError: it sees another content.
    """
    name, version, integrity = wanted
    packument = registry.installable(name)
    found = packument.versions.get(version) if packument else None
    if found is None:
        return False
    if found.integrity != integrity and not same_integrity(integrity, found.integrity):
        raise ConflictError(
            f"{name}@{version} is visible with another content: {found.integrity} there, {integrity} expected.",
            advice="Do not publish what depends on it. Release under a new version number.",
        )
    return True


def _not_visible(registry: Registry, wanted: Sequence[Awaited]) -> list[Awaited]:
    return [each for each in wanted if not visible(registry, each)]


def _too_late(missing: Sequence[Awaited], *, since: float, now: float, because: Sequence[Fault] = ()) -> DeadlineError:
    waited = f"awaited since {as_utc(since)} ({(now - since) / 60:.0f} min)"
    lines = [f"{name}@{version} is not visible to npm install yet, {waited}." for name, version, _ in missing]
    return DeadlineError(
        [*lines, *because],
        advice="The registry may be slow to show what it accepted. Re-run the job later: nothing is published twice.",
    )
