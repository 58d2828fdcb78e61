"""What flotilla's parts do alone, each as a process: the parts of a job that the rows compare with other programs.

usage: python client.py upload FOLDER | download FOLDER | unpack FOLDER | pack FOLDER CONTENT...

Reads GITHUB_API_URL, GITHUB_REPOSITORY and GITHUB_TOKEN, and for artifacts RUN_ID. Imports only what its part needs.
"""
# ruff: noqa: PLC0415 - for that reason

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from flotilla.retry import CORES, RetryPolicy, StopFlag, gather

if TYPE_CHECKING:
    from flotilla.github import Artifact, GitHub, WantedAsset

TAG = "v1.0.0"


def _upload(github: GitHub, folder: Path) -> None:
    """Draft a release, upload a folder's files, publish."""
    from flotilla.github import decide_assets

    draft = github.releases.create_draft(TAG, name=TAG, body="", prerelease=False)
    github.assets.upload(draft, decide_assets([_asset(path) for path in sorted(folder.iterdir())], ()))
    github.releases.publish(draft, latest=True, prerelease=False)


def _asset(path: Path) -> WantedAsset:
    from flotilla.github import WantedAsset

    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    return WantedAsset(name=path.name, size=path.stat().st_size, digest=f"sha256:{digest}", path=path)


def _download(github: GitHub, policy: RetryPolicy, folder: Path, *, unpack: bool) -> None:
    """Download a run's artifacts; with `unpack`, unpack each while others arrive, and the archives in them."""

    def take(artifact: Artifact) -> None:
        (got,) = github.artifacts.download([artifact], folder, workers=1)
        if unpack:
            _unpack(got.path, folder / artifact.name)

    artifacts = github.artifacts.of(int(os.environ["RUN_ID"]))
    gather([partial(take, artifact) for artifact in artifacts], stop=policy.stop)


def _unpack(path: Path, folder: Path) -> None:
    from flotilla.family import Limits
    from flotilla.packing import extract

    extract(path, folder, limits=Limits())
    path.unlink()
    for archive in folder.glob("*.tar.gz"):
        extract(archive, folder / "content", limits=Limits())


def _pack(folder: Path, contents: Sequence[Path]) -> None:
    """Pack a package of each folder, as many at a time as the jobs do."""
    from flotilla.family import Package
    from flotilla.packing import package_files, write_tarball

    def one(content: Path) -> None:
        name, version = content.name, "1.0.0"
        package = Package(
            kind="dev", name=name, version=version, platform=None, variant=None, artifact="a", template=None
        )
        manifest = {"name": name, "version": version}
        write_tarball(package_files(package, manifest, template=None, content=content), folder / name)

    shutil.rmtree(folder, ignore_errors=True)
    gather([partial(one, content) for content in contents], stop=StopFlag(), workers=CORES)


def main() -> None:
    """Do one of them."""
    what, *places = sys.argv[1:]
    if what == "pack":
        _pack(Path(places[0]), [Path(place) for place in places[1:]])
        return
    from flotilla.github import GitHub

    policy = RetryPolicy(deadline=time.time() + 600)
    given = {"token": os.environ["GITHUB_TOKEN"], "repository": os.environ["GITHUB_REPOSITORY"]}
    with GitHub(api_url=os.environ["GITHUB_API_URL"], policy=policy, **given) as github:
        if what == "upload":
            _upload(github, Path(places[0]))
        else:
            _download(github, policy, Path(places[0]), unpack=what == "unpack")


if __name__ == "__main__":
    main()
