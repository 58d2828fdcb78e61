"""What the end-to-end tests stand on: an engine, images, the actions' tree, the example's artifacts."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from docker import DockerClient
from scripts.release.repository import pin
from tests.e2e import images
from tests.e2e.engine import NoEngineError, running_engine
from tests.e2e.workflow import EXAMPLE

from flotilla.rehearsal.node import node_modules

# An image by digest to test instead of one that is built here: what the release pushed.
PINNED = os.environ.get("FLOTILLA_E2E_IMAGE", "")


@pytest.fixture(scope="session")
def cache() -> Path:
    """Return a folder that outlives the tests."""
    return Path(os.environ.get("FLOTILLA_CACHE", images.ROOT / ".cache")) / "e2e"


@pytest.fixture(scope="session")
def engine(cache: Path) -> Iterator[DockerClient]:
    """Yield a Docker engine; without one the tests fail in CI, and are skipped locally."""
    try:
        with running_engine(cache / "dockerd.log") as docker:
            yield docker
    except NoEngineError as why:
        if os.environ.get("CI") == "true":
            pytest.fail(str(why))
        pytest.skip(str(why))


@pytest.fixture(scope="session")
def docker(engine: DockerClient, cache: Path) -> DockerClient:
    """Return an engine that has the images that others are built from."""
    images.provide_bases(engine, cache)
    return engine


@pytest.fixture(scope="session")
def actions(docker: DockerClient, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the repository's files, as OWNER/flotilla@v1 serves them; with PINNED, as a release's tag does."""
    tree = images.export_tree(tmp_path_factory.mktemp("actions"))
    images.name_available_bases(docker, tree)
    for file in [tree / "action.yml", *tree.glob("action-*/action.yml")] if PINNED else ():
        file.write_text(pin(file.read_text(encoding="utf-8"), PINNED), encoding="utf-8")
    return tree


@pytest.fixture(scope="session")
def image(docker: DockerClient, actions: Path) -> str:
    """Return the image of the actions; with PINNED, that one."""
    if PINNED:
        docker.images.pull(PINNED)
        return PINNED
    return images.build_image(docker, actions)


@pytest.fixture(scope="session")
def runner(docker: DockerClient) -> str:
    """Return the image that stands for GitHub's runner; with PINNED, act finds that one there."""
    if PINNED:
        docker.images.pull(PINNED)
    return images.build_runner(docker)


@pytest.fixture(scope="session")
def artifacts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the example's artifacts: a folder each, as its CI uploads them."""
    out = tmp_path_factory.mktemp("artifacts")
    command = [sys.executable, str(EXAMPLE / "build.py"), "--out", str(out)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return out


@pytest.fixture(scope="session")
def modules(cache: Path) -> Path:
    """Return the npm packages that the rehearsal's registry is made of."""
    return node_modules(cache.parent, environment=os.environ)
