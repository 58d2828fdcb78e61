"""The throwaway npm registry: verdaccio and what it lacks, trusted publishing and sigstore."""

from __future__ import annotations

from flotilla.rehearsal.registry.publication import integrity_of
from flotilla.rehearsal.registry.server import RegistryServer
from flotilla.rehearsal.registry.sigstore import Sigstore, SigstoreState
from flotilla.rehearsal.registry.state import Accepted, Bucket, Cached, Grant, RegistryState, TrustedPublisher
from flotilla.rehearsal.registry.upstream import Upstream, configured_upstream, why_unread
from flotilla.rehearsal.registry.verdaccio import VerdaccioBackend

__all__ = [
    "Accepted",
    "Bucket",
    "Cached",
    "Grant",
    "RegistryServer",
    "RegistryState",
    "Sigstore",
    "SigstoreState",
    "TrustedPublisher",
    "Upstream",
    "VerdaccioBackend",
    "configured_upstream",
    "integrity_of",
    "why_unread",
]
