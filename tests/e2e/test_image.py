"""The image of the actions: what it holds, what it lacks, how it fails."""

from __future__ import annotations

from pathlib import Path

import pytest
from docker import DockerClient
from tests.e2e.engine import run_in
from tests.e2e.images import available, base_names

pytestmark = [pytest.mark.docker, pytest.mark.e2e, pytest.mark.timeout(900)]

LARGEST = 160_000_000  # bytes that each runner loads for an action, besides the base image
OTHER_TOOLS = ("gcc", "cc", "make", "pip", "pip3", "apt", "apt-get", "dpkg", "corepack", "yarn", "curl", "wget", "git")


def test_a_job_without_inputs_ends_in_one_clear_annotation(docker: DockerClient, image: str) -> None:
    status, said = run_in(docker, image, "release", environment={"GITHUB_ACTIONS": "true"})
    annotations = [line for line in said.splitlines() if line.startswith("::error")]
    assert status == 1, said
    assert len(annotations) == 1, said
    assert "input version is required" in annotations[0]
    assert "Traceback" not in said


def test_the_workspace_cannot_shadow_a_module(docker: DockerClient, image: str, tmp_path: Path) -> None:
    for name in ("flotilla", "requests", "json", "sitecustomize"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('taken from the workspace')\n", encoding="utf-8")
    _, said = run_in(docker, image, "release", environment={"PYTHONPATH": "/workspace"}, workspace=tmp_path)
    assert "taken from the workspace" not in said
    assert "input version is required" in said
    assert [path.suffix for path in tmp_path.iterdir()] == [".py"] * 4


def test_npm_in_the_image_knows_trusted_and_staged_publishing(docker: DockerClient, image: str) -> None:
    status, version = run_in(docker, image, "--version", entrypoint="npm")
    assert status == 0
    assert tuple(map(int, version.strip().split("."))) >= (11, 17, 0)


def test_the_image_has_no_compiler_and_no_other_package_manager(docker: DockerClient, image: str) -> None:
    look = f'for tool in {" ".join(OTHER_TOOLS)}; do command -v "$tool"; done'
    assert run_in(docker, image, "-c", look, entrypoint="sh")[1] == ""


@pytest.mark.parametrize("python", ["python3", "/opt/flotilla/bin/python"])
def test_python_in_the_image_has_no_pip(docker: DockerClient, image: str, python: str) -> None:
    status, said = run_in(docker, image, "-c", "import pip", entrypoint=python)
    assert (status, said.splitlines()[-1]) == (1, "ModuleNotFoundError: No module named 'pip'")


def test_the_rehearsal_is_not_in_the_image(docker: DockerClient, image: str) -> None:
    look = "import flotilla; print(*__import__('os').listdir(flotilla.__path__[0]))"
    status, listed = run_in(docker, image, "-I", "-c", look, entrypoint="/opt/flotilla/bin/python")
    assert status == 0
    assert "jobs" in listed.split()
    assert "rehearsal" not in listed.split()


def test_no_program_in_the_image_runs_as_someone_else(docker: DockerClient, image: str) -> None:
    assert run_in(docker, image, "/", "-xdev", "-type", "f", "-perm", "/6000", entrypoint="find") == (0, "")


def test_the_image_says_what_it_is(docker: DockerClient, image: str) -> None:
    assert docker.images.get(image).labels["org.opencontainers.image.title"] == "flotilla"


def test_the_image_is_small(docker: DockerClient, image: str) -> None:
    base, _ = base_names()
    ours, theirs = (
        sum(layer["Size"] for layer in docker.images.get(name).history()) for name in (image, available(docker, base))
    )
    assert ours - theirs <= LARGEST


def test_npm_and_the_library_are_compiled_already(docker: DockerClient, image: str) -> None:
    """The first publish of a job would spend a fifth of its time on that, and each start a second."""
    look = "-path '*/flotilla/jobs/__pycache__/*.pyc' -o -path '/opt/npm-compiled/*/*'"
    listed = run_in(docker, image, "-c", f"find /opt {look}", entrypoint="sh")[1].split()
    assert len([path for path in listed if path.endswith(".pyc")]) > 10
    assert len([path for path in listed if "npm-compiled" in path]) > 100


@pytest.mark.parametrize("module", ["github.MainClass", "cryptography", "nacl"])
def test_python_in_the_image_has_nothing_that_no_job_uses(docker: DockerClient, image: str, module: str) -> None:
    status, said = run_in(docker, image, "-c", f"import {module}", entrypoint="/opt/flotilla/bin/python")
    assert (status, "Error" in said.splitlines()[-1]) == (1, True)
