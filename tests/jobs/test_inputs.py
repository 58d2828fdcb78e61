from __future__ import annotations

import pytest

from flotilla.errors import InputError
from flotilla.jobs.inputs import PlatformInputs, PublishInputs, ReleaseInputs, read_inputs


def test_hyphens_stay_in_the_variables_names() -> None:
    given = {"INPUT_VERSION": "1.2.3", "INPUT_PLATFORM": "linux-x64", "INPUT_RUN-ID": "7", "INPUT_DRY-RUN": "true"}
    inputs = read_inputs(PlatformInputs, given)
    assert (inputs.version, inputs.platform, inputs.run_id, inputs.dry_run) == ("1.2.3", ("linux-x64",), 7, True)


def test_an_empty_input_counts_as_not_given() -> None:
    given = {"INPUT_VERSION": "1.2.3", "INPUT_CONFIG": "", "INPUT_RUN-ID": " ", "INPUT_PHASE": ""}
    inputs = read_inputs(ReleaseInputs, given)
    assert (inputs.config, inputs.run_id, inputs.phase) == ("flotilla.yml", None, "all")


def test_every_fault_is_said_at_once() -> None:
    with pytest.raises(InputError) as told:
        read_inputs(PlatformInputs, {"INPUT_RUN-ID": "x", "INPUT_STAGED": "yes", "INPUT_PROVENANCE": "ture"})
    named = [fault.text.split()[1] for fault in told.value.faults]
    assert named == ["version", "provenance", "staged", "platform", "run-id"]


@pytest.mark.parametrize(
    ("given", "names"),
    [
        ("all", ("all",)),
        ('["linux-x64"]', ("linux-x64",)),
        ('\n["linux-x64", " win32-x64 "]', ("linux-x64", "win32-x64")),
    ],
)
def test_a_platform_is_a_name_or_a_json_array_of_names(given: str, names: tuple[str, ...]) -> None:
    inputs = {"INPUT_VERSION": "1.2.3", "INPUT_PLATFORM": given, "INPUT_RUN-ID": "7"}
    assert read_inputs(PlatformInputs, inputs).platform == names


@pytest.mark.parametrize("given", ["[", "[]", "[7]", '[""]', '["linux-x64"', '[["linux-x64"]]', "[" * 100_000])
def test_a_list_of_platforms_that_is_none_is_refused(given: str) -> None:
    with pytest.raises(InputError, match=r"input platform .*JSON array"):
        read_inputs(PlatformInputs, {"INPUT_VERSION": "1.2.3", "INPUT_PLATFORM": given, "INPUT_RUN-ID": "7"})


@pytest.mark.parametrize("given", ["-1", "nan", "inf", "1e9", "five"])
def test_a_pause_is_a_bounded_number_of_seconds(given: str) -> None:
    with pytest.raises(InputError, match="expected a number of 0 or more"):
        read_inputs(PublishInputs, {"INPUT_VERSION": "1.2.3", "INPUT_PAUSE-SECONDS": given})


@pytest.mark.parametrize("given", ["abc", "A" * 40, "0" * 39, "0" * 40 + "\n0"])
def test_a_commit_is_a_full_hash(given: str) -> None:
    with pytest.raises(InputError, match="full commit hash"):
        read_inputs(ReleaseInputs, {"INPUT_VERSION": "1.2.3", "INPUT_COMMIT": given})


def test_the_tokens_are_not_in_the_inputs_text() -> None:
    given = {"INPUT_VERSION": "1.2.3", "INPUT_NPM-TOKEN": "canary-1", "INPUT_GITHUB-TOKEN": "canary-2"}
    inputs = read_inputs(PublishInputs, given)
    assert inputs.npm_token == "canary-1"  # noqa: S105 - a canary
    assert "canary" not in repr(inputs)
