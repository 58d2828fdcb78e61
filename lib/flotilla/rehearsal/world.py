"""Everything a release speaks to, on loopback: GitHub, the registry, sigstore, and one plan of what goes wrong."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from flotilla.rehearsal.faults import FaultPlan
from flotilla.rehearsal.github import GitHubServer, GitHubState
from flotilla.rehearsal.job_environment import JobEnvironment, id_token_variables, job_environment
from flotilla.rehearsal.loopback import Serving
from flotilla.rehearsal.node import node_bin
from flotilla.rehearsal.registry import RegistryServer, RegistryState, Sigstore, VerdaccioBackend


@dataclass(frozen=True, kw_only=True)
class Saved:
    """GitHub and the registry as they were."""

    github: GitHubState
    registry: RegistryState


class Rehearsal(AbstractContextManager["Rehearsal"]):
    """A world to release into; it ends with the context.

    Args:
        folder: an empty or new folder for storage, certificates and the jobs' files; the caller removes it.
        github: what GitHub knows at the beginning.
        registry: what the registry knows at the beginning.
        plan: what goes wrong.
        modules: node_modules of the rehearsal's own lock (see node.node_modules); needed for the two below.
        verdaccio: whether a real verdaccio stores the packages; else they are in memory, and can be restored.
        sigstore: whether provenance can be signed.
        count_sigstore: whether sigstore's requests are numbered with the others, and can be broken.
        clock: epoch seconds, for everything that expires or refills.
    """

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
        self.folder = folder
        self.plan = plan or FaultPlan()
        self.sigstore: Sigstore | None = None
        self._github = github or GitHubState()
        self._registry = registry or RegistryState()
        self._modules = modules
        self._with = {"verdaccio": verdaccio, "sigstore": sigstore, "count_sigstore": count_sigstore}
        self._clock = clock
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
        backend = None
        if self._with["verdaccio"]:
            backend = stack.enter_context(VerdaccioBackend(self._installed(), self.folder / "verdaccio", serving))
        if self._with["sigstore"]:
            plan = self.plan if self._with["count_sigstore"] else None
            self.sigstore = stack.enter_context(Sigstore(self._installed(), self.folder, serving, plan=plan))
        self.github = GitHubServer(self._github, serving, plan=self.plan, clock=self._clock)
        self.registry = RegistryServer(self._registry, serving, backend=backend, plan=self.plan, clock=self._clock)

    def _installed(self) -> Path:
        if self._modules is None:
            raise TypeError("verdaccio and sigstore need `modules`: see flotilla.rehearsal.node.node_modules")
        return self._modules

    def environment(
        self,
        job: str,
        *,
        workspace: Path,
        inputs: Mapping[str, str] | None = None,
        path: str = "/usr/bin:/bin",
        id_token: bool = True,
    ) -> JobEnvironment:
        """The environment of one more job of the release's workflow run, as GitHub gives it to a container action.

        Args:
            job: the job's name.
            workspace: the checked-out repository.
            inputs: the action's inputs; `github-token` is the job's own where it is not given.
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

    def snapshot(self) -> dict[str, Any]:
        """What a release leaves behind on GitHub and on the registry."""
        return {"github": self.github.state.snapshot(), "registry": self.registry.state.snapshot()}

    def saved(self) -> Saved:
        """GitHub and the registry as they are now; of verdaccio's packages, the records only."""
        return Saved(github=self.github.state.saved(), registry=self.registry.state.saved())

    def restore(self, saved: Saved) -> None:
        """Be as it was saved; needs the registry in memory."""
        self.github.restore(saved.github)
        self.registry.restore(saved.registry)
