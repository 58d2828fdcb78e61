"""Packages of others are read through from the registry that npm is configured for; the family's own never are."""

from __future__ import annotations

import io
import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.typedefs import Handler
from rich.console import Console
from tests.rehearsal.client import Client
from tests.rehearsal.publishing import npm_tarball, put
from tests.simulator.memory import MemoryBackend, RegistryState

from flotilla.errors import RegistryError
from flotilla.family import Family, parse_config
from flotilla.rehearsal.loopback import Serving
from flotilla.rehearsal.node import node_bin
from flotilla.rehearsal.registry import RegistryServer, Upstream, VerdaccioBackend, configured_upstream, why_unread
from flotilla.rehearsal.rehearse import Plan, Rehearsed, rehearse
from flotilla.rehearsal.show import WIDTH, Show
from flotilla.rehearsal.users import host, install_everywhere

pytestmark = [pytest.mark.registry, pytest.mark.npm]

NOWHERE = "http://127.0.0.1:9/"
SECRET = "npm_000000000000000000000000000000000000"  # noqa: S105 - nobody's


@dataclass(kw_only=True)
class Public:
    """The registry that npm is configured for, and what it was asked."""

    url: str = ""
    asked: list[str] = field(default_factory=list)
    credentials: set[str] = field(default_factory=set)

    @web.middleware
    async def watch(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.method == "GET":
            self.asked.append(request.path)
            self.credentials.add(request.headers.get("authorization", ""))
        if "private" in request.path:
            wanted = request.headers.get("authorization") == f"Bearer {SECRET}"
            return web.json_response(
                {"name": "private", "versions": {}} if wanted else {}, status=200 if wanted else 401
            )
        return await handler(request)


@pytest.fixture
def public(serving: Serving, tmp_path: Path) -> Public:
    """Return a registry with a package of others, and with the family's packages at the version that is rehearsed."""
    public, state = Public(), RegistryState()
    public.url = RegistryServer(state, serving, backend=MemoryBackend(state), middleware=lambda _name: public.watch).url
    with Client(public.url, token=next(iter(state.tokens))) as client:
        for name in ("@acme/tool", "@acme/tool-wasm32", "other"):
            tarball = npm_tarball(tmp_path, name, "1.0.0")
            # put() adds the version to the content, as a tarball's ending that gzip ignores.
            put(client, name, "1.0.0", content=tarball.read_bytes() + bytes(8)).raise_for_status()
    return public


CONFIG = 'schema: 1\nfamily: "@acme/tool"\nplatforms: [wasm32]\nci: {workflow: ci.yml, artifact: "tool-{build}"}\n'


def family(root: Path, **meta: object) -> Plan:
    """Return a family of one platform package without binaries; `meta` goes into the meta package's manifest."""
    files = {
        "flotilla.yml": CONFIG.replace("wasm32", "{name: wasm32, binaries: none, pin: true}")
        + "packages: {meta: {template: npm/meta}}\n",
        "npm/meta/package.json": json.dumps({"main": "index.js", **meta}),
        "npm/meta/index.js": "",
        "dist/tool-wasm32/tool.wasm": "",
    }
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content, encoding="utf-8")
    config = Family(parse_config(files["flotilla.yml"]), "1.0.0")
    return Plan(root=root, config="flotilla.yml", family=config, artifacts=root / "dist", repository="acme/tool")


def rehearsed(plan: Plan, folder: Path) -> tuple[Rehearsed, str]:
    out = io.StringIO()
    folder.mkdir()
    return rehearse(plan, folder, Show(Console(file=out, width=WIDTH))), out.getvalue()


@pytest.fixture
def configured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, modules: Path) -> Path:
    """Return a home whose .npmrc configures npm."""
    monkeypatch.setenv("FLOTILLA_CACHE", str(modules.parents[1]))
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    for name in [name for name in os.environ if name.lower().startswith("npm_config_")]:
        monkeypatch.delenv(name)
    return home / ".npmrc"


@pytest.mark.slow
def test_a_meta_with_an_ordinary_dependency_is_rehearsed_and_the_familys_names_are_never_asked_for(
    public: Public, configured: Path, tmp_path: Path
) -> None:
    authority = public.url.removeprefix("http:")
    configured.write_text(f"registry={public.url}\n{authority}:_authToken={SECRET}\n", encoding="utf-8")
    done, _said = rehearsed(family(tmp_path / "root", dependencies={"other": "^1.0.0"}), tmp_path / "rehearsal")
    assert (done.packages, done.platforms) == (2, 1)
    (folder,) = (tmp_path / "rehearsal/users").iterdir()
    assert (folder / "node_modules/other/package.json").is_file()
    # The family's packages of this version that the registry has hold no such file.
    assert (folder / "node_modules/@acme/tool/index.js").is_file()
    assert any("other" in path for path in public.asked)
    assert [path for path in public.asked if "acme" in path] == []
    assert public.credentials == {""}, "npm's own credential was passed on"


@pytest.mark.slow
def test_without_a_network_a_family_on_its_own_is_rehearsed(configured: Path, tmp_path: Path) -> None:
    configured.write_text(f"registry={NOWHERE}\n", encoding="utf-8")
    done, _said = rehearsed(family(tmp_path / "root"), tmp_path / "rehearsal")
    assert (done.packages, done.platforms) == (2, 1)


@pytest.mark.slow
def test_without_a_network_the_package_that_could_not_be_read_is_named(configured: Path, tmp_path: Path) -> None:
    configured.write_text(f"registry={NOWHERE}\n", encoding="utf-8")
    with pytest.raises(RegistryError) as caught:
        rehearsed(family(tmp_path / "root", dependencies={"other": "^1.0.0"}), tmp_path / "rehearsal")
    assert f"other was not read from {NOWHERE}: npm says ECONNREFUSED" in str(caught.value)


def test_a_configuration_that_cannot_be_used_is_told_only_to_those_who_need_it(
    configured: Path, tmp_path: Path
) -> None:
    configured.write_text("registry=http://registry.invalid/\n", encoding="utf-8")
    upstream = configured_upstream(tmp_path, own={"@acme/tool"}, environment=os.environ)
    assert upstream.registry_of("other") == ""
    words = why_unread(upstream, "other", folder=tmp_path, environment=os.environ)
    assert words.startswith("other was not read: npm's configuration: ")
    assert "registry.invalid" in words


def test_a_private_registry_is_said_not_to_be_supported(public: Public, configured: Path, tmp_path: Path) -> None:
    authority = public.url.removeprefix("http:")
    configured.write_text(f"registry={public.url}\n{authority}:_authToken={SECRET}\n", encoding="utf-8")
    upstream = configured_upstream(tmp_path, own={"@acme/tool"}, environment=os.environ)
    assert "no credential" in why_unread(upstream, "private", folder=tmp_path, environment=os.environ)
    assert SECRET not in repr(upstream) + upstream.settings() + str(upstream.environment)


def test_a_scope_with_a_registry_of_its_own_is_read_from_no_other(
    public: Public, modules: Path, serving: Serving, tmp_path: Path
) -> None:
    upstream = Upstream(own=frozenset(), registries={"": public.url, "@corp": NOWHERE})
    with VerdaccioBackend(modules, tmp_path / "verdaccio", serving, upstream) as backend:
        state = RegistryState()
        with Client(RegistryServer(state, serving, backend=backend).url) as client:
            assert client.get("/other").status_code == 200
            assert client.get("/@corp%2fsecret").status_code == 404
    assert backend.unread == {"@corp/secret": 404}
    assert [path for path in public.asked if "corp" in path] == []


@pytest.mark.parametrize(
    ("lines", "registries"),
    [
        ("", {""}),
        ("@corp:registry=https://npm.invalid/corp\n", {"", "@corp"}),
    ],
)
def test_npm_is_asked_for_the_registry_of_each_scope(
    lines: str, registries: set[str], configured: Path, tmp_path: Path
) -> None:
    configured.write_text(lines, encoding="utf-8")
    assert configured_upstream(tmp_path, own=(), environment=os.environ).registries.keys() == registries


def test_the_way_through_a_proxy_is_passed_on_in_the_environment_alone(configured: Path, tmp_path: Path) -> None:
    configured.write_text("https-proxy=http://127.0.0.1:9\nstrict-ssl=false\n", encoding="utf-8")
    environment = {**os.environ, "HTTP_PROXY": "http://user:word@127.0.0.1:9", "NO_PROXY": "localhost"}
    upstream = configured_upstream(tmp_path, own=(), environment=environment)
    assert upstream.environment["https_proxy"].startswith("http://127.0.0.1:9")
    assert upstream.environment["HTTP_PROXY"] == environment["HTTP_PROXY"]
    assert upstream.environment["NO_PROXY"] == "localhost"
    assert not upstream.strict_ssl
    assert "word" not in upstream.settings() + repr(upstream)


def test_install_scripts_do_not_run_if_npm_is_configured_so(configured: Path, tmp_path: Path) -> None:
    assert configured_upstream(tmp_path, own=(), environment=os.environ).scripts
    configured.write_text("ignore-scripts=true\n", encoding="utf-8")
    assert not configured_upstream(tmp_path, own=(), environment=os.environ).scripts


@pytest.mark.parametrize("scripts", [True, False])
def test_install_scripts_run_for_this_machine_alone(*, scripts: bool, serving: Serving, tmp_path: Path) -> None:
    here, state = host(), RegistryState()
    other = "arm64" if here.cpu == "x64" else "x64"
    words = ", ".join(f"{here.os}-{cpu}" for cpu in (here.cpu, other))
    tool = Family(parse_config(CONFIG.replace("wasm32", words)), "1.0.0")
    registry = RegistryServer(state, serving, backend=MemoryBackend(state))
    with Client(registry.url, token=next(iter(state.tokens))) as client:
        for package in tool.packages:
            fields: dict[str, Any] = {"scripts": {"postinstall": "echo > ran"}, "hasInstallScript": True}
            if package.platform:
                fields |= {"os": [here.os], "cpu": [*package.platform.cpu]}
            else:
                fields |= {"optionalDependencies": dict.fromkeys(package.depends_on, "1.0.0")}
            tarball = npm_tarball(tmp_path, package.name, "1.0.0", **fields)
            put(client, package.name, "1.0.0", content=tarball.read_bytes() + bytes(8), **fields).raise_for_status()
    users = install_everywhere(
        tool,
        registry=registry.url,
        folder=tmp_path / "users",
        path=f"{node_bin(tmp_path)}:{os.environ['PATH']}",
        told=lambda _user: None,
        scripts=scripts,
    )
    ran = {user.machine: (user.folder / "node_modules/@acme/tool/ran").is_file() for user in users}
    assert ran.pop(here) is scripts
    assert not any(ran.values())
