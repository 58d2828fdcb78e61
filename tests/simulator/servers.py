"""The rehearsal's servers with a plan of what goes wrong; the registry with its packages in memory by default."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable

from tests.simulator.faults import FaultPlan
from tests.simulator.injection import fault_middleware
from tests.simulator.memory import LaggingBackend, MemoryBackend, RegistryState

from flotilla.rehearsal.github import GitHubState, server
from flotilla.rehearsal.loopback import Serving
from flotilla.rehearsal.registry import RegistryServer as AnyRegistryServer
from flotilla.rehearsal.registry import VerdaccioBackend


class GitHubServer(server.GitHubServer):
    """The simulated GitHub.

    Args:
        plan: numbers its requests and breaks some.
    """

    def __init__(
        self,
        state: GitHubState,
        serving: Serving,
        *,
        plan: FaultPlan | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.plan = plan or FaultPlan()
        super().__init__(state, serving, middleware=fault_middleware(self.plan), clock=clock)
        self.plan.before_last_write = state.saved()

    def restore(self, saved: GitHubState) -> None:
        """Restore the saved state; nothing lags behind it, and no signed URL outlives it."""
        super().restore(saved)
        self.plan.before_last_write = saved.saved()


class RegistryServer(AnyRegistryServer):
    """The throwaway registry.

    Args:
        backend: stores the packages; in memory by default, and then in the state.
        plan: numbers its requests and breaks some.
    """

    state: RegistryState

    def __init__(
        self,
        state: RegistryState,
        serving: Serving,
        *,
        backend: VerdaccioBackend | None = None,
        plan: FaultPlan | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.plan = plan or FaultPlan()
        self._verdaccio = backend
        self._initial = state.saved()
        lagging = LaggingBackend(backend or MemoryBackend(state), state)
        super().__init__(state, serving, backend=lagging, middleware=fault_middleware(self.plan), clock=clock)

    def reset(self) -> None:
        """Empty it, with the rules and tokens of the beginning."""
        if self._verdaccio:
            wipe(self._verdaccio)
        self.state.restore(self._initial)

    def restore(self, saved: RegistryState) -> None:
        """Restore the saved state; what verdaccio stores cannot be restored."""
        if self._verdaccio:
            raise TypeError("Only packages in memory can be restored; reset() empties verdaccio.")
        self.state.restore(saved)


def wipe(verdaccio: VerdaccioBackend) -> None:
    """Remove every package's folder; verdaccio reads them anew for each request."""
    shutil.rmtree(verdaccio.storage / "packages", ignore_errors=True)
