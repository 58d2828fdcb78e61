"""The files that a job leaves in the workspace: plain ones, in our own folder, and the workspace owner's."""

from __future__ import annotations

import io
import os
import re
import zipfile
from pathlib import Path
from unittest.mock import patch

import pytest
from tests.jobs.test_raw_artifacts import as_zip
from tests.world.job_world import JobWorld

from flotilla.errors import InputError
from flotilla.runner import write_output


def test_the_folder_and_its_files_belong_to_the_owner_of_the_workspace(tmp_path: Path) -> None:
    owner, given = tmp_path.stat(), list[tuple[str, int, int, bool]]()

    def chown(path: Path, user: int, group: int, *, follow_symlinks: bool) -> None:
        given.append((path.name, user, group, follow_symlinks))

    with patch.object(os, "geteuid", return_value=0), patch.object(os, "chown", chown):
        assert write_output(tmp_path, "SHA256SUMS", "x\n") == "flotilla-output/SHA256SUMS"
    uid, gid = owner.st_uid, owner.st_gid
    assert given == [("flotilla-output", uid, gid, False), ("SHA256SUMS", uid, gid, False)]


@pytest.mark.parametrize("name", ["flotilla-output", "flotilla-output/flotilla-ledger.json"])
def test_a_link_where_the_output_goes_is_refused_before_anything_is_published(
    released: JobWorld, tmp_path: Path, name: str
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    link = released.workspace / name
    link.parent.mkdir(exist_ok=True)
    link.symlink_to(elsewhere)
    error = released.refused("publish-platform", platform="linux-x64", run_id=str(released.run_id))
    assert error.title == InputError.title
    assert name in error.text
    assert list(elsewhere.iterdir()) == []


def test_a_release_without_assets_has_no_checksums(jobs: JobWorld) -> None:
    artifacts = [*jobs.github.artifacts]
    jobs.github.artifacts.clear()
    for artifact in artifacts:
        with zipfile.ZipFile(io.BytesIO(artifact.content)) as uploaded:
            files = as_zip(uploaded.read(f"{artifact.name}.tar.gz"), strip=1)
        jobs.github.add_artifact(jobs.github.runs[0], artifact.name, files)
    jobs.edit(
        "flotilla.yml", lambda text: re.sub(r"^  (archive|strip-components|assets): .*\n", "", text, flags=re.MULTILINE)
    )
    done = jobs.run("release")
    assert done.status == 0, done.log
    assert done.outputs["checksums"] == ""
    assert not (jobs.workspace / "flotilla-output" / "SHA256SUMS").exists()


def test_a_link_that_comes_after_the_look_does_not_lead_our_files_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_bytes(b"canary")
    (tmp_path / "flotilla-output").mkdir()
    file = tmp_path / "flotilla-output" / "SHA256SUMS"
    file.symlink_to(elsewhere)
    monkeypatch.setattr("flotilla.runner.output_file", lambda _workspace, _name: file)
    with pytest.raises(OSError, match="SHA256SUMS"):
        write_output(tmp_path, "SHA256SUMS", "x\n")
    assert elsewhere.read_bytes() == b"canary"
