"""Node, npm and the locked packages of the rehearsal."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from flotilla.errors import RegistryError
from flotilla.rehearsal.node import HERE, NodeProcess, node, node_bin, node_modules, npm

OFFLINE = {**os.environ, "npm_config_offline": "true"}


def test_the_locks_hold_no_addresses_and_pin_exactly() -> None:
    for folder in (HERE, Path(__file__).parent):
        lock = json.loads((folder / "package-lock.json").read_text(encoding="utf-8"))
        manifest = json.loads((folder / "package.json").read_text(encoding="utf-8"))
        assert not [name for name, entry in lock["packages"].items() if "resolved" in entry]
        assert all(entry.get("integrity") for name, entry in lock["packages"].items() if name)
        pins = {**manifest.get("dependencies", {}), **manifest.get("devDependencies", {})}
        assert all(pin[0].isdigit() for pin in pins.values())


@pytest.mark.npm
def test_the_folder_for_the_path_has_a_node_and_an_npm_that_work(tmp_path: Path) -> None:
    links = node_bin(tmp_path)
    assert node_bin(tmp_path) == links
    environment = {"PATH": f"{links}:/usr/bin:/bin", "HOME": str(tmp_path)}
    by_path = subprocess.check_output([str(links / "npm"), "--version"], env=environment, text=True)
    assert by_path == subprocess.check_output([*npm(), "--version"], env=environment, text=True)
    assert subprocess.check_output([str(links / "node"), "--version"], text=True).startswith("v")


@pytest.mark.npm
def test_packages_are_installed_once_and_that_is_told_once(tmp_path: Path) -> None:
    locks = tmp_path / "locks"
    locks.mkdir()
    (locks / "package.json").write_text('{"name": "x", "version": "0.0.0"}', encoding="utf-8")
    lock = (
        '{"name": "x", "version": "0.0.0", "lockfileVersion": 3, "packages": {"": {"name": "x", "version": "0.0.0"}}}'
    )
    (locks / "package-lock.json").write_text(lock, encoding="utf-8")
    told: list[str] = []
    folders = {
        node_modules(tmp_path / "cache", environment=os.environ, locks=locks, told=told.append) for _n in range(2)
    }
    assert (len(folders), len(told)) == (1, 1)


@pytest.mark.npm
def test_a_lock_that_cannot_be_installed_is_explained(tmp_path: Path) -> None:
    (tmp_path / "package.json").write_text('{"dependencies": {"x": "1.0.0"}}', encoding="utf-8")
    (tmp_path / "package-lock.json").write_text('{"lockfileVersion": 3, "packages": {}}', encoding="utf-8")
    with pytest.raises(RegistryError, match="npm ci failed"):
        node_modules(tmp_path / "cache", environment=OFFLINE, locks=tmp_path)


def test_a_server_that_does_not_start_says_why(tmp_path: Path) -> None:
    with pytest.raises(RegistryError, match=r"(?s)sigstore\.mjs did not start: .*Cannot find module"):
        NodeProcess("registry/sigstore.mjs", str(tmp_path))


def test_node_is_a_program_and_not_a_wrapper() -> None:
    assert node().read_bytes()[:2] != b"#!"


@pytest.mark.npm
def test_a_server_ends_when_who_started_it_is_killed(modules: Path) -> None:
    lines = (
        "import sys, time",
        "from flotilla.rehearsal.node import NodeProcess",
        "process = NodeProcess('registry/sigstore.mjs', sys.argv[1])",
        "print(process.said['port'], flush=True)",
        "time.sleep(60)",
    )
    parent = subprocess.Popen([sys.executable, "-c", "\n".join(lines), str(modules)], stdout=subprocess.PIPE, text=True)
    with parent:
        assert parent.stdout is not None
        port = int(parent.stdout.readline())
        assert listens(port)
        parent.kill()
    ends = time.monotonic() + 5
    while listens(port):
        assert time.monotonic() < ends, "the server outlived its parent"
        time.sleep(0.01)


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
