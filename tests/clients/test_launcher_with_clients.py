"""The launcher as each package manager installs it, from a real registry."""

from __future__ import annotations

import json
import os
import platform as machine
import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from tests.clients.clients import CLIENTS, Client
from tests.world.npm_packages import installed

from flotilla.family import Package, Platform
from flotilla.family.entry_points import launcher_fields, launcher_files
from flotilla.family.model import Launcher
from flotilla.rehearsal.loopback import Serving
from flotilla.rehearsal.node import node
from flotilla.rehearsal.registry import RegistryServer, RegistryState, VerdaccioBackend

pytestmark = [pytest.mark.npm, pytest.mark.registry, pytest.mark.slow]

ROOT = Path(__file__).parents[2]
CPU = {"x86_64": "x64", "aarch64": "arm64"}[machine.machine()]
OTHER = {"x64": "arm64", "arm64": "x64"}[CPU]
LIBC = "glibc" if machine.libc_ver()[0] == "glibc" else "musl"
SUFFIX = {"glibc": "", "musl": "-musl"}
META, LIBRARY = "@acme/tool", "@acme/addon"
MINE = f"linux-{CPU}{SUFFIX[LIBC]}"


def platforms() -> dict[str, Platform]:
    return {
        "darwin-arm64": Platform(name="darwin-arm64", os=("darwin",), cpu=("arm64",), build=""),
        **{
            f"linux-{cpu}{suffix}": Platform(name="", os=("linux",), cpu=(cpu,), libc=(libc,), build="")
            for cpu in (CPU, OTHER)
            for libc, suffix in SUFFIX.items()
        },
    }


@pytest.fixture(scope="module")
def modules() -> Path:
    return installed(Path(__file__).parent)


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory, modules: Path) -> Iterator[str]:
    """Yield a registry with two families: a program's and a library's."""
    folder = tmp_path_factory.mktemp("registry")
    with Serving() as serving, VerdaccioBackend(installed(), folder, serving) as backend:
        server = RegistryServer(RegistryState(), serving, backend=backend)
        token = next(iter(server.state.tokens))
        for meta, package in families().items():
            for name, its in package.pins.items():
                words = {key: list(value) for key in ("os", "cpu", "libc") if (value := getattr(its, key))}
                program = f"#!/bin/sh\necho {name} $1\nexit 7\n"
                files = {"bin/tool": program, "main.js": f"exports.name = {json.dumps(name)};\n"}
                main = {"main": "main.js"} if meta == LIBRARY else {}
                publish(
                    modules, folder / name, name, {**words, **main, "preferUnplugged": True}, files, server.url, token
                )
            pins = {"optionalDependencies": dict.fromkeys(package.depends_on, "1.0.0")}
            fields = {**launcher_fields(package, {}), **pins}
            publish(modules, folder / meta, meta, fields, launcher_files(package, fields), server.url, token)
        yield server.url


def families() -> dict[str, Package]:
    return {
        meta: Package(
            kind="meta",
            name=meta,
            version="1.0.0",
            platform=None,
            variant=None,
            artifact=None,
            template=None,
            pins={f"{meta}-{name}": its for name, its in platforms().items()},
            launcher=Launcher(bin=program),
        )
        for meta, program in ((META, "tool"), (LIBRARY, None))
    }


def publish(  # noqa: PLR0913, PLR0917 - each a part of a publication
    modules: Path, folder: Path, name: str, fields: Mapping[str, object], files: Mapping[str, str], url: str, token: str
) -> None:
    written = {"package.json": json.dumps({"name": name, "version": "1.0.0", "license": "MIT", **fields}), **files}
    for path, text in written.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text, encoding="utf-8")
        (folder / path).chmod(0o755 if text.startswith("#!") else 0o644)
    (folder / ".npmrc").write_text(f"registry={url}\n{url.removeprefix('http:')}:_authToken={token}\n")
    done = CLIENTS[0].do(modules, folder, "publish", "--access", "public", "--no-provenance", "--tag", "latest")
    assert done.returncode == 0, done.stdout + done.stderr


def project_of(client: Client, folder: Path, registry: str) -> Path:
    """Return a project that depends on both families."""
    files = {
        "package.json": json.dumps({"name": "x", "private": True, "dependencies": {META: "1.0.0", LIBRARY: "1.0.0"}}),
        **client.settings(registry),
    }
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder


@pytest.fixture(scope="module", params=CLIENTS, ids=lambda client: re.sub(r"\W+", "-", client.name))
def client(request: pytest.FixtureRequest) -> Client:
    chosen: Client = request.param
    return chosen


@pytest.fixture(scope="module")
def project(client: Client, modules: Path, registry: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a user's project, installed."""
    made = project_of(client, tmp_path_factory.mktemp("project"), registry)
    done = client.do(modules, made, *client.install)
    assert done.returncode == 0, done.stdout + done.stderr
    return made


def run_tool(client: Client, modules: Path, project: Path) -> tuple[int, str, str]:
    done = (
        client.do(modules, project, *client.run, "tool", "one")
        if client.run
        else client.do(modules, project, "./node_modules/.bin/tool", "one", prefix=False)
    )
    return done.returncode, done.stdout, done.stderr


def test_each_package_manager_installs_a_program_that_runs(client: Client, modules: Path, project: Path) -> None:
    assert run_tool(client, modules, project)[:2] == (7, f"{META}-{MINE} one\n")


def test_each_package_manager_installs_a_library_that_loads(client: Client, modules: Path, project: Path) -> None:
    (project / "use.cjs").write_text(f'console.log(require("{LIBRARY}").name)')
    (project / "use.mjs").write_text(f'import library from "{LIBRARY}"; console.log(library.name)')

    for script in ("use.cjs", "use.mjs"):
        done = client.do(modules, project, *(client.node or (str(node()),)), script, prefix=bool(client.node))
        assert done.stdout == f"{LIBRARY}-{MINE}\n", done.stderr


def test_only_this_machines_package_is_installed(client: Client, project: Path) -> None:
    expected = {MINE} if client.knows_libc else {f"linux-{CPU}", f"linux-{CPU}-musl"}
    found = {
        path.parent.name.removeprefix("tool-")
        for root in (project / "node_modules", project / ".yarn")
        for path in root.rglob("package.json")
        if path.parent.name.startswith("tool-")
    }

    assert found == expected


def test_says_that_optional_dependencies_were_left_out(
    client: Client, modules: Path, registry: str, tmp_path: Path
) -> None:
    if client.without_optional is None:
        pytest.skip("yarn 4 cannot leave optional dependencies out")
    project = project_of(client, tmp_path, registry)
    assert client.do(modules, project, *client.install, client.without_optional).returncode == 0

    status, _, err = run_tool(client, modules, project)

    assert status == 1
    assert f"{META}-{MINE} is not installed" in err
    assert "--omit=optional" in err


def test_says_that_the_lock_file_is_of_another_machine(modules: Path, registry: str, tmp_path: Path) -> None:
    """A lock file as npm writes it where node_modules of another machine is present: npm/cli#4828."""
    npm_11 = CLIENTS[0]
    project = project_of(npm_11, tmp_path, registry)
    assert npm_11.do(modules, project, "install", "--package-lock-only").returncode == 0
    lock = json.loads((project / "package-lock.json").read_text())
    mine = [key for key in lock["packages"] if key.endswith(MINE)]
    for key in mine:
        del lock["packages"][key]
    for name in families():  # npm 11.17 itself refuses a lock file whose pins it does not list
        del lock["packages"][f"node_modules/{name}"]["optionalDependencies"][f"{name}-{MINE}"]
    (project / "package-lock.json").write_text(json.dumps(lock))
    assert npm_11.do(modules, project, "ci").returncode == 0

    status, _, err = run_tool(npm_11, modules, project)

    assert status == 1
    assert f"{project / 'package-lock.json'} does not list it" in err


def test_says_that_node_modules_is_of_another_machine(modules: Path, registry: str, tmp_path: Path) -> None:
    npm_11 = CLIENTS[0]
    project = project_of(npm_11, tmp_path, registry)
    assert npm_11.do(modules, project, "install", "--os=darwin", "--cpu=arm64").returncode == 0

    status, _, err = run_tool(npm_11, modules, project)

    assert status == 1
    assert f"{META}-darwin-arm64 is installed instead" in err


@pytest.mark.parametrize("meta", [META, LIBRARY])
def test_publint_and_attw_find_nothing(modules: Path, tmp_path: Path, meta: str) -> None:
    package = families()[meta]
    manifest = {"name": meta, "version": "1.0.0", "license": "MIT", **launcher_fields(package, {})}
    for path, text in {**launcher_files(package, manifest), "package.json": json.dumps(manifest)}.items():
        (tmp_path / path).write_text(text, encoding="utf-8")
    packed = CLIENTS[0].do(modules, tmp_path, "pack")
    assert packed.returncode == 0

    publint = run_script(modules / "publint/src/cli.js", "--strict", "--pack", "false", cwd=tmp_path)
    attw = run_script(
        modules / "@arethetypeswrong/cli/dist/index.js", packed.stdout.strip(), "--no-emoji", cwd=tmp_path
    )

    assert publint.returncode == 0, publint.stdout + publint.stderr
    assert "All good!" in publint.stdout
    assert attw.returncode == 0, attw.stdout
    assert "No problems found" in attw.stdout


def run_script(script: Path, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.defpath, "HOME": str(cwd), "NO_COLOR": "1"}
    command = [str(node()), str(script), *arguments]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
