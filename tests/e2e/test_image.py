"""The image of the actions: what it holds, what it lacks, how it fails."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.e2e.engine import Docker

pytestmark = [pytest.mark.docker, pytest.mark.e2e, pytest.mark.timeout(900)]

OTHER_TOOLS = ("gcc", "cc", "make", "pip", "pip3", "apt", "apt-get", "dpkg", "corepack", "yarn", "curl", "wget", "git")


def run_in(docker: Docker, image: str, program: str, *arguments: str) -> tuple[int, str]:
    """A program of the image in place of the job: its exit status, and what it printed."""
    done = docker.run("run", "--rm", "--network=none", f"--entrypoint={program}", image, *arguments)
    return done.returncode, done.stdout


def test_a_job_without_inputs_ends_in_one_clear_annotation(docker: Docker, image: str) -> None:
    done = docker.run("run", "--rm", "--network=none", "--env=GITHUB_ACTIONS=true", image, "release")
    annotations = [line for line in done.stdout.splitlines() if line.startswith("::error")]
    assert done.returncode == 1, done.stdout
    assert len(annotations) == 1, done.stdout
    assert "input version is required" in annotations[0]
    assert "Traceback" not in done.stdout


def test_the_workspace_cannot_shadow_a_module(docker: Docker, image: str, tmp_path: Path) -> None:
    for name in ("flotilla", "requests", "json", "sitecustomize"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('taken from the workspace')\n", encoding="utf-8")
    settings = ("--env=PYTHONPATH=/workspace", f"--volume={tmp_path}:/workspace", "--workdir=/workspace")
    done = docker.run("run", "--rm", "--network=none", *settings, image, "release")
    assert "taken from the workspace" not in done.stdout
    assert "input version is required" in done.stdout
    assert [path.suffix for path in tmp_path.iterdir()] == [".py"] * 4


def test_npm_in_the_image_knows_trusted_and_staged_publishing(docker: Docker, image: str) -> None:
    status, version = run_in(docker, image, "npm", "--version")
    assert status == 0
    assert tuple(map(int, version.strip().split("."))) >= (11, 17, 0)


def test_the_image_has_no_compiler_and_no_other_package_manager(docker: Docker, image: str) -> None:
    look = f'for tool in {" ".join(OTHER_TOOLS)}; do command -v "$tool"; done'
    assert run_in(docker, image, "sh", "-c", look)[1] == ""


@pytest.mark.parametrize("python", ["python3", "/opt/flotilla/bin/python"])
def test_python_in_the_image_has_no_pip(docker: Docker, image: str, python: str) -> None:
    status, said = run_in(docker, image, python, "-c", "import pip")
    assert (status, said.splitlines()[-1]) == (1, "ModuleNotFoundError: No module named 'pip'")


def test_the_rehearsal_is_not_in_the_image(docker: Docker, image: str) -> None:
    look = "import flotilla; print(*__import__('os').listdir(flotilla.__path__[0]))"
    status, listed = run_in(docker, image, "/opt/flotilla/bin/python", "-I", "-c", look)
    assert status == 0
    assert "jobs" in listed.split()
    assert "rehearsal" not in listed.split()


def test_no_program_in_the_image_runs_as_someone_else(docker: Docker, image: str) -> None:
    assert run_in(docker, image, "find", "/", "-xdev", "-type", "f", "-perm", "/6000") == (0, "")


def test_the_image_says_what_it_is(docker: Docker, image: str) -> None:
    label = '{{index .Config.Labels "org.opencontainers.image.title"}}'
    assert docker.said("image", "inspect", "--format", label, image).strip() == "flotilla"
