"""One artifact for several platforms: with an archive for each, or a folder; downloaded once, and the same packages."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Mapping

import pytest
from tests.jobs.test_raw_artifacts import as_zip
from tests.world.job_world import JobWorld

from flotilla.errors import PackageError

BEFORE = 'artifact: "chroma-{build}-{variant}"'


def merged(jobs: JobWorld, ci: str, files: Mapping[str, bytes]) -> None:
    """Give CI's run one artifact `dist` instead of one for each platform."""
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    jobs.github.artifacts.clear()
    jobs.github.add_artifact(jobs.github.runs[0], "dist", sink.getvalue())
    jobs.edit("flotilla.yml", lambda text: text.replace(BEFORE, ci))


def tarballs(jobs: JobWorld) -> dict[str, bytes]:
    """Return the archive of each artifact, by the artifact's name."""
    found = {}
    for artifact in jobs.github.artifacts:
        with zipfile.ZipFile(io.BytesIO(artifact.content)) as uploaded:
            found[artifact.name] = uploaded.read(f"{artifact.name}.tar.gz")
    return found


def with_archives(jobs: JobWorld) -> None:
    """Make one artifact with an archive for each platform and variant."""
    files = {f"{name}.tar.gz": content for name, content in tarballs(jobs).items()}
    merged(jobs, "artifact: dist", files)
    jobs.edit(
        "flotilla.yml", lambda text: text.replace('archive: "*.tar.gz"', 'archive: "chroma-{build}-{variant}.tar.gz"')
    )
    jobs.edit("flotilla.yml", lambda text: text.replace(', "*.sha256"', ""))


def with_folders(jobs: JobWorld) -> None:
    """Make one artifact with a folder for each platform and variant, as the archive had it."""
    files: dict[str, bytes] = {}
    for name, content in tarballs(jobs).items():
        with zipfile.ZipFile(io.BytesIO(as_zip(content))) as archive:
            files |= {f"{name}/{path.split('/', 1)[1]}": archive.read(path) for path in archive.namelist()}
    merged(jobs, 'artifact: dist\n  root: "chroma-{build}-{variant}"', files)
    jobs.edit(
        "flotilla.yml", lambda text: text.replace('  archive: "*.tar.gz"\n', "").replace("  strip-components: 1\n", "")
    )
    jobs.edit("flotilla.yml", lambda text: text.replace('  assets: ["*.tar.gz", "*.sha256"]\n', ""))


def rehearsed(jobs: JobWorld) -> list[str]:
    done = jobs.platform(dry_run="true")
    assert done.status == 0, done.log
    return [one["integrity"] for one in done.packages]


@pytest.mark.npm
@pytest.mark.parametrize("shared", [with_archives, with_folders])
def test_one_artifact_for_all_platforms_is_downloaded_once_and_makes_the_same_packages(
    jobs: JobWorld, shared: Callable[[JobWorld], None]
) -> None:
    separate = rehearsed(jobs)
    shared(jobs)
    assert rehearsed(jobs) == separate
    jobs.world.plan.start()
    done = jobs.run("release")
    assert done.status == 0, done.log
    downloads = [one.label for one in jobs.world.plan.requests if "/zip" in one.label and " GET " in one.label]
    assert len(downloads) == 1, downloads
    dev = jobs.dev(dry_run="true")
    assert dev.status == 0, dev.log


def test_the_archives_of_one_artifact_are_the_assets(jobs: JobWorld) -> None:
    wanted = {f"{name}.tar.gz" for name in tarballs(jobs)}
    with_archives(jobs)
    jobs.edit("flotilla.yml", lambda text: text.replace('  assets: ["*.tar.gz"]\n', ""))
    assert jobs.run("release").status == 0
    (release,) = jobs.github.releases
    assert {asset.name for asset in release.assets} >= {
        name for name in wanted if "linux" in name and "arm64" not in name
    }
    assert not any("darwin" in asset.name for asset in release.assets)


def test_a_folder_that_the_artifact_does_not_have_is_refused_by_name(jobs: JobWorld) -> None:
    with_folders(jobs)
    jobs.edit("flotilla.yml", lambda text: text.replace('root: "chroma-', 'root: "other-'))
    error = jobs.refused("release")
    assert error.title == PackageError.title
    assert "has no folder other-linux-x64-free (ci.root)" in error.text


def test_an_archive_that_the_artifact_does_not_have_is_refused_by_name(jobs: JobWorld) -> None:
    with_archives(jobs)
    jobs.edit("flotilla.yml", lambda text: text.replace('archive: "chroma-', 'archive: "other-'))
    error = jobs.refused("release")
    assert "artifact dist: " in error.text
    assert "other-linux-x64-free.tar.gz matches 0 files" in error.text
    assert error.text.count("it has") == 1
