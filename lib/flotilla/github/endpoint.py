"""Where GitHub's API is, and which addresses may see the token."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from flotilla.errors import InputError
from flotilla.http import Origin

REPOSITORY = re.compile(r"(?!\.{1,2}/)[A-Za-z0-9_.-]+/(?!\.{1,2}$)[A-Za-z0-9_.-]+")
TOKEN = re.compile(r"[\x21-\x7e]+")


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """One repository at one GitHub, and the token for it.

    Args:
        api_url: "https://api.github.com", or a GitHub Enterprise's.
        repository: "owner/name".

    Raises:
        InputError: one of them is malformed; the error never shows the token.
    """

    api_url: str
    repository: str
    token: str = field(repr=False)

    def __post_init__(self) -> None:
        faults = [*self._address_faults(), *self._token_faults()]
        if faults:
            raise InputError(faults)

    @property
    def base(self) -> str:
        """Return the API's URL without a slash at its end."""
        return self.api_url.rstrip("/")

    @property
    def root(self) -> str:
        """Return the path that this repository's calls begin with."""
        return f"/repos/{self.repository}"

    @property
    def origin(self) -> Origin:
        """Return the origin of the API."""
        origin = Origin.of(self.api_url)
        assert origin is not None  # noqa: S101 - __post_init__ refused anything else
        return origin

    @property
    def credential(self) -> str:
        """Return the Authorization header's value, for the API and its upload host only."""
        return f"Bearer {self.token}"

    def is_api(self, url: str) -> bool:
        """Return whether the URL is of the API's own origin."""
        return Origin.of(url) == self.origin

    def takes_uploads(self, url: str) -> bool:
        """Return whether the URL is on GitHub's upload host (uploads.* beside api.*), or on the API's own host.

        github.com and ghe.com have the former, Enterprise Server has the latter.
        """
        api, upload = self.origin, Origin.of(url)
        if upload is None or upload.scheme != api.scheme:
            return False
        sibling = f"uploads.{api.host.removeprefix('api.')}" if api.host.startswith("api.") else None
        return upload.host == api.host or (upload.host == sibling and upload.port == api.port)

    def _address_faults(self) -> list[str]:
        faults = []
        if Origin.of(self.api_url) is None:
            faults.append(f"{self.api_url!r} is not the URL of a GitHub API.")
        if not REPOSITORY.fullmatch(self.repository):
            faults.append(f"expected a repository as owner/name, got {self.repository!r}.")
        return faults

    def _token_faults(self) -> list[str]:
        if not self.token:
            how = "set the input github-token (default: ${{ github.token }}), or GITHUB_TOKEN locally."
            return [f"The token for GitHub is missing; {how}"]
        if not TOKEN.fullmatch(self.token):
            return ["The token for GitHub contains a space, a line break or another character that no token has."]
        return []
