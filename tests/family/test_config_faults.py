"""Each fault of a flotilla.yml, as its writer reads it: line, column, what is wrong and the nearest right word."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from flotilla.errors import ConfigError
from flotilla.family import parse_config

Faults = Callable[[str], list[str]]

FAMILY = 'family: "@acme/ffmpeg"'
SECOND = "  - darwin-x64\n"
THIRD = "  - linux-arm64\n"
NON_FREE = "name: non-free, suffix: -non-free"
ARTIFACT = '{build}-{variant}"'
ARCHIVE = 'archive: "*.tar.gz" '
STRIP = "strip-components: 1"
NAME = '"{family}-{platform}{suffix}"'
SOURCE = "{platform: darwin-arm64, variant: free}"
TAG = '"v{version}"'
NOTES = "notes: generate"
PAUSE = "pause-seconds: 5"

# What the example says, what a hand wrote instead, and all that is then said.
ONE_FAULT = [
    ("schema: 1\n", "schema: 2\n", '1:9: schema is "2"; this flotilla reads format 1 only.'),
    (FAMILY, "family:", "2:8: family is empty; it takes text."),
    (FAMILY, "family: 7", '2:9: family is a number to YAML, and text is needed; put it in quotes: "7".'),
    (FAMILY, 'family: "@Acme/x"', '2:9: the package name "@Acme/x": npm takes no capital letters.'),
    (FAMILY, "family: acme/x", '2:9: the package name "acme/x" has a slash and no scope; write @scope/name.'),
    (FAMILY, "family: zlib", '2:9: the package name "zlib": that name belongs to node itself.'),
    (
        FAMILY,
        "family: @acme/ffmpeg",
        (
            "2:9: it is not YAML: found character '@' that cannot start any token. "
            'Put quotes around a value that begins with "@".'
        ),
    ),
    (FAMILY, f"{FAMILY}\nfamily: x", '3:1: the key "family" is here twice; the first one is in line 2.'),
    (FAMILY, f"{FAMILY}\nlimit: {{}}", '3:1: the key "limit" is unknown in the file; did you mean "limits"?'),
    (FAMILY, f"{FAMILY}\nworkflow: x", '3:1: the key "workflow" is unknown in the file; it belongs in ci.'),
    (
        SECOND,
        "  - linux-x64-mussl\n",
        (
            '6:5: the platform "linux-x64-mussl": "mussl" is no libc; did you mean "musl"? '
            "In npm's words: linux-x64-musl."
        ),
    ),
    (
        SECOND,
        "  - darwin-x64-gnu\n",
        '6:5: the platform "darwin-x64-gnu": -gnu belongs to linux only; leave it out. In npm\'s words: darwin-x64.',
    ),
    (SECOND, "  - darwin\n", '6:5: the platform "darwin" is not <os>-<cpu>[-<libc>] in npm\'s words.'),
    (
        SECOND,
        "  - darwin-arm64\n",
        '6:5: the platform "darwin-arm64" is here twice, in line 5 already; each needs its own.',
    ),
    (
        SECOND,
        "  - 64\n",
        '6:5: platforms[1] is a number to YAML, and text is needed; put it in quotes: "64".',
    ),
    (
        SECOND,
        "  - {name: darwin-x64, os: macos}\n",
        '6:28: os is macos, but the name "darwin-x64" says darwin; change one of them.',
    ),
    (
        SECOND,
        "  - {name: mine, cpu: x64}\n",
        '6:12: the platform "mine" is not <os>-<cpu>[-<libc>] in npm\'s words. Or give os and cpu beside it.',
    ),
    (
        SECOND,
        "  - {name: darwin-x64, cpu: arm64}\n",
        '6:29: cpu is arm64, but the name "darwin-x64" says x64; change one of them.',
    ),
    (SECOND, "  - {name: x, os: [linux, linux], cpu: x64}\n", '6:19: os has "linux" twice.'),
    (
        SECOND,
        "  - {name: darwin-x64, cpu: []}\n",
        "6:29: platforms[1].cpu must not be empty; leave it out, or list something.",
    ),
    (
        SECOND,
        "  - {name: darwin-x64, libc: musl}\n",
        "6:24: npm knows a libc on linux only; leave it out.",
    ),
    (
        SECOND,
        '  - {name: darwin-x64, glibc: "2.28"}\n',
        "6:24: a glibc version means something only for linux with glibc; leave it out.",
    ),
    (
        THIRD,
        '  - {name: linux-arm64-musl, glibc: "2.28"}\n',
        "7:30: a glibc version means something only for linux with glibc; leave it out.",
    ),
    (
        THIRD,
        "  - {name: linux-arm64, glibc: 2.30}\n",
        '7:32: platforms[2].glibc is a number to YAML, and text is needed; put it in quotes: "2.30".',
    ),
    (
        THIRD,
        '  - {name: linux-arm64, glibc: "2"}\n',
        '7:32: platforms[2].glibc "2" is no glibc version; write one such as "2.28", in quotes.',
    ),
    (
        SECOND,
        "  - {name: darwin-x64, buidl: x}\n",
        '6:24: the key "buidl" is unknown in platforms[1]; did you mean "build"?',
    ),
    (
        SECOND,
        "  - {name: darwin-x64, build: a/b}\n",
        (
            '6:31: platforms[1].build "a/b" is part of artifacts\' names, which '
            'may not hold / \\ : * ? " < > | nor braces.'
        ),
    ),
    (
        SECOND,
        "  - {name: darwin-x64, build: linux-x64}\n",
        (
            '19:13: 2 artifacts would be named "ffmpeg-linux-x64-free": darwin-x64 free, linux-x64 free; each platform '
            "needs its own: look at platforms[].build. (And 1 more like it.)"
        ),
    ),
    (NON_FREE, "name: free", '15:5: the variant "free" is here twice, in line 14 already; each needs its own.'),
    (
        NON_FREE,
        "name: non-free, suffix: ''",
        '15:5: the suffix "" is here twice, in line 14 already; each needs its own.',
    ),
    (NON_FREE, "suffix: -x", '15:5: variants[1] lacks the key "name". What the family calls the variant.'),
    (
        NON_FREE,
        "name: true",
        '15:12: variants[1].name is a boolean to YAML, and text is needed; put it in quotes: "true".',
    ),
    ("license: LGPL-2.1-or-later", "license: ''", "14:27: variants[0].license must not be empty."),
    (
        "license: LGPL-2.1-or-later",
        "licence: MIT",
        '14:18: the key "licence" is unknown in variants[0]; did you mean "license"?',
    ),
    (
        "workflow: ci.yml",
        "workflow: .github/workflows/ci.yml",
        (
            '18:13: ci.workflow ".github/workflows/ci.yml" is not the bare file name of a workflow; write its name in '
            ".github/workflows, such as ci.yml."
        ),
    ),
    (ARTIFACT, '{biuld}-{variant}"', '19:13: the placeholder {biuld} is unknown; did you mean "build"?'),
    (
        ARTIFACT,
        '{build}"',
        (
            '19:13: 2 artifacts would be named "ffmpeg-darwin-arm64": darwin-arm64 free, darwin-arm64 non-free; '
            "each variant needs its own: add {variant}. (And 4 more like it.)"
        ),
    ),
    (
        ARTIFACT,
        '{build}/{variant}"',
        '19:13: the artifact name "ffmpeg-darwin-arm64/free": GitHub takes no / in it.',
    ),
    (
        ARTIFACT,
        '{build-{variant}"',
        "19:13: a brace stands alone; placeholders are written {like-this}, without spaces.",
    ),
    (
        ARCHIVE,
        "archive: *.tar.gz ",
        (
            "20:13: it is not YAML: expected alphabetic or numeric character, but found '.'. "
            'Put quotes around a value that begins with "*".'
        ),
    ),
    (
        ARCHIVE,
        'archive: "x-{version}.zip" ',
        '20:12: placeholders are not read in patterns; write * for {version} in "x-{version}.zip".',
    ),
    (ARCHIVE, "#", '21:3: ci has "strip-components" but no "archive", without which it means nothing.'),
    (STRIP, "strip-components: -1", '21:21: ci.strip-components is "-1", and must be 0 or more.'),
    (STRIP, "strip-components: 1.5", '21:21: ci.strip-components must be a whole number, and is "1.5".'),
    (
        STRIP,
        "strip_components: 1",
        '21:3: the key "strip_components" is unknown in ci; did you mean "strip-components"?',
    ),
    (
        STRIP,
        "pull-requests: yes",
        '21:18: ci.pull-requests must be true or false (YAML 1.2 knows no other booleans), and is "yes".',
    ),
    (
        NAME,
        '"{family}-{platform}"',
        (
            '25:11: 2 packages would be named "@acme/ffmpeg-darwin-arm64": darwin-arm64 free, darwin-arm64 non-free; '
            "each variant needs its own: add {suffix}. (And 4 more like it.)"
        ),
    ),
    (
        NAME,
        '"{family}-x{suffix}"',
        (
            '25:11: 5 packages would be named "@acme/ffmpeg-x": darwin-arm64 free, darwin-x64 free, linux-arm64 free, '
            "linux-x64 free, …; each platform needs its own: add {platform}. (And 1 more like it.)"
        ),
    ),
    (
        NAME,
        "{family}-{platform}{suffix}",
        (
            "25:19: it is not YAML: expected <block end>, but found '<scalar>'. "
            'Put quotes around a value that begins with "{".'
        ),
    ),
    (
        "npm/{platform}{suffix}",
        "/npm/{platform}",
        (
            '26:15: "/npm/{platform}" is not inside the repository; write it relative to flotilla.yml, without a '
            "leading / or drive."
        ),
    ),
    ("npm/{platform}{suffix}", "../npm", '26:15: "../npm" leaves the repository; take .. out.'),
    ('"versions.json"', '"../x"', '28:23: "../x" leaves the repository; take .. out.'),
    ('["bin/*"]', "bin/*", '29:18: packages.platform.executables must be a list, and is "bin/*".'),
    (
        SOURCE,
        "{platform: darwin-arm46}",
        '34:22: the family has no platform "darwin-arm46"; did you mean "darwin-arm64"?',
    ),
    (SOURCE, "{variant: fre}", '34:21: the family has no variant "fre"; did you mean "free"?'),
    (SOURCE, "darwin-x64", '34:11: packages.dev.from must be a mapping (key: value), and is "darwin-x64".'),
    (
        '"{family}-dev"',
        '"{family}"',
        (
            '37:11: 2 packages would be named "@acme/ffmpeg": the dev package free, the meta package free; '
            "give one of them another name."
        ),
    ),
    (
        '"{family}{suffix}"',
        '"{family}{platform}"',
        (
            "37:11: the placeholder {platform} has no value here; there are {family}, {scope}, {name}, {variant}, "
            "{suffix}, {license}, {version}, {tag}."
        ),
    ),
    (
        '"npm/meta{suffix}"',
        '"npm/meta{suffix}"\n    files: [x]',
        '39:5: the key "files" is unknown in packages.meta; known are name, template.',
    ),
    (TAG, "v1", "41:8: the tag needs {version}, or all versions would have the same."),
    (TAG, '"v {version}"', '41:8: the tag "v 1.0.0": git takes no " " in a tag.'),
    (TAG, '"{version}.lock"', '41:8: the tag "1.0.0.lock": no part of a tag may end with .lock.'),
    (
        TAG,
        '"{tag}-{version}"',
        "41:8: the placeholder {tag} has no value here; there are {family}, {scope}, {name}, {version}.",
    ),
    (NOTES, "notes: ../notes.md", '43:10: "../notes.md" leaves the repository; take .. out.'),
    (NOTES, "notes: a\\b.md", '43:10: "a\\b.md" has a backslash; write /.'),
    ("access: public", "access: publik", '45:11: publish.access says "publik"; did you mean "public"?'),
    (PAUSE, "pause-seconds: -5", '46:18: publish.pause-seconds is "-5", and must be 0 or more.'),
    (PAUSE, "pause-seconds: 5s", '46:18: publish.pause-seconds must be a number, and is "5s".'),
    (PAUSE, "pause-seconds: .nan", '46:18: publish.pause-seconds must be a number, and is ".nan".'),
    (PAUSE, "pause-seconds: 1e999", '46:18: publish.pause-seconds is "1e999", and must be 3600 or less.'),
    (PAUSE, "pause: 5", '46:3: the key "pause" is unknown in publish; did you mean "pause-seconds"?'),
    (PAUSE, "provenance: on", '46:15: publish.provenance says "on"; known are auto, true, false.'),
    (PAUSE, "dist-tag: v1", '46:13: the dist-tag "v1" reads as a version, and npm refuses it; add a word: release-v1.'),
    (PAUSE, "size-limit-mb: 0", '46:18: publish.size-limit-mb is "0", and must be more than 0.'),
]


@pytest.mark.parametrize(
    ("right", "wrong", "said"), ONE_FAULT, ids=[wrong.strip() or right for right, wrong, _ in ONE_FAULT]
)
def test_one_fault_is_said_once_with_line_column_and_the_right_word(
    example: str, faults: Faults, right: str, wrong: str, said: str
) -> None:
    assert right in example
    assert faults(example.replace(right, wrong, 1)) == [f"flotilla.yml:{said}"]


def test_faults_of_every_section_are_said_at_once_in_the_files_order(faults: Faults) -> None:
    text = """\
schema: 1
family: "@acme/tool"
platforms: [linux-x64, macos]
variants:
  - {name: free, licence: MIT}
ci:
  workflow: CI
  artifact: "{biuld}"
packages:
  dev: {from: {platfrom: linux-x64}}
release:
  tag: "v 1"
publish:
  pause-seconds: -1
limts: {}
"""
    assert [fault.removeprefix("flotilla.yml:").split(": ")[0] for fault in faults(text)] == [
        "3:24", "5:18", "7:13", "8:13", "10:16", "12:8", "12:8", "14:18", "15:1",
    ]  # fmt: skip


def test_a_fault_in_one_section_hides_none_that_comes_of_putting_the_others_together(faults: Faults) -> None:
    text = """\
schema: 1
family: acme
platforms: [linux-x64, linux-arm64]
variants: [{name: a}, {name: b, license: MIT}]
ci: {workflow: ci.yml, artifact: "x-{build}"}
packages:
  platform: {name: "{family}-{platform}", template: "npm/{license}"}
  dev: {name: "{family}", from: {platform: linux-arm}}
release: {notes: ../x}
publish: {access: restricted}
"""
    assert [fault.removeprefix("flotilla.yml:")[:30] for fault in faults(text)] == [
        "4:12: 2 packages would be name",
        "5:34: 2 artifacts would be nam",
        "7:20: 2 packages would be name",
        "7:53: {license} has no value: ",
        "8:44: the family has no platfo",
        '9:18: "../x" leaves the reposi',
        "10:19: npm restricts scoped pa",
    ]  # fmt: skip


def test_missing_keys_are_said_with_what_they_are_for(faults: Faults) -> None:
    said = faults("platforms: [linux-x64]\nci: {}\n")
    assert [fault.split(". ")[0] for fault in said] == [
        'flotilla.yml:1:1: the file lacks the key "schema"',
        'flotilla.yml:1:1: the file lacks the key "family"',
        'flotilla.yml:2:5: ci lacks the key "workflow"',
        'flotilla.yml:2:5: ci lacks the key "artifact"',
    ]
    assert said[2].endswith("The file name of the CI workflow, without its folder: ci.yml.")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "1:1: the file is empty."),
        ("# nothing but a comment\n", "1:1: the file is empty."),
        ("- a\n- b\n", "1:1: the file is not a mapping of keys (schema, family, platforms, ci)."),
        ("\n\nflotilla\n", "3:1: the file is not a mapping of keys (schema, family, platforms, ci)."),
        ("schema: 1\n\tfamily: x\n", "2:1: a tab cannot indent YAML; use spaces."),
        ("schema: 1\n---\nschema: 1\n", "2:1: a second document begins here; flotilla.yml is one document."),
        ("schema: 1\nfamily: a: b\n", "2:10: it is not YAML: mapping values are not allowed here."),
        ('family: "@acme/x\n', "2:1: the quote that opens in line 1 is never closed."),
        ("ci: {\n", "2:1: it is not YAML: expected the node content, but found '<stream end>'."),
        (
            'schema: 1\nfamily: "@acme/x\nci:\n  artifact: "x-{build}"\n',
            (
                "4:14: this does not fit what began in line 1; look for a quote that is missing above, and for an "
                "indentation that differs from its neighbours'."
            ),
        ),
    ],
)
def test_what_is_no_flotilla_yml_at_all_is_one_fault(faults: Faults, text: str, said: str) -> None:
    assert faults(text) == [f"flotilla.yml:{said}"]


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
    assert faults(text) == ['flotilla.yml:4:5: the package name "tool-Mac": npm takes no capital letters.']


@pytest.mark.parametrize(
    ("more", "place", "said"),
    [
        (
            'ci: {workflow: c.yml, artifact: "{build}"}\npackages: {platform: {name: "{family}-{build}-{variant}"}}',
            *("7:29", "{variant} has no value: the family has no variants. Take it out, with the hyphen beside it."),
        ),
        (
            'ci: {workflow: c.yml, artifact: "x-{build}"}\npackages: {platform: {name: "{family}-{os}-{cpu}-{libc}"}}',
            *("7:29", '{libc} has no value for the platform "linux-x64", which leaves an empty part in the name. '),
        ),
        (
            'ci: {workflow: c.yml, artifact: "x-{build}"}\nstaged: true',
            *("7:1", 'the key "staged" is unknown in the file; it is an input of the actions, given under `with:`'),
        ),
        (
            'ci: {workflow: c.yml, artifact: "x-{build}-{variant}"}\nvariants: [{name: a}, {name: NonFree}]',
            *(
                "7:23",
                'the package name "@acme/x-linux-x64-NonFree": npm takes no capital letters. (And 1 more like it.)',
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
    assert said.endswith("Give the variant a `suffix` in small letters.")
