"""What a job is given: its action's inputs, read once into one frozen object, flotilla.yml, and the clients."""

from __future__ import annotations

import dataclasses
import json
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Generic, Literal, NamedTuple, TypeVar, get_args, get_origin, get_type_hints

from flotilla.errors import ConfigError, Fault, InputError, Place
from flotilla.family import NO_TAG, Config, DistTag, Family, parse_config, settle_dist_tag
from flotilla.github import (
    GitHub,
    Release,
    WorkflowRun,
    the_release,
)
from flotilla.npm import Npm, Registry
from flotilla.retry import RetryPolicy, StopFlag, SystemClock, until
from flotilla.runner import CHECKSUMS, LEDGER, Runner, RunnerVariables, output_file, read_variables
from flotilla.text import LONGEST_NAME, shorten

Phase = Literal["all", "prepare", "wait-for-ci", "check-artifacts", "release", "finish"]
Provenance = Literal["auto", "true", "false"]

_RUN_ID = re.compile(r"[1-9][0-9]{0,18}")
RUN_ID_EXPECTED = "expected a workflow run id such as 1234567890 (the number in the run's URL)"
_NO_TAG = re.compile(NO_TAG)
_COMMIT = re.compile(r"[0-9a-f]{40}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """The inputs of all four actions."""

    version: str
    config: str = "flotilla.yml"
    github_token: str = field(default="", repr=False)
    npm_token: str = field(default="", repr=False)
    registry: str = ""
    dry_run: bool = False
    artifacts_digest: str = ""
    tag: str = ""


@dataclass(frozen=True, kw_only=True)
class ReleasingInputs(Inputs):
    """Inputs of every job that creates the GitHub release."""

    commit: str = ""
    run_id: int | None = None
    timeout_minutes: float = 60
    draft: bool = False


@dataclass(frozen=True, kw_only=True)
class ReleaseInputs(ReleasingInputs):
    """Inputs of action-release."""

    phase: Phase = "all"


@dataclass(frozen=True, kw_only=True)
class PublishInputs(Inputs):
    """Inputs of the three publishing actions."""

    dist_tag: str = ""
    provenance: Provenance | None = None
    staged: bool = False
    pause_seconds: float | None = None
    timeout_minutes: float = 30


@dataclass(frozen=True, kw_only=True)
class DevInputs(PublishInputs):
    """Inputs of action-publish-dev."""

    run_id: int


@dataclass(frozen=True, kw_only=True)
class PlatformInputs(PublishInputs):
    """Inputs of action-publish-platform."""

    platform: tuple[str, ...]
    run_id: int


class ReportedPackage(NamedTuple):
    """A package from another job's output `packages`."""

    name: str
    version: str
    integrity: str


@dataclass(frozen=True, kw_only=True)
class MetaInputs(PublishInputs):
    """Inputs of action-publish-meta."""

    run_id: int | None = None
    packages: tuple[ReportedPackage, ...] = ()


@dataclass(frozen=True, kw_only=True)
class FamilyInputs(ReleasingInputs, PublishInputs):
    """Inputs of the action in the root, which does the whole release in one step."""

    timeout_minutes: float = 90


T = TypeVar("T", bound=Inputs)


def variable(name: str) -> str:
    """Return an input's environment variable; the runner keeps hyphens."""
    return "INPUT_" + name.replace("_", "-").upper()


def read_inputs(kind: type[T], environment: Mapping[str, str]) -> T:
    """Return the inputs of one action; an empty input counts as not set.

    Raises:
        InputError: names every input that is missing or malformed.
    """
    faults: list[Fault] = []
    values: dict[str, Any] = {}
    types = get_type_hints(kind)
    for one in dataclasses.fields(kind):
        name = one.name.replace("_", "-")
        given = environment.get(variable(name), "").strip()
        if given:
            try:
                values[one.name] = _parsed(one.name, types[one.name], given)
            except ValueError as fault:
                shown = "" if not one.repr else f" is {shorten(repr(given), LONGEST_NAME)}:"
                faults.append(Fault(text=f"input {name}{shown} {fault}"))
        elif one.default is dataclasses.MISSING:
            faults.append(Fault(text=f"input {name} is required, but is empty"))
    if faults:
        raise InputError(faults, advice="Set it under `with:` in the step that uses the action.")
    return kind(**values)


def _parsed(name: str, kind: Any, given: str) -> object:
    options = get_args(kind)
    if bool in (kind, *options):
        return _boolean(given)
    if get_origin(kind) is Literal or any(get_origin(option) is Literal for option in options):
        return _choice(given, _words(kind))
    if int in (kind, *options):
        return int(_matching(given, _RUN_ID, RUN_ID_EXPECTED))
    if float in (kind, *options):
        return _number(given)
    return _BY_NAME[name](given) if name in _BY_NAME else given


def _platforms(given: str) -> tuple[str, ...]:
    """Return the names in a JSON array, or the single name."""
    if not given.startswith("["):
        return (given,)
    try:
        names = json.loads(given)
    except (json.JSONDecodeError, RecursionError):
        names = None
    if not isinstance(names, list) or not names or not all(isinstance(name, str) and name.strip() for name in names):
        raise ValueError(
            'expected a platform\'s name, all, or a JSON array of names such as ["linux-x64", "win32-x64"]'
        )
    return tuple(name.strip() for name in names)


def _packages(given: str) -> tuple[ReportedPackage, ...]:
    """Return the packages in one or more JSON arrays, one after another."""
    decoder, found, position = json.JSONDecoder(), list[ReportedPackage](), 0
    try:
        while position < len(given):
            document, position = decoder.raw_decode(given, position)
            found += _reported(document)
            position += len(given[position:]) - len(given[position:].lstrip(" \t\r\n,"))
    except (json.JSONDecodeError, RecursionError):
        raise ValueError("expected JSON, the platform jobs' outputs `packages`") from None
    return tuple(found)


def _reported(value: object) -> Iterator[ReportedPackage]:
    """Yield the packages in nested arrays."""
    match value:
        case list():
            for each in value:
                yield from _reported(each)
        case {"name": str(name), "version": str(version), "integrity": str(integrity)}:
            yield ReportedPackage(name, version, integrity)
        case _:
            raise ValueError('expected JSON arrays of {"name", "version", "integrity"}')


_BY_NAME: Mapping[str, Callable[[str], object]] = {
    "commit": lambda given: _matching(given, _COMMIT, "expected the full commit hash, 40 lower-case hex digits"),
    "artifacts_digest": lambda given: _matching(
        given, _DIGEST, "expected the output artifacts-digest of action-release"
    ),
    "packages": _packages,
    "tag": lambda given: _matching(
        given, _NO_TAG, "expected none, or nothing; release.tag in flotilla.yml is the tag's form"
    ),
    "platform": _platforms,
}


def _words(kind: Any) -> tuple[str, ...]:
    if get_origin(kind) is Literal:
        return get_args(kind)
    return next(get_args(option) for option in get_args(kind) if get_origin(option) is Literal)


def _boolean(given: str) -> bool:
    if given in ("true", "True", "TRUE"):
        return True
    if given in ("false", "False", "FALSE"):
        return False
    raise ValueError("expected true or false")


def _choice(given: str, words: tuple[str, ...]) -> str:
    if given in words:
        return given
    near = get_close_matches(given, words, n=1)
    guess = f"; did you mean {near[0]}?" if near else ""
    raise ValueError(f"expected one of {', '.join(words)}{guess}")


def _matching(given: str, pattern: re.Pattern[str], expected: str) -> str:
    if not pattern.fullmatch(given):
        raise ValueError(expected)
    return given


def _number(given: str) -> float:
    try:
        number = float(given)
    except ValueError:
        number = -1.0
    if not 0 <= number < 10**6:
        raise ValueError("expected a number of 0 or more")
    return number


LARGEST_CONFIG = 1_000_000

T_co = TypeVar("T_co", bound=Inputs, covariant=True)


@dataclass(frozen=True, kw_only=True)
class JobContext(Generic[T_co]):
    """What a job knows and may use.

    Args:
        dist_tag: the release's dist-tag, settled once for everything that follows.
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
            dist_tag=settle_dist_tag(
                family.version,
                given=inputs.dist_tag if isinstance(inputs, PublishInputs) else "",
                configured=config.publish.dist_tag,
                tagged=family.tag is not None,
            ),
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


def _minutes(inputs: Inputs) -> float:
    return float(getattr(inputs, "timeout_minutes", 30))


def with_options(given: Mapping[str, str], environment: Mapping[str, str]) -> Mapping[str, str]:
    """Return a job's variables, with its inputs overridden by those that were given as options.

    Locally the tokens come from the environment's GITHUB_TOKEN and NPM_TOKEN.
    """
    tokens = {} if environment.get("GITHUB_ACTIONS") == "true" else _tokens(environment)
    return {**tokens, **environment, **given}


def _tokens(environment: Mapping[str, str]) -> Mapping[str, str]:
    named = {"github-token": "GITHUB_TOKEN", "npm-token": "NPM_TOKEN"}
    return {variable(name): environment[given] for name, given in named.items() if given in environment}


def its_release(job: JobContext[Inputs]) -> Release | None:
    """Return the release of the family's tag, as far as this job may see it; None if there is none, or no tag."""
    tag = job.family.tag
    return the_release(job.github.releases.of(tag), tag) if tag else None


def is_same_run(job: JobContext[Inputs], run: WorkflowRun) -> bool:
    """Return whether this job is part of the run, which then has not ended."""
    return str(run.id) == job.variables.run_id and run.status != "completed"
