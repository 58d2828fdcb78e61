"""The throwaway npm registry: verdaccio and what it lacks, trusted publishing and sigstore."""

from __future__ import annotations

from flotilla.rehearsal.registry.publication import integrity_of
from flotilla.rehearsal.registry.server import RegistryServer
from flotilla.rehearsal.registry.sigstore import Sigstore, SigstoreState
from flotilla.rehearsal.registry.state import Accepted, Bucket, Cached, Grant, RegistryState, TrustedPublisher
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
    "VerdaccioBackend",
    "integrity_of",
]
