"""The public interface as data: what it is, how it differs from the released one, and which version that takes.

`python -m scripts.interface` (`make snapshot`) writes tests/interface/snapshot.json. released.json is the interface of
the newest release: once pyproject.toml has a higher version, the snapshot of that version becomes it.
"""

from __future__ import annotations

import ast
import json
import re
import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from scripts.release.settings import ReleaseError
from scripts.release.versions import UNRELEASED, Version, sections

ROOT = Path(__file__).resolve().parents[1]
SNAPSHOT = "tests/interface/snapshot.json"
RELEASED = "tests/interface/released.json"
JOB_INPUTS = "lib/flotilla/commands/inputs.json"
SCHEMA = "lib/flotilla/family/flotilla.schema.json"
EXITS = {"FlotillaError": "stopped by an error that it explains", "DefectError": "a defect of flotilla"}
WORDS = {
    "title",
    "description",
    "patternErrorMessage",
    "examples",
    "$comment",
    "$schema",
    "$id",
}  # of a schema; they hold for nobody
BREAKING = "**Breaking:**"
Interface = dict[str, Any]
MINOR, MAJOR = 1, 2


def interface(root: Path = ROOT) -> Interface:
    """Return each part of the interface by name: inputs, outputs, keys of flotilla.yml, exit codes."""
    found: Interface = {}
    for action, document in actions(root).items():
        for name, one in (document.get("inputs") or {}).items():
            found[f"{action} input {name}"] = {key: one[key] for key in ("required", "default") if key in one}
        for name in document.get("outputs") or {}:
            found[f"{action} output {name}"] = {}
    schema = json.loads((root / SCHEMA).read_text(encoding="utf-8"))
    found |= {f"flotilla.yml {path}": value for path, value in keys(schema, schema)}
    codes = exit_codes((root / "lib/flotilla/errors.py").read_text(encoding="utf-8"))
    return found | {f"exit code {code}": meaning for code, meaning in codes.items()}


def actions(root: Path) -> dict[str, Any]:
    """Return each action.yml by its action's name."""
    files = sorted([*root.glob("action.yml"), *root.glob("action-*/action.yml")])
    names = {file: file.parent.name if file.parent != root else "action" for file in files}
    return {name: yaml.safe_load(file.read_text(encoding="utf-8")) for file, name in names.items()}


def job_inputs(root: Path = ROOT) -> dict[str, dict[str, str]]:
    """Return what the command line says of each job, and of its inputs: the descriptions in its action.yml."""
    found = {}
    for action, document in actions(root).items():
        job = "release-family" if action == "action" else action.removeprefix("action-")
        inputs = {name: " ".join(one["description"].split()) for name, one in document["inputs"].items()}
        found[job] = {"": document["description"], **inputs}
    return found


def exit_codes(source: str) -> dict[str, str]:
    """Return what each exit code of a job means, by the classes of the module of errors that declare one."""
    found = {"0": "done"}
    for one in ast.parse(source).body:
        for line in one.body if isinstance(one, ast.ClassDef) else ():
            named = ast.unparse(line).replace(": ClassVar[int]", "").split(" = ")
            if named[0] == "status" and isinstance(one, ast.ClassDef):
                found[named[1]] = EXITS.get(one.name, one.name)
    return found


def keys(
    schema: Mapping[str, Any], whole: Mapping[str, Any], path: str = "", seen: tuple[str, ...] = ()
) -> Iterator[tuple[str, Any]]:
    """Yield each key of flotilla.yml by its path, and what the schema demands of its value."""
    while "$ref" in schema:
        if schema["$ref"] in seen:
            return
        seen = (*seen, schema["$ref"])
        target: Any = whole
        for part in schema["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        schema = target
    required = schema.get("required", [])
    for name, inner in schema.get("properties", {}).items():
        key = f"{path}.{name}".removeprefix(".")
        yield key, {"required": name in required, **demands(inner, whole)}
        yield from keys(inner, whole, key, seen)
    if isinstance(items := schema.get("items"), Mapping):
        yield from keys(items, whole, f"{path}[]", seen)
    for word in ("anyOf", "oneOf", "allOf"):
        for inner in schema.get(word, []):
            yield from keys(inner, whole, path, seen)
    for word in ("then", "else"):
        if isinstance(schema.get(word), Mapping):
            yield from keys(schema[word], whole, path, seen)


def demands(schema: Any, whole: Mapping[str, Any]) -> dict[str, Any]:
    """Return a schema's own rules, without words and without the keys in it, which have their own paths."""
    while "$ref" in schema:
        target: Any = whole
        for part in schema["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        schema = target
    inner = {"properties", "items", "anyOf", "oneOf", "allOf", "if", "then", "else", "required", "$defs"}
    return {key: value for key, value in schema.items() if key not in WORDS | inner}


def changes(old: Interface, new: Interface) -> dict[str, int]:
    """Return each part that differs, and whether it takes a minor or a major version."""
    found = {}
    for name in sorted(old.keys() | new.keys()):
        if name not in old:
            # Nobody uses a new action yet, so that its required inputs break nothing.
            action, is_input, _ = name.partition(" input ")
            known = is_input and any(one.startswith(f"{action} ") for one in old)
            needed = bool(known) and isinstance(new[name], dict) and bool(new[name].get("required"))
            found[name] = MAJOR if needed or (_new_demand(name, old, new)) else MINOR
        elif name not in new:
            found[name] = MAJOR
        elif old[name] != new[name]:
            found[name] = MINOR if _wider(old[name], _demanded_of_today(name, old, new)) else MAJOR
    return found


def _demanded_of_today(name: str, old: Interface, new: Interface) -> Any:
    """Return what a part demands, without what only a key demands that no file of today has."""
    demanded = new[name]
    if not isinstance(demanded, dict) or "dependentRequired" not in demanded:
        return demanded
    rules = {key: others for key, others in demanded["dependentRequired"].items() if f"{name}.{key}" in old}
    rest = {key: value for key, value in demanded.items() if key != "dependentRequired"}
    return {**rest, "dependentRequired": rules} if rules else rest


def _new_demand(name: str, old: Interface, new: Interface) -> bool:
    """Say whether a new key is required in a mapping that files of today have."""
    if not name.startswith("flotilla.yml ") or not new[name].get("required"):
        return False
    parent = leaf(name).rpartition(".")[0]
    return not parent or any(key.startswith(f"flotilla.yml {parent}.") for key in old)


def _wider(old: Any, new: Any) -> bool:
    """Say whether all that was accepted still is: rules were dropped or loosened."""
    if not isinstance(old, dict) or not isinstance(new, dict) or old.get("default") != new.get("default"):
        return False
    for key in new.keys() - {"default"}:
        before, after = old.get(key), new[key]
        if before == after or (key == "required" and not after):
            continue
        if key in {"enum", "type"} and before is not None and _set(before) <= _set(after):
            continue
        if before is not None and key.startswith("max") and after >= before:
            continue
        if before is not None and key.startswith("min") and after <= before:
            continue
        return False
    return True


def _set(value: Any) -> set[str]:
    return {json.dumps(one) for one in (value if isinstance(value, list) else [value])}


def faults(changed: Mapping[str, int], *, released: str, version: str, changelog: str) -> list[str]:
    """Return what a change of the interface still needs, as sentences that say what to do.

    Args:
        changed: of changes().
        released: the version of released.json.
        version: that of pyproject.toml; higher than the released one when a release is being prepared.
        changelog: the text of CHANGELOG.md.
    """
    preparing = version != released
    heading = version if preparing else UNRELEASED
    entries = sections(changelog).get(heading, "")
    missing = [name for name in changed if not _names(entries, name)]
    found = [f"name `{leaf(name)}` ({name}) under [{heading}] in CHANGELOG.md" for name in missing]
    broken = [name for name, size in changed.items() if size == MAJOR]
    if broken and BREAKING not in entries:
        found.append(f'begin an entry under [{heading}] with "{BREAKING}": users of {", ".join(broken)} must act')
    if preparing and changed:
        at_least = Version.parse(released).following()[max(changed.values())]
        if Version.parse(version) < at_least:
            found.append(f"set version in pyproject.toml to {at_least} at least: {version} is too low after {released}")
    return found


def leaf(name: str) -> str:
    """Return the name by which users know a part."""
    return name.rpartition(" ")[2]


def _names(entries: str, name: str) -> bool:
    last = re.split(r"[.\s]", name)[-1].removesuffix("[]")
    return any(last in re.split(r"[^\w-]+", code) for code in re.findall(r"`([^`\n]+)`", entries))


def read(root: Path, name: str) -> Any:
    """Return a JSON file of the repository."""
    return json.loads((root / name).read_text(encoding="utf-8"))


def open_faults(root: Path = ROOT) -> list[str]:
    """Return what the snapshot's changes since the release still need."""
    released = read(root, RELEASED)
    return faults(
        changes(released["interface"], read(root, SNAPSHOT)),
        released=released["version"],
        version=declared(root),
        changelog=(root / "CHANGELOG.md").read_text(encoding="utf-8"),
    )


def declared(root: Path) -> str:
    """Return the version of pyproject.toml."""
    return str(tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"])


def main(arguments: Sequence[str], root: Path = ROOT) -> int:
    """Renew the snapshot, and say what its changes need; return the exit code."""
    if arguments:
        sys.stdout.write("expected no arguments\n")
        return 2
    try:
        left = open_faults(root)
        released = read(root, RELEASED)
        if declared(root) != released["version"] and not left:
            # That version's interface is settled: from now on changes are counted from it.
            write(root, RELEASED, {"version": declared(root), "interface": read(root, SNAPSHOT)})
        write(root, SNAPSHOT, interface(root))
        write(root, JOB_INPUTS, job_inputs(root))
        left = open_faults(root)
    except ReleaseError as why:
        left = [str(why)]
    sys.stdout.write("".join(f"{one}\n" for one in left or [f"{SNAPSHOT} is up to date"]))
    return 1 if left else 0


def write(root: Path, name: str, document: Any) -> None:
    """Write a JSON file of the repository."""
    text = json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False)
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_text(f"{text}\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
