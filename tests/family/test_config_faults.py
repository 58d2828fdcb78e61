"""Each fault of a flotilla.yml, as its writer reads it: line, column, what is wrong and the nearest right word."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tests.family.slips import ALL_SECTIONS, MISSING_KEYS, NOT_A_FAMILY, ONE_FAULT, PUT_TOGETHER

from flotilla.errors import ConfigError
from flotilla.family import parse_config

Faults = Callable[[str], list[str]]


@pytest.mark.parametrize(
    ("right", "wrong", "place"), ONE_FAULT, ids=[wrong.strip() or right for right, wrong, _ in ONE_FAULT]
)
def test_one_fault_is_said_once_with_line_and_column(
    example: str, faults: Faults, right: str, wrong: str, place: str
) -> None:
    assert right in example
    (said,) = faults(example.replace(right, wrong, 1))
    assert said.startswith(f"flotilla.yml:{place}: ")


def test_faults_of_every_section_are_said_at_once_in_the_files_order(faults: Faults) -> None:
    assert [fault.removeprefix("flotilla.yml:").split(": ")[0] for fault in faults(ALL_SECTIONS)] == [
        "3:24", "5:18", "7:13", "8:13", "10:16", "12:8", "12:8", "14:18", "15:1",
    ]  # fmt: skip


def test_a_fault_in_one_section_hides_none_that_comes_of_putting_the_others_together(faults: Faults) -> None:
    assert [fault.removeprefix("flotilla.yml:").split(": ")[0] for fault in faults(PUT_TOGETHER)] == [
        "4:12",
        "5:34",
        "7:20",
        "7:53",
        "8:44",
        "9:18",
        "10:19",
    ]  # fmt: skip


def test_missing_keys_are_said_with_what_they_are_for(faults: Faults) -> None:
    said = faults(MISSING_KEYS)
    assert [fault.split(". ")[0] for fault in said] == [
        'flotilla.yml:1:1: the file lacks the key "schema"',
        'flotilla.yml:1:1: the file lacks the key "family"',
        'flotilla.yml:2:5: ci lacks the key "workflow"',
        'flotilla.yml:2:5: ci lacks the key "artifact"',
    ]
    assert said[2].endswith("The file name of the CI workflow, without its folder: ci.yml.")


@pytest.mark.parametrize(("text", "place"), NOT_A_FAMILY)
def test_what_is_no_flotilla_yml_at_all_is_one_fault(faults: Faults, text: str, place: str) -> None:
    (said,) = faults(text)
    assert said.startswith(f"flotilla.yml:{place}: ")


def test_a_key_that_is_a_list_or_mapping_is_said(faults: Faults, small: str) -> None:
    said = faults(small + "? [a]\n: b\n")
    assert "flotilla.yml:5:3: a list or mapping cannot be a key" in said[0]


def test_the_places_name_the_file_that_was_given(small: str) -> None:
    with pytest.raises(ConfigError) as refused:
        parse_config(small + "x: 1\n", file="release/flotilla.yml")
    assert str(refused.value).startswith("release/flotilla.yml:5:1: ")
    assert "Correct release/flotilla.yml" in refused.value.advice


def test_a_name_that_comes_of_defaults_is_placed_at_what_it_is_made_of(faults: Faults) -> None:
    text = """\
schema: 1
family: tool
platforms:
  - {name: Mac, os: darwin, cpu: x64}
ci: {workflow: a.yml, artifact: "{build}"}
"""
    assert faults(text) == ['flotilla.yml:4:5: the package name "tool-Mac": npm does not allow capital letters.']


@pytest.mark.parametrize(
    ("more", "place", "said"),
    [
        (
            'ci: {workflow: c.yml, artifact: "{build}"}\npackages: {platform: {name: "{family}-{build}-{variant}"}}',
            *("7:29", "{variant} has no value: the family has no variants. Remove it, with the hyphen beside it."),
        ),
        (
            'ci: {workflow: c.yml, artifact: "x-{build}"}\npackages: {platform: {name: "{family}-{os}-{cpu}-{libc}"}}',
            *("7:29", '{libc} has no value for the platform "linux-x64", which leaves an empty part in the name. '),
        ),
        (
            'ci: {workflow: c.yml, artifact: "x-{build}"}\nstaged: true',
            *("7:1", 'the key "staged" is unknown in the file; it is an input of the actions; set it under `with:`'),
        ),
        (
            'ci: {workflow: c.yml, artifact: "x-{build}-{variant}"}\nvariants: [{name: a}, {name: NonFree}]',
            *(
                "7:23",
                (
                    'the package name "@acme/x-linux-x64-NonFree": npm does not allow capital letters. '
                    "(The same is wrong with 1 more.)"
                ),
            ),
        ),
    ],
)
def test_a_slip_that_would_stand_in_names_for_good_is_told(faults: Faults, more: str, place: str, said: str) -> None:
    text = f'schema: 1\nfamily: "@acme/x"\nplatforms:\n  - linux-x64\n  - darwin-arm64\n{more}\n'
    first, *_others = faults(text)
    assert first.startswith(f"flotilla.yml:{place}: {said}")


@pytest.mark.parametrize("name", ["{family}-{os}{libc}-{cpu}", "{family}-{platform}{variant}"])
def test_what_leaves_no_gap_in_a_name_may_be_empty_and_ci_names_its_artifacts_as_it_likes(name: str) -> None:
    text = "schema: 1\nfamily: x\nplatforms: [linux-x64, darwin-x64]\n"
    spec = f'packages: {{platform: {{name: "{name}", template: "./npm/{{os}}-{{cpu}}-{{libc}}"}}}}'
    parsed = parse_config(f'{text}ci: {{workflow: c.yml, artifact: "x-{{build}}-{{variant}}"}}\n{spec}')
    assert parsed.packages.platform.name == name


def test_a_variant_with_a_capital_is_told_what_it_needs(faults: Faults) -> None:
    text = "schema: 1\nfamily: x\nplatforms: [linux-x64]\nvariants: [{name: a}, {name: GPL}]\n"
    (said, *_others) = faults(f'{text}ci: {{workflow: c.yml, artifact: "x-{{variant}}"}}')
    assert said.endswith("Give the variant a `suffix` in lower case.")
