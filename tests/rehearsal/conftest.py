"""What the tests of the rehearsal share: its node packages, its servers, and a client that says little."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.rehearsal.client import Client
from tests.rehearsal.openapi import Description
from tests.simulator.faults import FaultPlan
from tests.simulator.memory import RegistryState
from tests.simulator.servers import GitHubServer, RegistryServer, wipe
from tests.world.npm_packages import installed

from flotilla.rehearsal.github import GitHubState
from flotilla.rehearsal.loopback import Serving
from flotilla.rehearsal.registry import VerdaccioBackend

ROOT = Path(__file__).parents[2]
STALL_SECONDS = 0.05


@pytest.fixture(scope="session")
def modules() -> Path:
    return installed()


@pytest.fixture(scope="session")
def description() -> Description:
    return Description(installed(Path(__file__).parent))


@pytest.fixture(scope="module")
def serving() -> Iterator[Serving]:
    with Serving() as serving:
        yield serving


@pytest.fixture
def plan() -> FaultPlan:
    return FaultPlan(stall_seconds=STALL_SECONDS)


@pytest.fixture
def state() -> GitHubState:
    return GitHubState(repository="acme/tool")


@pytest.fixture
def github(state: GitHubState, serving: Serving, plan: FaultPlan) -> GitHubServer:
    return GitHubServer(state, serving, plan=plan)


@pytest.fixture
def api(github: GitHubServer) -> Iterator[Client]:
    """Yield a client of the simulated GitHub with the job's token; paths begin below the repository."""
    with Client(f"{github.origins.api}/repos/acme/tool", token=github.state.token) as client:
        yield client


@pytest.fixture(scope="module")
def verdaccio(modules: Path, serving: Serving, tmp_path_factory: pytest.TempPathFactory) -> Iterator[VerdaccioBackend]:
    with VerdaccioBackend(modules, tmp_path_factory.mktemp("verdaccio"), serving) as backend:
        yield backend


@pytest.fixture(params=["memory", pytest.param("verdaccio", marks=pytest.mark.registry)])
def backend(request: pytest.FixtureRequest) -> VerdaccioBackend | None:
    """Return each backend in turn; None is the one in memory."""
    if request.param == "memory":
        return None
    chosen: VerdaccioBackend = request.getfixturevalue("verdaccio")
    wipe(chosen)
    return chosen


RegistryMaker = Callable[..., RegistryServer]


@pytest.fixture
def registry_of(serving: Serving, plan: FaultPlan, backend: VerdaccioBackend | None) -> RegistryMaker:
    """Return what makes a registry with this state, on each backend in turn."""

    def make(**state: object) -> RegistryServer:
        return RegistryServer(RegistryState(**state), serving, backend=backend, plan=plan)  # type: ignore[arg-type] # checked by the dataclass

    return make
