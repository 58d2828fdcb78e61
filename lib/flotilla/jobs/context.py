"""A job's context: inputs, the runner's variables, flotilla.yml and the clients."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, TypeVar

from flotilla.errors import ConfigError, Fault, InputError, Place, RefusedError
from flotilla.family import LATEST, NO_TAG, Config, Family, dist_tag_fault, parse_config
from flotilla.github import GitHub
from flotilla.jobs.inputs import Inputs, PublishInputs, read_inputs
from flotilla.npm import DistTag, Npm, Registry
from flotilla.retry import RetryPolicy, StopFlag, SystemClock, until
from flotilla.runner import Runner


@dataclass(frozen=True, kw_only=True)
class RunnerVariables:
    """The variables of a GitHub Actions job that flotilla uses.

    Source: GitHub's documentation, "Variables reference", and actions/runner src/Runner.Worker/Handlers.

    Args:
        repository: "OWNER/REPO" that the job runs in.
        commit: the commit that triggered the run, 40 hex digits; empty locally.
        workflow: file name of the calling workflow, which npm compares; empty if unknown.
        run_id: id of this workflow run; empty locally.
        run_attempt: the run's attempt that this job belongs to; empty locally.
        workspace: the checked-out repository.
        unprotected: the branch or tag that the job runs on, if GitHub says that no rule protects it; empty otherwise.
    """

    repository: str
    server_url: str
    api_url: str
    commit: str
    workflow: str
    run_id: str
    workspace: Path
    run_attempt: str = ""
    unprotected: str = ""

    @property
    def run_url(self) -> str:
        """Return the URL of this run's page."""
        return f"{self.server_url}/{self.repository}/actions/runs/{self.run_id}"

    @property
    def repository_url(self) -> str:
        """Return the repository's URL as npm writes it in a manifest."""
        return f"git+{self.server_url}/{self.repository}.git"


def read_variables(environment: Mapping[str, str]) -> RunnerVariables:
    """Return the variables of this job.

    Raises:
        InputError: GITHUB_REPOSITORY is missing or is not OWNER/REPO.
    """
    repository = environment.get("GITHUB_REPOSITORY", "")
    if repository.count("/") != 1 or not all(repository.split("/")):
        raise InputError(
            f"GITHUB_REPOSITORY is {repository!r}; expected OWNER/REPO",
            advice="A runner always sets it; locally, set it to the repository that contains flotilla.yml.",
        )
    server_url = environment.get("GITHUB_SERVER_URL", "https://github.com").rstrip("/")
    workflow = environment.get("GITHUB_WORKFLOW_REF", "").partition("@")[0].rpartition("/")[2]
    return RunnerVariables(
        repository=repository,
        server_url=server_url,
        api_url=environment.get("GITHUB_API_URL", "https://api.github.com").rstrip("/"),
        commit=environment.get("GITHUB_SHA", ""),
        workflow=workflow,
        run_id=environment.get("GITHUB_RUN_ID", ""),
        run_attempt=environment.get("GITHUB_RUN_ATTEMPT", ""),
        workspace=Path(environment.get("GITHUB_WORKSPACE") or Path.cwd()),
        unprotected=environment.get("GITHUB_REF", "") if environment.get("GITHUB_REF_PROTECTED") == "false" else "",
    )


LARGEST_CONFIG = 1_000_000
OUTPUT_FOLDER = "flotilla-output"
CHECKSUMS = "SHA256SUMS"
LEDGER = "flotilla-ledger.json"

T_co = TypeVar("T_co", bound=Inputs, covariant=True)


@dataclass(frozen=True, kw_only=True)
class JobContext(Generic[T_co]):
    """What a job knows and may use.

    Args:
        dist_tag: the release's dist-tag, decided here for everything that follows.
        root: folder of flotilla.yml, to which templates are relative.
        environment: the runner's variables, for npm and the id-tokens.
        scratch: a private folder, removed when the job ends.
    """

    inputs: T_co
    variables: RunnerVariables
    family: Family
    dist_tag: DistTag
    root: Path
    github: GitHub
    registry: Registry
    npm: Npm
    policy: RetryPolicy
    runner: Runner
    environment: Mapping[str, str] = field(repr=False)
    scratch: Path


@contextmanager
def open_job(kind: type[T_co], environment: Mapping[str, str], runner: Runner) -> Iterator[JobContext[T_co]]:
    """Yield the job that the runner's variables describe; its scratch folder is removed at the end.

    Raises:
        InputError: an input is missing or malformed, or something is in the place of the output files.
        ConfigError: flotilla.yml is missing or malformed.
    """
    inputs = read_inputs(kind, environment)
    variables = read_variables(environment)
    for name in (CHECKSUMS, LEDGER):
        output_file(variables.workspace, name)
    config = read_config(variables.workspace, inputs.config)
    family = Family(config, inputs.version, tagged=inputs.tag != NO_TAG)
    stop = StopFlag()
    clock = SystemClock(stop)
    policy = RetryPolicy(deadline=until(_minutes(inputs), clock), clock=clock, told=runner.line, stop=stop)
    npm = Npm(environment=environment)
    github = GitHub(
        api_url=variables.api_url,
        token=inputs.github_token,
        repository=variables.repository,
        policy=policy,
    )
    registry_url = inputs.registry or npm.configured_registry(variables.workspace)
    registry = Registry(registry_url, token=inputs.npm_token or None, policy=policy)
    with tempfile.TemporaryDirectory(prefix="flotilla-") as scratch:
        yield JobContext(
            inputs=inputs,
            variables=variables,
            family=family,
            dist_tag=settle_dist_tag(inputs, family),
            root=(variables.workspace / inputs.config).parent,
            github=github,
            registry=registry,
            npm=npm,
            policy=policy,
            runner=runner,
            environment=environment,
            scratch=Path(scratch),
        )


def tell_warnings(family: Family, runner: Runner) -> None:
    """Annotate with what may be wrong in flotilla.yml."""
    for warning in family.config.warnings:
        runner.warning(str(warning), title="Check flotilla.yml")


def settle_dist_tag(inputs: Inputs, family: Family) -> DistTag:
    """Return the release's dist-tag: the input, or else flotilla.yml's, or else the version's own.

    Raises:
        RefusedError: npm does not accept it as a dist-tag.
    """
    given = inputs.dist_tag if isinstance(inputs, PublishInputs) else ""
    named = given or family.config.publish.dist_tag or ""
    if named and (fault := dist_tag_fault(named)):
        raise RefusedError(fault, advice="Correct the input dist-tag, or publish.dist-tag in flotilla.yml.")
    if family.tag is None and (named or family.default_dist_tag) == LATEST and not given:
        _refuse_latest(family, named)
    return DistTag(name=named or family.default_dist_tag, given=bool(named))


def _refuse_latest(family: Family, named: str) -> None:
    """Refuse to let a version without a tag, such as a nightly, become `latest`, unless flotilla.yml says so.

    Raises:
        RefusedError: flotilla.yml does not say it, or says it and the version is a prerelease.
    """
    if family.prerelease:
        raise RefusedError(
            f"{family.version} is a prerelease without a tag, and publish.dist-tag would make it `latest`",
            advice="Leave out publish.dist-tag; the version has its own dist-tag.",
        )
    if not named:
        raise RefusedError(
            f"{family.version} is not a prerelease; without a tag it would become `latest` for every user",
            advice=f"Use a prerelease version for a nightly, such as {family.version}-nightly.20261125. If you do want "
            "`latest`, set publish.dist-tag: latest in flotilla.yml.",
        )


def read_config(workspace: Path, name: str) -> Config:
    """Return the checked-out repository's flotilla.yml.

    Raises:
        ConfigError: it is missing or malformed.
        InputError: the path leaves the workspace.
    """
    file = workspace / name
    if not file.resolve().is_relative_to(workspace.resolve()):
        raise InputError(f"input config is {name!r}, which is outside the repository")
    try:
        data = file.read_bytes()
    except OSError as failure:
        raise ConfigError(
            f"{name} cannot be read: {failure.strerror}",
            advice="Check out the repository before this step (actions/checkout), or name the file in `config`.",
        ) from failure
    try:
        return parse_config(data[:LARGEST_CONFIG].decode(), file=name)
    except UnicodeDecodeError as failure:
        raise ConfigError(Fault(text="is not UTF-8 text", place=Place(file=name))) from failure


def output_file(workspace: Path, name: str) -> Path:
    """Return the path of a file for later steps, in flotilla's own folder in the workspace.

    Raises:
        InputError: the repository has a link or something else in its place, so that we would write elsewhere.
    """
    folder = workspace / OUTPUT_FOLDER
    file = folder / name
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise InputError(
            f"{OUTPUT_FOLDER} already exists and is not a plain folder",
            advice=f"Remove {OUTPUT_FOLDER} from the repository; flotilla writes its files there.",
        )
    if file.is_symlink() or (file.exists() and not file.is_file()):
        raise InputError(
            f"{OUTPUT_FOLDER}/{name} already exists and is not a plain file",
            advice=f"Remove {OUTPUT_FOLDER} from the repository; flotilla writes its files there.",
        )
    return file


def write_output(workspace: Path, name: str, text: str) -> str:
    """Write a file for later steps, and return its path relative to the workspace.

    The container's user is root. A self-hosted runner's is not, but must be able to remove files from its workspace, so
    the workspace's owner gets the folder and the file.

    Raises:
        InputError: something else is in its place.
    """
    file = output_file(workspace, name)
    file.parent.mkdir(exist_ok=True)
    handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o644)
    with os.fdopen(handle, "w", encoding="utf-8") as stream:
        stream.write(text)
    if os.geteuid() == 0:
        owner = workspace.stat()
        for path in (file.parent, file):
            os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)
    return f"{OUTPUT_FOLDER}/{name}"


def _minutes(inputs: Inputs) -> float:
    return float(getattr(inputs, "timeout_minutes", 30))
