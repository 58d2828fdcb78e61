from __future__ import annotations

from collections.abc import Mapping

import pytest

from flotilla.family import DistTag
from flotilla.npm import Packument, PublishedVersion, Terms, refusals, trust_command, trusted_publishing_faults
from flotilla.npm.decisions import manifest_faults, new_names_advice

NAME = "@acme/tool"
REGISTRY = "https://registry.example/"
MANIFEST: dict[str, object] = {"name": NAME, "version": "1.0.0", "os": ["linux"], "license": "MIT"}
ID_TOKEN = {"ACTIONS_ID_TOKEN_REQUEST_URL": "https://x/", "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "t"}


def wanted(manifest: Mapping[str, object] | None = None) -> Mapping[str, object]:
    return MANIFEST | dict(manifest or {})


def terms(*, staged: bool = False, below: bool = False, tag: str = "latest", given: bool = False) -> Terms:
    return Terms(
        repository="acme/ffmpeg",
        workflow="release.yml",
        staged=staged,
        below=lambda _latest: below,
        registry=REGISTRY,
        dist_tag=DistTag(name=tag, given=given),
    )


def packument(
    latest: str = "0.9.0", *, burnt: tuple[str, ...] = (), there: Mapping[str, object] | None = None
) -> Packument:
    manifests: dict[str, Mapping[str, object]] = {"0.9.0": {}} | ({} if there is None else {"1.0.0": there})
    published = {
        number: PublishedVersion(
            name=NAME,
            version=number,
            integrity="sha512-x",
            tarball=f"{REGISTRY}{NAME}/-/tool-{number}.tgz",
            manifest=manifest,
        )
        for number, manifest in manifests.items()
    }
    return Packument(name=NAME, dist_tags={"latest": latest}, versions=published, burnt=frozenset(burnt))


def test_a_new_version_of_a_known_package_has_no_fault() -> None:
    assert refusals(wanted(), packument(), terms()) == []


def test_a_new_name_is_advised_the_command_that_sets_trusted_publishing_up() -> None:
    advice = new_names_advice([NAME], terms())
    assert advice.endswith("npm trust github @acme/tool --repo acme/ffmpeg --file release.yml --allow-publish")
    assert refusals(wanted(), None, terms()) == []


def test_many_new_names_are_advised_one_command_that_names_them_all() -> None:
    advice = new_names_advice([NAME, "@acme/other"], terms())
    assert advice.count("npm trust github") == 1
    assert f"for name in {NAME} @acme/other; do npm trust github" in advice


def test_the_command_for_staging_allows_staging() -> None:
    assert "--allow-stage-publish" in new_names_advice([NAME], terms(staged=True))


def test_the_command_binds_the_publisher_to_the_job_s_environment_and_no_name_of_one_is_a_shell_s() -> None:
    command = trust_command(NAME, repository="acme/x", workflow="r.yml", staged=False, environment="npm; rm -rf x")
    assert command == f"npm trust github {NAME} --repo acme/x --file r.yml --env 'npm; rm -rf x' --allow-publish"


def test_a_version_there_with_another_manifest_is_refused_by_its_fields() -> None:
    theirs = MANIFEST | {"os": ["darwin"], "license": "MIT", "optionalDependencies": {"@acme/a": "1.0.0"}}
    (fault,) = refusals(wanted(), packument(there=theirs), terms())
    assert "os is" in fault
    assert "optionalDependencies.@acme/a is" in fault
    assert "license" not in fault


def test_dependencies_that_differ_are_named() -> None:
    ours: dict[str, object] = {"optionalDependencies": {"@acme/a": "1.0.0", "@acme/b": "1.0.0"}}
    theirs = MANIFEST | {"optionalDependencies": {"@acme/a": "1.0.0", "@acme/b": "0.9.0"}}
    (fault,) = refusals(wanted(ours), packument(there=theirs), terms())
    assert "optionalDependencies.@acme/b is" in fault
    assert "@acme/a" not in fault


def test_a_version_there_with_this_manifest_may_go_on_though_latest_is_higher() -> None:
    theirs = MANIFEST | {"dependencies": {}, "_npmVersion": "11.17.0", "dist": {}}
    assert refusals(wanted(), packument("2.0.0", there=theirs), terms(below=True)) == []


def test_a_version_below_latest_needs_a_dist_tag_said_out_loud() -> None:
    found = packument("2.0.0")
    (fault,) = refusals(wanted(), found, terms(below=True))
    assert "lower than the registry's latest, 2.0.0" in fault
    assert refusals(wanted(), found, terms(below=True, given=True)) == []
    assert refusals(wanted(), found, terms(below=True, tag="next")) == []


def test_an_unpublished_number_is_burnt() -> None:
    (fault,) = refusals(wanted(), packument(burnt=("1.0.0",)), terms())
    assert "never accepts a version number twice" in fault


def test_a_wholly_unpublished_package_is_still_known_and_its_numbers_burnt() -> None:
    gone = Packument(name=NAME, dist_tags={}, versions={}, burnt=frozenset({"1.0.0"}))
    assert "never accepts" in refusals(wanted(), gone, terms())[0]


@pytest.mark.parametrize(
    "manifest",
    [
        {"private": True},
        {"tag": "evil"},
        {"tag": ["latest"]},
        {"publishConfig": {"//registry.example/:_authToken": "stolen"}},
        {"publishConfig": {"@other:registry": "https://evil.example/"}},
        {"publishConfig": {"_auth": "x"}},
        {"publishConfig": {"https-proxy": "http://evil.example/"}},
        {"publishConfig": {"strict-ssl": False}},
        {"publishConfig": {"provenance-file": "bundle.json"}},
    ],
)
def test_a_manifest_that_would_steer_npm_is_refused(manifest: dict[str, object]) -> None:
    (fault,) = manifest_faults(wanted(manifest), "latest")
    assert "package.json" in fault


def test_what_our_flags_override_may_stay_in_publish_config() -> None:
    config = {
        "access": "public",
        "tag": "x",
        "registry": "https://x/",
        "provenance": True,
        "@acme:registry": "https://x/",
    }
    assert manifest_faults(wanted({"publishConfig": config, "tag": "latest"}), "latest") == []
    assert manifest_faults(wanted({"publishConfig": "nonsense"}), "latest") == []


def test_all_faults_come_at_once() -> None:
    assert len(refusals(wanted({"private": True, "tag": "x"}), packument("2.0.0"), terms(below=True))) == 3


def test_a_missing_id_token_permission_is_said_before_anything_else() -> None:
    (fault,) = trusted_publishing_faults("https://r.example/", environment={})
    assert "id-token: write" in fault
    assert trusted_publishing_faults("https://r.example/", environment=ID_TOKEN) == []


def test_trusted_publishing_below_a_path_or_on_a_self_hosted_runner_is_refused() -> None:
    environment = ID_TOKEN | {"RUNNER_ENVIRONMENT": "self-hosted"}
    faults = trusted_publishing_faults("https://r.example/npm/", environment=environment)
    assert ["self-hosted" in faults[0], "has a path" in faults[1]] == [True, True]
