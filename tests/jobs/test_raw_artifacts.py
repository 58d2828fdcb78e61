"""Artifacts that CI uploads as they are (`archive: false`): the file is the archive, and the artifact has its name."""

from __future__ import annotations

import io
import tarfile
import zipfile

import pytest
from tests.world.job_world import JobWorld

from flotilla.jobs.release_assets import OURS

CONFIG = {
    "tar.gz": ('"chroma-{build}-{variant}"', '"chroma-{build}-{variant}.tar.gz"'),
    "zip": ('"chroma-{build}-{variant}"', '"chroma-{build}-{variant}.zip"'),
}


def as_zip(tarball: bytes, *, strip: int = 0) -> bytes:
    """Return the same files in a zip, without the first components of their names."""
    sink = io.BytesIO()
    with tarfile.open(fileobj=io.BytesIO(tarball)) as tar, zipfile.ZipFile(sink, "w") as archive:
        for member in tar:
            stream = tar.extractfile(member)
            assert stream is not None
            entry = zipfile.ZipInfo("/".join(member.name.split("/")[strip:]))
            entry.external_attr = (0o100000 | member.mode) << 16
            archive.writestr(entry, stream.read())
    return sink.getvalue()


def uploaded_raw(jobs: JobWorld, kind: str) -> None:
    """Upload CI's artifacts again, each the archive itself."""
    for artifact in [*jobs.github.artifacts]:
        with zipfile.ZipFile(io.BytesIO(artifact.content)) as uploaded:
            tarball = uploaded.read(f"{artifact.name}.tar.gz")
        content = as_zip(tarball) if kind == "zip" else tarball
        jobs.github.add_artifact(jobs.github.runs[0], f"{artifact.name}.{kind}", content, raw=True)
    jobs.edit("flotilla.yml", lambda text: text.replace(*CONFIG[kind]).replace("*.tar.gz", f"*.{kind}"))
    jobs.edit("flotilla.yml", lambda text: text.replace(', "*.sha256"', ""))


@pytest.mark.parametrize("kind", CONFIG)
def test_an_archive_that_was_uploaded_as_it_is_makes_the_same_packages_and_is_an_asset(
    jobs: JobWorld, kind: str
) -> None:
    wrapped = [one["integrity"] for one in _rehearsed(jobs)]
    uploaded_raw(jobs, kind)
    assert [one["integrity"] for one in _rehearsed(jobs)] == wrapped
    done = jobs.run("release")
    assert done.status == 0, done.log
    (release,) = jobs.github.releases
    stored = {artifact.name: artifact.content for artifact in jobs.github.artifacts}
    assets = {asset.name: asset.content for asset in release.assets if asset.name not in OURS}
    assert len(assets) == 4
    assert assets == {name: stored[name] for name in assets}


def _rehearsed(jobs: JobWorld) -> list[dict[str, str]]:
    done = jobs.platform(dry_run="true")
    assert done.status == 0, done.log
    return done.packages
