"""What a sound flotilla.yml means."""

from __future__ import annotations

import pytest

from flotilla.family import Config, Limits, Platform, parse_config
from flotilla.family.model import Ci, DevSpec, PackageSpec, PublishSpec, ReleaseSpec, Variant


def test_the_example_is_read_as_it_says(config: Config) -> None:
    assert config.family == "@acme/ffmpeg"
    assert config.variants == (
        Variant(name="free", suffix="", license="LGPL-2.1-or-later"),
        Variant(name="non-free", suffix="-non-free", license="GPL-2.0-or-later"),
    )
    assert config.ci == Ci(
        workflow="ci.yml", artifact="ffmpeg-{build}-{variant}", archive="*.tar.gz", strip_components=1
    )
    assert config.packages.platform == PackageSpec(
        name="{family}-{platform}{suffix}",
        template="npm/{platform}{suffix}",
        files=("lib/**", "versions.json"),
        executables=("bin/*",),
    )
    assert config.packages.dev == (
        DevSpec(
            name="{family}-dev",
            template="npm/dev",
            files=("include/**",),
            from_platform="darwin-arm64",
            from_variant="free",
        ),
    )
    assert config.packages.meta == PackageSpec(name="{family}{suffix}", template="npm/meta{suffix}")
    assert config.release == ReleaseSpec(tag="v{version}", assets=("*.tar.gz", "*.sha256"), notes="generate")
    assert config.publish == PublishSpec(access="public", pause_seconds=5)
    assert config.limits == Limits()


def test_the_examples_platforms_have_npms_words_and_cis_names(config: Config) -> None:
    assert config.platforms == (
        Platform(name="darwin-arm64", os=("darwin",), cpu=("arm64",), build="darwin-arm64"),
        Platform(name="darwin-x64", os=("darwin",), cpu=("x64",), build="darwin-x64"),
        Platform(name="linux-arm64", os=("linux",), cpu=("arm64",), build="linux-arm64"),
        Platform(name="linux-x64", os=("linux",), cpu=("x64",), libc=("glibc",), build="linux-x64"),
        Platform(name="linux-x64-musl", os=("linux",), cpu=("x64",), libc=("musl",), build="linuxmusl-x64"),
    )


def test_the_least_file_gets_the_documented_defaults(small: str) -> None:
    config = parse_config(small)
    assert config.variants == (Variant(name="", suffix="", license=None),)
    assert config.packages.platform == PackageSpec(name="{family}-{platform}{suffix}")
    assert config.packages.dev == ()
    assert config.packages.meta == PackageSpec(name="{family}{suffix}")
    assert config.release == ReleaseSpec(tag="v{version}", assets=(), notes="generate")
    assert config.publish == PublishSpec(
        access="public", pause_seconds=5, provenance="auto", package_size=200 * 1_000_000
    )
    assert config.limits == Limits(extracted_bytes=4096 * 1_000_000, files=50_000, ratio=200)


def test_an_archive_pattern_is_the_default_of_the_assets(small: str) -> None:
    archived = small.replace("ci: {", 'ci: {archive: "*.tgz", ')
    assert parse_config(archived).release.assets == ("*.tgz",)


def test_a_dev_package_comes_from_the_first_platform_and_variant_by_default(small: str) -> None:
    (dev,) = parse_config(small + "packages: {dev: {}}\n").packages.dev
    assert dev == DevSpec(name="{family}-dev", from_platform="linux-x64", from_variant="")


@pytest.mark.parametrize(
    ("written", "read"),
    [("auto", "auto"), ("true", "true"), ("false", "false"), ('"true"', "true"), ("True", "true")],
)
def test_provenance_is_a_word_or_a_boolean(small: str, written: str, read: str) -> None:
    assert parse_config(f"{small}publish: {{provenance: {written}}}\n").publish.provenance == read


def test_sizes_are_given_in_megabytes_and_held_in_bytes(small: str) -> None:
    config = parse_config(
        small + "publish: {size-limit-mb: 1.5, pause-seconds: 0}\nlimits: {extracted-mb: 2, files: 3, ratio: 4}\n"
    )
    assert (config.publish.package_size, config.publish.pause_seconds) == (1_500_000, 0)
    assert config.limits == Limits(extracted_bytes=2_000_000, files=3, ratio=4)


def test_words_that_yaml_1_1_took_for_booleans_are_words(small: str) -> None:
    config = parse_config(
        small.replace("ci:", "variants: [{name: on}, {name: no}]\nci:").replace("{build}", "{build}{variant}")
    )
    assert [variant.name for variant in config.variants] == ["on", "no"]


def test_pull_requests_are_allowed_only_where_the_file_says_so(small: str) -> None:
    assert not parse_config(small).ci.pull_requests
    assert parse_config(small.replace("ci: {", "ci: {pull-requests: true, ")).ci.pull_requests


def test_a_byte_order_mark_and_windows_line_ends_do_no_harm(example: str, config: Config) -> None:
    assert parse_config("\ufeff" + example.replace("\n", "\r\n")) == config
