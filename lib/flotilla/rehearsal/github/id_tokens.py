"""ACTIONS_ID_TOKEN_REQUEST_URL: GitHub's id-tokens, with the real claims and no signature worth the name."""

from __future__ import annotations

import base64
import json
from typing import Any

from aiohttp import web

from flotilla.rehearsal.github.call import HUB
from flotilla.rehearsal.github.repository import number
from flotilla.rehearsal.github.state import GitHubState

ISSUER = "https://token.actions.githubusercontent.com"
LIFETIME = 300


async def get_id_token(request: web.Request) -> web.Response:
    """Return an id-token for the audience asked for, to who has the job's bearer."""
    hub = request.app[HUB]
    if request.headers.get("authorization", "").lower() != f"bearer {hub.state.id_token_bearer}".lower():
        return web.json_response({"message": "Unauthorized"}, status=401)
    audience = request.query.get("audience", f"https://github.com/{hub.state.owner}")
    token = unsigned_jwt(claims(hub.state, audience=audience, issued=int(hub.clock())))
    return web.json_response({"count": len(token), "value": token})


def claims(state: GitHubState, *, audience: str, issued: int) -> dict[str, Any]:
    """Return what GitHub says of a job (docs: about security hardening with OpenID Connect)."""
    run, repository = state.release_run, state.repository
    workflow = f"{repository}/.github/workflows/{run.workflow}@{run.ref}"
    owner, name = repository.split("/")
    ids = {"repository_id": str(number(repository)), "repository_owner_id": str(number(owner))}
    subject = (
        f"{owner}@{ids['repository_owner_id']}/{name}@{ids['repository_id']}" if state.immutable_subject else repository
    )
    scope = f"environment:{run.environment}" if run.environment else f"ref:{run.ref}"
    return {
        "iss": ISSUER,
        "aud": audience,
        "sub": f"repo:{subject}:{scope}",
        "jti": f"{run.id}-{issued}",
        "iat": issued,
        "nbf": issued,
        "exp": issued + LIFETIME,
        "actor": owner,
        "actor_id": ids["repository_owner_id"],
        "event_name": run.event,
        "job_workflow_ref": workflow,
        "job_workflow_sha": state.commit,
        "ref": run.ref,
        "ref_type": "tag" if run.ref.startswith("refs/tags/") else "branch",
        "repository": repository,
        "repository_owner": owner,
        "repository_visibility": "private" if state.private else "public",
        "run_attempt": str(run.attempt),
        "run_id": str(run.id),
        "run_number": str(run.id),
        "runner_environment": run.runner_environment,
        "sha": state.commit,
        "workflow": run.workflow.rsplit(".", 1)[0],
        "workflow_ref": workflow,
        "workflow_sha": state.commit,
        **ids,
        **({"environment": run.environment} if run.environment else {}),
    }


def unsigned_jwt(payload: dict[str, Any]) -> str:
    """Return a token of the right form; nobody here checks the signature."""
    parts = [_encoded(json.dumps(part).encode()) for part in ({"alg": "RS256", "typ": "JWT", "kid": "0"}, payload)]
    return ".".join([*parts, _encoded(b"unsigned")])


def jwt_claims(token: str) -> dict[str, Any] | None:
    """Return the claims of a token, None if it is none."""
    parts = token.split(".")
    if len(parts) != 3:  # noqa: PLR2004 - a JWT has three parts (RFC 7519)
        return None
    try:
        payload = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except ValueError:
        return None
    return payload if isinstance(payload, dict) else None


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
