from __future__ import annotations

import base64
import gzip
import hashlib
import socket
import ssl
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import trustme
from tests.conftest import RecordedClock
from tests.npm.scripted_registry import Reply, ScriptedRegistry
from tests.world.sockets import BYTES, MinuteClock, Trickle

from flotilla.errors import ConflictError, DeadlineError, InputError, RegistryError
from flotilla.npm import PublishedVersion, Registry, await_visible
from flotilla.npm import registry as reading
from flotilla.npm.cli import credential_key, scope_of
from flotilla.npm.registry import escaped, path_of, registry_url, tarball_url
from flotilla.retry import RetryPolicy

TARBALL = b"the tarball" * 1000
INTEGRITY = "sha512-" + base64.b64encode(hashlib.sha512(TARBALL).digest()).decode()
NAME = "@acme/tool"


@pytest.fixture
def published(registry: ScriptedRegistry) -> PublishedVersion:
    return PublishedVersion(name=NAME, version="1.0.0", integrity=INTEGRITY, tarball=f"{registry.url}tool.tgz")


@pytest.fixture
def with_token(registry: ScriptedRegistry, policy: RetryPolicy) -> Registry:
    return Registry(registry.url, token="npm-canary", policy=policy)  # noqa: S106 - a canary


def document(version: str = "1.0.0") -> dict[str, object]:
    dist = {"integrity": INTEGRITY, "tarball": "http://x/tool.tgz"}
    return {"name": NAME, "dist-tags": {"latest": version}, "versions": {version: {"dist": dist}}}


def test_a_fresh_read_asks_past_the_caches_and_an_installable_one_as_npm_does(
    registry: ScriptedRegistry, reads: Registry
) -> None:
    registry.packages[NAME] = document()
    assert reads.fresh(NAME) == reads.installable(NAME)
    fresh, plain = registry.seen
    assert fresh.path == plain.path == "/@acme%2Ftool"
    assert "write" in fresh.query
    assert "write" not in plain.query
    assert fresh.headers["cache-control"] == "no-cache"
    assert plain.headers["accept"] == "application/vnd.npm.install-v1+json"


def test_a_package_that_is_not_there_is_an_answer(reads: Registry) -> None:
    assert reads.fresh(NAME) is None
    assert reads.installable(NAME) is None


def test_a_registry_below_a_path_is_read_below_that_path(registry: ScriptedRegistry, policy: RetryPolicy) -> None:
    Registry(registry.url + "npm", token=None, policy=policy).fresh(NAME)
    assert registry.seen[0].path == "/npm/@acme%2Ftool"


def test_a_read_waits_as_long_as_retry_after_says(
    registry: ScriptedRegistry, reads: Registry, recorded_clock: RecordedClock
) -> None:
    registry.packages[NAME] = document()
    date = "Mon, 12 Jan 1970 13:48:40 GMT"  # the clock starts at 1 000 000 s and waits 31 s first
    replies = [Reply(status=429, headers={"Retry-After": "30"}), Reply(status=503, headers={"Retry-After": date})]
    registry.script("GET", "/", *replies)
    assert reads.fresh(NAME) is not None
    assert recorded_clock.slept == [31.0, 90.0]


def test_a_cut_a_5xx_and_a_truncated_body_are_tried_again(
    registry: ScriptedRegistry, reads: Registry, recorded_clock: RecordedClock
) -> None:
    registry.packages[NAME] = document()
    registry.script("GET", "/", Reply(cut=True), Reply(status=502), Reply(body=b"{", short_by=100))
    assert reads.fresh(NAME) is not None
    assert recorded_clock.slept == [2.0, 4.0, 8.0]


def test_a_read_that_never_succeeds_ends_at_the_deadline_in_words(registry: ScriptedRegistry, reads: Registry) -> None:
    registry.script("GET", "/", Reply(status=429, headers={"Retry-After": "3600"}))
    with pytest.raises(DeadlineError, match=r"read @acme/tool from .*rate limit .*3600 s"):
        reads.fresh(NAME)


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_read_names_the_credential(registry: ScriptedRegistry, reads: Registry, status: int) -> None:
    registry.script("GET", "/", Reply(status=status))
    with pytest.raises(RegistryError, match="credential"):
        reads.fresh(NAME)


def test_a_page_in_place_of_the_registry_is_named(registry: ScriptedRegistry, reads: Registry) -> None:
    registry.script("GET", "/", Reply(body=b"<html>sign in</html>"))
    with pytest.raises(RegistryError, match="not JSON"):
        reads.fresh(NAME)


def test_an_endless_answer_is_not_read_to_its_end(
    registry: ScriptedRegistry, reads: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "JSON_LIMIT", 1000)
    registry.script("GET", "/", Reply(body=b" " * 100_000))
    with pytest.raises(RegistryError, match="longer than 1000 bytes"):
        reads.fresh(NAME)
    bomb = gzip.compress(b" " * 100_000)
    registry.script("GET", "/", Reply(body=bomb, headers={"content-encoding": "gzip"}))
    with pytest.raises(RegistryError, match="encoding gzip"):
        reads.fresh(NAME)


def test_the_token_goes_to_the_registry(registry: ScriptedRegistry, with_token: Registry) -> None:
    with_token.fresh(NAME)
    assert registry.seen[0].bearer == "npm-canary"


def test_the_token_does_not_follow_a_redirect_to_another_origin(
    registry: ScriptedRegistry, other: ScriptedRegistry, with_token: Registry
) -> None:
    other.packages[NAME] = document()
    registry.script("GET", "/", Reply(status=302, headers={"Location": f"{other.url}@acme%2Ftool"}))
    assert with_token.fresh(NAME) is not None
    assert "authorization" not in other.seen[0].headers


def test_the_token_does_not_go_to_a_tarball_elsewhere(
    registry: ScriptedRegistry, other: ScriptedRegistry, with_token: Registry, tmp_path: Path
) -> None:
    other.script("GET", "/tool.tgz", Reply(body=TARBALL))
    elsewhere = PublishedVersion(name=NAME, version="1.0.0", integrity=INTEGRITY, tarball=f"{other.url}tool.tgz")
    with_token.download(elsewhere, tmp_path / "tool.tgz")
    assert "authorization" not in other.seen[0].headers
    assert registry.seen == []


def test_credentials_in_netrc_are_nobody_s_business(
    registry: ScriptedRegistry, reads: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login eve password secret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    registry.script("GET", "/", Reply(status=302, headers={"Location": f"{registry.url}elsewhere"}))
    reads.fresh(NAME)
    assert [seen.headers.get("authorization") for seen in registry.seen] == [None, None]


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://127.0.0.1/x"])
def test_a_redirect_out_of_http_is_refused(registry: ScriptedRegistry, reads: Registry, target: str) -> None:
    registry.script("GET", "/", Reply(status=302, headers={"Location": target}))
    with pytest.raises(RegistryError, match="must not be followed"):
        reads.fresh(NAME)


def test_redirects_in_a_circle_end(registry: ScriptedRegistry, reads: Registry) -> None:
    registry.script("GET", "/", *[Reply(status=302, headers={"Location": "/again"})] * 10)
    with pytest.raises(RegistryError, match="redirected more than"):
        reads.fresh(NAME)


def test_a_redirect_that_nobody_can_parse_is_refused_in_words(registry: ScriptedRegistry, reads: Registry) -> None:
    registry.script("GET", "/", Reply(status=302, headers={"Location": "http://[::1"}))
    with pytest.raises(RegistryError, match="must not be followed"):
        reads.fresh(NAME)


def test_the_body_of_a_redirect_is_not_read(recorded_clock: RecordedClock) -> None:
    """It may have no end; requests would read it even when told not to follow."""
    with Trickle(b"HTTP/1.1 302 Found\r\nLocation: /again\r\n\r\n") as server:
        reads = Registry(server.url, token=None, policy=RetryPolicy(deadline=2e6, clock=recorded_clock))
        with pytest.raises(RegistryError, match="redirected more than"):
            reads.fresh(NAME)
        assert server.sent < BYTES


def test_a_tarball_that_comes_a_byte_a_minute_is_given_up(tmp_path: Path) -> None:
    clock = MinuteClock()
    with Trickle(b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n") as server:
        slow = Registry(server.url, token=None, policy=RetryPolicy(deadline=20 * 60, clock=clock, attempts=1))
        version = PublishedVersion(name=NAME, version="1.0.0", integrity=INTEGRITY, tarball=f"{server.url}/tool.tgz")
        with pytest.raises(DeadlineError, match="too slowly"):
            slow.download(version, tmp_path / "tool.tgz")
        assert server.sent < BYTES


def test_a_download_is_the_file_that_integrity_names(
    registry: ScriptedRegistry, reads: Registry, published: PublishedVersion, tmp_path: Path
) -> None:
    registry.script("GET", "/tool.tgz", Reply(status=500), Reply(body=TARBALL))
    reads.download(published, tmp_path / "tool.tgz")
    assert (tmp_path / "tool.tgz").read_bytes() == TARBALL


def test_a_tarball_swapped_on_the_way_is_refused_and_not_kept(
    registry: ScriptedRegistry, reads: Registry, published: PublishedVersion, tmp_path: Path
) -> None:
    registry.script("GET", "/tool.tgz", Reply(body=TARBALL[:-1] + b"!"))
    with pytest.raises(RegistryError, match="integrity"):
        reads.download(published, tmp_path / "tool.tgz")
    assert not (tmp_path / "tool.tgz").exists()


def test_a_tarball_without_end_is_refused_and_not_kept(
    registry: ScriptedRegistry, reads: Registry, published: PublishedVersion, tmp_path: Path
) -> None:
    registry.script("GET", "/tool.tgz", Reply(body=TARBALL))
    with pytest.raises(RegistryError, match="longer than 100 bytes"):
        reads.download(published, tmp_path / "tool.tgz", limit=100)
    assert not (tmp_path / "tool.tgz").exists()


@pytest.mark.parametrize("integrity", ["", "md5-AAAA", "sha512-not base64!"])
def test_a_tarball_that_nothing_vouches_for_is_refused(
    registry: ScriptedRegistry, reads: Registry, tmp_path: Path, integrity: str
) -> None:
    registry.script("GET", "/tool.tgz", Reply(body=TARBALL))
    version = PublishedVersion(name=NAME, version="1.0.0", integrity=integrity, tarball=f"{registry.url}tool.tgz")
    with pytest.raises(RegistryError, match="integrity"):
        reads.download(version, tmp_path / "tool.tgz")


def test_attestations_are_read_from_the_registry_itself_whatever_url_it_names(
    registry: ScriptedRegistry, reads: Registry
) -> None:
    version = PublishedVersion(
        name=NAME, version="1.0.0", integrity=INTEGRITY, tarball="x", attestations="https://evil.example/"
    )
    registry.script("GET", "/-/npm/v1/attestations/@acme%2Ftool@1.0.0", Reply(body={"attestations": [{"bundle": {}}]}))
    assert reads.attestations(version) == [{"bundle": {}}]
    registry.script("GET", "/-/npm/v1/attestations/", Reply(status=404), Reply(body={"attestations": {}}))
    assert reads.attestations(version) is None
    with pytest.raises(RegistryError, match=r"\(attestations\)"):
        reads.attestations(version)


@pytest.mark.parametrize(
    ("listed", "noticed"),
    [
        ([{"token": "npm-ca", "readonly": True}], True),
        ([{"token": "npm-ot", "readonly": True}, {"token": "npm-ca", "readonly": True, "key": "x"}], True),
        ([{"token": "npm-ca", "readonly": False}], False),
        ([{"token": "npm-ca", "readonly": "yes"}], False),
        ([{"token": "npm-ca", "readonly": True}, {"token": "npm-can", "readonly": False}], False),
        ([{"token": "npm", "readonly": True}, {"token": "", "readonly": True}, {"readonly": True}, 7], False),
        ({}, False),
        (None, False),
    ],
)
def test_a_read_only_token_is_noticed_where_the_registry_tells(
    registry: ScriptedRegistry, with_token: Registry, *, listed: object, noticed: bool
) -> None:
    registry.script("GET", "/-/npm/v1/tokens", Reply(body={"objects": listed}))
    assert ("read-only" in with_token.token_fault()) == noticed
    assert registry.seen[0].bearer == "npm-canary"


@pytest.mark.parametrize(
    "reply",
    [Reply(status=404), Reply(status=401), Reply(status=429), Reply(status=503), Reply(body=b"<"), Reply(cut=True)],
)
def test_a_registry_that_does_not_tell_about_tokens_stops_nobody(
    registry: ScriptedRegistry, with_token: Registry, recorded_clock: RecordedClock, reply: Reply
) -> None:
    registry.script("GET", "/-/npm/v1/tokens", reply)
    assert with_token.token_fault() == ""
    assert recorded_clock.slept == []


def test_without_a_token_nobody_asks_about_it(registry: ScriptedRegistry, reads: Registry) -> None:
    assert reads.token_fault() == ""
    assert registry.seen == []


def test_an_https_registry_is_never_left_for_http(
    registry: ScriptedRegistry, policy: RetryPolicy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry.packages[NAME] = document()
    with Redirecting(f"{registry.url}@acme%2Ftool", tmp_path / "authority.pem") as url:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "authority.pem"))
        with pytest.raises(RegistryError, match="must not be followed"):
            Registry(url, token="npm-canary", policy=policy).fresh(NAME)  # noqa: S106
    assert registry.seen == []


def test_a_registry_that_nobody_serves_is_no_broken_connection(policy: RetryPolicy) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(DeadlineError, match=r"no connection to 127\.0\.0\.1"):
        Registry(f"http://127.0.0.1:{port}", token=None, policy=policy).fresh(NAME)


def test_a_certificate_that_nobody_here_trusts_is_told_at_once(
    policy: RetryPolicy, recorded_clock: RecordedClock
) -> None:
    with Untrusted() as port, pytest.raises(RegistryError, match=r"certificate of 127\.0\.0\.1") as raised:
        Registry(f"https://127.0.0.1:{port}/", token=None, policy=policy).fresh(NAME)
    assert "REQUESTS_CA_BUNDLE" in raised.value.advice
    assert "NODE_EXTRA_CA_CERTS" in raised.value.advice
    assert recorded_clock.slept == []


class Redirecting:
    """A TLS server on loopback that sends its one client elsewhere.

    Args:
        authority: file for the certificate of its authority.
    """

    def __init__(self, target: str, authority: Path) -> None:
        trusted = trustme.CA()
        trusted.cert_pem.write_to_path(authority)
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        trusted.issue_cert("127.0.0.1").configure_cert(self._context)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._answer = f"HTTP/1.1 302 Found\r\nLocation: {target}\r\nContent-Length: 0\r\n\r\n".encode()
        self._thread = threading.Thread(target=self._answer_once)

    def __enter__(self) -> str:
        self._thread.start()
        return f"https://127.0.0.1:{self._listener.getsockname()[1]}/"

    def __exit__(self, *_: object) -> None:
        self._listener.close()
        self._thread.join()

    def _answer_once(self) -> None:
        with suppress(OSError):
            connection, _ = self._listener.accept()
            with self._context.wrap_socket(connection, server_side=True) as secure:
                secure.recv(1 << 16)
                secure.sendall(self._answer)


class Untrusted:
    """A TLS server on loopback, its certificate of an authority that no machine knows."""

    def __init__(self) -> None:
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        trustme.CA().issue_cert("127.0.0.1").configure_cert(self._context)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._refused_once)

    def __enter__(self) -> int:
        self._thread.start()
        port: int = self._listener.getsockname()[1]
        return port

    def __exit__(self, *_: object) -> None:
        self._listener.close()
        self._thread.join()

    def _refused_once(self) -> None:
        with suppress(OSError):
            connection, _ = self._listener.accept()
            with connection, suppress(OSError):
                self._context.wrap_socket(connection, server_side=True).close()


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ("https://registry.example", "https://registry.example/"),
        ("https://registry.example/npm", "https://registry.example/npm/"),
        (" http://127.0.0.1:4873/// ", "http://127.0.0.1:4873/"),
        ("http://localhost:4873", "http://localhost:4873/"),
        ("http://[::1]:4873", "http://[::1]:4873/"),
        # As npm writes it, which looks for the credential under that.
        ("https://Registry.Example:443/NPM", "https://registry.example/NPM/"),
        ("http://LOCALHOST:80", "http://localhost/"),
        ("https://registry.example:80", "https://registry.example:80/"),
    ],
)
def test_a_registry_url_ends_with_one_slash(given: str, url: str) -> None:
    assert registry_url(given) == url


@pytest.mark.parametrize(
    "given",
    [
        "",
        "registry.example",
        "file:///etc/passwd",
        "ftp://x/",
        "https://",
        "https://x:port/",
        "https://u:p@x/",
        "https://x/?a",
        "https://x/#a",
        "http://registry.example/",
        "http://10.0.0.7:4873/",
        "http://127.0.0.1.evil.example/",
        "http://localhost.evil.example/",
    ],
)
def test_a_registry_that_is_no_bare_http_url_is_refused(given: str) -> None:
    with pytest.raises(InputError, match="registry"):
        registry_url(given)


def test_a_token_key_keeps_port_and_path() -> None:
    assert credential_key("http://127.0.0.1:4873/npm/") == "//127.0.0.1:4873/npm/"
    assert path_of("http://127.0.0.1:4873/npm/") == "npm"


def test_a_scoped_name_is_one_part_of_the_path() -> None:
    assert escaped("@acme/tool") == "@acme%2Ftool"
    assert escaped("tool") == "tool"
    assert scope_of("@acme/tool") == "@acme"
    assert scope_of("tool") is None


@pytest.mark.parametrize(
    "name", ["", "..", ".", "@acme/..", "../x", "a/b", "@a/b/c", "x?write=true", "x#y", "x y", "x%2fy", "-/ping"]
)
def test_a_name_that_would_leave_its_place_in_the_url_is_refused(name: str) -> None:
    with pytest.raises(RegistryError, match="not a valid package name"):
        escaped(name)


@pytest.mark.parametrize(
    ("given", "registry", "url"),
    [
        ("http://r.example/a.tgz", "https://r.example/", "https://r.example/a.tgz"),
        ("https://cdn.example/a.tgz", "https://r.example/", "https://cdn.example/a.tgz"),
        ("http://127.0.0.1:1/a.tgz", "http://127.0.0.1:1/", "http://127.0.0.1:1/a.tgz"),
    ],
)
def test_a_tarball_on_the_registry_s_host_is_fetched_by_the_registry_s_scheme(
    given: str, registry: str, url: str
) -> None:
    assert tarball_url(given, registry=registry) == url


@pytest.mark.parametrize(
    "given", ["file:///etc/passwd", "gopher://x/", "", "http://evil.example/a.tgz", "https://x:y/"]
)
def test_a_tarball_url_that_leaves_http_or_tls_is_refused(given: str) -> None:
    with pytest.raises(RegistryError, match="names a tarball"):
        tarball_url(given, registry="https://r.example/")


NAMES = ("@acme/a", "@acme/b")
WANTED = [(name, "1.0.0", "sha512-AAAA") for name in NAMES]


def listed(name: str, integrity: str = "sha512-AAAA") -> dict[str, Any]:
    return {"name": name, "versions": {"1.0.0": {"dist": {"integrity": integrity, "tarball": "x"}}}}


@pytest.fixture
def shown(registry: ScriptedRegistry) -> ScriptedRegistry:
    registry.packages |= {name: listed(name) for name in NAMES}
    return registry


def test_what_is_visible_is_not_waited_for(
    shown: ScriptedRegistry, reads: Registry, policy: RetryPolicy, recorded_clock: RecordedClock
) -> None:
    await_visible(reads, WANTED, policy=policy, minutes=15)
    assert recorded_clock.slept == []
    assert all("write" not in seen.query for seen in shown.seen)


def test_a_stale_cache_is_waited_out_politely_and_only_for_what_is_missing(
    shown: ScriptedRegistry, reads: Registry, policy: RetryPolicy, recorded_clock: RecordedClock
) -> None:
    shown.cached["@acme/b"].extend([None, *[{"name": "@acme/b", "versions": {}}] * 6])
    told: list[str] = []
    await_visible(reads, WANTED, policy=policy, minutes=15, told=told.append)
    assert recorded_clock.slept == [2.0, 3.0, 4.5, 6.75, 10.125, 15.0, 15.0]
    assert len(shown.requests("GET", "/@acme%2Fa")) == 1
    assert told[0] == "1 of 2 packages not visible yet; checking again in 2 s"


def test_past_its_time_it_names_what_is_missing_and_since_when(
    shown: ScriptedRegistry, reads: Registry, policy: RetryPolicy, recorded_clock: RecordedClock
) -> None:
    shown.cached["@acme/b"].extend([None] * 99)
    with pytest.raises(DeadlineError) as raised:
        await_visible(reads, WANTED, policy=policy, minutes=2)
    assert sum(recorded_clock.slept) <= 120
    assert "@acme/b@1.0.0 is not visible to npm install yet (waited 2 min, since 1970-01-12 13:46:40 UTC)" in str(
        raised.value
    )
    assert "@acme/a" not in str(raised.value)


def test_the_job_s_deadline_comes_first(
    shown: ScriptedRegistry, reads: Registry, recorded_clock: RecordedClock
) -> None:
    shown.cached["@acme/b"].extend([None] * 99)
    with pytest.raises(DeadlineError):
        await_visible(reads, WANTED, policy=RetryPolicy(deadline=1_000_005, clock=recorded_clock), minutes=15)
    assert recorded_clock.slept == [2.0, 3.0]


def test_another_content_behind_the_name_is_a_conflict_at_once(
    shown: ScriptedRegistry, reads: Registry, policy: RetryPolicy, recorded_clock: RecordedClock
) -> None:
    shown.packages["@acme/b"] = listed("@acme/b", "sha512-EVIL")
    with pytest.raises(ConflictError, match=r"@acme/b@1\.0\.0"):
        await_visible(reads, WANTED, policy=policy, minutes=15)
    assert recorded_clock.slept == []


def test_a_registry_that_stops_answering_is_named_beside_what_is_missing(
    shown: ScriptedRegistry, reads: Registry, policy: RetryPolicy
) -> None:
    shown.script("GET", "/@acme%2Fb", Reply(status=429, headers={"Retry-After": "7200"}))
    with pytest.raises(DeadlineError) as raised:
        await_visible(reads, WANTED, policy=policy, minutes=15)
    assert "@acme/b@1.0.0 is not visible" in str(raised.value)
    assert "7200 s" in str(raised.value)


def test_waiting_never_publishes(shown: ScriptedRegistry, reads: Registry, policy: RetryPolicy) -> None:
    shown.cached["@acme/b"].extend([None] * 3)
    await_visible(reads, WANTED, policy=policy, minutes=15)
    assert {seen.method for seen in shown.seen} == {"GET"}
