from __future__ import annotations

import pytest

from flotilla.errors import InputError
from flotilla.github.api import Endpoint
from flotilla.github.downloads import safe_name

TOKEN = "ghs_canary0123456789"  # noqa: S105 - no secret, but a canary


def endpoint(api_url: str = "https://api.github.com") -> Endpoint:
    return Endpoint(api_url=api_url, repository="acme/ffmpeg", token=TOKEN)


@pytest.mark.parametrize(
    ("api", "upload", "taken"),
    [
        ("https://api.github.com", "https://uploads.github.com/repos", True),
        ("https://api.github.com", "https://uploads.github.com:443/repos", True),
        ("https://api.github.com", "https://uploads.github.com:8443/repos", False),
        ("https://api.github.com", "http://uploads.github.com/repos", False),
        ("https://api.github.com", "http://uploads.github.com:443/repos", False),
        ("https://ghe.example/api/v3", "http://ghe.example/api/uploads/repos", False),
        ("https://api.github.com", "https://uploads.github.com.evil.example/repos", False),
        ("https://api.github.com", "https://uploads.github.com@evil.example/repos", False),
        ("https://api.github.com", "https://github.com/repos", False),
        ("https://api.acme.ghe.com", "https://uploads.acme.ghe.com/repos", True),
        ("https://ghe.example/api/v3", "https://ghe.example/api/uploads/repos", True),
        ("https://ghe.example/api/v3", "https://uploads.ghe.example/repos", False),
        ("http://127.0.0.1:1234", "http://127.0.0.1:1235/repos", True),
        ("http://127.0.0.1:1234", "http://127.0.0.1:99999/repos", False),
    ],
)
def test_uploads_go_to_githubs_own_hosts_only(api: str, upload: str, *, taken: bool) -> None:
    assert endpoint(api).takes_uploads(upload) is taken


def test_the_token_is_in_no_text_of_the_endpoint() -> None:
    assert TOKEN not in repr(endpoint())


def test_a_wrong_address_repository_and_token_are_told_at_once_and_the_token_is_not_shown() -> None:
    with pytest.raises(InputError) as refused:
        Endpoint(api_url="ftp://x", repository="acme", token="canary\r\nX: y")  # noqa: S106 - a canary
    assert len(refused.value.faults) == 3
    assert "canary" not in str(refused.value)
    with pytest.raises(InputError, match="github-token"):
        Endpoint(api_url="https://api.github.com", repository="acme/ffmpeg", token="")


@pytest.mark.parametrize(
    "repository", ["acme/../evil", "../user", "acme/..", "./x", "acme/.", "acme/x/y", "acme/x?y", "acme/x\n", "/x"]
)
def test_a_repository_cannot_lead_to_another_path(repository: str) -> None:
    with pytest.raises(InputError, match="owner/name"):
        Endpoint(api_url="https://api.github.com", repository=repository, token=TOKEN)


@pytest.mark.parametrize(
    ("given", "safe"),
    [
        ("a.tar.gz", "a.tar.gz"),
        ("../../x", "x"),
        ("C:\\x\\y.zip", "y.zip"),
        ("a\x1b[31m\nb", "a[31mb"),
        ("..", None),
        ("/", None),
        ("", None),
        ("é" * 300, "é" * 100),
    ],
)
def test_a_name_is_made_safe(given: str, safe: str | None) -> None:
    assert safe_name(given) == safe
