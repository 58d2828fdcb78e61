"""flotilla init: propose flotilla.yml, a release workflow and what packages lack, and write what is not there yet."""

from __future__ import annotations

import difflib
import json
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata, resources
from pathlib import Path
from typing import Literal

from tabulate import tabulate

from flotilla.commands.members import Guess
from flotilla.commands.proposal import Proposal, propose
from flotilla.commands.repository import WORKFLOWS, Repository, read_repository, top_of
from flotilla.commands.workflows import FLOTILLA
from flotilla.errors import ConfigError, InputError
from flotilla.family import parse_config
from flotilla.text import printable, shorten

CONFIG = "flotilla.yml"
WORKFLOW_NAMES = ("release.yml", "release-npm.yml", "flotilla-release.yml")
OWNER = "OWNER/flotilla"
SCHEMA = "https://raw.githubusercontent.com/{flotilla}/v{version}/lib/flotilla/family/flotilla.schema.json"
KEYS = "https://github.com/{flotilla}/blob/v{version}/docs/flotilla-yml.md"
PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_./-]*")
YAML_WORDS = frozenset({"true", "false", "yes", "no", "on", "off", "null", "y", "n"})
WIDEST = 72
LONGEST_STEP = 600

Preview = Literal["files", "diff"]
Ask = Callable[[str, str], str]
"""Ask a person: the question, and what an empty answer means."""


@dataclass(frozen=True, kw_only=True)
class Files:
    """What is to be written.

    Args:
        texts: by the path from the folder of flotilla.yml.
        present: the paths at which there is a file.
    """

    texts: Mapping[str, str]
    present: frozenset[str]


def init(
    folder: Path,
    *,
    answers: Mapping[str, str],
    ask: Ask | None = None,
    flotilla: str = OWNER,
    config: str = CONFIG,
    preview: Preview | None = None,
) -> str:
    """Write what a folder's repository proposes; return what to tell a person.

    Args:
        folder: the folder of the file, in the repository.
        answers: values that are known already, by their keys: "family", "platforms".
        ask: asks a person for what the repository does not tell; None if there is none, and the file then marks it.
        flotilla: the repository that holds flotilla's actions, "owner/flotilla".
        config: the file's name.
        preview: write nothing; show the files, or how they differ from those that exist.

    Raises:
        InputError: a file exists (none is overwritten), or an answer that npm or flotilla.yml does not take.
    """
    if preview is None and os.path.lexists(folder / config):
        raise _exists([config])  # before a person is asked
    repository, told = read_repository(folder, config), dict(answers)
    proposal = propose(repository, told)
    while ask and (question := next((guess for guess in proposal.guesses if guess.question), None)):
        told[question.key] = ask(question.question, as_text(question.value))
        proposal = propose(repository, told)
    workflow = _workflow_name(top_of(folder))
    up = "../" * len(Path(repository.folder).parts)
    text = _config(proposal, flotilla)
    faults = _faults(text, proposal, config)
    texts = {
        config: text,
        f"{up}{WORKFLOWS}/{workflow}": _workflow(
            proposal, flotilla, workflow, Path(repository.folder, config).as_posix()
        ),
        **proposal.templates,
    }
    files = Files(texts=texts, present=frozenset(name for name in texts if os.path.lexists(folder / name)))
    report = _report(repository, proposal, config, faults)
    if preview:
        shown = _difference(folder, files) if preview == "diff" else _listed(files)
        return f"{report}\n\n{shown}\n\nNothing was written."
    return "\n".join([report, "", f"Wrote {_and(_write(folder, files))}.", *_next(proposal, flotilla, config)])


def _write(folder: Path, files: Files) -> list[str]:
    """Write the files that do not exist; return their names.

    Raises:
        InputError: flotilla.yml or a template exists; then nothing is written.
    """
    if there := sorted(name for name in files.present if WORKFLOWS not in name):
        raise _exists(there)
    names = [name for name in files.texts if name not in files.present]
    top = top_of(folder).resolve()
    if outside := [name for name in names if not (folder / name).resolve().is_relative_to(top)]:
        raise InputError([f"{name}: a link leads out of the repository" for name in outside])
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        with (folder / name).open("x", encoding="utf-8") as file:  # never an existing one
            file.write(files.texts[name])
    return names


def _exists(names: Sequence[str]) -> InputError:
    return InputError(
        [f"{name} already exists" for name in names],
        advice="flotilla init overwrites no file. To see what it would change, add --diff.",
    )


def _difference(folder: Path, files: Files) -> str:
    """Return what writing the files would change, as `diff -u` shows it."""
    lines: list[str] = []
    for name, text in files.texts.items():
        file = folder / name
        there = file.read_text(encoding="utf-8", errors="replace") if file.is_file() else ""
        old = name if name in files.present else "/dev/null"
        lines += difflib.unified_diff(there.splitlines(), text.splitlines(), old, name, lineterm="")
    return "\n".join(lines) or "No difference."


def _listed(files: Files) -> str:
    return "\n".join(f"--- {name}\n{text}" for name, text in files.texts.items()).rstrip()


def _and(names: list[str]) -> str:
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def _next(proposal: Proposal, flotilla: str, config: str) -> list[str]:
    named = "" if config == CONFIG else f" --config {config}"
    if any("{version}" in json.dumps(one.value) for one in proposal.guesses if one.key != "release.tag"):
        named += f" --version {proposal.version or 'VERSION'}"
    lines = [
        "Next, with the artifacts of a CI run (each in a folder of its name):",
        "  gh run download RUN-ID --dir artifacts",
        f"  flotilla check{named} --artifacts artifacts",
        f"  flotilla rehearse{named} --artifacts artifacts",
    ]
    if "--version" in named:
        lines.append("The version is the one that this run has built: files of the artifacts are named after it.")
    if flotilla == OWNER:
        lines.append(f"In the workflow, replace {OWNER} with the repository of flotilla's actions.")
    return lines


def terminal() -> Ask | None:
    """Return a way to ask the person at the terminal; None if there is none."""
    return _ask if sys.stdin.isatty() and sys.stdout.isatty() else None


def _ask(question: str, default: str) -> str:
    try:
        return input(f"{question} [{default}]: ")
    except EOFError:  # nobody will answer any more
        return ""


def as_text(value: object) -> str:
    """Return a value as a person reads and answers it."""
    if isinstance(value, list):
        return " ".join(
            str(one.get("name", one.get("from", ""))) if isinstance(one, dict) else str(one) for one in value
        )
    if isinstance(value, dict):
        return str(value.get("bin", "")) or ", ".join(f"{key}: {as_text(one)}" for key, one in value.items())
    return str(value)


def _report(repository: Repository, proposal: Proposal, config: str, faults: Sequence[str]) -> str:
    rows = [
        (one.key, shorten(printable(as_text(one.value)), WIDEST), printable(one.source)) for one in proposal.guesses
    ]
    lines = [tabulate(rows, ("key", "value", "from"), disable_numparse=True)]
    if questions := [one for one in proposal.guesses if one.question]:
        lines += ["", f"The repository does not tell; see the lines marked TODO in {config}:"]
        lines += [
            f"- {one.key}: {one.question} (now {printable(as_text(one.value)) or 'nothing'})" for one in questions
        ]
    if repository.unread:
        lines += ["", "Not read:", *(f"- {printable(one)}" for one in repository.unread)]
    if steps := [*(f"Correct {config}: {one}" for one in faults), *proposal.steps]:
        lines += ["", "Left to do:", *(f"- {printable(one, longest=LONGEST_STEP)}" for one in steps)]
    return "\n".join(lines)


# The files


def _config(proposal: Proposal, flotilla: str) -> str:
    """Return flotilla.yml."""
    version = metadata.version("flotilla")
    head = f"# yaml-language-server: $schema={SCHEMA.format(flotilla=flotilla, version=version)}\n"
    keys = f"# Every key: {KEYS.format(flotilla=flotilla, version=version)}\n"
    return f"{head}{keys}schema: 1\n" + "".join(_lines(proposal))


def _faults(text: str, proposal: Proposal, config: str) -> list[str]:
    """Return what is wrong or doubtful in the file, because the repository says so.

    Raises:
        InputError: it is because of what a person has answered.
    """
    try:
        faults = [warning.text for warning in parse_config(text, file=config).warnings]
    except ConfigError as failure:
        faults = [fault.text for fault in failure.faults]
    if faults and "your answer" in {one.source for one in proposal.guesses}:
        advice = "Correct the answers, --family or --platforms. Nothing was written."
        raise InputError(list(dict.fromkeys(faults)), advice=advice)
    return list(dict.fromkeys(faults))


def _lines(proposal: Proposal) -> Iterator[str]:
    """Yield the lines of flotilla.yml: the keys of two levels as blocks, the rest in one line."""
    above: list[str] = []
    for guess in proposal.guesses:
        *sections, key = guess.key.split(".")
        if len(sections) > 1 and sections[0] != "packages":
            sections, key = sections[:1], ".".join([*sections[1:], key])
        if sections != above:
            yield "\n" if sections[:1] != above[:1] else ""
            yield from (f"{'  ' * n}{one}:\n" for n, one in enumerate(sections) if sections[: n + 1] != above[: n + 1])
        elif not sections and above == []:
            yield "\n" if key != "family" else ""
        above = sections
        yield from _entry(key, guess, "  " * len(sections))


def _entry(key: str, guess: Guess, indent: str) -> Iterator[str]:
    todo = f"  # TODO: {guess.question}" if guess.question else ""
    if isinstance(guess.value, list) and not indent:
        yield f"{key}:{todo}\n"
        yield from (f"  - {flow(one)}\n" for one in guess.value)
    elif guess.value == "":  # there may be nothing to say
        yield f"{indent}# {key}:{todo}\n"
    else:
        yield f"{indent}{key}: {flow(guess.value)}{todo}\n"


def flow(value: object) -> str:
    """Return a value as YAML on one line, quoted where YAML could read it as something else."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {flow(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(flow, value)) + "]"
    if isinstance(value, str) and PLAIN.fullmatch(value) and value.lower() not in YAML_WORDS:
        return value
    return json.dumps(value, ensure_ascii=False)


def _workflow_name(top: Path) -> str:
    """Return the release workflow's name: that of flotilla's own if there is one, else one that is free."""
    folder = top / WORKFLOWS
    there = {file.name: file for file in folder.iterdir() if file.is_file()} if folder.is_dir() else {}
    for name in WORKFLOW_NAMES:
        if name not in there or FLOTILLA.search(there[name].read_text(encoding="utf-8", errors="replace")):
            return name
    raise InputError(
        [f"{WORKFLOWS}/{name} already exists" for name in WORKFLOW_NAMES], advice="Rename one of these workflows."
    )


def _workflow(proposal: Proposal, flotilla: str, name: str, config: str) -> str:
    text = (resources.files(__package__) / "templates" / "release.yml").read_text(encoding="utf-8")
    text = text.replace(f"{OWNER}/", f"{flotilla}/")
    if name != WORKFLOW_NAMES[0]:
        text = text.replace("name: Release\n", "name: Release to npm\n")
    if config != CONFIG:
        text = text.replace("      environment: npm", f"      config: {config}\n      environment: npm")
    if proposal.tag_push:
        tag = next((str(one.value) for one in proposal.guesses if one.key == "release.tag"), "v{version}")
        family = str(proposal.guesses[0].value)
        pattern = flow(tag.replace("{family}", family).replace("{version}", "*"))
        begin, end = text.index("on:\n"), text.index("permissions: {}")
        text = f"{text[:begin]}on:\n  push:\n    tags: [{pattern}]\n\n{text[end:]}"
        text = text.replace("${{ inputs.version }}", "${{ github.ref_name }}")
        text = re.sub(r"      dry-run: .*\n", "", text)
    return text
