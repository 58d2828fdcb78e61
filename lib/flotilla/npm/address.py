"""Where a registry is: its URL, its origin, the paths of its packages. Pure."""

from __future__ import annotations

import re
from ipaddress import ip_address
from urllib.parse import SplitResult, quote, urlsplit

from flotilla.errors import InputError, RegistryError

_NAME = re.compile(r"(@[A-Za-z0-9~_.-]+/)?[A-Za-z0-9~_.!'()*-]+")
_PORTS = {"http": 80, "https": 443}


def registry_url(given: str) -> str:
    """The registry's URL as flotilla uses it, with a slash at its end.

    Raises:
        InputError: it is no http(s) URL, is plain http to another machine, or carries a password, query or fragment.
    """
    parts = _split(given.strip())
    if parts is None or parts.scheme not in _PORTS or not parts.hostname:
        raise InputError(
            f'registry: "{given}" is not an http(s) URL.', advice="Give it as https://host/ or leave it out."
        )
    if parts.username is not None or parts.query or parts.fragment:
        raise InputError(
            "registry: the URL carries a user name, a query or a fragment.",
            advice="Give the bare URL; a token belongs into the input npm-token.",
        )
    if parts.scheme == "http" and not _is_here(parts.hostname):
        raise InputError(
            f"registry: {parts.hostname} would be spoken to by plain http, and the credential would cross the network "
            "for anybody to read.",
            advice="Give an https URL, as the input registry or in .npmrc; plain http is for this machine only.",
        )
    # As npm writes it, which looks for the credential under that: small letters, and no port that goes without saying.
    return parts._replace(netloc=_netloc(parts)).geturl().rstrip("/") + "/"


def origin(url: str) -> tuple[str, str, int] | None:
    """Scheme, host and port of a URL; None where it is no http(s) URL."""
    parts = _split(url)
    if parts is None or parts.scheme not in _PORTS or not parts.hostname:
        return None
    return parts.scheme, parts.hostname, parts.port or _PORTS[parts.scheme]


def path_of(registry: str) -> str:
    """The registry's path below its origin, empty for none."""
    return urlsplit(registry).path.strip("/")


def credential_key(registry: str) -> str:
    """The key under which npm's configuration keeps a token for this registry: //host:port/path/."""
    parts = urlsplit(registry)
    return f"//{parts.netloc}{parts.path}"


def escaped(name: str) -> str:
    """A package's name as one part of a path: @acme%2Ftool.

    Raises:
        RegistryError: no package can have this name.
    """
    if not _NAME.fullmatch(name) or name in {".", ".."} or name.endswith(("/.", "/..")):
        raise RegistryError(f'"{name}" cannot be the name of a package.')
    return quote(name, safe="@")


def scope_of(name: str) -> str | None:
    """The scope of a package's name, @ included; None for none."""
    return name.partition("/")[0] if name.startswith("@") else None


def tarball_url(given: str, *, registry: str) -> str:
    """Where to fetch a tarball that the registry names.

    npm itself writes `http:` into dist.tarball, whatever the registry speaks;
    on its own host the registry's scheme counts.

    Raises:
        RegistryError: it is no http(s) URL, or leaves an https registry for plain http.
    """
    ours, theirs = urlsplit(registry), _split(given)
    if theirs is None or theirs.scheme not in _PORTS or not theirs.hostname:
        raise RegistryError(
            "the registry names a tarball at no http(s) URL.", advice="Check the registry; nothing was fetched."
        )
    if theirs.scheme == "https" or ours.scheme == "http":
        return given
    if theirs.hostname == ours.hostname:
        return theirs._replace(scheme="https", netloc=ours.netloc).geturl()
    raise RegistryError(
        f"the registry names a tarball at {theirs.hostname} by plain http.",
        advice="Check the registry; nothing was fetched.",
    )


def _netloc(parts: SplitResult) -> str:
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname or ""
    return host if parts.port in {None, _PORTS[parts.scheme]} else f"{host}:{parts.port}"


def _is_here(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _split(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises for a port that is no number
    except ValueError:
        return None
    return parts
