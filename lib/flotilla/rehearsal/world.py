"""Everything a release speaks to, on loopback: GitHub, the registry and sigstore."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from flotilla.rehearsal.github import GitHubServer, GitHubState
from flotilla.rehearsal.job_environment import JobEnvironment, id_token_variables, job_environment
from flotilla.rehearsal.loopback import Serving
from flotilla.rehearsal.node import node_bin
from flotilla.rehearsal.registry import RegistryServer, RegistryState, Sigstore, Upstream, VerdaccioBackend


class Rehearsal(AbstractContextManager["Rehearsal"]):
    """A world to release into; it ends with the context.

    Args:
        folder: an empty or new folder for storage, certificates and the jobs' files; the caller removes it.
        modules: node_modules of the rehearsal's own lock (see node.node_modules).
        github: what GitHub knows at the beginning.
        registry: what the registry knows at the beginning.
        clock: epoch seconds, for everything that expires or refills.
        upstream: where the registry reads packages that are not the family's; by default nowhere.
    """

    github: GitHubServer
    registry: RegistryServer
    backend: VerdaccioBackend
    sigstore: Sigstore | None = None

    def __init__(
        self,
        folder: Path,
        *,
        modules: Path,
        github: GitHubState,
        registry: RegistryState | None = None,
        clock: Callable[[], float] = time.time,
        upstream: Upstream | None = None,
    ) -> None:
        self.folder = folder
        self._modules = modules
        self._github = github
        self._registry = registry or RegistryState()
        self._clock = clock
        self._upstream = upstream
        self._stack = ExitStack()
        self._job_numbers = itertools.count(1)  # jobs begin side by side

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        with ExitStack() as stack:
            self._start(stack)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        self._stack.close()

    def _start(self, stack: ExitStack) -> None:
        serving = stack.enter_context(Serving())
        self.backend = stack.enter_context(
            VerdaccioBackend(self._modules, self.folder / "verdaccio", serving, self._upstream)
        )
        self.sigstore = stack.enter_context(Sigstore(self._modules, self.folder, serving))
        self.github = GitHubServer(self._github, serving, clock=self._clock)
        self.registry = RegistryServer(self._registry, serving, backend=self.backend, clock=self._clock)

    def environment(
        self,
        job: str,
        *,
        workspace: Path,
        inputs: Mapping[str, str] | None = None,
        path: str = "/usr/bin:/bin",
        id_token: bool = True,
    ) -> JobEnvironment:
        """Return the environment of one more job of the release's run, as GitHub gives it to a container action.

        Args:
            job: the job's name.
            workspace: the checked-out repository.
            inputs: the action's inputs; `github-token` is the job's own if it is not given.
            path: the PATH, behind the folder of node and npm.
            id_token: whether the job has `id-token: write`.
        """
        number = next(self._job_numbers)
        more = {
            "PATH": f"{node_bin(self.folder)}:{path}",
            "npm_config_registry": self.registry.url,
            **(self.sigstore.variables() if self.sigstore else {}),
            **(id_token_variables(self.github) if id_token else {}),
        }
        return job_environment(
            self.github,
            job=job,
            folder=self.folder / "jobs" / f"{number:04}-{job}",
            workspace=workspace,
            inputs={"github-token": self.github.state.token, **(inputs or {})},
            more=more,
        )
