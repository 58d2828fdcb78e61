"""Downloads come from a second origin that wants no token, as GitHub's do."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pytest
from tests.rehearsal.client import Client
from tests.simulator.faults import FaultPlan
from tests.simulator.servers import GitHubServer

from flotilla.rehearsal.github import GitHubState, StoredArtifact, sha256
from flotilla.rehearsal.loopback import Serving


def location(api: Client, artifact: StoredArtifact) -> str:
    answer = api.get(f"/actions/artifacts/{artifact.id}/zip")
    assert answer.status_code == 302
    return answer.headers["location"]


@pytest.fixture
def blobs() -> Client:
    return Client("")


def test_a_zip_is_served_from_another_origin_with_its_digest(
    api: Client, blobs: Client, state: GitHubState, github: GitHubServer
) -> None:
    artifact = state.add_artifact(state.add_run(), "tool", {"lib/a.so": b"elf", "b.txt": b"text"})
    url = location(api, artifact)
    answer = blobs.get(url)
    assert url.startswith(f"{github.origins.blobs}/")
    assert answer.headers["content-type"] == "application/zip"
    assert sha256(answer.content) == artifact.digest
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.namelist() == ["b.txt", "lib/a.so"]


@pytest.mark.parametrize(
    ("name", "content_type"),
    [("a.tar.gz", "application/gzip"), ("a.tgz", "application/octet-stream"), ("a", "application/octet-stream")],
)
def test_a_raw_artifact_is_served_as_it_is_with_its_name(
    api: Client, blobs: Client, state: GitHubState, name: str, content_type: str
) -> None:
    artifact = state.add_artifact(state.add_run(), name, b"raw bytes", raw=True)
    answer = blobs.get(location(api, artifact))
    assert (answer.content, answer.headers["content-type"]) == (b"raw bytes", content_type)
    assert answer.headers["content-disposition"] == f'attachment; filename="{name}"'


def test_a_token_is_refused(api: Client, blobs: Client, state: GitHubState) -> None:
    url = location(api, state.add_artifact(state.add_run(), "tool", {"a": b"a"}))
    assert blobs.get(url, headers={"Authorization": "Bearer anything"}).status_code == 400


def test_a_range_continues_a_download(api: Client, blobs: Client, state: GitHubState) -> None:
    artifact = state.add_artifact(state.add_run(), "a", b"0123456789", raw=True)
    url = location(api, artifact)
    part = blobs.get(url, headers={"Range": "bytes=4-"})
    assert (part.status_code, part.content, part.headers["content-range"]) == (206, b"456789", "bytes 4-9/10")
    assert blobs.get(url, headers={"Range": "bytes=2-3"}).content == b"23"
    assert blobs.get(url, headers={"Range": "bytes=10-"}).status_code == 416
    changed = blobs.get(url, headers={"Range": "bytes=4-", "If-Range": '"another"'})
    assert (changed.status_code, changed.content) == (200, b"0123456789")


def test_a_signed_url_ends_after_its_reads(api: Client, blobs: Client, state: GitHubState) -> None:
    state.blob_reads = 1
    url = location(api, state.add_artifact(state.add_run(), "a", b"a", raw=True))
    assert [blobs.get(url).status_code for _read in range(2)] == [200, 403]
    assert blobs.get(url.split("?")[0]).status_code == 403


def test_a_signed_url_ends_after_its_minute(state: GitHubState, serving: Serving, blobs: Client) -> None:
    moments = [1000.0]
    github = GitHubServer(state, serving, plan=FaultPlan(), clock=lambda: moments[-1])
    artifact = state.add_artifact(state.add_run(), "a", b"a", raw=True)
    with Client(f"{github.origins.api}/repos/acme/tool", token=state.token) as api:
        url = location(api, artifact)
    assert blobs.get(url).status_code == 200
    moments.append(1061.0)
    assert blobs.get(url).status_code == 403


def test_an_assets_octets_come_by_redirect_too(api: Client, blobs: Client, github: GitHubServer) -> None:
    release = api.post("/releases", body={"tag_name": "v1", "draft": True}).json()
    with Client("", token=github.state.token) as uploads:
        asset = uploads.post(release["upload_url"].split("{")[0], data=b"bytes", query={"name": "a.tar.gz"}).json()
    answer = api.get(f"/releases/assets/{asset['id']}", headers={"Accept": "application/octet-stream"})
    assert blobs.get(answer.headers["location"]).content == b"bytes"


def test_folders_zips_and_files_become_artifacts(tmp_path: Path, state: GitHubState) -> None:
    (tmp_path / "folder" / "sub").mkdir(parents=True)
    (tmp_path / "folder" / "sub" / "a.txt").write_bytes(b"a")
    run = state.add_run()
    folder = state.add_artifact(run, "folder", tmp_path / "folder")
    (tmp_path / "ready.zip").write_bytes(folder.content)
    assert state.add_artifact(run, "ready", tmp_path / "ready.zip").digest == folder.digest
    assert state.add_artifact(run, "a.txt", tmp_path / "folder" / "sub" / "a.txt", raw=True).content == b"a"
    with zipfile.ZipFile(io.BytesIO(folder.content)) as archive:
        (entry,) = archive.infolist()
    assert (entry.filename, entry.external_attr >> 16) == ("sub/a.txt", 0o100644)
