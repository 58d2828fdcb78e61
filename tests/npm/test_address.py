from __future__ import annotations

import pytest

from flotilla.errors import InputError, RegistryError
from flotilla.npm.address import credential_key, escaped, origin, path_of, registry_url, scope_of, tarball_url


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ("https://registry.example", "https://registry.example/"),
        ("https://registry.example/npm", "https://registry.example/npm/"),
        (" http://127.0.0.1:4873/// ", "http://127.0.0.1:4873/"),
        ("http://localhost:4873", "http://localhost:4873/"),
        ("http://[::1]:4873", "http://[::1]:4873/"),
        # As npm writes it, which looks for the credential under that.
        ("https://Registry.Example:443/NPM", "https://registry.example/NPM/"),
        ("http://LOCALHOST:80", "http://localhost/"),
        ("https://registry.example:80", "https://registry.example:80/"),
    ],
)
def test_a_registry_url_ends_with_one_slash(given: str, url: str) -> None:
    assert registry_url(given) == url


@pytest.mark.parametrize(
    "given",
    [
        "",
        "registry.example",
        "file:///etc/passwd",
        "ftp://x/",
        "https://",
        "https://x:port/",
        "https://u:p@x/",
        "https://x/?a",
        "https://x/#a",
        "http://registry.example/",
        "http://10.0.0.7:4873/",
        "http://127.0.0.1.evil.example/",
        "http://localhost.evil.example/",
    ],
)
def test_a_registry_that_is_no_bare_http_url_is_refused(given: str) -> None:
    with pytest.raises(InputError, match="registry"):
        registry_url(given)


def test_a_token_key_keeps_port_and_path() -> None:
    assert credential_key("http://127.0.0.1:4873/npm/") == "//127.0.0.1:4873/npm/"
    assert path_of("http://127.0.0.1:4873/npm/") == "npm"


def test_an_origin_has_its_scheme_s_port() -> None:
    assert origin("https://x/a") == ("https", "x", 443)
    assert origin("http://x:8080/") == ("http", "x", 8080)
    assert origin("file:///x") is None


def test_a_scoped_name_is_one_part_of_the_path() -> None:
    assert escaped("@acme/tool") == "@acme%2Ftool"
    assert escaped("tool") == "tool"
    assert scope_of("@acme/tool") == "@acme"
    assert scope_of("tool") is None


@pytest.mark.parametrize(
    "name", ["", "..", ".", "@acme/..", "../x", "a/b", "@a/b/c", "x?write=true", "x#y", "x y", "x%2fy", "-/ping"]
)
def test_a_name_that_would_leave_its_place_in_the_url_is_refused(name: str) -> None:
    with pytest.raises(RegistryError, match="cannot be the name"):
        escaped(name)


@pytest.mark.parametrize(
    ("given", "registry", "url"),
    [
        ("http://r.example/a.tgz", "https://r.example/", "https://r.example/a.tgz"),
        ("https://cdn.example/a.tgz", "https://r.example/", "https://cdn.example/a.tgz"),
        ("http://127.0.0.1:1/a.tgz", "http://127.0.0.1:1/", "http://127.0.0.1:1/a.tgz"),
    ],
)
def test_a_tarball_on_the_registry_s_host_is_fetched_by_the_registry_s_scheme(
    given: str, registry: str, url: str
) -> None:
    assert tarball_url(given, registry=registry) == url


@pytest.mark.parametrize(
    "given", ["file:///etc/passwd", "gopher://x/", "", "http://evil.example/a.tgz", "https://x:y/"]
)
def test_a_tarball_url_that_leaves_http_or_tls_is_refused(given: str) -> None:
    with pytest.raises(RegistryError, match="names a tarball at"):
        tarball_url(given, registry="https://r.example/")
