"""Each action.yml and the inputs that its job reads are the same, defaults included."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest
import yaml

from flotilla.__main__ import JOBS
from flotilla.errors import ConfigError
from flotilla.family import parse_config
from flotilla.family.schema import INPUTS
from flotilla.jobs.inputs import Inputs, Phase, Provenance, read_inputs, variable

ROOT = Path(__file__).resolve().parents[2]
each_job = pytest.mark.parametrize("job", JOBS)
# Asked for by GitHub itself, in the action's name.
OF_THE_RUNNER = {"github-token"}


def declared(job: str) -> dict[str, dict[str, Any]]:
    folder = ROOT if job == "release-family" else ROOT / f"action-{job}"
    document = yaml.safe_load((folder / "action.yml").read_text(encoding="utf-8"))
    inputs: dict[str, dict[str, Any]] = document["inputs"]
    return inputs


def read(kind: type[Inputs]) -> dict[str, dataclasses.Field[Any]]:
    return {one.name.replace("_", "-"): one for one in dataclasses.fields(kind)}


@each_job
def test_an_action_declares_the_inputs_that_its_job_reads(job: str) -> None:
    assert set(declared(job)) == set(read(JOBS[job][0]))


@each_job
def test_an_input_is_required_where_the_job_has_no_default(job: str) -> None:
    required = {name for name, one in read(JOBS[job][0]).items() if one.default is dataclasses.MISSING}
    assert {name for name, one in declared(job).items() if one.get("required")} == required


@each_job
def test_the_defaults_of_an_action_mean_the_defaults_of_its_job(job: str) -> None:
    kind = JOBS[job][0]
    given = {"version": "1.2.3", "platform": "linux-x64", "run-id": "7"}
    required = {name: given[name] for name, one in declared(job).items() if one.get("required")}
    stated = {name: one["default"] for name, one in declared(job).items() if "default" in one}
    by_action = {variable(name): value for name, value in {**stated, **required}.items() if name not in OF_THE_RUNNER}
    by_nothing = {variable(name): value for name, value in required.items()}
    assert read_inputs(kind, by_action) == read_inputs(kind, by_nothing)


@each_job
def test_an_action_says_the_words_that_an_input_takes(job: str) -> None:
    kinds = get_type_hints(JOBS[job][0])
    for name, one in declared(job).items():
        kind = kinds[name.replace("-", "_")]
        words = get_args(Phase) if kind == Phase else get_args(Provenance) if name == "provenance" else ()
        words = ("true",) if kind is bool else words
        for word in words:
            assert f"`{word}`" in one["description"], (name, word)


@each_job
def test_no_option_of_the_command_line_is_a_token(job: str) -> None:
    shown = {name for name, one in read(JOBS[job][0]).items() if one.repr}
    assert {name for name in read(JOBS[job][0]) if "token" in name} == {"github-token", "npm-token"}
    assert not {name for name in shown if "token" in name}


def test_an_input_in_flotilla_yml_is_known_for_one_unless_a_key_has_its_name() -> None:
    inputs = {name for job in JOBS for name in declared(job)}
    assert inputs >= INPUTS
    document = 'schema: 1\nfamily: "@acme/tool"\nplatforms: [linux-x64]\nci: {workflow: ci.yml, artifact: a}\n'
    for name in inputs - {"packages"}:
        with pytest.raises(ConfigError) as refused:
            parse_config(f"{document}{name}: x\n")
        assert re.search("it is an input|it belongs in|did you mean", str(refused.value)), name
