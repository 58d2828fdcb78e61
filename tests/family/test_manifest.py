"""The package.json of each package."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flotilla.errors import ConfigError
from flotilla.family import Family, Package, parse_config, render_manifest, repository_url

FILE = "npm/x/package.json"
REPOSITORY = repository_url("https://github.com", "acme/ffmpeg")
SET = {"type": "git", "url": "git+https://github.com/acme/ffmpeg.git"}


def manifest(package: Package, template: dict[str, object] | None = None) -> dict[str, object]:
    return render_manifest(package, template, repository=REPOSITORY, file=FILE)


def refusal(package: Package, template: dict[str, object]) -> list[str]:
    with pytest.raises(ConfigError) as refused:
        manifest(package, template)
    return [str(fault).removeprefix(f"{FILE}: ") for fault in refused.value.faults]


@pytest.fixture
def musl(family: Family) -> Package:
    return family.of_platform("linux-x64-musl")[0]


@pytest.fixture
def meta(family: Family) -> Package:
    return family.metas[0]


@pytest.fixture
def plain(small: str) -> Package:
    """A platform package of a family without variants, licence or libc."""
    return Family(parse_config(small), "1.2.0").of_platform("linux-x64")[0]


def test_a_platform_package_without_template_gets_a_whole_manifest(musl: Package) -> None:
    assert list(manifest(musl).items()) == [
        ("name", "@acme/ffmpeg-linux-x64-musl"),
        ("version", "1.2.0"),
        ("description", "The binaries of @acme/ffmpeg (free) for linux-x64-musl"),
        ("license", "LGPL-2.1-or-later"),
        ("repository", SET),
        ("os", ["linux"]),
        ("cpu", ["x64"]),
        ("libc", ["musl"]),
    ]


def test_a_meta_package_without_template_pins_its_platforms_exactly(meta: Package) -> None:
    made = manifest(meta)
    assert made["optionalDependencies"] == dict.fromkeys(meta.depends_on, "1.2.0")
    assert not {"os", "cpu", "libc"} & made.keys()


def test_the_dev_package_is_for_every_platform(family: Family) -> None:
    (dev,) = family.devs
    assert list(manifest(dev)) == ["name", "version", "description", "license", "repository"]


def test_without_licence_libc_or_repository_nothing_is_made_up(plain: Package) -> None:
    made = render_manifest(plain, None, repository=None, file=FILE)
    assert list(made) == ["name", "version", "description", "os", "cpu"]


@pytest.mark.parametrize("platform", ["wasm32-wasi", "{name: wasm32-wasi, pin: true}", "{name: browser, cpu: wasm32}"])
@pytest.mark.parametrize("template", [None, {"cpu": ["wasm32"]}, {"cpu": "wasm32", "main": "acme.wasm"}])
def test_webassembly_names_no_os_and_no_cpu_because_no_machine_has_it(
    small: str, platform: str, template: dict[str, object] | None
) -> None:
    family = Family(parse_config(small.replace("linux-x64", platform)), "1.0.0")
    made = manifest(family.packages[0], template)
    assert not {"os", "cpu", "libc"} & made.keys()


def test_a_template_of_webassembly_with_another_cpu_is_refused(small: str) -> None:
    (wasm,) = Family(parse_config(small.replace("linux-x64", "wasm32-wasi")), "1.0.0").of_platform("wasm32-wasi")
    assert len(refusal(wasm, {"cpu": ["x64"]})) == 1


def test_wasm32_beside_another_cpu_stays_in_the_manifest(small: str) -> None:
    both = small.replace("linux-x64", "{name: any, os: linux, cpu: [wasm32, x64]}")
    assert manifest(Family(parse_config(both), "1.0.0").packages[0])["cpu"] == ["wasm32", "x64"]


def test_webassembly_is_not_pinned_unless_flotilla_yml_says_so(small: str) -> None:
    def pins(platforms: str) -> list[str]:
        (only,) = Family(parse_config(small.replace("[linux-x64, darwin-arm64]", platforms)), "1.0.0").metas
        optional = manifest(only).get("optionalDependencies", {})
        assert isinstance(optional, dict)
        return list(optional)

    assert pins("[linux-x64, wasm32-wasi]") == ["@acme/tool-linux-x64"]
    assert pins("[linux-x64, {name: wasm32-wasi, pin: true}]") == ["@acme/tool-linux-x64", "@acme/tool-wasm32-wasi"]
    assert pins("[{name: linux-x64, pin: false}, darwin-x64]") == ["@acme/tool-darwin-x64"]
    assert pins("[wasm32]") == []


def test_the_templates_key_order_and_other_fields_survive(musl: Package) -> None:
    template: dict[str, object] = {
        "$comment": 1,
        "version": "0.0.0",
        "os": ["linux"],
        "scripts": {"postinstall": "node x.js"},
        "publishConfig": {"access": "public"},
        "name": "{scope}/{name}-{platform}",
        "engines": {"node": ">=18"},
        "empty": None,
        "deep": [1, True, 2.5, {"z": "{version}", "a": []}],
    }
    made = manifest(musl, template)
    assert list(made) == [*template, "license", "repository", "cpu", "libc"]
    assert made | {"version": "0.0.0", "name": 0, "deep": 0} == template | {
        "name": 0, "deep": 0, "license": "LGPL-2.1-or-later", "repository": SET, "cpu": ["x64"], "libc": ["musl"],
    }  # fmt: skip
    assert (made["name"], made["version"]) == ("@acme/ffmpeg-linux-x64-musl", "1.2.0")
    assert made["deep"] == [1, True, 2.5, {"z": "1.2.0", "a": []}]


def test_the_template_itself_is_not_changed(musl: Package) -> None:
    template: dict[str, object] = {"deep": {"of": ["{platform}"]}}
    manifest(musl, template)
    assert template == {"deep": {"of": ["{platform}"]}}


@pytest.mark.parametrize(
    ("template", "order"),
    [
        ({"type": "module"}, ["name", "version", "type"]),
        ({"type": "module", "version": "0"}, ["name", "type", "version"]),
        ({"type": "module", "name": "{family}-linux-x64"}, ["type", "name", "version"]),
    ],
)
def test_name_and_version_go_first_where_the_template_lacks_them(
    plain: Package, template: dict[str, object], order: list[str]
) -> None:
    assert list(manifest(plain, template))[: len(order)] == order


def test_placeholders_are_rendered_in_values_once_and_never_in_keys(musl: Package) -> None:
    made = manifest(musl, {"{platform}": "{build}/{name}@{version} {unknown} { name } {{name}}"})
    assert made["{platform}"] == "linuxmusl-x64/ffmpeg@1.2.0 {unknown} { name } {ffmpeg}"


def test_a_placeholder_that_has_no_value_in_this_package_is_left_alone(meta: Package) -> None:
    assert manifest(meta, {"binary": "{platform}-{arch}"})["binary"] == "{platform}-{arch}"


@pytest.mark.parametrize(
    "given",
    ["acme/other", "git+https://github.com/acme/other.git", {"type": "git", "url": "https://github.com/acme/other"}],
)
def test_a_repository_of_the_template_stays(musl: Package, given: object) -> None:
    assert manifest(musl, {"repository": given})["repository"] == given


@pytest.mark.parametrize("given", [None, "", {}])
def test_an_empty_repository_is_none(musl: Package, given: object) -> None:
    assert manifest(musl, {"repository": given})["repository"] == SET


def test_a_repository_that_only_names_a_folder_keeps_it(musl: Package) -> None:
    made = manifest(musl, {"repository": {"type": "git", "directory": "npm/x"}})
    assert made["repository"] == SET | {"directory": "npm/x"}


def test_other_optional_dependencies_of_a_meta_are_kept_before_the_pins(meta: Package) -> None:
    pinned = meta.depends_on[2]
    made = manifest(meta, {"optionalDependencies": {"fsevents": "^2.3.0", pinned: "{version}"}})
    optional = made["optionalDependencies"]
    assert isinstance(optional, dict)
    assert list(optional) == ["fsevents", pinned, *(name for name in meta.depends_on if name != pinned)]
    assert optional["fsevents"] == "^2.3.0"


@pytest.mark.parametrize(
    "template",
    [
        {"name": "@acme/ffmpeg-linux-x64-musl"},
        {"name": "{family}-{platform}{suffix}", "license": "{license}", "version": "{version}"},
        {"os": ["linux"], "cpu": "x64", "libc": ["musl"]},
    ],
)
def test_a_template_that_says_the_same_is_fine(musl: Package, template: dict[str, object]) -> None:
    assert manifest(musl, template)["libc"] == ["musl"]


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ({"name": "ffmpeg"}, 'name is "ffmpeg", but flotilla.yml makes it "@acme/ffmpeg-linux-x64-musl".'),
        ({"license": "MIT"}, 'license is "MIT", but flotilla.yml makes it "LGPL-2.1-or-later".'),
        ({"os": ["darwin"]}, 'os is ["darwin"], but flotilla.yml gives the platform ["linux"].'),
        ({"cpu": ["x64", "arm64"]}, 'cpu is ["x64", "arm64"], but flotilla.yml gives the platform ["x64"].'),
        ({"libc": []}, 'libc is [], but flotilla.yml gives the platform ["musl"].'),
        ({"private": True}, "private is set, and npm publishes no private package; take it out."),
        ({"tag": "beta"}, 'the key "tag" would change the dist-tag behind the back of every flag; take it out.'),
        ({"repositories": []}, 'npm replaces repository by the first of the key "repositories"; take it out.'),
        ({"dependencies": ["x"]}, "dependencies must be an object of names and versions."),
        (
            {"dependencies": {"x": "workspace:*"}},
            'dependencies has "x" as "workspace:*", which nobody could install; give a version.',
        ),
        (
            {"peerDependencies": {"x": "file:../x"}},
            'peerDependencies has "x" as "file:../x", which nobody could install; give a version.',
        ),
        (
            {"optionalDependencies": {"x": 1}},
            'optionalDependencies has "x" as 1, which nobody could install; give a version.',
        ),
    ],
)
def test_a_template_that_says_otherwise_or_cannot_be_published_is_refused(
    musl: Package, template: dict[str, object], said: str
) -> None:
    assert refusal(musl, template) == [said]


def test_a_pin_of_another_version_is_refused_and_not_overwritten(meta: Package) -> None:
    assert refusal(meta, {"optionalDependencies": {meta.depends_on[0]: "1.1.0"}}) == [
        'optionalDependencies pins "@acme/ffmpeg-darwin-arm64" to "1.1.0"; this release pins 1.2.0.'
    ]


def test_a_libc_that_flotilla_yml_does_not_give_is_refused(plain: Package) -> None:
    assert refusal(plain, {"libc": ["glibc"]}) == ['libc is ["glibc"], but flotilla.yml gives the platform none.']


def test_a_licence_that_has_no_value_is_refused(plain: Package) -> None:
    assert refusal(plain, {"license": "{license}"}) == [
        "license is {license}, which has no value: flotilla.yml gives none."
    ]


def test_a_meta_may_say_for_itself_where_it_runs(meta: Package) -> None:
    assert manifest(meta, {"os": ["darwin", "linux"]})["os"] == ["darwin", "linux"]


def test_all_faults_are_said_at_once_with_the_templates_file(musl: Package) -> None:
    with pytest.raises(ConfigError) as refused:
        manifest(musl, {"name": "x", "license": "MIT", "private": True})
    assert [fault.place and fault.place.file for fault in refused.value.faults] == [FILE] * 3
    assert refused.value.advice.startswith(f"Correct {FILE}: ")


def test_a_manifest_nested_too_deep_is_refused(musl: Package) -> None:
    deep: dict[str, object] = {}
    for _level in range(5_000):
        deep = {"x": deep}
    assert refusal(musl, deep) == ["it is nested more than 100 deep."]


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(), st.sampled_from(["{platform}", "{version}", "{x}"])),
    lambda inner: st.one_of(st.lists(inner), st.dictionaries(st.text(), inner)),
    max_leaves=10,
)


@given(st.dictionaries(st.sampled_from(["main", "exports", "scripts", "keywords", "x", "{name}"]), JSON))
def test_rendering_is_idempotent_and_keeps_every_key(template: dict[str, object]) -> None:
    text = "schema: 1\nfamily: '@acme/x'\nplatforms: [linux-x64]\nci: {workflow: ci.yml, artifact: '{build}'}\n"
    package = Family(parse_config(text), "1.0.0").packages[0]
    once = manifest(package, template)
    assert manifest(package, once) == once
    assert list(manifest(package, once)) == list(once)
    assert [key for key in once if key in template] == list(template)
    assert json.loads(json.dumps(once)) == once
