"""Every package, artifact, tag and dist-tag of a family."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flotilla.errors import InputError, RegistryError
from flotilla.family import Config, Family, parse_config, render_manifest, unpinned_told

FREE = [
    "@acme/ffmpeg-darwin-arm64",
    "@acme/ffmpeg-darwin-x64",
    "@acme/ffmpeg-linux-arm64",
    "@acme/ffmpeg-linux-x64",
    "@acme/ffmpeg-linux-x64-musl",
]
NON_FREE = [f"{name}-non-free" for name in FREE]


def test_the_example_has_thirteen_packages_platform_by_platform_then_dev_then_metas(family: Family) -> None:
    pairs = [name for pair in zip(FREE, NON_FREE, strict=True) for name in pair]
    assert [package.name for package in family.packages] == [
        *pairs, "@acme/ffmpeg-dev", "@acme/ffmpeg", "@acme/ffmpeg-non-free",
    ]  # fmt: skip
    assert [package.kind for package in family.packages] == ["platform"] * 10 + ["dev"] + ["meta"] * 2
    assert {package.version for package in family.packages} == {"1.2.0"}


def test_four_platforms_make_eleven_packages(example: str) -> None:
    four = "\n".join(line for line in example.splitlines() if "linux-x64-musl" not in line)
    assert len(Family(parse_config(four), "1.0.0").packages) == 11


def test_a_meta_package_pins_the_platform_packages_of_its_variant(family: Family) -> None:
    assert [list(meta.depends_on) for meta in family.metas] == [FREE, NON_FREE]
    assert all((meta.artifact, meta.platform) == (None, None) for meta in family.metas)


def test_each_platform_and_variant_needs_one_artifact_by_cis_name(family: Family) -> None:
    assert [need.artifact for need in family.artifacts] == [
        f"ffmpeg-{build}-{variant}"
        for build in ("darwin-arm64", "darwin-x64", "linux-arm64", "linux-x64", "linuxmusl-x64")
        for variant in ("free", "non-free")
    ]
    assert [package.artifact for package in family.packages[:10]] == [need.artifact for need in family.artifacts]


def test_templates_are_folders_beside_flotilla_yml(family: Family) -> None:
    assert [package.template for package in family.packages[8:]] == [
        "npm/linux-x64-musl",
        "npm/linux-x64-musl-non-free",
        "npm/dev",
        "npm/meta",
        "npm/meta-non-free",
    ]


def test_the_dev_package_takes_the_artifact_of_the_platform_and_variant_it_names(example: str) -> None:
    other = example.replace("{platform: darwin-arm64, variant: free}", "{platform: linux-x64-musl, variant: non-free}")
    (dev,) = Family(parse_config(other), "1.0.0").devs
    assert (dev.artifact, dev.files) == ("ffmpeg-linuxmusl-x64-non-free", ("include/**",))


@pytest.mark.parametrize("root", [".", "./"])
def test_a_template_may_be_the_repositorys_root(small: str, root: str) -> None:
    (meta,) = Family(parse_config(f"{small}packages: {{meta: {{template: {root}}}}}\n"), "1.0.0").metas
    assert meta.template == "."


SEVERAL = """\
packages:
  dev:
    - {name: "{family}-dev", files: ["include/**"]}
    - {name: "{family}-cpp", from: {platform: darwin-arm64}, files: ["{build}/cpp/**"], executables: ["x/*"]}
    - {name: "{family}-docs", artifact: "docs-{version}", archive: "*.zip"}
"""


def test_a_family_may_have_several_dev_packages(small: str) -> None:
    family = Family(parse_config(small + SEVERAL), "1.0.0")
    found = [(dev.name, dev.artifact, dev.archive and dev.archive.pattern, dev.files) for dev in family.devs]
    assert found == [
        ("@acme/tool-dev", "tool-linux-x64", None, ("include/**",)),
        ("@acme/tool-cpp", "tool-darwin-arm64", None, ("darwin-arm64/cpp/**",)),
        ("@acme/tool-docs", "docs-1.0.0", "*.zip", ()),
    ]
    assert [need.artifact for need in family.artifacts] == ["tool-linux-x64", "tool-darwin-arm64", "docs-1.0.0"]
    assert [package.kind for package in family.packages] == ["platform", "platform", "dev", "dev", "dev", "meta"]


@pytest.mark.parametrize(
    ("right", "wrong", "place"),
    [
        ("{family}-cpp", "{family}-dev", "8:14"),
        ("{family}-cpp", "{family}-{platform}", "8:14"),
        ("{family}-cpp", "{family}-Cpp", "8:14"),
        ('name: "{family}-cpp", ', "", "8:7"),
        ("darwin-arm64", "darwin-x64", "8:47"),
        ("{build}/cpp", "{biuld}/cpp", "8:70"),
        ('"x/*"', '"../x"', "8:103"),
        ("docs-{version}", "docs/{version}", "9:41"),
        ("archive", "archvie", "9:59"),
    ],
)
def test_a_fault_of_one_of_several_dev_packages_has_its_place(
    small: str, faults: Callable[[str], list[str]], right: str, wrong: str, place: str
) -> None:
    (fault,) = faults(small + SEVERAL.replace(right, wrong, 1))
    assert fault.startswith(f"flotilla.yml:{place}: "), fault


def test_an_empty_list_of_dev_packages_is_refused(small: str, faults: Callable[[str], list[str]]) -> None:
    (fault,) = faults(small + "packages: {dev: []}\n")
    assert fault.startswith("flotilla.yml:5:17: packages.dev must not be empty")


@pytest.mark.parametrize(
    ("own", "version", "found"),
    [
        ("1.0.3", "2.0.0-rc.1", "1.0.3"),
        ("{version}", "1.0.0", "1.0.0"),
        ("{version}-r.1", "1.0.0-rc.1", "1.0.0-rc.1-r.1"),
    ],
)
def test_an_extra_package_may_have_a_version_of_its_own(small: str, own: str, version: str, found: str) -> None:
    extra = f'packages: {{dev: [{{version: "{own}"}}, {{name: x}}], meta: {{version: "{own}"}}}}\n'
    family = Family(parse_config(small + extra), version)
    assert [package.version for package in family.packages] == [version, version, found, version, found]
    (meta,) = family.metas
    made = render_manifest(meta, {"version": "0.0.0", "x": "{version}"}, repository=None, file="package.json")
    assert (made["version"], made["x"]) == (found, version)
    assert made["optionalDependencies"] == dict.fromkeys(meta.depends_on, version)


def test_a_workspace_range_of_an_extra_package_is_of_its_own_version(small: str) -> None:
    (meta,) = Family(parse_config(small + 'packages: {dev: {version: "0.1.0"}}\n'), "1.0.0").metas
    made = render_manifest(meta, {"dependencies": {"@acme/tool-dev": "workspace:^"}}, repository=None, file="x")
    assert made["dependencies"] == {"@acme/tool-dev": "^0.1.0"}


def test_a_version_of_its_own_that_only_this_version_spoils_is_refused(small: str) -> None:
    config = parse_config(small + 'packages: {dev: {version: "{version}.1"}}\n'.replace("{version}.1", "{version}-a"))
    assert Family(config, "1.0.0").devs
    with pytest.raises(InputError, match="256"):
        Family(config, "1.0.0-" + "a" * 250)


def test_every_placeholder_has_its_value(family: Family) -> None:
    assert dict(family.of_platform("linux-x64-musl")[1].placeholders) == {
        "family": "@acme/ffmpeg",
        "scope": "@acme",
        "name": "ffmpeg",
        "platform": "linux-x64-musl",
        "os": "linux",
        "cpu": "x64",
        "libc": "musl",
        "build": "linuxmusl-x64",
        "exe": "",
        "variant": "non-free",
        "suffix": "-non-free",
        "license": "GPL-2.0-or-later",
        "version": "1.2.0",
        "tag": "v1.2.0",
    }


def test_an_unscoped_family_without_variants_has_plain_names(small: str) -> None:
    family = Family(parse_config(small.replace("@acme/tool", "tool")), "2.0.0")
    assert [package.name for package in family.packages] == ["tool-linux-x64", "tool-darwin-arm64", "tool"]
    assert family.metas[0].placeholders["scope"] == ""
    assert family.devs == ()


def test_a_family_may_have_no_meta_package(small: str) -> None:
    family = Family(
        parse_config(small.replace("linux-x64,", "wasm32,") + "packages: {meta: false, dev: {}}\n"), "2.0.0"
    )
    assert [package.kind for package in family.packages] == ["platform", "platform", "dev"]
    assert family.metas == ()
    assert not family.config.warnings
    assert not unpinned_told(family.packages)


def test_the_packages_of_a_platform_are_those_of_its_variants(family: Family) -> None:
    names = [package.name for package in family.of_platform("darwin-arm64")]
    assert names == ["@acme/ffmpeg-darwin-arm64", "@acme/ffmpeg-darwin-arm64-non-free"]


def test_an_unknown_platform_is_refused_with_the_nearest_one(family: Family) -> None:
    with pytest.raises(InputError) as refused:
        family.of_platform("darwin-arm46")
    assert {"darwin-arm46", "darwin-arm64"} <= set(re.findall(r'"(.*?)"', refused.value.faults[0].text))
    assert ", ".join(platform.name for platform in family.config.platforms) in refused.value.advice


def test_all_platforms_are_those_of_the_file_in_its_order(family: Family) -> None:
    names = [platform.name for platform in family.config.platforms]
    assert family.of_platform("all") == family.of_platform(*names)
    assert [package.kind for package in family.of_platform("all")] == ["platform"] * 2 * len(names)


def test_a_platform_that_is_named_all_is_that_platform(small: str) -> None:
    renamed = small.replace("darwin-arm64", "{name: all, os: darwin, cpu: arm64}")
    assert [package.name for package in Family(parse_config(renamed), "2.0.0").of_platform("all")] == ["@acme/tool-all"]


def test_every_unknown_and_doubled_platform_of_a_list_is_named(family: Family) -> None:
    with pytest.raises(InputError) as refused:
        family.of_platform("darwin-arm64", "darwin-arm46", "darwin-arm64", "all")
    unknown, every, doubled = (fault.text for fault in refused.value.faults)
    assert {"darwin-arm46", "darwin-arm64"} <= set(re.findall(r'"(.*?)"', unknown))
    assert '"all"' in every
    assert '"darwin-arm64" is named 2 times' in doubled


def test_a_leading_v_is_dropped_from_the_version_and_the_tag_follows_its_template(config: Config) -> None:
    family = Family(config, "v1.2.0-beta.2")
    assert (family.version, family.tag) == ("1.2.0-beta.2", "v1.2.0-beta.2")
    assert (family.prerelease, family.default_dist_tag) == (True, "beta")


def test_a_stable_version_goes_to_latest(family: Family) -> None:
    assert (family.prerelease, family.default_dist_tag) == (False, "latest")


def test_a_bad_version_is_refused(config: Config) -> None:
    with pytest.raises(InputError, match="too few numbers"):
        Family(config, "1.2")


@pytest.mark.parametrize(
    ("version", "latest", "below"),
    [
        ("1.2.0", "1.2.0", False),
        ("1.2.0", "1.10.0", True),
        ("1.10.0", "1.9.9", False),
        ("2.0.0-beta.1", "2.0.0", True),
        ("2.0.0-beta.10", "2.0.0-beta.9", False),
        ("1.2.0", "1.2.0+build", False),
    ],
)
def test_below_follows_semantic_versioning(config: Config, version: str, latest: str, below: bool) -> None:  # noqa: FBT001
    assert Family(config, version).below(latest) is below


def test_a_latest_that_is_no_version_is_the_registrys_fault(family: Family) -> None:
    with pytest.raises(RegistryError, match='latest version is "newest", which is not'):
        family.below("newest")


def test_a_name_that_only_this_version_spoils_is_refused(example: str) -> None:
    config = parse_config(example.replace('"{family}-dev"', '"{family}-dev-{version}"'))
    assert Family(config, "1.0.0-rc.1").devs
    with pytest.raises(InputError, match="npm does not allow capital letters"):
        Family(config, "1.0.0-RC.1")


def test_a_tag_that_only_this_version_spoils_is_refused(config: Config) -> None:
    with pytest.raises(InputError, match=r"no part of a tag may end with \.lock"):
        Family(config, "1.0.0-a.lock")


def test_the_notes_are_a_file_named_for_the_version_or_none(example: str, family: Family) -> None:
    assert family.notes is None
    config = parse_config(example.replace("notes: generate", 'notes: "./notes/{version}.md"'))
    assert Family(config, "1.2.0").notes == "notes/1.2.0.md"


NAMES = st.from_regex(r"[a-z][a-z0-9]{0,5}", fullmatch=True)


@given(
    st.lists(st.sampled_from(["linux-x64", "linux-x64-musl", "darwin-arm64", "win32-x64"]), min_size=1, unique=True),
    st.lists(NAMES, min_size=1, max_size=4, unique=True),
)
def test_whatever_is_taken_has_names_and_artifacts_of_its_own(platforms: list[str], variants: list[str]) -> None:
    listed = ", ".join(f"{{name: '{name}'}}" for name in variants)
    family = Family(
        parse_config(
            f"schema: 1\nfamily: '@acme/x'\nplatforms: [{', '.join(platforms)}]\nvariants: [{listed}]\n"
            "ci: {workflow: ci.yml, artifact: '{build}-{variant}'}\npackages: {dev: {name: '{family}_dev'}}\n"
        ),
        "1.0.0",
    )
    names = [package.name for package in family.packages]
    assert len(set(names)) == len(names) == len(platforms) * len(variants) + 1 + len(variants)
    assert len({need.artifact for need in family.artifacts}) == len(platforms) * len(variants)
    assert sorted(name for meta in family.metas for name in meta.depends_on) == sorted(
        package.name for package in family.packages if package.kind == "platform"
    )


def test_a_family_is_computed_from_its_config_alone(config: Config) -> None:
    assert Family(config, "1.2.0").packages == Family(replace(config), "1.2.0").packages
