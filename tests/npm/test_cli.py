from __future__ import annotations

from pathlib import Path

import pytest
from tests.npm.conftest import CANARY, GITHUB, Make

from flotilla.errors import InputError
from flotilla.npm import Token, TrustedPublishing, cli

JOB = {
    **GITHUB,
    "PATH": "/usr/bin",
    "HOME": "/github/home",
    "HTTPS_PROXY": "http://proxy.example:3128",
    "NODE_EXTRA_CA_CERTS": "/ca.pem",
    "npm_config_cafile": "/ca.pem",
    "NPM_CONFIG_STRICT_SSL": "true",
    "ACTIONS_ID_TOKEN_REQUEST_URL": "https://id.example/",
    "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "bearer",
}
STRAY = {
    "NODE_AUTH_TOKEN": "stray",
    "NPM_TOKEN": "stray",
    "NPM_ID_TOKEN": "stray",
    "SIGSTORE_ID_TOKEN": "stray",
    "npm_config_registry": "stray",
    "npm_config_//r.example/:_authToken": "stray",
    "NPM_CONFIG_USERCONFIG": "stray",
    "npm_config_tag": "stray",
    "npm_config_dry_run": "stray",
    "NODE_OPTIONS": "stray",
    "GITHUB_TOKEN": "stray",
    "INPUT_NPM-TOKEN": "stray",
    "ACTIONS_RUNTIME_TOKEN": "stray",
}


def test_every_setting_of_a_publish_is_a_flag_and_the_tarball_comes_last(make: Make) -> None:
    request = make(registry="https://r.example/", dist_tag="next", provenance=True)
    assert str(request) == str(request.package)
    assert cli.publish_arguments(request, tarball="./tool.tgz", timeout=300) == [
        "publish",
        "--fetch-retries=0",
        "--fetch-timeout=300000",
        "--ignore-scripts",
        "--json",
        "--loglevel=verbose",
        "--logs-max=0",
        "--dry-run=false",
        "--force=false",
        "--prefix=.",
        "--registry=https://r.example/",
        "--@acme:registry=https://r.example/",
        "--tag=next",
        "--access=public",
        "--provenance",
        "--",
        "./tool.tgz",
    ]


def test_staging_is_another_command_and_provenance_is_never_left_to_npm(make: Make) -> None:
    arguments = cli.publish_arguments(make({"name": "tool"}, staged=True), tarball="./tool.tgz", timeout=1)
    assert arguments[:2] == ["stage", "publish"]
    assert "--provenance=false" in arguments
    assert not any(":registry" in argument for argument in arguments)


@pytest.mark.parametrize("dist_tag", ["--registry=https://evil.example/", "-x", "a b"])
def test_a_value_cannot_become_an_option(make: Make, dist_tag: str) -> None:
    arguments = cli.publish_arguments(make(dist_tag=dist_tag), tarball="./tool.tgz", timeout=1)
    assert dist_tag not in arguments
    assert f"--tag={dist_tag}" in arguments


def test_npm_gets_no_stray_credential_or_setting_of_the_job(make: Make, tmp_path: Path) -> None:
    for credential in (Token(value=CANARY), TrustedPublishing()):
        for provenance in (True, False):
            request = make(credential=credential, provenance=provenance)
            environment = cli.publish_environment(JOB | STRAY, request, folder=tmp_path)
            assert "stray" not in environment.values()


def test_npm_keeps_proxies_and_certificates(tmp_path: Path) -> None:
    environment = cli.private_environment(JOB, folder=tmp_path)
    kept = ("HTTPS_PROXY", "NODE_EXTRA_CA_CERTS", "npm_config_cafile", "NPM_CONFIG_STRICT_SSL", "PATH")
    assert {key: environment[key] for key in kept} == {key: JOB[key] for key in kept}
    hyphened = {"npm_config_strict-ssl": "false"}  # npm takes either for the other
    assert hyphened.items() <= cli.private_environment(hyphened, folder=tmp_path).items()


def test_all_that_npm_writes_goes_into_the_private_folder(tmp_path: Path) -> None:
    like_settings = {"PROXY": "stray", "CAFILE": "stray", "STRICT_SSL": "stray"}  # npm reads npm_config_… alone
    private = {
        "HOME": str(tmp_path),
        "TMPDIR": str(tmp_path),
        "npm_config_cache": str(tmp_path / "cache"),
        "npm_config_logs_dir": str(tmp_path / "logs"),
        "npm_config_userconfig": str(tmp_path / "npmrc"),
        "npm_config_globalconfig": str(tmp_path / "globalnpmrc"),
        "npm_config_update_notifier": "false",
    }
    assert cli.private_environment(like_settings, folder=tmp_path) == private
    assert cli.observed_environment(like_settings, folder=tmp_path) == {
        **private,
        "NODE_OPTIONS": f"--import={cli.OBSERVER.as_uri()}",
        "FLOTILLA_ANSWERS": str(tmp_path / cli.ANSWERS),
    }


@pytest.mark.parametrize(("name", "scoped"), [("tool", ()), ("@acme/tool", ("--@acme:registry=https://r.example/",))])
def test_staged_versions_are_listed_at_the_same_registry(name: str, scoped: tuple[str, ...]) -> None:
    assert cli.stage_list_arguments(name, registry="https://r.example/") == [
        *("stage", "list", "--fetch-retries=0", "--json", "--logs-max=0", "--prefix=."),
        *("--registry=https://r.example/", *scoped, "--", name),
    ]


@pytest.mark.parametrize(
    ("credential", "provenance", "given"),
    [
        (TrustedPublishing(), True, {"URL", "TOKEN"}),
        (TrustedPublishing(), False, {"URL", "TOKEN"}),
        (Token(value=CANARY), True, {"URL", "SIGSTORE"}),
        (Token(value=CANARY), False, set()),
    ],
)
def test_npm_is_given_one_way_to_sign_in(
    make: Make,
    tmp_path: Path,
    credential: Token | TrustedPublishing,
    provenance: bool,  # noqa: FBT001
    given: set[str],
) -> None:
    request = make(credential=credential, provenance=provenance)
    environment = cli.publish_environment(JOB, request, folder=tmp_path, sigstore_token="signing")  # noqa: S106
    names = {
        "ACTIONS_ID_TOKEN_REQUEST_URL": "URL",
        "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "TOKEN",
        "SIGSTORE_ID_TOKEN": "SIGSTORE",
    }
    assert {short for name, short in names.items() if name in environment} == given
    assert CANARY not in environment.values()


@pytest.mark.parametrize("provenance", [True, False])
@pytest.mark.parametrize("credential", [Token(value=CANARY), TrustedPublishing()])
def test_npm_is_told_about_the_run_only_if_something_is_signed(
    make: Make,
    tmp_path: Path,
    credential: Token | TrustedPublishing,
    provenance: bool,  # noqa: FBT001
) -> None:
    request = make(credential=credential, provenance=provenance)
    environment = cli.publish_environment(JOB, request, folder=tmp_path, sigstore_token="signing")  # noqa: S106
    told = {name for name in ("GITHUB_SHA", "GITHUB_RUN_ID", "RUNNER_ENVIRONMENT") if name in environment}
    assert len(told) == (3 if provenance or isinstance(credential, TrustedPublishing) else 0)


def test_the_token_counts_for_its_registry_only() -> None:
    assert cli.npmrc("https://r.example:8443/npm/", "abc") == "//r.example:8443/npm/:_authToken=abc\n"


def test_the_configured_registry_is_asked_with_the_job_s_own_settings() -> None:
    environment = cli.configured_environment(JOB | STRAY)
    assert environment["npm_config_registry"] == "stray"
    assert environment["HOME"] == "/github/home"
    assert "NODE_AUTH_TOKEN" not in environment
    assert "ACTIONS_ID_TOKEN_REQUEST_TOKEN" not in environment


@pytest.mark.parametrize(
    "value", ["", "a b", "a\n", "a\nregistry=https://evil.example/", "a;b", "${HOME}", '"a"', "a#b"]
)
def test_a_token_that_could_be_more_than_a_token_in_npmrc_is_refused(value: str) -> None:
    with pytest.raises(InputError, match="npm-token") as refused:
        Token(value=value)
    assert "Store the secret again" in refused.value.advice


def test_a_token_does_not_show_in_its_repr() -> None:
    assert CANARY not in repr(Token(value=CANARY))
