"""The token exchange of trusted publishing: an id-token in, a token for one package out."""

from __future__ import annotations

import secrets
import time
from typing import Any

from flotilla.rehearsal.id_tokens import ISSUER, jwt_claims
from flotilla.rehearsal.registry_documents import Refused
from flotilla.rehearsal.registry_state import Grant, RegistryState, TrustedPublisher

LIFETIME = 3600


def exchange(state: RegistryState, *, name: str, id_token: str, audience: str, now: float) -> dict[str, Any]:
    """A short-lived token for this package.

    Raises:
        Refused: the id-token is no good, or the package has no trusted publisher that matches it.
    """
    claims = jwt_claims(id_token)
    if claims is None or claims.get("iss") != ISSUER or claims.get("aud") != audience or claims.get("exp", 0) < now:
        raise _error(401, "invalid token")
    publisher = state.trusted.get(name, state.trusts_all)
    known = name in state.published or state.allow_new_names
    if publisher is None or not known or not matches(publisher, claims) or _not_understood(state, claims):
        raise _error(404, "package not found")
    token = f"npm_oidc_{secrets.token_hex(16)}"
    state.tokens[token] = Grant(kind="oidc", package=name, actions=publisher.actions, expires=now + LIFETIME)
    return {"token_type": "oidc", "token": token, "created": _iso(now), "expires": _iso(now + LIFETIME)}


def matches(publisher: TrustedPublisher, claims: dict[str, Any]) -> bool:
    """Whether the claims are of the workflow that the publisher names; case counts."""
    workflow = str(claims.get("workflow_ref", "")).split("@")[0].rsplit("/", 1)[-1]
    return (
        claims.get("repository") == publisher.repository
        and workflow == publisher.workflow
        and publisher.environment in (None, claims.get("environment"))
    )


def _not_understood(state: RegistryState, claims: dict[str, Any]) -> bool:
    return state.refuse_immutable_subjects and "@" in str(claims.get("sub", "")).split(":ref:")[0]


def _error(status: int, why: str) -> Refused:
    return Refused(status, f"OIDC token exchange error - {why}", key="message")


def _iso(moment: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(moment))
