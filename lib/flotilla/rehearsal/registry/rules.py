"""What the registry refuses before it stores, and the token exchange of trusted publishing."""

from __future__ import annotations

import math
import secrets
import time
from typing import Any

from flotilla.rehearsal.github.id_tokens import ISSUER, jwt_claims
from flotilla.rehearsal.registry.publication import Publication, Refused
from flotilla.rehearsal.registry.state import Action, Grant, RegistryState, TrustedPublisher


def bearer(header: str) -> str:
    """Return the token of an Authorization header, or "" if there is none."""
    kind, _space, token = header.partition(" ")
    return token.strip() if kind.lower() == "bearer" else ""


def authorise(state: RegistryState, *, header: str, name: str, action: Action, now: float) -> Grant:
    """Return the grant that allows this action on this package.

    Raises:
        Refused: there is none; an unknown token is masked as 404, as the public registry does.
    """
    grant = _grant(state, header, now)
    if grant.otp:
        raise Refused(401, "This operation requires a one-time password.", headers={"WWW-Authenticate": "OTP"})
    if grant.package not in (None, name) or action not in grant.actions:
        denied = "OIDC permission denied for this action" if grant.kind == "oidc" else "Forbidden"
        raise Refused(403, denied)
    return grant


def authorise_person(state: RegistryState, *, header: str, now: float) -> None:
    """Check that this is a person: no workflow may see, approve or reject what is staged.

    Raises:
        Refused: the token is a workflow's, or none.
    """
    if _grant(state, header, now).kind == "oidc":
        raise Refused(403, "OIDC permission denied for this action")


def _grant(state: RegistryState, header: str, now: float) -> Grant:
    if not bearer(header):
        raise Refused(401, "You must be logged in to publish packages.", headers={"WWW-Authenticate": "Bearer"})
    grant = state.tokens.get(bearer(header))
    if grant is None or (grant.expires is not None and grant.expires < now):
        raise Refused(404, "Not found")
    return grant


def take_turn(state: RegistryState, *, now: float) -> None:
    """Count one publish against the rate.

    Raises:
        Refused: 429 with Retry-After, when publishes come too fast.
    """
    wait = state.bucket.take(now) if state.bucket else 0.0
    if wait > 0:
        headers = {"Retry-After": str(math.ceil(wait))}
        raise Refused(429, "Could not publish, as user undefined: rate limited exceeded", headers=headers)


def check_free(state: RegistryState, publication: Publication) -> None:
    """Check that the version is still free; staged and published ones share one index.

    Raises:
        Refused: it is not.
    """
    if publication.version in state.published.get(publication.name, {}):
        raise Refused(403, f"You cannot publish over the previously published versions: {publication.version}.")
    taken = ((staged.name, staged.version) for staged in state.staged.values())
    if (publication.name, publication.version) in taken:
        raise Refused(409, f'Cannot publish over previously staged version "{publication.version}"')


def check_document(state: RegistryState, publication: Publication) -> None:
    """Check that the registry takes a package like this.

    Raises:
        Refused: it is too large, or new and not said to be public.
    """
    if len(publication.tarball) > state.largest_tarball:
        raise Refused(413, "Payload Too Large")
    new = publication.name not in state.published
    if new and publication.name.startswith("@") and publication.access != "public":
        raise Refused(402, "Payment Required: You must sign up for private packages")


TOKEN_LIFETIME = 3600


def exchange(state: RegistryState, *, name: str, id_token: str, audience: str, now: float) -> dict[str, Any]:
    """Return a short-lived token for this package.

    Raises:
        Refused: the id-token is no good, or the package has no trusted publisher that matches it.
    """
    claims = jwt_claims(id_token)
    if claims is None or claims.get("iss") != ISSUER or claims.get("aud") != audience or claims.get("exp", 0) < now:
        raise _exchange_error(401, "invalid token")
    publisher = state.trusted.get(name, state.trusts_all)
    known = name in state.published or state.allow_new_names
    if publisher is None or not known or not matches(publisher, claims) or _not_understood(state, claims):
        raise _exchange_error(404, "package not found")
    token = f"npm_oidc_{secrets.token_hex(16)}"
    state.tokens[token] = Grant(kind="oidc", package=name, actions=publisher.actions, expires=now + TOKEN_LIFETIME)
    return {"token_type": "oidc", "token": token, "created": _iso(now), "expires": _iso(now + TOKEN_LIFETIME)}


def matches(publisher: TrustedPublisher, claims: dict[str, Any]) -> bool:
    """Return whether the claims are of the workflow that the publisher names; case counts."""
    workflow = str(claims.get("workflow_ref", "")).split("@")[0].rsplit("/", 1)[-1]
    return (
        claims.get("repository") == publisher.repository
        and workflow == publisher.workflow
        and publisher.environment in (None, claims.get("environment"))
    )


def _not_understood(state: RegistryState, claims: dict[str, Any]) -> bool:
    return state.refuse_immutable_subjects and "@" in str(claims.get("sub", "")).split(":ref:")[0]


def _exchange_error(status: int, why: str) -> Refused:
    return Refused(status, f"OIDC token exchange error - {why}", key="message")


def _iso(moment: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(moment))
