"""The package.json of each package."""

from __future__ import annotations

import json
from dataclasses import replace

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
    """Return a platform package of a family without variants, licence or libc."""
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
        ({"name": "ffmpeg"}, 'name is "ffmpeg", but flotilla.yml sets it to "@acme/ffmpeg-linux-x64-musl".'),
        ({"license": "MIT"}, 'license is "MIT", but flotilla.yml sets it to "LGPL-2.1-or-later".'),
        ({"os": ["darwin"]}, 'os is ["darwin"], but the platform\'s in flotilla.yml is ["linux"].'),
        ({"cpu": ["x64", "arm64"]}, 'cpu is ["x64", "arm64"], but the platform\'s in flotilla.yml is ["x64"].'),
        ({"libc": []}, 'libc is [], but the platform\'s in flotilla.yml is ["musl"].'),
        ({"private": True}, "private is set, but npm does not publish private packages; remove it."),
        ({"tag": "beta"}, 'the key "tag" would override the dist-tag; remove it.'),
        ({"repositories": []}, 'the key "repositories" would override repository; remove it.'),
        ({"dependencies": ["x"]}, "dependencies must be an object of names and versions."),
        (
            {"optionalDependencies": {"x": 1}},
            'optionalDependencies has "x" as 1, which is not text; write a range of versions in quotes.',
        ),
    ],
)
def test_a_template_that_says_otherwise_or_cannot_be_published_is_refused(
    musl: Package, template: dict[str, object], said: str
) -> None:
    assert refusal(musl, template) == [said]


@pytest.mark.parametrize("spec", ["1.1.0", "^1.0.0", "*", "{version}", "workspace:*", "npm:x@1", "file:../x", 1, None])
def test_a_pin_of_a_package_of_the_family_is_overwritten_as_the_version_is(meta: Package, spec: object) -> None:
    made = manifest(meta, {"version": "1.1.0", "optionalDependencies": {meta.depends_on[0]: spec}})
    assert made["optionalDependencies"] == dict.fromkeys(meta.depends_on, "1.2.0")


def test_a_pin_of_any_package_of_the_family_is_of_this_version(meta: Package) -> None:
    made = manifest(
        meta, {"optionalDependencies": {"@acme/ffmpeg-linux-x64-non-free": "1.0.0", "@acme/ffmpeg-dev": "1"}}
    )
    optional = made["optionalDependencies"]
    assert isinstance(optional, dict)
    assert set(optional.values()) == {"1.2.0"}


@pytest.mark.parametrize(
    "left_over",
    [
        *("@acme/ffmpeg-win32-x64", "@acme/ffmpeg-linux-x64-gnu", "@acme/ffmpeg-freebsd-x64-non-free"),
        *("@acme/ffmpeg-linuxmusl-arm64", "@acme/ffmpeg-darwin-universal", "@acme/ffmpeg-wasm32-wasi"),
    ],
)
def test_a_pin_of_a_platform_that_the_family_does_not_have_is_refused(meta: Package, left_over: str) -> None:
    """What npm cannot install it skips: a left-over pin reaches users in silence."""
    (said,) = refusal(meta, {"optionalDependencies": {left_over: "1.2.0"}})
    assert f'"{left_over}"' in said


@pytest.mark.parametrize(
    "other",
    [
        *("fsevents", "@acme/ffmpeg-utils", "@acme/ffmpeg-linux", "@acme/other-win32-x64", "@other/ffmpeg-win32-x64"),
        *("@acme/ffmpeg-win32-x64-helper", "@acme/ffmpeg", "@acme/" + "x" * 300),
    ],
)
def test_an_optional_dependency_that_is_no_platforms_package_stays(meta: Package, other: str) -> None:
    made = manifest(meta, {"optionalDependencies": {other: "^2.0.0"}})["optionalDependencies"]
    assert isinstance(made, dict)
    assert made[other] == ("1.2.0" if other == "@acme/ffmpeg" else "^2.0.0")


def test_a_left_over_pin_is_found_under_any_name_that_platform_packages_have(small: str) -> None:
    def left_over(name: str, pin: str) -> bool:
        (only,) = Family(parse_config(f"{small}packages: {{platform: {{name: '{name}'}}}}\n"), "1.0.0").metas
        try:
            manifest(only, {"optionalDependencies": {pin: "1.0.0"}})
        except ConfigError:
            return True
        return False

    assert left_over("@{name}/{platform}", "@tool/win32-x64")
    assert not left_over("@{name}/{platform}", "@tool/plugin-x64")
    assert left_over("{family}-{cpu}-{os}", "@acme/tool-x64-win32")
    assert left_over("{family}-{build}", "@acme/tool-x86_64-unknown-linux-gnu")


def test_a_left_over_pin_names_its_line(meta: Package) -> None:
    template = {
        "name": "{family}",
        "devDependencies": {"x": "1"},
        "optionalDependencies": {"x": "1", "{family}-win32-x64": "1"},
    }
    with pytest.raises(ConfigError) as refused:
        render_manifest(meta, template, repository=None, file=FILE, text=json.dumps(template, indent=2))
    assert [fault.place and fault.place.line for fault in refused.value.faults] == [8]


@pytest.mark.parametrize("key", ["bundleDependencies", "bundledDependencies"])
@pytest.mark.parametrize("bundled", [["left-pad"], True])
def test_a_root_that_bundles_its_dependencies_is_refused_at_its_line(meta: Package, key: str, bundled: object) -> None:
    """Npm packs them from node_modules, which is never packed here: users would get a package without them."""
    root, template = replace(meta, template="."), {"name": "{family}", key: bundled}
    with pytest.raises(ConfigError) as refused:
        render_manifest(root, template, repository=None, file=FILE, text=json.dumps(template, indent=2))
    (fault,) = refused.value.faults
    assert (key in str(fault), fault.place and fault.place.line) == (True, 3)
    assert manifest(root, {key: False})[key] is False
    assert manifest(root, {key: []})[key] == []


FIELDS = ("dependencies", "optionalDependencies", "peerDependencies", "devDependencies")


@pytest.mark.parametrize("field", FIELDS)
def test_placeholders_stand_in_the_names_of_dependencies(meta: Package, field: str) -> None:
    made = manifest(meta, {field: {"{family}-{license}": "1", "z": "{version}", "{scope}/a": "2"}, "x": {"{name}": 1}})
    named = made[field]
    assert isinstance(named, dict)
    own = {} if field != "optionalDependencies" else dict.fromkeys(meta.depends_on, "1.2.0")
    assert list(named.items()) == [
        *(("@acme/ffmpeg-LGPL-2.1-or-later", "1"), ("z", "1.2.0"), ("@acme/a", "2")),
        *own.items(),
    ]
    assert made["x"] == {"{name}": 1}


def test_a_name_that_a_package_has_no_value_for_or_that_is_there_twice_is_refused(meta: Package) -> None:
    said = refusal(meta, {"dependencies": {"x-{platform}": "1", "{family}-a": "1", "@acme/ffmpeg-a": "1"}})
    assert len(said) == 2
    assert "{platform}" in said[0]
    assert '"@acme/ffmpeg-a" twice' in said[1]


@pytest.mark.parametrize(
    ("spec", "resolved"),
    [
        *(("workspace:*", "1.2.0"), ("workspace:^", "^1.2.0"), ("workspace:~", "~1.2.0"), ("workspace:1.1.0", "1.1.0")),
        *(("workspace:^1.0.0", "^1.0.0"), ("workspace:>=1 <3", ">=1 <3"), ("^1.0.0", "^1.0.0"), ("next", "next")),
    ],
)
@pytest.mark.parametrize("field", ["dependencies", "peerDependencies", "devDependencies"])
def test_a_workspace_range_of_the_family_is_what_pnpm_makes_of_it(
    meta: Package, musl: Package, field: str, spec: str, resolved: str
) -> None:
    for package in (meta, musl):
        assert manifest(package, {field: {"@acme/ffmpeg-dev": spec}})[field] == {"@acme/ffmpeg-dev": resolved}


def test_a_workspace_range_under_another_name_is_npms_alias(meta: Package) -> None:
    made = manifest(meta, {"dependencies": {"headers": "workspace:@acme/ffmpeg-dev@^"}})
    assert made["dependencies"] == {"headers": "npm:@acme/ffmpeg-dev@^1.2.0"}


@pytest.mark.parametrize(
    "spec",
    ["workspace:*", "workspace:^1", "workspace:x@*", "workspace:../x", "catalog:", "catalog:x", "link:x", "patch:x"],
)
@pytest.mark.parametrize("field", FIELDS)
def test_what_only_the_repository_can_install_is_refused_where_users_install_it(
    meta: Package, field: str, spec: str
) -> None:
    template: dict[str, object] = {field: {"x": spec}}
    if field == "devDependencies":
        assert manifest(meta, template)[field] == {"x": spec}
    else:
        (said,) = refusal(meta, template)
        assert said.startswith(f'{field} has "x" as "{spec}"')


def test_a_path_to_a_package_of_the_family_is_refused_but_as_a_pin(meta: Package) -> None:
    (said,) = refusal(meta, {"dependencies": {"@acme/ffmpeg-dev": "workspace:../dev"}})
    assert "workspace:../dev" in said


def test_a_libc_that_flotilla_yml_does_not_give_is_refused(plain: Package) -> None:
    assert refusal(plain, {"libc": ["glibc"]}) == ['libc is ["glibc"], but the platform\'s in flotilla.yml is none.']


def test_a_licence_that_has_no_value_is_refused(plain: Package) -> None:
    assert refusal(plain, {"license": "{license}"}) == [
        "license is {license}, which has no value: flotilla.yml sets none."
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
