"""Read each action's inputs once, into one frozen object; each action.yml describes them."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any, Literal, NamedTuple, TypeVar, get_args, get_origin, get_type_hints

from flotilla.errors import Fault, InputError
from flotilla.family import NO_TAG
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
