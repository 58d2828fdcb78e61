"""Staged publishing: what waits for a person's approval (npm's lib/commands/stage)."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping
from typing import Any

from flotilla.rehearsal.registry_documents import Publication, Refused, read_publication
from flotilla.rehearsal.registry_state import RegistryState, Staged

PER_PAGE = 100


def stage(state: RegistryState, publication: Publication, *, body: bytes, actor: str, now: float) -> str:
    """Keep a publication until it is approved.

    Returns:
        Its stage id.
    """
    staged = Staged(
        id=str(uuid.uuid4()),
        name=publication.name,
        version=publication.version,
        tag=publication.tag,
        integrity=publication.integrity,
        shasum=publication.shasum,
        created_at=time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(now)),
        actor=actor,
        document=body,
    )
    state.staged[staged.id] = staged
    return staged.id


def find(state: RegistryState, stage_id: str) -> Staged:
    """What is staged under an id.

    Raises:
        Refused: nothing is.
    """
    if stage_id not in state.staged:
        raise Refused(404, "Not found")
    return state.staged[stage_id]


def publication_of(staged: Staged) -> Publication:
    """The publication as it was staged."""
    return read_publication(staged.document, name=staged.name)


def view(staged: Staged) -> dict[str, Any]:
    """A staged version as npm shows it."""
    return {
        "id": staged.id,
        "packageName": staged.name,
        "version": staged.version,
        "tag": staged.tag,
        "createdAt": staged.created_at,
        "actor": staged.actor,
        "actorType": "user",
        "shasum": staged.shasum,
    }


def listing(state: RegistryState, query: Mapping[str, str]) -> dict[str, Any]:
    """One page of what is staged, of one package or of all."""
    items = [view(staged) for staged in state.staged.values() if query.get("package") in (None, staged.name)]
    page, size = int(query.get("page", 0)), int(query.get("perPage", PER_PAGE))
    return {"items": items[page * size : (page + 1) * size], "total": len(items)}
