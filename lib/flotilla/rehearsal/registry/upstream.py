"""Where the throwaway registry reads packages that are not the family's: the registries that npm is configured for."""

from __future__ import annotations

import json
import re
import subprocess
import tempfile
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flotilla.errors import InputError, RegistryError
from flotilla.npm.registry import registry_url
from flotilla.rehearsal.node import npm
from flotilla.text import plain, redact

NPM_SECONDS = 120
OF_A_SCOPE = ":registry"
DEFAULT = ""
_CODE = re.compile(r"^npm error code (\w+)", re.MULTILINE)
# What node and verdaccio need of our environment to reach a registry: the way through a proxy, and its certificates.
_WAY = {"http_proxy", "https_proxy", "no_proxy", "node_extra_ca_certs", "node_use_system_ca"}


@dataclass(frozen=True, kw_only=True)
class Upstream:
    """What is read through, and from where.

    Args:
        own: the family's names, which are never read through: a version that is published already would be taken
            for the one that is rehearsed.
        registries: the registry of each scope that has its own, and of "" for all other names.
        environment: variables for the server that reads; may hold a proxy's password, so it goes into no argv or file.
        strict_ssl: whether certificates are checked.
        scripts: whether npm runs install scripts (`ignore-scripts`).
        why_not: why nothing can be read through; empty if it can.
    """

    own: frozenset[str] = frozenset()
    registries: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    strict_ssl: bool = True
    scripts: bool = True
    why_not: str = ""

    def settings(self) -> str:
        """Return what verdaccio.mjs needs to know, as JSON."""
        return json.dumps({"own": sorted(self.own), "registries": dict(self.registries), "strict_ssl": self.strict_ssl})

    def registry_of(self, name: str) -> str:
        """Return the registry that a package is read from; empty if it is read from none."""
        scope = name.partition("/")[0] if name.startswith("@") else DEFAULT
        return "" if name in self.own else self.registries.get(scope, self.registries.get(DEFAULT, ""))


def configured_upstream(folder: Path, *, own: Collection[str], environment: Mapping[str, str]) -> Upstream:
    """Return what npm's configuration says in a folder. Credentials are not asked for, and npm tells none.

    A configuration that cannot be used is not an error: a family without foreign dependencies needs none.
    """
    way = {key: value for key, value in environment.items() if key.lower() in _WAY}
    names = frozenset(own)
    try:
        settings = _settings(folder, environment)
        registries = {
            key.removesuffix(OF_A_SCOPE) if key != "registry" else DEFAULT: registry_url(str(value))
            for key, value in settings.items()
            if key == "registry" or (key.startswith("@") and key.endswith(OF_A_SCOPE))
        }
    except (RegistryError, InputError) as error:
        return Upstream(own=names, why_not=f"npm's configuration: {plain(redact(str(error)), longest=300)}")
    proxies = {"https_proxy": settings.get("https-proxy"), "http_proxy": settings.get("proxy")}
    certificates = {"NODE_EXTRA_CA_CERTS": settings.get("cafile")}
    return Upstream(
        own=names,
        registries=registries,
        environment=way | {key: value for key, value in (proxies | certificates).items() if isinstance(value, str)},
        strict_ssl=settings.get("strict-ssl") is not False,
        scripts=settings.get("ignore-scripts") is not True,
    )


def why_unread(upstream: Upstream, name: str, *, folder: Path, environment: Mapping[str, str]) -> str:
    """Return why a package could not be read through, as npm itself finds out when it is asked in a folder."""
    if upstream.why_not:
        return f"{name} was not read: {upstream.why_not}"
    registry = upstream.registry_of(name)
    done = _npm(
        "view", name, "name", "--fetch-retries=0", "--fetch-timeout=20000", folder=folder, environment=environment
    )
    if not done.returncode:
        why = "npm can read it there; the rehearsal gives no credential, so it cannot read from a private registry"
    elif found := _CODE.search(done.stderr):
        why = f"npm says {found[1]}"
    else:
        why = plain(redact(done.stderr.strip()[-300:]), longest=300) or f"npm view ended with {done.returncode}"
    return f"{name} was not read from {registry}: {why}"


def _settings(folder: Path, environment: Mapping[str, str]) -> Mapping[str, Any]:
    """Return npm's settings, without those that it protects."""
    done = _npm("config", "list", "--json", folder=folder, environment=environment)
    try:
        settings = json.loads(done.stdout)
    except ValueError:
        settings = None
    if done.returncode or not isinstance(settings, dict):
        raise RegistryError(f"npm config list failed: {plain(redact(done.stderr), longest=300) or done.returncode}")
    return settings


def _npm(*arguments: str, folder: Path, environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Run npm as the maintainer would, who configured it; it writes nothing outside a folder that is gone at once."""
    with tempfile.TemporaryDirectory(prefix="flotilla-npm-", ignore_cleanup_errors=True) as cache:
        return subprocess.run(
            [*npm(), *arguments, "--logs-max=0", "--no-update-notifier", f"--cache={cache}"],
            cwd=folder,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=NPM_SECONDS,
            check=False,
        )
