"""The npm command, with what runs it replaced."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest
from tests.npm.conftest import Make, soon

from flotilla.errors import RegistryError
from flotilla.npm import Npm
from flotilla.npm.runner import run_group, write_credential


def saying(stdout: str, *, status: int = 0) -> Npm:
    def run(argv: Sequence[str], **_: object) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(argv, status, stdout, "npm error npm_secretsecret")

    return Npm(environment={}, run=run)


@pytest.mark.parametrize("version", ["11.17.0", "11.20.1", "12.2.0"])
def test_a_new_enough_npm_is_taken(version: str) -> None:
    assert saying(f"{version}\n").version() == version


@pytest.mark.parametrize("version", ["11.16.9", "10.9.4", "9.0.0"])
def test_an_npm_that_is_too_old_is_refused_with_what_to_install(version: str) -> None:
    with pytest.raises(RegistryError, match=r"needs 11\.17 or newer"):
        saying(version).version()


@pytest.mark.parametrize("version", ["12.1.0", "10.9.4"])
def test_an_installed_npm_need_not_start_to_tell_its_version(tmp_path: Path, version: str) -> None:
    npm = installed(tmp_path, {"name": "npm", "version": version})
    if version == "12.1.0":
        assert npm.version() == version
    else:
        with pytest.raises(RegistryError, match=r"npm is 10\.9\.4; flotilla needs 11\.17 or newer"):
            npm.version()


@pytest.mark.parametrize("lacking", ["manifest", "name", "node"])
def test_an_npm_that_is_not_installed_as_usual_is_asked(tmp_path: Path, lacking: str) -> None:
    manifest = {"name": "wrapper" if lacking == "name" else "npm", "version": "9.0.0"}
    npm = installed(tmp_path, manifest)
    if lacking != "name":
        (tmp_path / {"manifest": "npm/package.json", "node": "bin/node"}[lacking]).unlink()
    assert npm.version() == "12.2.0"


def installed(folder: Path, manifest: Mapping[str, str]) -> Npm:
    """Return an npm as its package is installed, beside node; started, it says 12.2.0."""
    cli = folder / "npm/bin/npm-cli.js"
    cli.parent.mkdir(parents=True)
    (folder / "bin").mkdir()
    (folder / "npm/package.json").write_text(json.dumps(manifest))
    for program in (cli, folder / "bin/node"):
        program.write_text("")
        program.chmod(0o755)
    (folder / "bin/npm").symlink_to(cli)

    def run(argv: Sequence[str], **_: object) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(argv, 0, "12.2.0", "")

    return Npm(environment={"PATH": str(folder / "bin")}, run=run)


def test_an_npm_that_says_no_version_is_refused() -> None:
    with pytest.raises(RegistryError, match='printed "hello"'):
        saying("hello").version()


def test_an_npm_that_is_not_there_is_refused_in_words(tmp_path: Path) -> None:
    with pytest.raises(RegistryError, match="npm cannot be started: No such file"):
        Npm(executable=(str(tmp_path / "npm"),), environment={}).version()


def test_an_npm_that_fails_is_told_without_secrets() -> None:
    with pytest.raises(RegistryError, match="npm --version failed") as raised:
        saying("", status=1).version()
    assert "npm_secret" not in str(raised.value)


@pytest.mark.parametrize("said", ["undefined", "", "file:///etc"])
def test_a_configured_registry_that_is_no_url_is_refused(said: str, tmp_path: Path) -> None:
    with pytest.raises(RegistryError, match="not an http"):
        saying(said).configured_registry(tmp_path)


def test_a_warning_before_the_configured_registry_is_no_part_of_it(tmp_path: Path) -> None:
    assert saying("npm warn\nhttps://r.example\n").configured_registry(tmp_path) == "https://r.example/"


def test_the_private_folder_and_the_token_are_gone_though_npm_could_not_start(make: Make) -> None:
    seen: list[Path] = []

    def run(argv: Sequence[str], *, env: Mapping[str, str], cwd: Path, timeout: float) -> None:
        seen.append(cwd)
        assert (cwd / "npmrc").exists()
        raise PermissionError(13, f"Permission denied {argv} {len(env)} {timeout}")

    with pytest.raises(RegistryError, match="cannot be started"):
        Npm(environment={}, run=run).publish(make(), timeout=1)  # type: ignore[arg-type]  # it never returns
    assert [folder.exists() for folder in seen] == [False]


def test_a_command_past_its_time_is_killed_with_all_that_it_started(tmp_path: Path) -> None:
    script = f"""
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
open({str(tmp_path / "pid")!r}, "w").write(str(child.pid))
time.sleep(60)
"""
    with pytest.raises(subprocess.TimeoutExpired):
        run_group([sys.executable, "-c", script], env={}, cwd=tmp_path, timeout=0.7)
    pid = (tmp_path / "pid").read_text()
    assert soon(lambda: not _runs(pid))


def _runs(pid: str) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize("put", [os.link, os.symlink])
def test_the_npm_token_is_not_written_into_what_lies_there(
    make: Make, tmp_path: Path, put: Callable[[Path, Path], None]
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.touch()
    put(elsewhere, tmp_path / "npmrc")
    with pytest.raises(FileExistsError):
        write_credential(tmp_path, make())
    assert elsewhere.read_bytes() == b""
