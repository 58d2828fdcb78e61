"""A release rehearsed on one machine: a simulated GitHub, a throwaway npm registry, and what can go wrong with both."""

from __future__ import annotations

from flotilla.rehearsal.faults import FaultPlan, Kind, PlannedFault, Request, applicable
from flotilla.rehearsal.github_state import GitHubState
from flotilla.rehearsal.job_environment import JobEnvironment
from flotilla.rehearsal.node import default_cache, node_bin, node_modules, npm
from flotilla.rehearsal.registry_state import Bucket, Grant, RegistryState, TrustedPublisher
from flotilla.rehearsal.world import Rehearsal, Saved

__all__ = [
    "Bucket",
    "FaultPlan",
    "GitHubState",
    "Grant",
    "JobEnvironment",
    "Kind",
    "PlannedFault",
    "RegistryState",
    "Rehearsal",
    "Request",
    "Saved",
    "TrustedPublisher",
    "applicable",
    "default_cache",
    "node_bin",
    "node_modules",
    "npm",
]
