"""One release is one build: what is published is what was checked and released, also where CI ran again in between."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
import zipfile
from typing import Any

import pytest
from tests.world.job_world import JobWorld

from flotilla.errors import ConflictError, InputError
from flotilla.jobs.ledger import schema_faults
from flotilla.rehearsal.github.records import StoredArtifact

FREE, NON_FREE = "chroma-linux-x64-free", "chroma-linux-x64-non-free"
MUSL = "chroma-linuxmusl-x64-free"
NAMES = (FREE, NON_FREE, MUSL, "chroma-linuxmusl-x64-non-free")


def artifact(jobs: JobWorld, name: str) -> StoredArtifact:
    """Return the artifact of that name that counts: the newest of the run."""
    return [one for one in jobs.github.artifacts if one.name == name and one.run_id == jobs.run_id][-1]


def files(one: StoredArtifact) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(one.content)) as archive:
        return {name: archive.read(name) for name in archive.namelist() if not name.endswith("/")}


def upload(jobs: JobWorld, name: str, content: dict[str, bytes]) -> StoredArtifact:
    """Run CI again, and upload this."""
    return jobs.github.add_artifact(jobs.github.runs[0], name, content)


def rebuilt(content: dict[str, bytes]) -> dict[str, bytes]:
    """Return the same files, built anew: the archive is another, and its .sha256 with it."""
    made = dict(content)
    for name, data in content.items():
        if name.endswith(".tar.gz"):
            made[name] = with_file(data, "lib/rebuilt.txt", b"built again\n")
            made[f"{name}.sha256"] = f"{hashlib.sha256(made[name]).hexdigest()}  {name}\n".encode()
    return made


def with_file(archive: bytes, path: str, data: bytes) -> bytes:
    sink = io.BytesIO()
    with tarfile.open(fileobj=io.BytesIO(archive)) as old, tarfile.open(fileobj=sink, mode="w:gz") as new:
        top = old.getmembers()[0].name.split("/")[0]
        for member in old.getmembers():
            new.addfile(member, old.extractfile(member) if member.isfile() else None)
        info = tarfile.TarInfo(f"{top}/{path}")
        info.size = len(data)
        new.addfile(info, io.BytesIO(data))
    return sink.getvalue()


def run_ci_again(jobs: JobWorld, *names: str) -> None:
    for name in names:
        upload(jobs, name, rebuilt(files(artifact(jobs, name))))


def without_assets(jobs: JobWorld) -> None:
    """Let no asset name the archives: the release has only CI's licence, the same in each build."""
    jobs.edit("flotilla.yml", lambda text: text.replace('["*.tar.gz", "*.sha256"]', '["NOTICE.txt"]'))
    for name in NAMES:
        upload(jobs, name, {**files(artifact(jobs, name)), "NOTICE.txt": b"free to use\n"})


def digest_of(jobs: JobWorld) -> str:
    return jobs.run("release", phase="check-artifacts").outputs["artifacts-digest"]


def test_the_digest_is_that_of_the_documented_form(jobs: JobWorld) -> None:
    wanted = {need: artifact(jobs, need).digest or "" for need in NAMES}
    lines = [f"{digest.removeprefix('sha256:')}  {name}\n" for name, digest in sorted(wanted.items())]
    text = "flotilla artifacts 1\n" + "".join(lines)
    assert digest_of(jobs) == f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def test_every_phase_that_looks_at_the_artifacts_and_the_ledger_tell_one_digest(jobs: JobWorld) -> None:
    digest = digest_of(jobs)
    done = jobs.run("release", artifacts_digest=digest)
    assert done.outputs["artifacts-digest"] == digest
    sent = jobs.platform(artifacts_digest=digest)
    for job in (done, sent):
        ledger = json.loads((jobs.workspace / job.outputs["ledger"]).read_text(encoding="utf-8"))
        assert ledger["artifacts-digest"] == digest
        assert list(schema_faults(ledger)) == []


def test_where_github_recorded_no_digest_the_bytes_count(jobs: JobWorld) -> None:
    digest = digest_of(jobs)
    artifact(jobs, MUSL).digest = None
    assert digest_of(jobs) == digest
    assert jobs.run("release", artifacts_digest=digest).status == 0
    assert jobs.platform(artifacts_digest=digest, dry_run="true").status == 0


@pytest.mark.parametrize("rerun", [FREE, MUSL])
@pytest.mark.parametrize("draft", ["true", "false"])
def test_no_job_of_one_family_publishes_another_build_than_the_one_that_was_released(
    jobs: JobWorld, rerun: str, draft: str
) -> None:
    """Whichever platform was built again: linux-x64 does not go out beside another build's linux-x64-musl."""
    without_assets(jobs)
    digest = jobs.run("release", draft=draft).outputs["artifacts-digest"]
    run_ci_again(jobs, rerun)
    error = jobs.refused("publish-platform", platform="linux-x64", run_id=str(jobs.run_id), artifacts_digest=digest)
    assert error.title == ConflictError.title
    assert digest in error.text


def test_a_release_is_not_made_of_other_artifacts_than_were_checked(jobs: JobWorld) -> None:
    digest = digest_of(jobs)
    run_ci_again(jobs, FREE)
    error = jobs.refused("release", phase="release", artifacts_digest=digest)
    assert digest in error.text


def test_an_artifact_that_expired_elsewhere_does_not_stop_a_platform_that_has_its_own(jobs: JobWorld) -> None:
    digest = jobs.run("release").outputs["artifacts-digest"]
    artifact(jobs, MUSL).expired = True
    assert jobs.platform(artifacts_digest=digest, dry_run="true").status == 0
    assert (
        jobs.refused("publish-platform", platform="linux-x64-musl", run_id=str(jobs.run_id)).title
        == "Artifact check failed"
    )


def test_an_expired_artifact_without_a_digest_is_said_to_be_that(jobs: JobWorld) -> None:
    digest = jobs.run("release").outputs["artifacts-digest"]
    artifact(jobs, MUSL).expired, artifact(jobs, MUSL).digest = True, None
    error = jobs.refused("publish-platform", platform="linux-x64", run_id=str(jobs.run_id), artifacts_digest=digest)
    assert MUSL in error.text


def test_without_the_input_a_job_still_does_not_publish_another_build_than_the_release_has(jobs: JobWorld) -> None:
    without_assets(jobs)
    assert jobs.run("release").status == 0
    run_ci_again(jobs, FREE)
    error = jobs.refused("publish-platform", platform="linux-x64", run_id=str(jobs.run_id))
    assert error.title == ConflictError.title
    assert FREE in error.text
    assert NON_FREE not in error.text.replace(FREE, "")


def test_archives_that_ci_swapped_between_two_variants_are_not_published(jobs: JobWorld) -> None:
    """Each asset is in the release under its name, with its bytes; only the artifact that it is of is another."""
    assert jobs.run("release").status == 0
    free, non_free = files(artifact(jobs, FREE)), files(artifact(jobs, NON_FREE))
    upload(jobs, FREE, non_free)
    upload(jobs, NON_FREE, free)
    error = jobs.refused("publish-platform", platform="linux-x64", run_id=str(jobs.run_id))
    assert FREE in error.text
    assert NON_FREE in error.text


def test_the_same_archives_uploaded_again_are_the_same_build(jobs: JobWorld) -> None:
    """A re-run of CI that reproduces its archives makes other zips around them."""
    assert jobs.run("release").status == 0
    for name in (FREE, NON_FREE):
        upload(jobs, name, {**files(artifact(jobs, name)), "log.txt": b"another minute\n"})
    assert jobs.platform(dry_run="true").status == 0


def test_a_job_that_cannot_see_the_draft_warns_that_it_compares_nothing(jobs: JobWorld) -> None:
    jobs.run("release", draft="true")
    jobs.github.releases.clear()  # drafts are listed to no one who may only read
    done = jobs.platform(dry_run="false")
    assert done.status == 0, done.log
    assert any("artifacts-digest" in one.text for one in done.annotations("warning"))


def test_a_job_with_the_digest_warns_of_nothing(jobs: JobWorld) -> None:
    digest = jobs.run("release", draft="true").outputs["artifacts-digest"]
    done = jobs.platform(artifacts_digest=digest)
    assert (done.status, done.annotations("warning")) == (0, [])


def test_a_release_without_a_ledger_is_compared_by_its_assets_and_that_is_said(released: JobWorld) -> None:
    (release,) = released.github.releases
    release.assets[:] = [one for one in release.assets if one.name != "flotilla-ledger.json"]
    done = released.platform(dry_run="true")
    assert done.status == 0
    assert any("flotilla-ledger.json" in one.text for one in done.annotations("warning"))


def test_a_published_release_is_not_completed_from_another_build(jobs: JobWorld) -> None:
    without_assets(jobs)
    assert jobs.run("release").status == 0
    run_ci_again(jobs, FREE)
    assert FREE in jobs.refused("release").text


def test_meta_packages_are_not_published_for_another_build_than_the_release_has(platforms: JobWorld) -> None:
    error = platforms.refused("publish-meta", artifacts_digest="sha256:" + "0" * 64)
    assert "sha256:" + "0" * 64 in error.text


@pytest.mark.parametrize("given", ["0" * 64, "sha256:" + "0" * 63, "sha512:" + "0" * 64, "sha256:" + "G" * 64])
def test_a_digest_that_is_none_is_refused(jobs: JobWorld, given: str) -> None:
    error = jobs.refused("release", artifacts_digest=given)
    assert error.title == InputError.title
    assert "artifacts-digest" in error.text


def drafted(jobs: JobWorld, stages: Any) -> None:
    """Make a draft, and put every package on the registry."""
    assert jobs.run("release", draft="true").status == 0
    jobs.world.registry.restore(stages["everything"].registry)


def test_finish_does_not_publish_a_draft_that_lacks_assets(jobs: JobWorld, stages: Any) -> None:
    drafted(jobs, stages)
    (release,) = jobs.github.releases
    release.assets[:] = [one for one in release.assets if one.name != f"{FREE}.tar.gz"]
    error = jobs.refused("release", phase="finish")
    assert f"{FREE}.tar.gz" in error.text
    assert release.draft


def test_finish_advises_no_step_that_would_replace_verified_assets(jobs: JobWorld, stages: Any) -> None:
    drafted(jobs, stages)
    (release,) = jobs.github.releases
    asset = next(one for one in release.assets if one.name == f"{FREE}.tar.gz")
    asset.content = b"what somebody put there"
    error = jobs.refused("release", phase="finish")
    assert f"{FREE}.tar.gz" in error.text
    assert "Re-run action-release" not in error.text
    assert "run-id" in error.text


def test_finish_takes_no_other_build_than_the_draft_was_made_of(jobs: JobWorld, stages: Any) -> None:
    without_assets(jobs)
    drafted(jobs, stages)
    upload(jobs, FREE, {**files(artifact(jobs, FREE)), "log.txt": b"another minute\n"})
    assert FREE in jobs.refused("release", phase="finish").text
