"""What a job did to each package: the output `packages`, and what summary and ledger tell."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass

from flotilla.jobs.workshop import Built
from flotilla.npm import Statement, Status


@dataclass(frozen=True, kw_only=True)
class Record:
    """One package, as this job leaves it.

    Args:
        dist_tag: that the registry has for it, or will have; empty for none.
        integrity: of the tarball that the registry has; ours, where it has none yet.
        provenance: what the registry's provenance statement about it says, checked; None for none.
        stage_id: what approves a staged package; empty where it is not known.
        note: something to tell about it; empty for nothing.
        read_back: it was found on the registry, whose answer to this job was lost; perhaps another run's.
    """

    built: Built
    status: Status
    dist_tag: str
    integrity: str
    provenance: Statement | None = None
    stage_id: str = ""
    note: str = ""
    read_back: bool = False


def packages_output(records: Iterable[Record]) -> str:
    """Return the output `packages`: a JSON array, one object a package."""
    return json.dumps(
        [
            {
                "name": record.built.packed.name,
                "version": record.built.packed.version,
                "status": record.status,
                "integrity": record.integrity,
                "size": record.built.packed.size,
                "dist-tag": record.dist_tag,
            }
            for record in records
        ]
    )
