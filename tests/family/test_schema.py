"""The JSON schema that editors read."""

from __future__ import annotations

import dataclasses
import re
import subprocess
import sysconfig
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from flotilla.commands.init import OWNER, SCHEMA
from flotilla.family import model
from flotilla.family.schema import TRANSLATIONS, schema
from flotilla.family.yaml import core_schema

ROOT = Path(__file__).parents[2]
STRUCTURE = {
    "properties",
    "items",
    "if",
    "then",
    "else",
    "$ref",
    "$schema",
    "$defs",
    "title",
    "description",
    "examples",
}
# Where the model has another name for a key, or none: it holds what the family is made of, not only what the file says.
SECTIONS: Mapping[str, type] = {
    "platforms[]": model.Platform,
    "variants[]": model.Variant,
    "ci": model.Ci,
    "packages": model.PackagesSpec,
    "packages.platform": model.PackageSpec,
    "packages.dev": model.DevSpec,
    "packages.meta": model.PackageSpec,
    "packages.platform.files[]": model.Placed,
    "packages.meta.launcher": model.Launcher,
    "release": model.ReleaseSpec,
    "publish": model.PublishSpec,
    "limits": model.Limits,
}
RENAMED = {
    "source": "from", "from_platform": "from", "from_variant": "from", "package_size": "size-limit-mb",
    "extracted_bytes": "extracted-mb",
}  # fmt: skip
NO_KEYS = {
    "packages.platform": {"key", "artifact", "archive", "version", "launcher"},
    "packages.dev": {"key", "launcher"},
    "packages.meta": {"key", "executables"},
}
NO_FIELDS = {"packages.meta.launcher": {"library"}}


def parts(part: object) -> Iterator[Mapping[str, object]]:
    if isinstance(part, Mapping):
        yield part
        for inner in part.values():
            yield from parts(inner)


def test_the_schema_is_a_schema() -> None:
    Draft202012Validator.check_schema(schema())


def test_every_key_has_a_description_for_the_editor() -> None:
    keys = [
        (key, inner)
        for part in parts(schema())
        if isinstance(properties := part.get("properties"), Mapping)
        for key, inner in properties.items()
        if isinstance(inner, Mapping)
    ]
    assert len(keys) > 30
    assert not [key for key, inner in keys if not str(inner.get("description", "")).endswith((".", '".'))]


def keys(part: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield each key of flotilla.yml by its path, and what the schema says of it."""
    if "$ref" in part:
        definitions: Any = schema()["$defs"]
        part = definitions[part["$ref"].rpartition("/")[2]]
    for branch in {"then", "else"} & part.keys():
        yield from keys(part[branch], path)
    if "items" in part and part["items"] != {"$ref": "#/$defs/dev"}:
        yield from keys(part["items"], f"{path}[]")
    for name, inner in part.get("properties", {}).items():
        key = f"{path}.{name}".removeprefix(".")
        yield key, inner
        yield from keys(inner, key)


KEYS = dict(keys(schema()))


@pytest.mark.parametrize("section", SECTIONS)
def test_the_schema_has_the_keys_of_the_model_and_no_others(section: str) -> None:
    fields = {field.name for field in dataclasses.fields(SECTIONS[section])} - NO_KEYS.get(section, set())
    said = {key.removeprefix(f"{section}.") for key in KEYS if key.rpartition(".")[0] == section}
    wanted = {RENAMED.get(name, name.replace("_", "-")) for name in fields} | NO_FIELDS.get(section, set())
    assert said == wanted


def test_every_key_that_takes_a_value_has_an_example_and_each_example_fits() -> None:
    plain = {"boolean", "object"}
    values = {key: part for key, part in KEYS.items() if "enum" not in part and part.get("type") not in plain}
    assert [key for key, part in values.items() if "examples" not in part and ("type" in part or "$ref" in part)] == []
    for key, part in KEYS.items():
        validator = Draft202012Validator({**part, "$defs": schema()["$defs"]})
        assert [error.message for one in part.get("examples", []) for error in validator.iter_errors(one)] == [], key


def test_no_mapping_takes_a_key_that_nobody_knows() -> None:
    assert not [
        part for part in parts(schema()) if "properties" in part and part.get("additionalProperties") is not False
    ]


def test_every_rule_of_the_schema_is_translated_into_words() -> None:
    rules = {
        rule
        for part in parts(schema())
        if "type" in part or "enum" in part or "const" in part
        for rule in part
        if not isinstance(part[rule], Mapping) or rule == "dependentRequired"
    }
    assert not rules - TRANSLATIONS.keys() - STRUCTURE - {"patternErrorMessage"}


def test_every_pattern_says_what_it_wants() -> None:
    patterned = [part for part in parts(schema()) if isinstance(part.get("pattern"), str)]
    assert patterned
    assert all("patternErrorMessage" in part for part in patterned)


def test_an_editor_that_reads_yaml_1_2_agrees_on_the_example(example: str) -> None:
    assert not list(Draft202012Validator(schema()).iter_errors(yaml.safe_load(example)))


def test_the_page_on_editors_names_the_schema_that_init_names() -> None:
    page = (ROOT / "docs/editor.md").read_text(encoding="utf-8")
    address = SCHEMA.format(flotilla=OWNER, version="1.2.3")
    assert re.sub(r"/v\d+\.\d+\.\d+/", "/v1.2.3/", page).count(address) == 2
    assert (ROOT / address.partition("/v1.2.3/")[2]).is_file()


@pytest.mark.slow
def test_the_validator_that_the_page_on_editors_names_finds_nothing_in_the_example() -> None:
    command = ["check-jsonschema", "--schemafile", "lib/flotilla/family/flotilla.schema.json", "flotilla.yml"]
    assert " ".join(command) in (ROOT / "docs/editor.md").read_text(encoding="utf-8")
    program = Path(sysconfig.get_path("scripts")) / command[0]
    done = subprocess.run([program, *command[1:3], "examples/chroma/flotilla.yml"], cwd=ROOT, check=False, timeout=60)
    assert done.returncode == 0


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None), ("~", None), ("null", None), ("true", True), ("FALSE", False), ("yes", "yes"), ("on", "on"),
        ("n", "n"), ("12", 12), ("-3", -3), ("2.28", 2.28), (".5", 0.5), ("1e3", 1000.0), ("1_000", "1_000"),
        ("1:30", "1:30"), ("2024-01-01", "2024-01-01"), ("0x1f", "0x1f"), (".nan", ".nan"), ("<<", "<<"),
    ],
)  # fmt: skip
def test_unquoted_scalars_are_what_yaml_1_2_takes_them_for(text: str, value: object) -> None:
    assert core_schema(text) == value
    assert type(core_schema(text)) is type(value)
