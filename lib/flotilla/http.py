"""HTTP for GitHub, its storage and upload hosts, npm's registry and the id-token service, with one set of rules.

- A credential is sent only to its own origin, and not even there once a redirect has led elsewhere.
- A redirect never leads from https to http. No library follows redirects, reads .netrc or keeps cookies.
- Answers are requested unencoded. One that is read whole is limited in bytes and in time.
- If the job is cancelled, every open connection is cut, and none is opened.
"""

from __future__ import annotations

import re
import socket
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from http.cookiejar import DefaultCookiePolicy
from typing import IO, Any, Self
from urllib.parse import urljoin, urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from flotilla.errors import FlotillaError
from flotilla.retry import RetryPolicy, StopFlag, TransientError, retry_after
from flotilla.text import one_line, sentence

PORTS = {"https": 443, "http": 80}
REDIRECTS = frozenset({301, 302, 303, 307, 308})
MOST_REDIRECTS = 5
CHUNK = 64 * 1024
LONGEST_REFUSAL = 16 * 1024
CONNECT_SECONDS = 30.0
SILENT_SECONDS = 60.0  # without one byte received or sent
ANSWER_SECONDS = 120.0  # for a whole answer, with its headers
LEAST_SECONDS = 15.0  # for an answer after the job's time ran out: the last check after a write
TELL_SECONDS = 30.0
SECONDS = re.compile(r"[0-9]{1,10}")  # since the epoch


class Unsure(TransientError):  # noqa: N818 - not an error yet
    """A transient failure after which it is unknown whether the call took effect."""


@dataclass(frozen=True)
class Origin:
    """Scheme, host and port of a URL."""

    scheme: str
    host: str
    port: int

    @classmethod
    def of(cls, url: str) -> Self | None:
        """Return a URL's origin; None if it is not http(s), has a user name, or is ambiguous."""
        if "\\" in url or not url.isprintable() or " " in url:
            return None
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            return None
        if parts.scheme not in PORTS or not parts.hostname or "@" in parts.netloc:
            return None
        return cls(parts.scheme, parts.hostname, PORTS[parts.scheme] if port is None else port)

    def __str__(self) -> str:
        """Return the origin as the beginning of a URL."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"

    def may_lead_to(self, other: Origin | None) -> bool:
        """Return whether a redirect may lead to the other origin: anywhere but from https to http."""
        return other is not None and other.scheme in {"https", self.scheme}


@dataclass(frozen=True, kw_only=True)
class Request:
    """One request.

    Args:
        what: the request in plain words, for the log and errors ("create tag v1.0.0").
        credential: value of the Authorization header; sent to the URL's own origin only.
        body: bytes, or a file that is sent from its beginning.
        follow: whether redirects are followed.
    """

    what: str
    url: str
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict)
    credential: str | None = field(default=None, repr=False)
    body: bytes | IO[bytes] | None = None
    follow: bool = True


@dataclass(frozen=True, kw_only=True)
class Answer:
    """An answer, read whole; headers by their lower-case names."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    url: str


@dataclass(frozen=True, kw_only=True)
class Stream:
    """An open answer.

    Args:
        credited: the credential was sent to the server that answered.
        refused: the beginning of the body if the status is 400 or higher.
        chunks: yields the body undecoded; raises Unsure if the connection breaks.
    """

    status: int
    headers: Mapping[str, str]
    url: str
    credited: bool
    refused: bytes
    chunks: Callable[[], Iterator[bytes]]


class Http:
    """Sends requests.

    Args:
        policy: how long answers may take, and the stop flag.
        error: the class of errors that no retry can fix.
        answer_seconds: the longest a whole answer may take, within the job's time.
    """

    def __init__(
        self, policy: RetryPolicy, *, error: type[FlotillaError], answer_seconds: float = ANSWER_SECONDS
    ) -> None:
        self.policy = policy
        self._error = error
        self._answer_seconds = answer_seconds
        self._lock = threading.Lock()
        self._idle: defaultdict[Origin, list[_Session]] = defaultdict(list)

    def read(self, request: Request, *, limit: int) -> Answer:
        """Return the answer, whatever its status, read whole.

        Raises:
            TransientError: another try may succeed (Unsure if the request may have taken effect).
            FlotillaError: the answer is longer than `limit` bytes or encoded, or redirects to where it must not.
        """
        with self._watched(request) as watch, self._opened(request, watch) as response:
            self._refuse_encoded(response, request)
            body = bytearray()
            for chunk in self._chunks(response):
                body += chunk
                if len(body) > limit:
                    raise self._error(
                        f"{sentence(request.what)}: the answer from {host_of(response.url)} is longer than "
                        f"{limit} bytes, the limit."
                    )
            watch.check()  # a connection that was cut may look like one that ended
            return Answer(
                status=response.status_code, headers=headers_of(response), body=bytes(body), url=response.url or ""
            )

    @contextmanager
    def stream(self, request: Request) -> Iterator[Stream]:
        """Open an answer to read with `chunks`; only the caller limits its size and time.

        Raises:
            TransientError: another try may succeed.
            FlotillaError: a redirect that must not be followed, or a certificate that is not trusted.
        """
        with self._watched(request) as watch, self._opened(request, watch) as response:
            refused = b""
            if response.status_code >= HTTPStatus.BAD_REQUEST:
                for chunk in self._chunks(response):
                    refused = (refused + chunk)[:LONGEST_REFUSAL]
                    if len(refused) == LONGEST_REFUSAL:
                        break
            watch.end()
            yield Stream(
                status=response.status_code,
                headers=headers_of(response),
                url=response.url or "",
                credited="Authorization" in response.request.headers,
                refused=refused,
                chunks=lambda: self._chunks(response),
            )

    def _chunks(self, response: requests.Response) -> Iterator[bytes]:
        """Yield the body as it was sent, undecoded; Unsure if the connection breaks."""
        try:
            # read1 returns what has arrived: a server that sends a byte a minute would never fill a chunk.
            while chunk := response.raw.read1(CHUNK, decode_content=False):
                self.policy.stop.check()
                yield chunk
            self.policy.stop.check()  # a connection that was cut may look like one that ended
        except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            self.policy.stop.check()
            raise self.failure(error, response.url or "") from None

    def close(self) -> None:
        """Close the idle connections."""
        with self._lock:
            idle = [session for sessions in self._idle.values() for session in sessions]
            self._idle.clear()
        for session in idle:
            session.close()

    def failure(self, error: Exception, url: str) -> TransientError | FlotillaError:
        """Return the error for a broken connection.

        The exception's own text is left out: it may contain the query of a signed URL.
        """
        host = host_of(url)
        if "CERTIFICATE_VERIFY_FAILED" in str(error):
            return self._error(
                f"This machine does not trust the certificate of {host}.",
                advice="If a proxy or your own server uses a private certificate authority, add it on the runner: "
                "set REQUESTS_CA_BUNDLE for flotilla (a file with all other authorities too) and "
                "NODE_EXTRA_CA_CERTS for npm.",
            )
        if isinstance(error, requests.exceptions.InvalidURL | requests.exceptions.InvalidSchema):
            return self._error(f"A URL on {host} is malformed.")
        if isinstance(error, requests.exceptions.Timeout) or "Timeout" in type(error).__name__:
            return Unsure(f"{host} did not answer in time")
        if "NewConnectionError" in str(error):
            return TransientError(f"no connection to {host}")
        return Unsure(f"the connection to {host} broke")

    @contextmanager
    def _opened(self, request: Request, watch: _Watch) -> Iterator[requests.Response]:
        """Follow redirects, and yield the first answer that is not one."""
        first = origin = Origin.of(request.url)
        url, credential = request.url, request.credential
        for _ in range(MOST_REDIRECTS + 1):
            if origin is None:
                break
            with self._session(origin) as session:
                watch.begin(session)
                with self._sent(session, request, url, credential, watch) as response:
                    if not (request.follow and response.status_code in REDIRECTS):
                        yield response
                        return
                    self._read_out(response)
                    url, before = urljoin_or_nothing(url, response.headers.get("Location", "")), origin
            origin = Origin.of(url)
            if not before.may_lead_to(origin):
                break
            credential = credential if origin == first else None
        else:
            raise self._error(f"{sentence(request.what)}: redirected more than {MOST_REDIRECTS} times.")
        raise self._error(f"{sentence(request.what)}: redirected to a URL that must not be followed.")

    @contextmanager
    def _sent(
        self, session: _Session, request: Request, url: str, credential: str | None, watch: _Watch
    ) -> Iterator[requests.Response]:
        headers = dict(request.headers) | ({"Authorization": credential} if credential else {})
        body = request.body if isinstance(request.body, bytes | None) else _Body(request.body, watch, self.policy.stop)
        self.policy.stop.check()
        try:
            response = session.request(
                request.method,
                url,
                headers=headers,
                data=body,
                stream=True,
                allow_redirects=False,
                timeout=(CONNECT_SECONDS, SILENT_SECONDS),
            )
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            self.policy.stop.check()
            raise self.failure(error, url) from None
        with response:
            yield response

    def _read_out(self, response: requests.Response) -> None:
        """Read a short body to its end, so that the connection can be used again."""
        length = response.headers.get("Content-Length", "")
        if SECONDS.fullmatch(length) and int(length) <= LONGEST_REFUSAL:
            with suppress(TransientError, FlotillaError):  # it only matters to the connection
                for _ in self._chunks(response):
                    pass

    @contextmanager
    def _session(self, origin: Origin) -> Iterator[_Session]:
        """Lend a session that no other thread uses meanwhile, with an open connection to this origin if possible."""
        with self._lock:
            idle = self._idle[origin]
            session = idle.pop() if idle else _Session(self.policy.stop)
        try:
            yield session
        finally:
            with self._lock:
                self._idle[origin].append(session)

    @contextmanager
    def _watched(self, request: Request) -> Iterator[_Watch]:
        seconds = min(max(self.policy.left(), LEAST_SECONDS), self._answer_seconds)
        host = host_of(request.url)
        watch = _Watch(
            seconds, lambda: self.policy.told(f"{request.what}: still waiting for an answer from {host}"), host
        )
        try:
            yield watch
        except TransientError:
            watch.check()
            raise
        finally:
            watch.end()

    def _refuse_encoded(self, response: requests.Response, request: Request) -> None:
        encoding = response.headers.get("Content-Encoding", "identity").strip().lower()
        if encoding not in {"", "identity"}:
            raise self._error(
                f"{sentence(request.what)}: {host_of(response.url)} answered with the encoding "
                f"{one_line(encoding)}, which was not requested.",
                advice="Turn off compression in the proxy or mirror in between.",
            )


def transient(status: int, headers: Mapping[str, str], *, who: str, said: str, now: float) -> TransientError | None:
    """Return the error for a status after which another try may succeed; None if the status is final.

    Args:
        headers: by their lower-case names; a rate limit's reset counts from the answer's own Date.
        who: the server in plain words ("GitHub").
        said: the status and the server's words.
        now: seconds since the epoch, for an answer without a date.
    """
    asked = retry_after(headers.get("retry-after"), now=date_of(headers, now))
    if status == HTTPStatus.TOO_MANY_REQUESTS or (status == HTTPStatus.FORBIDDEN and asked is not None):
        wait = until_reset(headers, now=now) if asked is None else asked
        return TransientError(f"{who}'s rate limit ({said})", after=wait)
    if status == HTTPStatus.FORBIDDEN and headers.get("x-ratelimit-remaining") == "0":
        return TransientError(f"{who}'s rate limit ({said})", after=until_reset(headers, now=now) or 60.0)
    if status in {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY} or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return Unsure(f"{who} answers {said}", after=asked)
    return None


def until_reset(headers: Mapping[str, str], *, now: float) -> float | None:
    """Return the seconds until a used-up rate limit resets; None if the answer does not say."""
    reset = headers.get("x-ratelimit-reset", "")
    if headers.get("x-ratelimit-remaining") != "0" or not SECONDS.fullmatch(reset):
        return None
    return max(1.0, float(reset) - date_of(headers, now))


def date_of(headers: Mapping[str, str], now: float) -> float:
    """Return an answer's time by the server's clock, to which its other times refer."""
    try:
        return parsedate_to_datetime(headers.get("date", "")).timestamp()
    except (ValueError, OverflowError, TypeError):
        return now


def headers_of(response: requests.Response) -> dict[str, str]:
    """Return an answer's headers by their lower-case names."""
    return {name.lower(): value for name, value in response.headers.items()}


def host_of(url: str | None) -> str:
    """Return the host of a URL, for a message."""
    try:
        return one_line(urlsplit(url or "").hostname or "the server")
    except ValueError:
        return "the server"


def urljoin_or_nothing(base: str, location: str) -> str:
    """Return the URL that a Location header leads to; empty if it is malformed."""
    try:
        return urljoin(base, location) if location else ""
    except ValueError:
        return ""


class _NoAuth(AuthBase):
    """Add no credentials; without this, requests would send those of a .netrc file."""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        return request


class _Session(requests.Session):
    """A session that keeps only its connections between requests; the stop flag cuts them."""

    def __init__(self, stop: StopFlag) -> None:
        super().__init__()
        self.auth = _NoAuth()
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self.headers.clear()
        self.headers.update({"User-Agent": "flotilla", "Accept": "*/*", "Accept-Encoding": "identity"})
        self._stop = stop
        self._sockets: list[socket.socket] = []
        for prefix in ("https://", "http://"):
            self.mount(prefix, _Adapter(self._connected))
        stop.on_set(self.cut)

    def get_redirect_target(self, resp: requests.Response) -> str | None:  # noqa: ARG002 - requests' own name
        """Return None: requests would parse the target and read the body even if told not to follow."""
        return None

    def cut(self) -> None:
        """Cut every connection; the threads that use them get an error."""
        for one in list(self._sockets):
            with suppress(OSError):
                # Not through TLS, whose shutdown waits for the other side.
                socket.socket.shutdown(one, socket.SHUT_RDWR)

    def _connected(self, connection: HTTPConnection) -> None:
        opened = connection.sock
        if isinstance(opened, socket.socket):
            self._sockets = [*(one for one in self._sockets if one.fileno() >= 0), opened]
        self._stop.check()


class _Adapter(HTTPAdapter):
    """Report every connection that it opens, through a proxy or not."""

    def __init__(self, connected: Callable[[HTTPConnection], None]) -> None:
        class Plain(HTTPConnection):
            def connect(self) -> None:
                super().connect()
                connected(self)

        class Secure(HTTPSConnection):
            def connect(self) -> None:
                super().connect()
                connected(self)

        class PlainPool(HTTPConnectionPool):
            ConnectionCls = Plain

        class SecurePool(HTTPSConnectionPool):
            ConnectionCls = Secure

        self._pools = {"http": PlainPool, "https": SecurePool}
        super().__init__(max_retries=0)

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        """Use our connections."""
        super().init_poolmanager(*arguments, **options)
        self.poolmanager.pool_classes_by_scheme = self._pools

    def proxy_manager_for(self, *arguments: Any, **options: Any) -> Any:
        """Use our connections."""
        manager = super().proxy_manager_for(*arguments, **options)
        manager.pool_classes_by_scheme = self._pools
        return manager


class _Body:
    """A file as a request's body; sending stops if the job is cancelled, and the answer's time counts from its end."""

    def __init__(self, file: IO[bytes], watch: _Watch, stop: StopFlag) -> None:
        self._file = file
        self._watch = watch
        self._stop = stop
        self._size = file.seek(0, 2)
        file.seek(0)

    def __len__(self) -> int:
        return self._size

    def read(self, count: int = -1) -> bytes:
        """Return the next bytes to send."""
        self._stop.check()
        self._watch.begin()
        return self._file.read(count)


class _Watch:
    """Say once that an answer takes long, and cut its connection if it takes too long."""

    def __init__(self, seconds: float, tell: Callable[[], None], host: str) -> None:
        self._seconds = seconds
        self._tell = tell
        self._host = host
        self._late = False
        self._over = threading.Event()
        self._session: _Session | None = None
        self._since = time.monotonic()
        threading.Thread(target=self._run, name="flotilla-watch", daemon=True).start()

    def begin(self, session: _Session | None = None) -> None:
        """Watch this session's connections, and start counting again."""
        self.check()
        if session is None:
            self._since = time.monotonic()
        else:
            self._session = session

    def check(self) -> None:
        """Raise Unsure if the time is up."""
        if self._late:
            raise Unsure(f"{self._host} did not answer within {self._seconds:.0f} s")

    def end(self) -> None:
        """Stop watching."""
        self._over.set()

    def _run(self) -> None:
        due = [TELL_SECONDS] if self._seconds > TELL_SECONDS else []
        while not self._over.wait(max(0.0, self._since + min([*due, self._seconds]) - time.monotonic())):
            waited = time.monotonic() - self._since
            if due and waited >= due[0]:
                due.clear()
                self._tell()
            if waited >= self._seconds:
                break
        # Repeatedly, because a connection may open meanwhile.
        while not self._over.wait(0 if not self._late else 0.5):
            self._late = True
            if self._session is not None:
                self._session.cut()
