"""The package managers of tests/clients/package.json: how each installs a package from a registry, and runs it."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from flotilla.rehearsal.node import node, npm

TIMEOUT = 300
BUN = {"x86_64": "x64", "aarch64": "aarch64"}


@dataclass(frozen=True, kw_only=True)
class Client:
    """A package manager.

    Args:
        command: of the node_modules folder it lies in: the program and its first arguments.
        install: its arguments for an installation of what package.json names.
        without_optional: the argument that leaves optional dependencies out; None if it has none.
        settings: a project's settings by file, of the registry's URL.
        run: what runs a package's program, before its name.
        node: what runs a script, before its name; empty for node itself.
        knows_libc: whether it leaves out the packages of another libc.
    """

    name: str
    command: Callable[[Path], list[str]]
    install: tuple[str, ...] = ("install",)
    without_optional: str | None = "--omit=optional"
    settings: Callable[[str], dict[str, str]]
    run: tuple[str, ...] = ()
    node: tuple[str, ...] = ()
    knows_libc: bool = True
    environment: Mapping[str, str] = field(default_factory=dict)

    def do(
        self, modules: Path, project: Path, *arguments: str, prefix: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Run it in a project."""
        command = self.command(modules) if prefix else []
        return subprocess.run(
            [*command, *arguments],
            cwd=project,
            env={"PATH": f"{node().parent}{os.pathsep}{os.defpath}", "HOME": str(project / "home"), **self.environment},
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            check=False,
        )


def _npmrc(url: str) -> dict[str, str]:
    return {".npmrc": f"registry={url}\naudit=false\nfund=false\nupdate-notifier=false\n"}


def _pnpm(url: str) -> dict[str, str]:
    return _npmrc(url) | {"pnpm-workspace.yaml": "minimumReleaseAge: 0\npackages: []\n"}


def _yarn(linker: str) -> Callable[[str], dict[str, str]]:
    def settings(url: str) -> dict[str, str]:
        lines = {
            "npmRegistryServer": url.rstrip("/"),
            "unsafeHttpWhitelist": ["127.0.0.1"],
            "nodeLinker": linker,
            "enableTelemetry": False,
            "enableGlobalCache": False,
            "npmMinimalAgeGate": 0,
            "pnpEnableEsmLoader": True,
        }
        return {".yarnrc.yml": json.dumps(lines), "yarn.lock": ""}

    return settings


def _bun(modules: Path) -> list[str]:
    return [str(modules / f"@oven/bun-linux-{BUN[platform.machine()]}/bin/bun")]


CLIENTS = (
    Client(name="npm 11", command=lambda _modules: [*npm()], settings=_npmrc),
    Client(
        name="npm 12",
        command=lambda modules: [str(node()), str(modules / "npm/bin/npm-cli.js")],
        settings=_npmrc,
    ),
    Client(
        name="pnpm",
        command=lambda modules: [str(node()), str(modules / "pnpm/bin/pnpm.mjs")],
        without_optional="--no-optional",
        settings=_pnpm,
    ),
    Client(
        name="yarn 4, node_modules",
        command=lambda modules: [str(node()), str(modules / "@yarnpkg/cli-dist/bin/yarn.js")],
        without_optional=None,
        settings=_yarn("node-modules"),
        environment={"YARN_ENABLE_IMMUTABLE_INSTALLS": "false"},
    ),
    Client(
        name="yarn 4, PnP",
        command=lambda modules: [str(node()), str(modules / "@yarnpkg/cli-dist/bin/yarn.js")],
        without_optional=None,
        settings=_yarn("pnp"),
        run=("run",),
        node=("node",),
        environment={"YARN_ENABLE_IMMUTABLE_INSTALLS": "false"},
    ),
    Client(
        name="yarn 1",
        command=lambda modules: [str(node()), str(modules / "yarn/bin/yarn.js")],
        install=("install", "--no-progress", "--non-interactive"),
        without_optional="--ignore-optional",
        settings=_npmrc,
        knows_libc=False,
    ),
    Client(name="bun", command=_bun, settings=lambda url: {"bunfig.toml": f'[install]\nregistry = "{url}"\n'}),
)
