from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from flotilla.errors import ArtifactError, ConflictError, GitHubError
from flotilla.github import Asset, AssetPlan, GitHub, Release, WantedAsset
from flotilla.github.assets import Replacement

if TYPE_CHECKING:
    from tests.github.conftest import Maker, ScriptedServer

REPO = "/repos/acme/ffmpeg"
UPLOAD = f"{REPO}/releases/90/assets?name=a.tar.gz"
LIST = f"{REPO}/releases/90/assets?per_page=100"
OLD = f"{REPO}/releases/assets/51"
ONE = f"{REPO}/releases/90"
EXISTS = {
    "message": "Validation Failed",
    "errors": [{"resource": "ReleaseAsset", "code": "already_exists", "field": "name"}],
}


def upload(github: GitHub, release: Release, wanted: WantedAsset) -> Asset:
    (asset,) = github.assets.upload(release, AssetPlan(upload=(wanted,)))
    return asset


@pytest.fixture
def wanted(make: Maker, tmp_path: Path) -> WantedAsset:
    return make.wanted(tmp_path)


@pytest.fixture
def release(make: Maker) -> Release:
    return make.a_release()


def test_an_asset_is_sent_with_its_name_type_and_length(
    server: ScriptedServer, github: GitHub, make: Maker, release: Release, wanted: WantedAsset
) -> None:
    server.on("POST", UPLOAD, 201, reply=make.asset())
    assert upload(github, release, wanted) == make.an_asset()
    sent = server.seen[0]
    assert sent.body == b"hello"
    assert (sent.headers["Content-Length"], sent.headers["Content-Type"]) == ("5", "application/gzip")
    assert sent.headers["Authorization"] == "Bearer ghs_canary0123456789"


def test_a_plus_in_a_name_arrives_as_a_plus(
    server: ScriptedServer, github: GitHub, make: Maker, release: Release, tmp_path: Path
) -> None:
    server.on("POST", f"{REPO}/releases/90/assets?name=a%2Bb", 201, reply=make.asset(name="a+b"))
    assert upload(github, release, make.wanted(tmp_path, "a+b")).name == "a+b"


@pytest.mark.parametrize(
    "address",
    [
        "https://uploads.github.com/repos/acme/ffmpeg/releases/90/assets",
        "http://localhost:80/repos/acme/ffmpeg/releases/90/assets",
        "file:///repos/acme/ffmpeg/releases/90/assets",
    ],
)
def test_the_token_is_not_sent_to_an_upload_address_elsewhere(
    server: ScriptedServer, github: GitHub, make: Maker, wanted: WantedAsset, address: str
) -> None:
    with pytest.raises(GitHubError, match="token"):
        upload(github, make.a_release(upload_url=address), wanted)
    assert server.seen == []


def test_an_upload_that_redirects_is_not_followed(
    server: ScriptedServer, storage: ScriptedServer, github: GitHub, release: Release, wanted: WantedAsset
) -> None:
    server.on("POST", UPLOAD, 307, headers={"Location": f"{storage.url}/steal"})
    with pytest.raises(GitHubError):
        upload(github, release, wanted)
    assert storage.seen == []


def test_an_upload_whose_answer_was_lost_is_not_sent_twice(
    server: ScriptedServer, github: GitHub, make: Maker, release: Release, wanted: WantedAsset
) -> None:
    server.drop("POST", UPLOAD)
    server.on("GET", LIST, reply=[make.asset(4, name="b"), make.asset()])
    assert upload(github, release, wanted) == make.an_asset()


def test_an_upload_that_did_not_come_through_is_sent_again(
    server: ScriptedServer, github: GitHub, make: Maker, release: Release, wanted: WantedAsset
) -> None:
    server.drop("POST", UPLOAD)
    server.on("GET", LIST, reply=[])
    server.on("POST", UPLOAD, 201, reply=make.asset())
    assert upload(github, release, wanted) == make.an_asset()


def test_a_502_that_left_a_starter_is_cleared_and_sent_again(
    server: ScriptedServer, github: GitHub, make: Maker, release: Release, wanted: WantedAsset
) -> None:
    server.on("POST", UPLOAD, 502)
    server.on("GET", LIST, reply=[make.asset(state="starter", size=0, digest=None)])
    server.on("DELETE", OLD, 204)
    server.on("POST", UPLOAD, 201, reply=make.asset(52))
    assert upload(github, release, wanted).id == 52
    assert [seen.method for seen in server.seen] == ["POST", "GET", "DELETE", "POST"]


def test_a_name_that_is_taken_by_the_same_content_is_a_success(
    server: ScriptedServer, github: GitHub, make: Maker, release: Release, wanted: WantedAsset
) -> None:
    server.on("POST", UPLOAD, 422, reply=EXISTS)
    server.on("GET", LIST, reply=[make.asset()])
    assert upload(github, release, wanted) == make.an_asset()


def test_a_name_that_is_taken_by_other_content_is_replaced_in_a_draft_only(
    server: ScriptedServer, github: GitHub, make: Maker, release: Release, wanted: WantedAsset
) -> None:
    server.on("POST", UPLOAD, 422, reply=EXISTS)
    server.on("GET", LIST, reply=[make.asset(digest=f"sha256:{'0' * 64}")])
    server.on("GET", ONE, reply=make.release())
    server.on("DELETE", OLD, 204)
    server.on("POST", UPLOAD, 201, reply=make.asset(52))
    assert upload(github, release, wanted).id == 52

    server.on("POST", UPLOAD, 422, reply=EXISTS)
    server.on("GET", LIST, reply=[make.asset(digest=f"sha256:{'0' * 64}")])
    with pytest.raises(ConflictError, match=r"a\.tar\.gz"):
        upload(github, make.a_release(draft=False), wanted)


def test_a_taken_name_without_a_digest_is_compared_by_its_bytes(
    server: ScriptedServer, github: GitHub, make: Maker, release: Release, wanted: WantedAsset
) -> None:
    server.on("POST", UPLOAD, 422, reply=EXISTS)
    server.on("GET", LIST, reply=[make.asset(digest=None)])
    server.on("GET", OLD, body=b"hello")
    assert upload(github, release, wanted) == make.an_asset(digest=None)


def test_bytes_that_were_altered_on_the_way_are_sent_again(
    server: ScriptedServer, github: GitHub, make: Maker, release: Release, wanted: WantedAsset
) -> None:
    wrong = make.asset(digest=f"sha256:{'0' * 64}")
    server.on("POST", UPLOAD, 201, reply=wrong)
    server.on("GET", LIST, reply=[wrong])
    server.on("GET", ONE, reply=make.release())
    server.on("DELETE", OLD, 204)
    server.on("POST", UPLOAD, 201, reply=make.asset(52))
    assert upload(github, release, wanted).id == 52


def test_a_renamed_asset_is_told(
    server: ScriptedServer, github: GitHub, make: Maker, release: Release, wanted: WantedAsset
) -> None:
    server.on("POST", UPLOAD, 201, reply=make.asset(name="a.tar.gz.1"))
    with pytest.raises(ArtifactError, match=r"renamed the asset a\.tar\.gz to a\.tar\.gz\.1"):
        upload(github, release, wanted)


def test_a_file_that_changed_since_it_was_verified_is_not_sent(
    server: ScriptedServer, github: GitHub, release: Release, wanted: WantedAsset
) -> None:
    wanted.path.write_bytes(b"hello, world")
    with pytest.raises(ArtifactError, match=r"a\.tar\.gz"):
        github.assets.upload(release, AssetPlan(upload=(wanted,)))
    assert server.seen == []


def test_a_plan_is_carried_out_in_order(
    server: ScriptedServer, github: GitHub, make: Maker, release: Release, tmp_path: Path
) -> None:
    files = [make.wanted(tmp_path, name) for name in "abcdef"]
    for number, file in enumerate(files):
        reply = make.asset(60 + number, name=file.name)
        server.on("POST", f"{REPO}/releases/90/assets?name={file.name}", 201, reply=reply)
    server.on("GET", LIST, reply=[make.asset(name="a", digest=f"sha256:{'0' * 64}")])
    server.on("GET", ONE, reply=make.release())
    server.on("DELETE", OLD, 404, reply={"message": "Not Found"})
    plan = AssetPlan(upload=tuple(files[1:]), replace=(Replacement(asset=make.an_asset(), wanted=files[0]),))
    assert [asset.id for asset in github.assets.upload(release, plan)] == [60, 61, 62, 63, 64, 65]


@pytest.mark.parametrize("now", ["published", "gone"])
def test_nothing_is_replaced_in_a_draft_that_somebody_published_meanwhile(
    server: ScriptedServer, github: GitHub, make: Maker, release: Release, wanted: WantedAsset, now: str
) -> None:
    theirs = make.asset(digest=f"sha256:{'0' * 64}")
    server.on("GET", LIST, reply=[theirs])
    server.on("GET", ONE, 404 if now == "gone" else 200, reply=make.release(draft=False))
    plan = AssetPlan(replace=(Replacement(asset=make.an_asset(), wanted=wanted),))
    with pytest.raises(ConflictError, match=r"a\.tar\.gz"):
        github.assets.upload(release, plan)
    assert [seen.method for seen in server.seen] == ["GET", "GET"]


def test_failures_of_several_uploads_are_told_together(
    server: ScriptedServer, github: GitHub, make: Maker, release: Release, tmp_path: Path
) -> None:
    files = tuple(make.wanted(tmp_path, name) for name in "abc")
    for name in "ac":
        server.on("POST", f"{REPO}/releases/90/assets?name={name}", 400, reply={"message": "Bad"})
    server.on("POST", f"{REPO}/releases/90/assets?name=b", 201, reply=make.asset(name="b"))
    with pytest.raises(GitHubError) as refused:
        github.assets.upload(release, AssetPlan(upload=files))
    assert [fault.text[:8] for fault in refused.value.faults] == ["Upload a", "Upload c"]


def test_assets_without_a_digest_are_given_one_where_their_size_fits(
    server: ScriptedServer, github: GitHub, make: Maker, wanted: WantedAsset
) -> None:
    assets = [
        make.asset(digest=None),
        make.asset(52, name="b", digest=None),
        make.asset(53, name="c", state="starter", digest=None),
    ]
    server.on("GET", OLD, body=b"hello")
    told = github.assets.with_digests(make.a_release(assets=assets), [wanted])
    assert [asset.digest for asset in told.assets] == [wanted.digest, None, None]
