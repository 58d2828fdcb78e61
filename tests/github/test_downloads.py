from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.github.conftest import download
from tests.world.sockets import BYTES, MinuteClock, Trickle

from flotilla.errors import ArtifactError, DeadlineError, GitHubError
from flotilla.github import Artifact, GitHub
from flotilla.retry import RetryPolicy

if TYPE_CHECKING:
    from tests.conftest import RecordedClock
    from tests.github.conftest import Maker, ScriptedServer

REPO = "/repos/acme/ffmpeg"
ASK = f"{REPO}/actions/artifacts/31/zip"
BLOB = "/blob?sig=secret"
ZIP = b"PK\x03\x04" + bytes(range(256)) * 20
TYPE = {"Content-Type": "application/zip"}
CANARY = "ghs_canary0123456789"


def digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


@pytest.fixture
def artifact(make: Maker) -> Artifact:
    return make.an_artifact(size_in_bytes=len(ZIP), digest=digest(ZIP))


def redirect(server: ScriptedServer, storage: ScriptedServer, times: int = 1, path: str = BLOB) -> None:
    for _ in range(times):
        server.on("GET", ASK, 302, headers={"Location": f"{storage.url}{path}"})


def test_an_artifact_arrives_whole_with_its_digest(
    server: ScriptedServer, storage: ScriptedServer, github: GitHub, artifact: Artifact, tmp_path: Path
) -> None:
    redirect(server, storage)
    storage.on("GET", BLOB, body=ZIP, headers=TYPE)
    got = download(github, artifact, tmp_path)
    assert got.path.read_bytes() == ZIP
    assert (got.raw, got.name, got.digest, got.digest_checked) == (
        False,
        "ffmpeg-linux-x64-free.zip",
        digest(ZIP),
        True,
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["artifact-31.zip"]


def test_the_token_never_reaches_the_redirects_target(
    server: ScriptedServer, storage: ScriptedServer, github: GitHub, artifact: Artifact, tmp_path: Path
) -> None:
    redirect(server, storage)
    storage.on("GET", BLOB, body=ZIP, headers=TYPE)
    download(github, artifact, tmp_path)
    assert CANARY in server.seen[0].headers["Authorization"]
    assert CANARY not in str(storage.seen)
    assert "Authorization" not in storage.seen[0].headers
    assert "Cookie" not in storage.seen[0].headers


def test_a_netrc_file_gives_no_credential_to_the_storage_host(
    server: ScriptedServer,
    storage: ScriptedServer,
    github: GitHub,
    artifact: Artifact,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password mine\n")
    monkeypatch.setenv("NETRC", str(netrc))
    redirect(server, storage)
    storage.on("GET", BLOB, body=ZIP, headers=TYPE)
    download(github, artifact, tmp_path)
    assert "Authorization" not in storage.seen[0].headers


@pytest.mark.parametrize(
    "target",
    [
        "file:///etc/passwd",
        "ftp://127.0.0.1/x",
        "gopher://x/",
        "http://me:pw@127.0.0.1/x",
        "http://[bad/x",
        "http://x:port/",
        "",
    ],
)
def test_a_redirect_out_of_http_is_refused(
    server: ScriptedServer, github: GitHub, artifact: Artifact, tmp_path: Path, target: str
) -> None:
    server.on("GET", ASK, 302, headers={"Location": target})
    with pytest.raises(GitHubError, match="must not be followed"):
        download(github, artifact, tmp_path)


def test_an_endless_redirect_ends(
    server: ScriptedServer, storage: ScriptedServer, github: GitHub, artifact: Artifact, tmp_path: Path
) -> None:
    redirect(server, storage)
    for _ in range(5):
        storage.on("GET", BLOB, 302, headers={"Location": BLOB})
    with pytest.raises(GitHubError, match="more than 5 times"):
        download(github, artifact, tmp_path)


def test_a_cut_body_is_resumed_where_it_broke(
    server: ScriptedServer,
    storage: ScriptedServer,
    github: GitHub,
    artifact: Artifact,
    tmp_path: Path,
    recorded_clock: RecordedClock,
) -> None:
    redirect(server, storage, 2)
    storage.on("GET", BLOB, body=ZIP, headers=TYPE, cut_at=1000)
    storage.on(
        "GET", BLOB, 206, body=ZIP[1000:], headers=TYPE | {"Content-Range": f"bytes 1000-{len(ZIP) - 1}/{len(ZIP)}"}
    )
    assert download(github, artifact, tmp_path).path.read_bytes() == ZIP
    assert "Range" not in storage.seen[0].headers
    assert storage.seen[1].headers["Range"] == "bytes=1000-"
    assert recorded_clock.slept == [2]


def test_a_killed_jobs_beginning_is_continued(
    server: ScriptedServer, storage: ScriptedServer, github: GitHub, artifact: Artifact, tmp_path: Path
) -> None:
    (tmp_path / "artifact-31.part").write_bytes(ZIP[:3000])
    redirect(server, storage)
    storage.on(
        "GET", BLOB, 206, body=ZIP[3000:], headers=TYPE | {"Content-Range": f"bytes 3000-{len(ZIP) - 1}/{len(ZIP)}"}
    )
    assert download(github, artifact, tmp_path).path.read_bytes() == ZIP


def test_a_finished_file_is_not_fetched_again(github: GitHub, artifact: Artifact, tmp_path: Path) -> None:
    (tmp_path / "artifact-31.zip").write_bytes(ZIP)
    assert download(github, artifact, tmp_path).path.read_bytes() == ZIP


def test_a_finished_file_that_was_altered_is_fetched_again(
    server: ScriptedServer, storage: ScriptedServer, github: GitHub, artifact: Artifact, tmp_path: Path
) -> None:
    (tmp_path / "artifact-31.zip").write_bytes(ZIP[:-1] + b"!")
    redirect(server, storage)
    storage.on("GET", BLOB, body=ZIP, headers=TYPE)
    assert download(github, artifact, tmp_path).path.read_bytes() == ZIP


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        (200, {}),
        (416, {}),
        (206, {"Content-Range": f"bytes 7-{len(ZIP) - 1}/{len(ZIP)}"}),
        (206, {}),
    ],
)
def test_a_range_that_is_not_what_was_asked_for_starts_again(  # noqa: PLR0913, PLR0917 - its fixtures
    server: ScriptedServer,
    storage: ScriptedServer,
    github: GitHub,
    artifact: Artifact,
    tmp_path: Path,
    told: list[str],
    status: int,
    headers: dict[str, str],
) -> None:
    (tmp_path / "artifact-31.part").write_bytes(b"PK another artifact")
    redirect(server, storage, 1 if status == 200 else 2)
    storage.on("GET", BLOB, status, body=ZIP, headers=TYPE | headers)
    if status != 200:
        storage.on("GET", BLOB, body=ZIP, headers=TYPE)
    assert download(github, artifact, tmp_path).path.read_bytes() == ZIP
    assert ["requested range" in line for line in told] == (
        [True] if status == 206 else [False] if status == 416 else []
    )


def test_a_beginning_of_other_bytes_is_thrown_away(
    server: ScriptedServer, storage: ScriptedServer, github: GitHub, artifact: Artifact, tmp_path: Path
) -> None:
    (tmp_path / "artifact-31.part").write_bytes(b"x" * 1000)
    redirect(server, storage, 2)
    partial = TYPE | {"Content-Range": f"bytes 1000-{len(ZIP) - 1}/{len(ZIP)}"}
    storage.on("GET", BLOB, 206, body=ZIP[1000:], headers=partial)
    storage.on("GET", BLOB, body=ZIP, headers=TYPE)
    assert download(github, artifact, tmp_path).path.read_bytes() == ZIP


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_an_address_that_ran_out_is_asked_for_again(
    server: ScriptedServer, storage: ScriptedServer, github: GitHub, artifact: Artifact, tmp_path: Path, status: int
) -> None:
    redirect(server, storage)
    redirect(server, storage, path="/fresh")
    storage.on("GET", BLOB, status, body=b"<Error>expired</Error>")
    storage.on("GET", "/fresh", body=ZIP, headers=TYPE)
    assert download(github, artifact, tmp_path).path.read_bytes() == ZIP


def test_altered_bytes_are_refused_and_not_left_on_disk(
    server: ScriptedServer, storage: ScriptedServer, github: GitHub, artifact: Artifact, tmp_path: Path
) -> None:
    redirect(server, storage)
    storage.on("GET", BLOB, body=ZIP[:-1] + b"!", headers=TYPE)
    with pytest.raises(ArtifactError, match="digest"):
        download(github, artifact, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_an_endless_body_is_stopped_before_it_fills_the_disk(
    server: ScriptedServer, storage: ScriptedServer, github: GitHub, artifact: Artifact, tmp_path: Path
) -> None:
    redirect(server, storage)
    storage.on("GET", BLOB, body=bytes(4 * 1024 * 1024), headers=TYPE)
    with pytest.raises(ArtifactError, match=f"more than the {len(ZIP)} bytes that GitHub lists"):
        download(github, artifact, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_body_that_comes_a_byte_a_minute_ends_with_the_job_s_time(make: Maker, tmp_path: Path) -> None:
    clock = MinuteClock()
    with Trickle(b"HTTP/1.1 200 OK\r\nContent-Type: application/zip\r\nContent-Length: 5000\r\n\r\n") as server:
        policy = RetryPolicy(deadline=20 * 60, clock=clock)
        github = GitHub(api_url=server.url, token=CANARY, repository="acme/ffmpeg", policy=policy)
        with pytest.raises(DeadlineError, match="after"):
            download(github, make.an_artifact(size_in_bytes=5000, digest=digest(ZIP)), tmp_path)
        assert server.sent < BYTES


def test_a_missing_digest_is_accepted_and_told(
    server: ScriptedServer, storage: ScriptedServer, github: GitHub, make: Maker, tmp_path: Path
) -> None:
    redirect(server, storage)
    storage.on("GET", BLOB, body=ZIP, headers=TYPE)
    got = download(github, make.an_artifact(), tmp_path)
    assert (got.digest, got.digest_checked) == (digest(ZIP), False)


def test_without_a_digest_a_cut_body_starts_again(
    server: ScriptedServer, storage: ScriptedServer, github: GitHub, make: Maker, tmp_path: Path
) -> None:
    redirect(server, storage, 2)
    storage.on("GET", BLOB, body=ZIP, headers=TYPE, cut_at=1000)
    storage.on("GET", BLOB, body=ZIP, headers=TYPE)
    assert download(github, make.an_artifact(), tmp_path).path.read_bytes() == ZIP
    assert "Range" not in storage.seen[1].headers


@pytest.mark.parametrize(
    ("disposition", "name"),
    [
        ('attachment; filename="ffmpeg-1.0.tar.gz"', "ffmpeg-1.0.tar.gz"),
        ("attachment; filename=../../etc/cron.d/evil", "ffmpeg-linux-x64-free"),
        ('attachment; filename="..\\\\..\\\\evil.exe"', "evil.exe"),
        ('attachment; filename="../../etc/cron.d/evil"', "evil"),
        ('attachment; filename=".."', "ffmpeg-linux-x64-free"),
        ("attachment; filename*=UTF-8''%2e%2e%2fevil", "evil"),
        ("", "ffmpeg-linux-x64-free"),
    ],
)
def test_a_raw_artifacts_name_cannot_leave_its_folder(  # noqa: PLR0913, PLR0917 - its fixtures
    server: ScriptedServer,
    storage: ScriptedServer,
    github: GitHub,
    make: Maker,
    tmp_path: Path,
    disposition: str,
    name: str,
) -> None:
    raw = b"\x1f\x8b raw"
    redirect(server, storage)
    storage.on("GET", BLOB, body=raw, headers={"Content-Type": "application/gzip", "Content-Disposition": disposition})
    got = download(github, make.an_artifact(digest=digest(raw)), tmp_path)
    assert (got.raw, got.name) == (True, name)
    assert got.path == tmp_path / "artifact-31" / name
    assert download(github, make.an_artifact(digest=digest(raw)), tmp_path) == got


@pytest.mark.parametrize(
    ("content_type", "path", "content", "raw"),
    [
        ("application/zip; charset=x", "/blob", ZIP, False),
        ("application/x-zip-compressed", "/blob", ZIP, False),
        ("application/octet-stream", "/blob.ZIP", ZIP, False),
        ("application/octet-stream", "/blob", ZIP, True),
        ("", "/blob", ZIP, False),
        ("", "/blob", b"\x7fELF", True),
    ],
)
def test_zip_or_raw_is_told_as_the_toolkit_tells_it(  # noqa: PLR0913, PLR0917 - its fixtures
    server: ScriptedServer,
    storage: ScriptedServer,
    github: GitHub,
    make: Maker,
    tmp_path: Path,
    content_type: str,
    path: str,
    content: bytes,
    raw: bool,  # noqa: FBT001 - a column of the table
) -> None:
    redirect(server, storage, path=path)
    storage.on("GET", path, body=content, headers={"Content-Type": content_type} if content_type else {})
    assert download(github, make.an_artifact(), tmp_path).raw is raw


def test_what_is_announced_as_a_zip_must_be_one(
    server: ScriptedServer, storage: ScriptedServer, github: GitHub, make: Maker, tmp_path: Path
) -> None:
    redirect(server, storage)
    storage.on("GET", BLOB, body=b"hello", headers=TYPE)
    with pytest.raises(ArtifactError, match="zip"):
        download(github, make.an_artifact(), tmp_path)


@pytest.mark.parametrize(("status", "said"), [(410, "expired"), (404, "actions: read")])
def test_an_expired_artifact_is_told_at_once(
    server: ScriptedServer, github: GitHub, artifact: Artifact, tmp_path: Path, status: int, said: str
) -> None:
    server.on("GET", ASK, status, reply={"message": "Gone"})
    with pytest.raises(ArtifactError, match=said):
        download(github, artifact, tmp_path)


def test_a_signed_address_stays_out_of_every_message(
    server: ScriptedServer,
    storage: ScriptedServer,
    github: GitHub,
    artifact: Artifact,
    tmp_path: Path,
    told: list[str],
) -> None:
    redirect(server, storage, 12)
    for _ in range(12):
        storage.drop("GET", BLOB)
    with pytest.raises(DeadlineError, match=r"the connection to 127\.0\.0\.1 broke") as late:
        download(github, artifact, tmp_path)
    assert "secret" not in f"{late.value}{told}"


def test_a_folder_that_cannot_be_written_is_explained(github: GitHub, artifact: Artifact, tmp_path: Path) -> None:
    (tmp_path / "artifact-31.part").mkdir()
    with pytest.raises(ArtifactError, match="cannot be written: Is a directory"):
        download(github, artifact, tmp_path)


def test_several_artifacts_come_in_order_and_their_failures_together(
    server: ScriptedServer, storage: ScriptedServer, github: GitHub, make: Maker, tmp_path: Path
) -> None:
    for number in (31, 32, 33, 34):
        server.on("GET", f"{REPO}/actions/artifacts/{number}/zip", 302, headers={"Location": f"{storage.url}/{number}"})
        storage.on("GET", f"/{number}", body=ZIP, headers=TYPE)
    wanted = [make.an_artifact(number, name=f"a{number}") for number in (34, 31, 33, 32)]
    assert [got.artifact for got in github.artifacts.download(wanted, tmp_path)] == wanted

    for number in (41, 42, 43):
        server.on("GET", f"{REPO}/actions/artifacts/{number}/zip", 410)
    with pytest.raises(ArtifactError) as refused:
        github.artifacts.download([make.an_artifact(number, name=f"a{number}") for number in (41, 42, 43)], tmp_path)
    assert [fault.text.partition(":")[0] for fault in refused.value.faults] == [
        f"Download artifact a{number}" for number in (41, 42, 43)
    ]


def test_an_asset_is_downloaded_without_showing_storage_the_token(
    server: ScriptedServer, storage: ScriptedServer, github: GitHub, make: Maker, tmp_path: Path
) -> None:
    server.on("GET", f"{REPO}/releases/assets/51", 302, headers={"Location": f"{storage.url}/a"})
    storage.on("GET", "/a", body=b"hello")
    assert github.assets.download(make.an_asset(), tmp_path / "a").read_bytes() == b"hello"
    assert server.seen[0].headers["Accept"] == "application/octet-stream"
    assert "Authorization" not in storage.seen[0].headers


def test_an_asset_that_the_api_itself_sends_is_taken(
    server: ScriptedServer, github: GitHub, make: Maker, tmp_path: Path
) -> None:
    server.on("GET", f"{REPO}/releases/assets/51", body=b"hello")
    assert github.assets.download(make.an_asset(), tmp_path / "a").read_bytes() == b"hello"


def test_a_link_in_place_of_a_part_file_leads_nowhere(
    server: ScriptedServer, storage: ScriptedServer, github: GitHub, artifact: Artifact, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_bytes(b"canary")
    into = tmp_path / "into"
    into.mkdir()
    (into / f"artifact-{artifact.id}.part").symlink_to(elsewhere)
    redirect(server, storage)
    storage.on("GET", BLOB, body=ZIP, headers=TYPE)
    assert download(github, artifact, into).path.read_bytes() == ZIP
    assert elsewhere.read_bytes() == b"canary"


def test_a_link_that_comes_back_in_place_of_a_part_file_leads_nowhere(
    github: GitHub,
    artifact: Artifact,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_bytes(b"canary")
    part = tmp_path / f"artifact-{artifact.id}.part"
    part.symlink_to(elsewhere)
    unlink = Path.unlink

    def late(path: Path, *, missing_ok: bool = False) -> None:
        unlink(path, missing_ok=missing_ok)
        if path == part:
            part.symlink_to(elsewhere)

    monkeypatch.setattr(Path, "unlink", late)
    with pytest.raises(ArtifactError, match="cannot be written"):
        download(github, artifact, tmp_path)
    assert elsewhere.read_bytes() == b"canary"
