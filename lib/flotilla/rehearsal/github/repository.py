"""Who and where, in the form of GitHub's REST API: users and repositories."""

from __future__ import annotations

import hashlib
import zlib
from dataclasses import dataclass
from typing import Any

from flotilla.rehearsal.github.state import GitHubState

Json = dict[str, Any]
BIRTH = "2024-01-01T00:00:00Z"
PLAIN_LINKS = (
    "contributors",
    "deployments",
    "downloads",
    "events",
    "forks",
    "hooks",
    "languages",
    "merges",
    "stargazers",
    "subscribers",
    "subscription",
    "tags",
    "teams",
)
TEMPLATE_LINKS = {
    "archive": "{archive_format}{/ref}",
    "assignees": "{/user}",
    "blobs": "{/sha}",
    "branches": "{/branch}",
    "collaborators": "{/collaborator}",
    "comments": "{/number}",
    "commits": "{/sha}",
    "compare": "{base}...{head}",
    "contents": "{+path}",
    "git_commits": "{/sha}",
    "git_refs": "{/sha}",
    "git_tags": "{/sha}",
    "issue_comment": "{/number}",
    "issue_events": "{/number}",
    "issues": "{/number}",
    "keys": "{/key_id}",
    "labels": "{/name}",
    "milestones": "{/number}",
    "notifications": "{?since,all,participating}",
    "pulls": "{/number}",
    "releases": "{/id}",
    "statuses": "{sha}",
    "trees": "{/sha}",
}


@dataclass(frozen=True, kw_only=True)
class Origins:
    """Where the parts of the simulated GitHub answer.

    Args:
        api: the REST API.
        uploads: release assets are posted here.
        blobs: signed downloads; refuses any Authorization header.
        id_tokens: ACTIONS_ID_TOKEN_REQUEST_URL.
        web: what html_url begins with; serves nothing.
    """

    api: str
    uploads: str
    blobs: str
    id_tokens: str
    web: str = "https://github.com"


def number(name: str) -> int:
    """Return an id for a name, always the same."""
    return zlib.crc32(name.encode())


def node_id(*parts: object) -> str:
    """Return an opaque id."""
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:20]


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """Renders what every object carries of its users and repositories."""

    state: GitHubState
    origins: Origins

    @property
    def here(self) -> str:
        """Return the repository's own URL in the API."""
        return f"{self.origins.api}/repos/{self.state.repository}"

    @property
    def page(self) -> str:
        """Return the repository's page for people."""
        return f"{self.origins.web}/{self.state.repository}"

    def user(self, login: str, kind: str = "User") -> Json:
        """Return a simple-user."""
        url = f"{self.origins.api}/users/{login}"
        links = ("followers", "subscriptions", "organizations", "repos", "received_events")
        return {
            "login": login,
            "id": number(login),
            "node_id": node_id("user", login),
            "avatar_url": f"{self.origins.web}/{login}.png",
            "gravatar_id": "",
            "url": url,
            "html_url": f"{self.origins.web}/{login}",
            **{f"{link}_url": f"{url}/{link}" for link in links},
            "following_url": f"{url}/following{{/other_user}}",
            "gists_url": f"{url}/gists{{/gist_id}}",
            "starred_url": f"{url}/starred{{/owner}}{{/repo}}",
            "events_url": f"{url}/events{{/privacy}}",
            "type": kind,
            "site_admin": False,
        }

    def bot(self) -> Json:
        """Return who GITHUB_TOKEN acts as."""
        return self.user("github-actions[bot]", "Bot")

    def minimal_repository(self, full_name: str) -> Json:
        """Return a minimal-repository: what runs carry."""
        owner, name = full_name.split("/")
        url = f"{self.origins.api}/repos/{full_name}"
        return {
            "id": number(full_name),
            "node_id": node_id("repository", full_name),
            "name": name,
            "full_name": full_name,
            "owner": self.user(owner, "Organization"),
            "private": self.state.private,
            "html_url": f"{self.origins.web}/{full_name}",
            "description": None,
            "fork": full_name != self.state.repository,
            "url": url,
            **repository_links(url),
        }

    def repository(self) -> Json:
        """Return a full-repository."""
        web = self.page
        return {
            **self.minimal_repository(self.state.repository),
            "clone_url": f"{web}.git",
            "git_url": f"git://{web.removeprefix('https://')}.git",
            "ssh_url": f"git@github.com:{self.state.repository}.git",
            "svn_url": web,
            "mirror_url": None,
            "homepage": None,
            "language": "C",
            "size": 1,
            "default_branch": self.state.default_branch,
            "visibility": "private" if self.state.private else "public",
            "permissions": {"admin": False, "maintain": False, "push": True, "triage": True, "pull": True},
            "license": None,
            **dict.fromkeys(("has_issues", "has_projects", "has_wiki", "has_downloads", "has_discussions"), True),
            **dict.fromkeys(("has_pages", "archived", "disabled", "is_template"), False),
            **dict.fromkeys(("forks", "forks_count", "stargazers_count", "watchers", "watchers_count"), 0),
            **dict.fromkeys(("open_issues", "open_issues_count", "subscribers_count", "network_count"), 0),
            "pushed_at": BIRTH,
            "created_at": BIRTH,
            "updated_at": BIRTH,
        }


def repository_links(url: str) -> Json:
    return {
        **{f"{name}_url": f"{url}/{name}" for name in PLAIN_LINKS},
        **{f"{name}_url": f"{url}/{name.replace('git_', 'git/')}{tail}" for name, tail in TEMPLATE_LINKS.items()},
    }
