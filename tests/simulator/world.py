"""A world to release into that can be saved and restored, and in which requests go wrong."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.simulator.faults import FaultPlan
from tests.simulator.injection import fault_middleware
from tests.simulator.memory import RegistryState
from tests.simulator.servers import GitHubServer, RegistryServer

from flotilla.rehearsal import world
from flotilla.rehearsal.github import GitHubState
from flotilla.rehearsal.loopback import Serving
from flotilla.rehearsal.registry import Sigstore, VerdaccioBackend


@dataclass(frozen=True, kw_only=True)
class Saved:
    """The saved state of GitHub and the registry."""

    github: GitHubState
    registry: RegistryState


class Rehearsal(world.Rehearsal):
    """A rehearsal's world, by default without anything that node serves.

    Args:
        plan: what goes wrong.
        modules: needed for the two below.
        verdaccio: whether a real verdaccio stores the packages; else they are in memory, and can be restored.
        sigstore: whether provenance can be signed.
        count_sigstore: whether sigstore's requests are numbered with the others, and can be broken.
    """

    github: GitHubServer
    registry: RegistryServer

    def __init__(  # noqa: PLR0913 - keyword-only: what there is, and what goes wrong
        self,
        folder: Path,
        *,
        github: GitHubState | None = None,
        registry: RegistryState | None = None,
        plan: FaultPlan | None = None,
        modules: Path | None = None,
        verdaccio: bool = False,
        sigstore: bool = False,
        count_sigstore: bool = False,
        clock: Callable[[], float] = time.time,
    ) -> None:
        if modules is None and (verdaccio or sigstore):
            raise TypeError("verdaccio and sigstore need `modules`: see flotilla.rehearsal.node.node_modules")
        super().__init__(folder, modules=modules or folder, github=github or GitHubState(), clock=clock)
        self.plan = plan or FaultPlan()
        self._state = registry or RegistryState()
        self._with = {"verdaccio": verdaccio, "sigstore": sigstore, "count_sigstore": count_sigstore}

    def _start(self, stack: ExitStack) -> None:
        serving = stack.enter_context(Serving())
        backend = None
        if self._with["verdaccio"]:
            backend = stack.enter_context(VerdaccioBackend(self._modules, self.folder / "verdaccio", serving))
        if self._with["sigstore"]:
            counted = fault_middleware(self.plan) if self._with["count_sigstore"] else None
            self.sigstore = stack.enter_context(Sigstore(self._modules, self.folder, serving, middleware=counted))
        self.github = GitHubServer(self._github, serving, plan=self.plan, clock=self._clock)
        self.registry = RegistryServer(self._state, serving, backend=backend, plan=self.plan, clock=self._clock)

    def snapshot(self) -> dict[str, Any]:
        """Return what a release leaves behind on GitHub and on the registry."""
        return {"github": self.github.state.snapshot(), "registry": self.registry.state.snapshot()}

    def saved(self) -> Saved:
        """Return the state of GitHub and the registry; for verdaccio, only the records of its packages."""
        return Saved(github=self.github.state.saved(), registry=self.registry.state.saved())

    def restore(self, saved: Saved) -> None:
        """Restore a saved state; needs the registry in memory."""
        self.github.restore(saved.github)
        self.registry.restore(saved.registry)
