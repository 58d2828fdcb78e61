"""Read from the npm registry; only the npm CLI writes to it."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from http import HTTPStatus
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import SplitResult, quote, urlsplit

from flotilla.documents import Document
from flotilla.errors import ConflictError, DeadlineError, Fault, InputError, RegistryError
from flotilla.http import PORTS, Http, Origin, Request, transient
from flotilla.npm.packument import (
    Json,
    Packument,
    PublishedVersion,
    malformed,
    parse_json,
    parse_packument,
    same_integrity,
)
from flotilla.retry import RetryPolicy, TransientError, as_utc, gather
from flotilla.text import plain

ABBREVIATED = "application/vnd.npm.install-v1+json"
JSON_LIMIT = 128 * 2**20
TOKENS_LIMIT = 2**20
TARBALL_LIMIT = 2 * 2**30
SLOWEST = 600.0  # a download, in seconds
SHORTEST_BEGINNING = 6  # of a listed token; all begin with npm_
READ_ONLY = (
    "npm-token is read-only, so it cannot publish. Store a token that can publish these packages, or use trusted "
    "publishing."
)
FIRST_PAUSE = 2.0
LONGEST_PAUSE = 15.0

_NAME = re.compile(r"(@[A-Za-z0-9~_.-]+/)?[A-Za-z0-9~_.!'()*-]+")

# Name, version, and the registry's integrity (which differs from our tarball's if that was packed again).
Awaited = tuple[str, str, str]


class Registry:
    """An npm registry, read over HTTP.

    Args:
        url: the registry's URL; a path below its origin is kept.
        token: sent to the registry's own origin only; None if there is none.
        policy: how long to keep trying.
    """

    def __init__(self, url: str, *, token: str | None, policy: RetryPolicy) -> None:
        self.url = registry_url(url)
        self._token = token or ""
        self._policy = policy
        self._http = Http(policy, error=RegistryError)

    def fresh(self, name: str) -> Packument | None:
        """Return the full packument, bypassing every cache; None if there is no such package.

        A plain read may come from a cache for up to five minutes, and reading before a publish would put the old
        state into that cache.
        """
        return self._packument(
            name, f"{escaped(name)}?write=true", {"Accept": "application/json", "Cache-Control": "no-cache"}
        )

    def installable(self, name: str) -> Packument | None:
        """Return the packument as `npm install` gets it, through the caches; None if there is none."""
        return self._packument(name, escaped(name), {"Accept": ABBREVIATED})

    def attestations(self, published: PublishedVersion) -> list[Json] | None:
        """Return the attestations of one version, each with predicateType and bundle; None if it has none."""
        what = f"read the attestations of {published.name}@{published.version}"
        answer = self._json(f"-/npm/v1/attestations/{escaped(published.name)}@{published.version}", what=what)
        if answer is None:
            return None
        return [each.fields for each in Document.of(answer, what, malformed).inners("attestations")]

    def token_fault(self) -> str:
        """Return why this token cannot publish, as far as the registry tells; empty if nothing is known against it.

        npm's registry lists the user's tokens, each with its first characters (npm: lib/commands/token.js). Most other
        registries have no such list, and some tokens cannot read it.
        """
        if not self._token:
            return ""
        request = self._request("-/npm/v1/tokens?perPage=100", what=f"ask {self.url} about the token")
        try:
            answer = self._http.read(request, limit=TOKENS_LIMIT)
            listed = parse_json(answer.body, what=request.what) if answer.status == HTTPStatus.OK else None
        except (TransientError, RegistryError):
            return ""
        tokens = listed.get("objects") if isinstance(listed, dict) else None
        ours = [each for each in tokens if self._is_ours(each)] if isinstance(tokens, list) else []
        return READ_ONLY if ours and all(each.get("readonly") is True for each in ours) else ""

    def _is_ours(self, listed: object) -> bool:
        beginning = listed.get("token") if isinstance(listed, dict) else None
        return isinstance(beginning, str) and len(beginning) >= SHORTEST_BEGINNING and self._token.startswith(beginning)

    def download(self, published: PublishedVersion, into: Path, *, limit: int = TARBALL_LIMIT) -> None:
        """Download the tarball of one version to a file, which exists afterwards only if its integrity is right.

        Raises:
            RegistryError: the bytes do not match the registry's own integrity, or are too many.
        """
        url = tarball_url(published.tarball, registry=self.url)
        what = f"download {published.name}@{published.version}"
        own = Origin.of(url) == Origin.of(self.url)
        request = Request(what=what, url=url, credential=self._credential if own else None)
        try:
            self._policy.retry(lambda: self._save(request, published.integrity, into, limit), what=what)
        except BaseException:
            into.unlink(missing_ok=True)
            raise

    @property
    def _credential(self) -> str | None:
        return f"Bearer {self._token}" if self._token else None

    def _packument(self, name: str, path: str, headers: Mapping[str, str]) -> Packument | None:
        what = f"read {name} from {self.url}"
        document = self._json(path, what=what, headers=headers)
        return None if document is None else parse_packument(document, name=name, what=what)

    def _request(self, path: str, *, what: str, headers: Mapping[str, str] | None = None) -> Request:
        accept = headers or {"Accept": "application/json"}
        return Request(what=what, url=self.url + path, headers=accept, credential=self._credential)

    def _json(self, path: str, *, what: str, headers: Mapping[str, str] | None = None) -> object | None:
        request = self._request(path, what=what, headers=headers)
        body = self._policy.retry(lambda: self._body(request), what=what)
        return None if body is None else parse_json(body, what=what)

    def _body(self, request: Request) -> bytes | None:
        answer = self._http.read(request, limit=JSON_LIMIT)
        if answer.status == HTTPStatus.NOT_FOUND:
            return None
        self._refuse(answer.status, answer.headers, request.what)
        return answer.body

    def _save(self, request: Request, integrity: str, into: Path, limit: int) -> None:
        with self._http.stream(request) as stream, into.open("wb") as file:
            self._refuse(stream.status, stream.headers, request.what)
            algorithm, wanted = _digest(integrity, request.what)
            digest, size, started = hashlib.new(algorithm), 0, self._policy.clock.now()
            for chunk in stream.chunks():
                size += len(chunk)
                if size > limit:
                    raise RegistryError(f"{request.what}: the answer is longer than {limit} bytes, the limit.")
                # Not the job's deadline, because the last read-back of a publish comes after it.
                if self._policy.clock.now() - started > SLOWEST:
                    raise TransientError("the answer arrives too slowly")
                digest.update(chunk)
                file.write(chunk)
        if not hmac.compare_digest(digest.digest(), wanted):
            raise RegistryError(
                f"{request.what}: the tarball does not match the registry's own integrity ({integrity}).",
                advice="A proxy may have changed the file, or the registry is damaged. Find out before you continue.",
            )

    def _refuse(self, status: int, headers: Mapping[str, str], what: str) -> None:
        if status == HTTPStatus.OK:
            return
        if passing := transient(status, headers, who="the registry", said=str(status), now=self._policy.clock.now()):
            raise passing
        if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
            raise RegistryError(
                f"{what}: the registry answered {status}, so this credential cannot read it.",
                advice="Check npm-token and the registry's URL.",
            )
        raise RegistryError(f"{what}: the registry answered {status}.", advice="Check the registry's URL.")


def _digest(integrity: str, what: str) -> tuple[str, bytes]:
    hashes = dict(reversed([part.partition("?")[0].partition("-")[::2] for part in integrity.split()]))
    for algorithm in ("sha512", "sha384", "sha256", "sha1"):
        if algorithm in hashes:
            try:
                return algorithm, base64.b64decode(hashes[algorithm], validate=True)
            except binascii.Error:
                break
    raise RegistryError(f"{what}: the registry has no integrity that can be checked ({plain(integrity, longest=120)}).")


def registry_url(given: str) -> str:
    """Return the registry's URL as flotilla uses it, with a slash at its end.

    Raises:
        InputError: it is not an http(s) URL, uses http to another machine, or has a password, query or fragment.
    """
    parts = _split(given.strip())
    if parts is None or parts.scheme not in PORTS or not parts.hostname:
        raise InputError(
            f'the registry "{given}" is not an http(s) URL.', advice="Write it as https://host/, or leave it out."
        )
    if parts.username is not None or parts.query or parts.fragment:
        raise InputError(
            "the registry's URL contains a user name, a query or a fragment.",
            advice="Use the bare URL; a token belongs in the input npm-token.",
        )
    if parts.scheme == "http" and not _is_here(parts.hostname):
        raise InputError(
            f"the registry's URL uses plain http, so the credential would cross the network to {parts.hostname} "
            "unencrypted.",
            advice="Use an https URL in the input registry or in .npmrc; plain http works only for this machine.",
        )
    # As npm writes it when it looks up the credential: in lower case, and without the default port.
    return parts._replace(netloc=_netloc(parts)).geturl().rstrip("/") + "/"


def path_of(registry: str) -> str:
    """Return the registry's path below its origin; empty if it has none."""
    return urlsplit(registry).path.strip("/")


def escaped(name: str) -> str:
    """Return a package's name as one part of a path: @acme%2Ftool.

    Raises:
        RegistryError: it is not a possible package name.
    """
    if not _NAME.fullmatch(name) or name in {".", ".."} or name.endswith(("/.", "/..")):
        raise RegistryError(f'"{name}" is not a valid package name.')
    return quote(name, safe="@")


def tarball_url(given: str, *, registry: str) -> str:
    """Return the URL to download a tarball from.

    npm itself writes `http:` into dist.tarball; on the registry's own host, the registry's scheme counts instead.

    Raises:
        RegistryError: it is not an http(s) URL, or leads from an https registry to plain http.
    """
    ours, theirs = urlsplit(registry), Origin.of(given)
    if theirs is None:
        raise RegistryError(
            "the registry names a tarball without an http(s) URL.", advice="Check the registry; nothing was downloaded."
        )
    if theirs.scheme == "https" or ours.scheme == "http":
        return given
    if theirs.host == ours.hostname:
        return urlsplit(given)._replace(scheme="https", netloc=ours.netloc).geturl()
    raise RegistryError(
        f"the registry names a tarball at {theirs.host} by plain http.",
        advice="Check the registry; nothing was downloaded.",
    )


def _netloc(parts: SplitResult) -> str:
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname or ""
    return host if parts.port in {None, PORTS[parts.scheme]} else f"{host}:{parts.port}"


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


def await_visible(
    registry: Registry,
    wanted: Sequence[Awaited],
    *,
    policy: RetryPolicy,
    minutes: float,
    told: Callable[[str], None] = lambda _line: None,
) -> None:
    """Wait until every version is in the packument from which npm installs.

    Args:
        registry: the registry to ask, through its caches.
        wanted: name, version and the registry's integrity of each.
        policy: the job's deadline and clock.
        minutes: the longest wait, within the deadline.
        told: gets a log line for each wait.

    Raises:
        DeadlineError: names every version that is not visible, and for how long it was awaited.
        ConflictError: a version is visible with another integrity.
    """
    clock, started = policy.clock, policy.clock.now()
    deadline = min(policy.deadline, started + minutes * 60)
    pause, missing = FIRST_PAUSE, list(wanted)
    while True:
        try:
            seen = gather([partial(visible, registry, each) for each in missing], stop=policy.stop)
            missing = [each for each, there in zip(missing, seen, strict=True) if not there]
        except DeadlineError as late:
            raise _too_late(missing, since=started, now=clock.now(), because=late.faults) from late
        if not missing:
            return
        if clock.now() + pause > deadline:
            raise _too_late(missing, since=started, now=clock.now())
        told(f"{len(missing)} of {len(wanted)} packages not visible yet; checking again in {pause:.0f} s")
        clock.sleep(pause)
        pause = min(LONGEST_PAUSE, pause * 1.5)


def visible(registry: Registry, wanted: Awaited) -> bool:
    """Return whether `npm install` sees this version now.

    Raises:
        ConflictError: it sees other content.
    """
    name, version, integrity = wanted
    packument = registry.installable(name)
    found = packument.versions.get(version) if packument else None
    if found is None:
        return False
    if found.integrity != integrity and not same_integrity(integrity, found.integrity):
        raise ConflictError(
            f"{name}@{version} is on the registry with other content: expected {integrity}, got {found.integrity}.",
            advice="Do not publish packages that depend on it. Release under a new version number.",
        )
    return True


def _too_late(missing: Sequence[Awaited], *, since: float, now: float, because: Sequence[Fault] = ()) -> DeadlineError:
    waited = f"waited {(now - since) / 60:.0f} min, since {as_utc(since)}"
    lines = [f"{name}@{version} is not visible to npm install yet ({waited})." for name, version, _ in missing]
    return DeadlineError(
        [*lines, *because],
        advice="The registry may be slow to show what it accepted. Re-run the job later; nothing is published twice.",
    )
