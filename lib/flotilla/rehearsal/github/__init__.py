"""The simulated GitHub: what it knows, its REST API, its upload and storage hosts, its id-tokens."""

from __future__ import annotations

from flotilla.rehearsal.github.id_tokens import jwt_claims
from flotilla.rehearsal.github.records import (
    GitObject,
    ReleaseRun,
    Run,
    StoredArtifact,
    StoredAsset,
    StoredRelease,
    TagObject,
    sha256,
)
from flotilla.rehearsal.github.releases import sanitised
from flotilla.rehearsal.github.repository import Origins, number
from flotilla.rehearsal.github.server import API_ROUTES, GitHubServer
from flotilla.rehearsal.github.state import GitHubState, add_artifact

__all__ = [
    "API_ROUTES",
    "GitHubServer",
    "GitHubState",
    "GitObject",
    "Origins",
    "ReleaseRun",
    "Run",
    "StoredArtifact",
    "StoredAsset",
    "StoredRelease",
    "TagObject",
    "add_artifact",
    "jwt_claims",
    "number",
    "sanitised",
    "sha256",
]
