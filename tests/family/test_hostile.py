"""A flotilla.yml from a stranger: refused in words, soon, whatever it holds."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from flotilla.errors import ConfigError, FlotillaError
from flotilla.family import Family, parse_config

BOMB = "a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\n"


def refusal(text: str) -> str:
    with pytest.raises(ConfigError) as refused:
        parse_config(text)
    return str(refused.value.faults[0])


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (BOMB, "flotilla.yml:1:4: anchors (&name) are not supported"),
        ("a: *b\n", "flotilla.yml:1:4: aliases (*name) are not supported"),
        ("a: !!python/object/apply:os.system [id]\n", "flotilla.yml:1:4: tags (!name) are not supported"),
        ("!!map {}\n", "flotilla.yml:1:1: tags (!name) are not supported"),
        ("a: " + "x" * 10_000_000, "flotilla.yml: it is larger than 256 KiB"),
        ("[" * 200_000, "flotilla.yml:1:17: it is nested more than 16 deep"),
        ("- " * 50_000, "flotilla.yml:1:33: it is nested more than 16 deep"),
        ("{a: " * 50_000, "flotilla.yml:1:62: it is nested more than 16 deep"),
        ("? " * 50_000, "it is nested more than 16 deep"),
        ("[" + "a," * 100_000 + "]", "it has more than 20000 values"),
        ('a: "\\U00110000"', "flotilla.yml:1:7: this escape is not a character"),
        ("a: \x00", 'flotilla.yml:1:4: it contains the character "\\x00"'),
        ("a: b\n\ud800: c", "flotilla.yml:2:1: it contains the character"),
        ("%YAML 9.9\n---\na: b", "flotilla.yml:1:1: it is not YAML: found incompatible YAML document"),
        ("%TAG ! tag:x,2000:\n---\na: !b c", "tags (!name) are not supported"),
    ],
)
def test_a_bomb_or_a_trick_is_refused_with_its_place(text: str, says: str) -> None:
    assert says in refusal(text)


def test_ten_thousand_faults_are_cut_to_a_hundred() -> None:
    with pytest.raises(ConfigError) as refused:
        parse_config("".join(f"key{number}: 1\n" for number in range(9_000)))
    assert len(refused.value.faults) == 101
    assert "more faults" in refused.value.faults[-1].text


@pytest.mark.parametrize("character", ["\\n", "\\r", "\\0", "\\e", "\\x85", "\\u2028", "\\u202e", "\\ud800"])
def test_no_name_path_or_pattern_can_carry_a_character_that_forges_a_line(small: str, character: str) -> None:
    with pytest.raises(ConfigError) as refused:
        parse_config(small.replace("tool-{build}", f"tool-{{build}}{character}::error::forged"))
    assert "another character that cannot be printed" in str(refused.value)
    assert all(str(fault).isprintable() for fault in refused.value.faults)


@pytest.mark.parametrize(
    "path",
    ["../npm", "npm/../../x", "/etc", "~/npm", "C:/npm", "npm\\\\..\\\\x", ".git", "npm/.GIT/x", "npm/.."],
)
def test_a_template_cannot_leave_the_repository(small: str, path: str) -> None:
    with pytest.raises(ConfigError):
        parse_config(f'{small}packages: {{meta: {{template: "{path}"}}}}\n')


def test_a_build_name_cannot_lead_a_template_out_of_the_repository(small: str) -> None:
    text = small.replace("linux-x64", "{name: linux-x64, build: ..}")
    assert "leaves the repository" in refusal(text + 'packages: {platform: {template: "npm/../{build}"}}\n')
    assert "leaves the repository" in refusal(text + 'packages: {platform: {template: "npm/{build}/{build}"}}\n')


def test_text_of_a_stranger_is_shown_escaped_and_cut() -> None:
    fault = refusal('"' + "x" * 5_000 + '\\u202e": 1\nschema: 1\nfamily: "@acme/x"\n')
    assert len(fault) < 500
    assert fault.isprintable()


PIECES = st.sampled_from(
    ["schema: 1", "family: ", '"@acme/x"', "platforms:", "linux-x64", "- ", "\n", "  ", "{", "}", "[", "]", ":", ": ",
     ",", "variants:", "name: ", "ci:", "workflow: ci.yml", "artifact: ", '"{build}"', "packages:", "dev:", "from:",
     "release:", "tag: ", "null", "true", "1e999", "-1", "&a ", "*a", "!t ", "|\n", ">\n", "'", '"', "#", "---\n", "? ",
     "\t", "\\", "é"]
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.text(max_size=200), st.lists(PIECES, max_size=40).map("".join)))
def test_any_text_gives_a_config_or_a_config_error(text: str) -> None:
    try:
        parse_config(text)
    except ConfigError as error:
        places = [fault.place for fault in error.faults]
    else:
        return
    assert places
    assert all(place is not None and place.file == "flotilla.yml" for place in places)


VALUES = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(), st.sampled_from(["free", "linux-x64", "{suffix}", ""])
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(["name", "os", "from"]), inner)
    ),
    max_leaves=6,
)
PATHS = st.sampled_from(
    [("schema",), ("family",), ("platforms",), ("variants",), ("ci",), ("packages",), ("release",), ("publish",),
     ("limits",), ("ci", "archive"), ("packages", "dev"), ("packages", "dev", "from"), ("release", "assets")]
)  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(PATHS, VALUES)
def test_any_value_in_any_place_gives_a_config_or_a_config_error(path: tuple[str, ...], value: object) -> None:
    document: dict[str, object] = {
        "schema": 1,
        "family": "@acme/tool",
        "platforms": ["linux-x64", "darwin-arm64"],
        "ci": {"workflow": "ci.yml", "artifact": "{build}"},
        "packages": {"dev": {"from": {}}},
        "release": {},
    }
    part = document
    for key in path[:-1]:
        inner = part[key]
        assert isinstance(inner, dict)
        part = inner
    part[path[-1]] = value
    try:
        config = parse_config(yaml.safe_dump(document))
    except ConfigError:
        return
    try:
        assert Family(config, "1.0.0").packages
    except FlotillaError as error:
        pytest.fail(f"parse_config took what Family refuses: {error}")
