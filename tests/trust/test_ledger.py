"""The ledgers of a whole release: each fits its schema, and each link holds against what was built, kept and taken."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import tarfile
import zipfile
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
from jsonschema import Draft202012Validator
from tests.world.stage import PACKAGES, PLATFORMS, Stage

from flotilla.errors import InputError
from flotilla.jobs.ledger import inner_faults, ledger_schema, schema_faults
from flotilla.npm import sha512_of
from flotilla.runner import output_file

if TYPE_CHECKING:
    from pathlib import Path

    from tests.trust.conftest import Release

pytestmark = [pytest.mark.npm]
RUN = "https://github.com/acme/tool/actions/runs/77"


def sha256(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def assets_of(stage: Stage) -> dict[str, bytes]:
    (made,) = stage.world.github.state.releases
    return {asset.name: asset.content for asset in made.assets}


def tarball(stage: Stage, name: str) -> bytes:
    return stage.world.registry.state.tarballs[f"{name}/-/{name.rpartition('/')[2]}-1.2.3.tgz"]


def objects(part: dict[str, Any]) -> Iterator[dict[str, Any]]:
    if part.get("type") == "object":
        yield part
    for value in part.values():
        if isinstance(value, dict):
            yield from objects(value)


def test_the_schema_is_one_and_describes_every_field_and_takes_no_other() -> None:
    schema = dict(ledger_schema())
    Draft202012Validator.check_schema(schema)
    found = list(objects(schema))
    assert len(found) == 7
    for part in found:
        assert part["additionalProperties"] is False
        optional = {"binaries", "artifacts-digest", "same-run", "signed-in-with", "contents", "floors"}
        if "glibc" in part["properties"]:  # a package's floors are those that its binaries have
            assert "required" not in part
        else:
            assert set(part["properties"]) - set(part["required"]) <= optional
            assert set(part["required"]) <= set(part["properties"])
        assert all(field["description"] for field in part["properties"].values())


@pytest.mark.parametrize("job", ["release", *PLATFORMS, "dev", "meta", "finish"])
def test_the_ledger_of_every_job_fits_its_schema(release: Release, job: str) -> None:
    ledger = release.ledgers[job]
    assert list(schema_faults(ledger)) == []
    assert list(inner_faults(ledger)) == []
    assert ledger["commit"] == release.stage.world.github.state.commit
    assert ledger["written-by"] == (None if job == "finish" else RUN)


def test_each_artifact_is_what_github_served_and_recorded(release: Release) -> None:
    stored = {artifact.id: artifact for artifact in release.stage.world.github.state.artifacts}
    ledger = release.ledgers["finish"]
    assert len(ledger["artifacts"]) == len(PLATFORMS)
    for one in ledger["artifacts"]:
        assert one["digest"] == sha256(stored[one["id"]].content) == one["recorded-digest"]
        assert one["run"] == ledger["ci-run"]["id"] == stored[one["id"]].run_id


def test_each_asset_is_a_file_of_its_artifact_and_is_what_the_release_has(release: Release) -> None:
    stored = {artifact.id: artifact for artifact in release.stage.world.github.state.artifacts}
    kept, ledger = assets_of(release.stage), release.ledgers["finish"]
    assert {one["name"] for one in ledger["assets"]} | {"flotilla-ledger.json"} == kept.keys()
    for one in ledger["assets"]:
        assert one["digest"] == sha256(kept[one["name"]])
        assert one["size"] == len(kept[one["name"]])
        if one["artifact"] is None:
            assert one["name"] == "SHA256SUMS"
        else:
            with zipfile.ZipFile(io.BytesIO(stored[one["artifact"]].content)) as files:
                assert files.read(one["name"]) == kept[one["name"]]


def test_each_package_is_of_its_artifacts_files_and_is_what_the_registry_has(release: Release) -> None:
    stored = {artifact.id: artifact for artifact in release.stage.world.github.state.artifacts}
    ledger = release.ledgers["finish"]
    assert sorted(one["name"] for one in ledger["packages"]) == sorted(PACKAGES)
    sent = {one["name"]: one for job in (*PLATFORMS, "dev", "meta") for one in release.ledgers[job]["packages"]}
    for one in ledger["packages"]:
        data = tarball(release.stage, one["name"])
        integrity = "sha512-" + base64.b64encode(hashlib.sha512(data).digest()).decode()
        assert (one["integrity"], one["size"], one["registry-integrity"]) == (None, None, integrity)
        assert sent[one["name"]]["integrity"] == integrity
        assert sent[one["name"]]["size"] == len(data)
        assert sent[one["name"]]["contents"] == one["contents"]
        if one["artifact"] is not None:
            assert binaries(data) <= archived(stored[one["artifact"]].content)
            assert binaries(data)


def binaries(package: bytes) -> set[tuple[str, bytes]]:
    with tarfile.open(fileobj=io.BytesIO(package)) as tar:
        found = [(m.name.removeprefix("package/"), tar.extractfile(m)) for m in tar.getmembers()]
        return {(name, file.read()) for name, file in found if file and name != "package.json"}


def archived(artifact: bytes) -> set[tuple[str, bytes]]:
    with zipfile.ZipFile(io.BytesIO(artifact)) as files:
        (name,) = [name for name in files.namelist() if name.endswith(".tar.gz")]
        with tarfile.open(fileobj=io.BytesIO(files.read(name))) as tar:
            return {(m.name, file.read()) for m in tar.getmembers() if (file := tar.extractfile(m))}


@pytest.mark.parametrize("job", [*PLATFORMS, "dev", "meta", "finish"])
def test_each_provenance_is_about_this_tarball_and_names_the_run_that_published(release: Release, job: str) -> None:
    taken = release.stage.world.registry.state.snapshot()["provenance"]
    ledger = release.ledgers[job]
    assert ledger["packages"]
    for one in ledger["packages"]:
        stated = one["provenance"]
        assert stated["sha512"] == taken[f"{one['name']}@1.2.3"] == sha512_of(one["registry-integrity"])
        assert stated["run"] == one["published-by"] == RUN
        assert (stated["repository"], stated["commit"]) == ("https://github.com/acme/tool", ledger["commit"])
        assert one["status"] == ("already-published" if job == "finish" else "published")


def test_the_release_job_knows_each_package_by_its_files_and_packs_none(release: Release) -> None:
    ledger = release.ledgers["release"]
    states = [(one["status"], one["integrity"], one["size"], one["registry-integrity"]) for one in ledger["packages"]]
    assert set(states) == {("built", None, None, None)}
    built = {one["name"]: one["contents"] for one in ledger["packages"]}
    assert built == {one["name"]: one["contents"] for one in release.ledgers["finish"]["packages"]}


def test_the_asset_is_the_ledger_of_finish(release: Release) -> None:
    assert json.loads(assets_of(release.stage)["flotilla-ledger.json"]) == release.ledgers["finish"]


def test_the_asset_says_the_same_whichever_run_finishes(release: Release) -> None:
    stage, state = release.stage, release.stage.world.github.state
    saved = stage.world.saved()
    try:
        (made,) = state.releases
        made.draft, made.published_at = True, None
        state.release_run.id, state.release_run.attempt = 78, 2
        run_id = str(release.ledgers["finish"]["ci-run"]["id"])
        before = assets_of(stage)["flotilla-ledger.json"]
        posted = len([r for r in stage.world.plan.requests if r.server == "uploads"])
        stage.succeed("release", {"phase": "finish", "run-id": run_id})
        assert assets_of(stage)["flotilla-ledger.json"] == before
        assert (stage.workspace / "flotilla-output" / "flotilla-ledger.json").read_bytes() == before
        assert len([r for r in stage.world.plan.requests if r.server == "uploads"]) == posted
        assert not state.releases[0].draft
    finally:
        stage.world.restore(saved)


def test_a_link_in_the_repository_does_not_lead_our_files_elsewhere(tmp_path: Path) -> None:
    workspace, elsewhere = tmp_path / "workspace", tmp_path / "elsewhere"
    workspace.mkdir()
    elsewhere.mkdir()
    (workspace / "flotilla-output").symlink_to(elsewhere)
    with pytest.raises(InputError, match="not a plain folder"):
        output_file(workspace, "SHA256SUMS")
    (workspace / "flotilla-output").unlink()
    (workspace / "flotilla-output").mkdir()
    (workspace / "flotilla-output" / "SHA256SUMS").symlink_to(elsewhere / "file")
    with pytest.raises(InputError, match="not a plain file"):
        output_file(workspace, "SHA256SUMS")
    assert list(elsewhere.iterdir()) == []
