"""The repository field of a manifest, and whether provenance would accept it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import urlsplit

SHORTHAND = re.compile(r"(?:github:)?([^/:@#?\s]+)/([^/:@#?\s]+)")
GITHUB = "https://github.com"


def repository_url(server_url: str, repository: str) -> str:
    """The URL for a manifest: git+https://github.com/OWNER/REPO.git.

    Args:
        server_url: GITHUB_SERVER_URL.
        repository: GITHUB_REPOSITORY, OWNER/REPO.
    """
    return f"git+{server_url.rstrip('/')}/{repository}.git"


def same_repository(manifest_repository: object, server_url: str, repository: str) -> bool:
    """Whether the registry would accept provenance from a repository for a manifest with this repository field.

    The registry compares npm's normal form of repository.url with the server's URL and OWNER/REPO, case-sensitive.
    Forms that npm leaves with another scheme (ssh, git, http) count as different: write https.

    Args:
        manifest_repository: the manifest's repository field: a string, or an object with url.
        server_url: GITHUB_SERVER_URL.
        repository: GITHUB_REPOSITORY, OWNER/REPO.
    """
    url = manifest_repository.get("url") if isinstance(manifest_repository, Mapping) else manifest_repository
    if not isinstance(url, str):
        return False
    server = server_url.rstrip("/")
    return _normal(url.strip()) == f"{server}/{repository}"


def _normal(url: str) -> str | None:
    """The https form of a repository's URL, without git+ and .git; None for one that names something else.

    Source: hosted-git-info as @npmcli/package-json uses it (fixRepositoryField).
    """
    if short := SHORTHAND.fullmatch(url):
        # npm takes a bare OWNER/REPO for one of github.com, whatever server the workflow runs on.
        return f"{GITHUB}/{short[1]}/{short[2].removesuffix('.git')}"
    try:
        parts = urlsplit(url.removeprefix("git+"))
    except ValueError:
        return None
    if parts.fragment or parts.username is not None:
        return None
    host = parts.netloc.lower().removesuffix(":443")
    path = parts.path.strip("/").removesuffix(".git")
    return f"{parts.scheme}://{host.removeprefix('www.')}/{path}" if path.count("/") == 1 else None
