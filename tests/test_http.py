from __future__ import annotations

import gzip
import json
import socket
import threading
import time
from collections.abc import Iterator
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from tests.world.http_server import HttpServer
from tests.world.sockets import Talk, saying, talking

from flotilla.errors import GitHubError
from flotilla.http import Http, Origin, Request, Unsure, transient
from flotilla.retry import Cancelled, RetryPolicy, StopFlag, TransientError

CREDENTIAL = "Bearer canary-credential"
LIMIT = 1000
SECONDS = 0.3  # how long these tests let an answer take; the ones that wait for it never end by themselves


def for_ever(first: bytes, more: bytes, pause: float = 0.0) -> Talk:
    def talk(client: socket.socket, _asked: str) -> None:
        client.sendall(first)
        while True:
            client.sendall(more)
            time.sleep(pause)

    return talk


@pytest.fixture
def stop() -> StopFlag:
    return StopFlag()


@pytest.fixture
def http(stop: StopFlag) -> Iterator[Http]:
    policy = RetryPolicy(deadline=time.time() + 3600, stop=stop)
    http = Http(policy, error=GitHubError, answer_seconds=SECONDS)
    yield http
    http.close()


def asked_for(url: str) -> Request:
    return Request(what="read it", url=url, credential=CREDENTIAL)


@pytest.mark.parametrize(
    "url",
    [
        "https://u@h.example/",
        "https://@h.example/",
        "https://u:p@h.example/",
        "https://h.example\\@evil.example/",
        "https://h.example:port/",
        "https://h.example:99999/",
        "https://h.exam\nple/",
        "https://h.example /",
        "ftp://h.example/",
        "//h.example/",
        "https:///x",
        "https://[::1/",
    ],
)
def test_an_address_that_could_be_read_in_two_ways_has_no_origin(url: str) -> None:
    assert Origin.of(url) is None


def test_two_addresses_have_one_origin_though_case_and_port_are_written_in_two_ways() -> None:
    assert Origin.of("https://H.example/a") == Origin.of("https://h.example:443/b")
    assert Origin.of("https://h.example:0/") != Origin.of("https://h.example/")
    assert Origin.of("http://h.example/") != Origin.of("https://h.example/")


@pytest.mark.parametrize(
    "talk",
    [
        for_ever(b"HTTP/1.1 200 OK\r\n\r\n", b" ", 0.01),
        for_ever(b"HTTP/1.1 200 OK\r\nX: ", b"x", 0.01),
        for_ever(b"", b"HTTP/1.1 100 Continue\r\n\r\n", 0.01),
        lambda client, _asked: client.recv(1),
    ],
    ids=["body", "headers", "interim answers", "silence"],
)
def test_an_answer_that_drips_for_ever_ends_and_may_be_tried_again(http: Http, talk: Talk) -> None:
    with talking(talk) as talker, pytest.raises(Unsure, match="did not answer within"):
        http.read(asked_for(talker.url), limit=LIMIT)


def test_what_is_waited_for_long_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    monkeypatch.setattr("flotilla.http.TELL_SECONDS", SECONDS / 3)
    policy = RetryPolicy(deadline=time.time() + 3600, told=told.append)
    http = Http(policy, error=GitHubError, answer_seconds=SECONDS)
    with talking(lambda client, _asked: client.recv(1)) as talker, pytest.raises(Unsure):
        http.read(asked_for(talker.url), limit=LIMIT)
    assert len(told) == 1
    assert told[0].startswith("read it: ")


def test_headers_without_end_are_not_read_to_the_end(http: Http) -> None:
    with talking(for_ever(b"HTTP/1.1 200 OK\r\n", b"X: y\r\n" * 100)) as talker, pytest.raises(TransientError):
        http.read(asked_for(talker.url), limit=LIMIT)


@pytest.mark.parametrize("head", ["HTTP/1.1 200 OK\r\nContent-Length: 1503238553\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n"])
def test_an_answer_of_1_4_gigabytes_is_read_up_to_the_limit(http: Http, head: str) -> None:
    with talking(for_ever(head.encode(), b" " * 4096)) as talker, pytest.raises(GitHubError, match="longer than 1000"):
        http.read(asked_for(talker.url), limit=LIMIT)


def test_a_gzip_bomb_is_refused_undecoded(http: Http) -> None:
    bomb = gzip.compress(b" " * 10_000_000)
    with (
        talking(saying("HTTP/1.1 200 OK\r\nContent-Encoding: gzip", bomb)) as talker,
        pytest.raises(GitHubError, match="encoding gzip"),
    ):
        http.read(asked_for(talker.url), limit=LIMIT)
    assert "accept-encoding: identity" in talker.asked[0].lower()


def test_a_credential_does_not_follow_a_redirect_to_another_origin_nor_come_back(http: Http) -> None:
    places: list[str] = []

    def talk(client: socket.socket, asked: str) -> None:
        where = places.pop(0) if places else ""
        head = f"HTTP/1.1 302 Found\r\nLocation: {where}" if where else "HTTP/1.1 200 OK"
        saying(head)(client, asked)

    with talking(talk) as first, talking(talk) as other:
        places += [first.url + "near", other.url, first.url + "again"]
        assert http.read(asked_for(first.url), limit=LIMIT).status == 200
    shown = [CREDENTIAL in asked for asked in first.asked]
    assert shown == [True, True, False]
    assert [CREDENTIAL in asked for asked in other.asked] == [False]


def test_a_stream_tells_who_refused_it_and_how(http: Http) -> None:
    refusal = saying("HTTP/1.1 403 Forbidden", b'{"message": "no"}' + b" " * 100_000)
    with talking(refusal) as storage, talking(saying(f"HTTP/1.1 302 Found\r\nLocation: {storage.url}")) as first:
        with http.stream(asked_for(storage.url)) as at_once:
            assert (at_once.status, at_once.credited) == (403, True)
        with http.stream(asked_for(first.url)) as elsewhere:
            assert (elsewhere.status, elsewhere.credited) == (403, False)
            assert elsewhere.refused.startswith(b'{"message": "no"}')
            assert len(elsewhere.refused) == 16 * 1024


@pytest.mark.parametrize("location", ["http://h.example/", "ftp://h.example/", "https://u@h.example/", ""])
def test_an_https_address_is_not_left_for_another_kind(location: str) -> None:
    secure = Origin("https", "api.example", 443)
    assert not secure.may_lead_to(Origin.of(location))
    assert secure.may_lead_to(Origin("https", "storage.example", 443))
    assert Origin("http", "127.0.0.1", 80).may_lead_to(secure)


@pytest.mark.parametrize("location", ["ftp://h.example/", "http://u@h.example/", "//[::1/", "/a b"])
def test_a_redirect_to_no_usable_address_is_refused(http: Http, location: str) -> None:
    with (
        talking(saying(f"HTTP/1.1 302 Found\r\nLocation: {location}")) as talker,
        pytest.raises(GitHubError, match="must not be followed"),
    ):
        http.read(asked_for(talker.url), limit=LIMIT)


def test_redirects_in_a_circle_end(http: Http) -> None:
    with (
        talking(saying("HTTP/1.1 302 Found\r\nLocation: /")) as talker,
        pytest.raises(GitHubError, match="more than 5"),
    ):
        http.read(asked_for(talker.url), limit=LIMIT)
    assert len(talker.asked) == 6


def test_a_host_s_cookies_are_not_kept(http: Http) -> None:
    with talking(saying("HTTP/1.1 200 OK\r\nSet-Cookie: canary=1; Path=/")) as talker:
        http.read(asked_for(talker.url), limit=LIMIT)
        http.read(asked_for(talker.url), limit=LIMIT)
    assert not [asked for asked in talker.asked if "canary=1" in asked]


def test_a_netrc_file_is_not_read(http: Http, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("default login canary password canary\n", encoding="utf-8")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    with talking(saying("HTTP/1.1 200 OK")) as talker:
        http.read(Request(what="read it", url=talker.url), limit=LIMIT)
    assert "authorization" not in talker.asked[0].lower()


def test_the_machine_s_proxy_is_used(http: Http, monkeypatch: pytest.MonkeyPatch) -> None:
    with talking(saying("HTTP/1.1 200 OK")) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.delenv("no_proxy", raising=False)
        assert http.read(Request(what="read it", url="http://h.example/x"), limit=LIMIT).status == 200
    assert proxy.asked[0].startswith("GET http://h.example/x ")


def test_cancelling_ends_a_read_that_waits(http: Http, stop: StopFlag) -> None:
    reached = threading.Event()

    def talk(client: socket.socket, _asked: str) -> None:
        client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        reached.set()
        client.recv(1)

    ended: list[BaseException] = []

    def read() -> None:
        try:
            with http.stream(asked_for(talker.url)) as stream:
                list(stream.chunks())
        except Cancelled as cancelled:
            ended.append(cancelled)

    with talking(talk) as talker:
        reader = threading.Thread(target=read, daemon=True)
        reader.start()
        assert reached.wait(30)
        stop.set()
        reader.join(30)
        assert len(ended) == 1
        with pytest.raises(Cancelled):
            http.read(asked_for(talker.url), limit=LIMIT)
        assert len(talker.asked) == 1


def test_an_answer_to_a_file_is_waited_for_from_its_end_on(http: Http, tmp_path: Path) -> None:
    file = tmp_path / "big"
    file.write_bytes(b"x" * 100_000)

    def talk(client: socket.socket, asked: str) -> None:
        size = len(asked.partition("\r\n\r\n")[2])
        while size < 100_000:
            size += len(client.recv(1 << 16))
        saying("HTTP/1.1 201 Created", json.dumps({"size": size}).encode())(client, asked)

    with talking(talk) as talker, file.open("rb") as body:
        answer = http.read(Request(what="send it", url=talker.url, method="POST", body=body), limit=LIMIT)
    assert (answer.status, answer.body) == (201, b'{"size": 100000}')


def test_a_rate_limit_is_counted_by_the_answer_s_own_clock() -> None:
    headers = {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "5090", "date": formatdate(5000, usegmt=True)}
    for status in (403, 429):
        failure = transient(status, headers, who="GitHub", said="HTTP 403", now=1_000_000)
        assert failure is not None
        assert failure.after == 90


def test_a_date_to_retry_after_is_counted_by_the_answer_s_own_clock() -> None:
    headers = {"retry-after": formatdate(5007, usegmt=True), "date": formatdate(5000, usegmt=True)}
    failure = transient(503, headers, who="GitHub", said="HTTP 503", now=1_000_000)
    assert isinstance(failure, Unsure)
    assert failure.after == 7


@pytest.mark.parametrize("status", [301, 400, 401, 403, 404, 409, 410, 422])
def test_other_refusals_are_final(status: int) -> None:
    assert transient(status, {}, who="GitHub", said="", now=0) is None


class Counting(HttpServer):
    """Answers with a status by path, and remembers which connection each request came by."""

    def __init__(self, storage: str = "") -> None:
        super().__init__()
        self._storage = storage
        self.connections: list[tuple[str, int]] = []

    def serve(self, handler: BaseHTTPRequestHandler) -> None:
        self.connections.append(handler.client_address)
        redirects = handler.path == "/redirect"
        handler.send_response(302 if redirects else 404 if handler.path == "/gone" else 200)
        if redirects:
            handler.send_header("Location", f"{self._storage}/blob")
        handler.send_header("Content-Length", "5")
        handler.end_headers()
        handler.wfile.write(b"words")


def test_a_connection_is_used_again_after_a_404_and_after_a_redirect(http: Http) -> None:
    with Counting() as storage, Counting(storage.origin) as server:
        for path in ("gone", "redirect", "redirect", "gone", "there"):
            http.read(asked_for(f"{server.origin}/{path}"), limit=LIMIT)
            with http.stream(asked_for(f"{server.origin}/{path}")) as stream:
                assert stream.refused or b"".join(stream.chunks()) == b"words"
        assert len(server.connections) == 10
        assert len(set(server.connections)) == 1
        assert len(storage.connections) == 4
        assert len(set(storage.connections)) == 1


def test_a_redirect_whose_body_is_long_or_of_no_told_length_is_not_waited_for(http: Http) -> None:
    with Counting() as storage:
        for head in ("Content-Length: 999999", "X-Other: none"):
            endless = for_ever(f"HTTP/1.1 302 Found\r\nLocation: {storage.origin}/blob\r\n{head}\r\n\r\n".encode(), b"")
            with talking(endless) as talker:
                assert http.read(asked_for(talker.url), limit=LIMIT).body == b"words"
