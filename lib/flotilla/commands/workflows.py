"""What a repository's workflows upload and publish, read from their files without running them."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

UNKNOWN = "*"  # no artifact's name has it
MOST_COMBINATIONS = 256  # GitHub's own limit of a matrix
DEEPEST_CALLS = 4
MOST_UPLOADS = 2000
LONGEST_TEXT = 5000
EXPRESSION = re.compile(r"\$\{\{\s*(.*?)\s*\}\}")
LOOKUP = re.compile(r"(matrix|env|inputs)\.([\w.-]+)")
TEXT = re.compile(r"'([^']*)'")
UPLOADS = re.compile(r"^actions/upload-artifact(@|$)")
UPLOADING_LINE = re.compile(r"^\s*(?:-\s*)?uses:\s*[\"']?actions/upload-artifact\b")
PUBLISHING = re.compile(
    r"\b(?:npm|pnpm|yarn|yarn npm|bun|lerna|changeset) publish\b|\bnapi (?:pre-?publish|prepublish)\b"
    r"|\bsemantic-release\b|\bgh release (?:create|upload)\b"
)
FLOTILLA = re.compile(r"/flotilla(?:/action-release|/\.github/workflows/release-family\.yml)?@")
RELEASING = ("softprops/action-gh-release", "ncipollo/release-action", "changesets/action")

Values = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Upload:
    """An artifact that a step uploads.

    Args:
        name: its name; {tag} and {version} stand for the release's, UNKNOWN for what only GitHub knows.
        paths: what it takes, a pattern each.
        place: the step's file and line.
    """

    name: str
    paths: tuple[str, ...]
    place: str


@dataclass(frozen=True, kw_only=True)
class Workflow:
    """A workflow file.

    Args:
        file: its name, without its folder.
        triggers: the events that start it.
        only_tags: it runs on pushed tags, and neither on branches nor by hand.
        uploads: the artifacts of its runs, those of the workflows that it calls included.
        publishes: steps that publish or release by themselves: file and line, and the command.
        text: the file.
    """

    file: str
    triggers: frozenset[str]
    only_tags: bool
    uploads: tuple[Upload, ...]
    publishes: tuple[tuple[str, str], ...]
    text: str


def read_workflows(files: Mapping[str, tuple[str, Values]], repository_name: str) -> list[Workflow]:
    """Return the workflows that a person or an event starts, but for those that only release with flotilla.

    Args:
        files: the text and the content of each workflow file, by its name.
        repository_name: what GitHub calls the repository, without its owner.
    """
    own = {
        file: _Reader(file=file, document=document, text=text, repository_name=repository_name)
        for file, (text, document) in sorted(files.items())
    }
    found = [each.workflow(own) for each in own.values() if each.triggers - {"workflow_call"}]
    return [one for one in found if one.uploads or not FLOTILLA.search(one.text)]


@dataclass(frozen=True, kw_only=True)
class _Reader:
    file: str
    document: Values
    text: str
    repository_name: str

    @property
    def events(self) -> Values:
        # YAML 1.1 reads `on` as true.
        told: Any = self.document.get("on", dict[Any, Any](self.document).get(True))
        if isinstance(told, str):
            return {told: None}
        return dict.fromkeys(map(str, told)) if isinstance(told, list) else _mapping(told)

    @property
    def triggers(self) -> frozenset[str]:
        return frozenset(map(str, self.events))

    def workflow(self, others: Mapping[str, _Reader]) -> Workflow:
        push = _mapping(self.events.get("push"))
        return Workflow(
            file=self.file,
            triggers=self.triggers,
            only_tags="push" in self.triggers
            and "tags" in push
            and "branches" not in push
            and not self.triggers & {"workflow_dispatch", "schedule", "merge_group"},
            uploads=tuple(itertools.islice(self.uploads(others, {}), MOST_UPLOADS)),
            publishes=tuple(itertools.islice(self.publishes(others), MOST_UPLOADS)),
            text=self.text,
        )

    def uploads(self, others: Mapping[str, _Reader], inputs: Values, depth: int = 1) -> Iterator[Upload]:
        lines = iter([n for n, line in enumerate(self.text.splitlines(), 1) if UPLOADING_LINE.match(line)])
        for job in self.jobs():
            contexts = [
                {"matrix": one, "inputs": inputs, "env": {**_mapping(self.document.get("env")), **_env(job)}}
                for one in combinations(_mapping(job.get("strategy")).get("matrix"))
            ]
            if (called := self.called(job, others)) and depth < DEEPEST_CALLS:
                said = _mapping(job.get("with"))
                given = [{key: self.filled(str(said[key]), context) for key in said} for context in contexts]
                for index, one in enumerate(given):
                    if one not in given[:index]:
                        yield from called.uploads(others, {**called.defaults(), **one}, depth + 1)
            for step in _steps(job):
                if UPLOADS.match(str(step.get("uses", ""))):
                    place = f".github/workflows/{self.file}:{next(lines, 1)}"
                    yield from self.uploaded(step, contexts, place)

    def uploaded(self, step: Values, contexts: Sequence[Values], place: str) -> Iterator[Upload]:
        options = _mapping(step.get("with"))
        seen = set[str]()
        for context in contexts:
            within = {**context, "env": {**context["env"], **_env(step)}}
            paths = tuple(
                line.strip()
                for line in self.filled(str(options.get("path", "")), within).splitlines()
                if line.strip() and not line.strip().startswith(("!", "#"))
            )
            name = self.filled(str(options.get("name", "artifact")), within)
            if str(options.get("archive", "")).lower() == "false" and paths:
                name = paths[0].rpartition("/")[2]
            if name not in seen:
                seen.add(name)
                yield Upload(name=name, paths=paths, place=place)

    def publishes(self, others: Mapping[str, _Reader], depth: int = 1) -> Iterator[tuple[str, str]]:
        for job in self.jobs():
            if (called := self.called(job, others)) and depth < DEEPEST_CALLS:
                yield from called.publishes(others, depth + 1)
            for step in _steps(job):
                if found := publishing_command(step):
                    yield f".github/workflows/{self.file}:{self.line(found)}", found

    def jobs(self) -> list[Values]:
        return [job for job in _mapping(self.document.get("jobs")).values() if isinstance(job, dict)]

    def called(self, job: Values, others: Mapping[str, _Reader]) -> _Reader | None:
        folder, _, file = str(job.get("uses", "")).rpartition("/")
        return others.get(file) if folder == "./.github/workflows" else None

    def defaults(self) -> Values:
        declared = _mapping(_mapping(self.events.get("workflow_call")).get("inputs"))
        return {name: one["default"] for name, one in declared.items() if isinstance(one, dict) and "default" in one}

    def line(self, found: str) -> int:
        lines = self.text.splitlines()
        return next((n for n, line in enumerate(lines, 1) if found in line.partition("#")[0]), 1)

    def filled(self, text: str, context: Values) -> str:
        """Return text with its expressions replaced by their values."""
        once = EXPRESSION.sub(lambda match: self.value(match[1], context), text[:LONGEST_TEXT])
        return EXPRESSION.sub(lambda match: self.value(match[1], context), once)  # env may have expressions itself

    def value(self, expression: str, context: Values) -> str:
        nothing = False
        for part in expression.split("||"):
            if text := TEXT.fullmatch(part.strip()):
                return text[1]
            if look := LOOKUP.fullmatch(part.strip()):
                found: Any = context.get(look[1])
                for key in look[2].split("."):
                    found = found.get(key) if isinstance(found, dict) else None
                if isinstance(found, str | int | float) and found != "":
                    return str(found)
                # Other combinations may have it; GitHub takes a missing key for nothing.
                nothing = nothing or bool(look[1] == "matrix" and context.get("matrix") and found is None)
        if nothing:
            return ""
        if expression == "github.event.repository.name":
            return self.repository_name
        if expression == "github.ref_name":
            return "{tag}"
        return "{version}" if "version" in expression.lower() else UNKNOWN


def publishing_command(step: Values) -> str:
    """Return the command or action by which a step publishes or releases; empty if it does not."""
    uses, run = str(step.get("uses", "")), str(step.get("run", ""))
    action = uses.partition("@")[0]
    if action in RELEASING:
        return action
    arguments = str(_mapping(step.get("with")).get("args", ""))
    if action == "goreleaser/goreleaser-action" and "release" in arguments and "publish" not in arguments:
        return action if "--snapshot" not in arguments else ""
    found = PUBLISHING.search("\n".join(line for line in run.splitlines() if not line.lstrip().startswith("#")))
    return found[0] if found else ""


def combinations(matrix: object) -> list[dict[str, Any]]:
    """Return the combinations of a job's matrix as GitHub expands it; one without values if it has none."""
    if not isinstance(matrix, dict):
        return [{}]
    axes = {key: values for key, values in matrix.items() if key not in ("include", "exclude")}
    axes = {key: values for key, values in axes.items() if isinstance(values, list)}
    products = itertools.islice(itertools.product(*axes.values()), MOST_COMBINATIONS)
    made: list[dict[str, Any]] = [dict(zip(axes, values, strict=True)) for values in products] if axes else []
    excluded = [one for one in _list(matrix.get("exclude")) if isinstance(one, dict)]
    made = [one for one in made if not any(_fits(one, out, out) for out in excluded)]
    first = [dict(one) for one in made]
    for more in _list(matrix.get("include")):
        if not isinstance(more, dict):
            continue
        shared = [key for key in more if key in axes]
        fitting = [index for index, one in enumerate(first) if _fits(one, more, shared)] if axes else []
        for index in fitting:
            made[index] |= more
        if not fitting:
            made.append(dict(more))
    return made[:MOST_COMBINATIONS] or [{}]


def _fits(one: Values, other: Values, keys: object) -> bool:
    return isinstance(keys, list | dict) and all(one.get(key) == other.get(key) for key in keys)


def _steps(job: Values) -> list[Values]:
    return [step for step in _list(job.get("steps")) if isinstance(step, dict)]


def _env(of: Values) -> Values:
    return _mapping(of.get("env"))


def _mapping(value: object) -> Values:
    return value if isinstance(value, dict) else {}


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
