"""Versions and dist-tags."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flotilla.errors import InputError
from flotilla.family import Family, parse_config
from flotilla.family.version_and_dist_tag import default_dist_tag, dist_tag_fault, is_prerelease, parse_version


@pytest.mark.parametrize("version", ["1.2.3", "0.0.0", "1.2.3-beta.1", f"{2**53 - 1}.0.0", "1.0.0-" + "a" * 250])
def test_a_version_is_kept_as_it_is_but_for_a_leading_v(version: str) -> None:
    assert parse_version(version) == version
    assert parse_version(f"v{version}") == version


@pytest.mark.parametrize(
    ("version", "says"),
    [
        ("", "is empty"),
        ("v", "is empty"),
        ("1.2", "a semantic version has three: 1.2.0"),
        ("1", "a semantic version has three: 1.0.0"),
        ("1.2.3beta", "lacks a hyphen"),
        ("vv1.2.3", "is not a semantic version"),
        ("V1.2.3", "is not a semantic version"),
        ("=1.2.3", "is not a semantic version"),
        ("01.2.3", "is not a semantic version"),
        ("1.2.3-01", "is not a semantic version"),
        ("1.2.3-", "is not a semantic version"),
        ("1.2.3\n", "is not a semantic version"),
        (" 1.2.3", "is not a semantic version"),
        ("1.2.٣", "is not a semantic version"),
        ("1.2.3; rm -rf .", "is not a semantic version"),
        ("latest", "is not a semantic version"),
        ("1.2.3+build.5", "has build metadata (+build.5)"),
        (f"{2**53}.0.0", "has a number above 9007199254740991"),
        ("1.0.0-" + "a" * 251, "has 257 characters"),
        ("9" * 100_000, "has 100000 characters"),
    ],
)
def test_what_npm_would_not_take_as_it_stands_is_refused(version: str, says: str) -> None:
    with pytest.raises(InputError) as refusal:
        parse_version(version)
    assert says in str(refusal.value)
    assert "Give a version such as 1.2.3" in refusal.value.advice
    assert "\n" not in str(refusal.value.faults[0])


@pytest.mark.parametrize(
    ("version", "tag"),
    [
        ("1.2.3", "latest"),
        ("1.2.3-beta.1", "beta"),
        ("1.2.3-RC", "RC"),
        ("1.2.3-rc1", "next"),
        ("1.2.3-0", "next"),
        ("1.2.3-alpha-1", "next"),
        ("1.2.3-x.1", "next"),
        ("1.2.3-latest.1", "next"),
        ("1.2.3-Latest", "next"),
    ],
)
def test_the_default_dist_tag_is_latest_or_the_prereleases_word_or_next(version: str, tag: str) -> None:
    assert default_dist_tag(version) == tag


@given(st.from_regex(r"[0-9A-Za-z-]+(\.[0-9A-Za-z-]+){0,3}", fullmatch=True))
def test_a_prerelease_never_lands_on_latest_nor_on_a_tag_that_npm_refuses(prerelease: str) -> None:
    try:
        version = parse_version(f"1.0.0-{prerelease}")
    except InputError:
        return
    assert is_prerelease(version)
    assert default_dist_tag(version).lower() != "latest"
    assert dist_tag_fault(default_dist_tag(version)) is None


@pytest.mark.parametrize("tag", ["latest", "next", "beta", "v", "v-next", "release-1", "lts_2", "stable.1", "1.2.3.4"])
def test_a_dist_tag_of_words_is_fine(tag: str) -> None:
    assert dist_tag_fault(tag) is None


@pytest.mark.parametrize("tag", ["1", "1.0", "v1", "vv2", "1.x", "x", "X", "*", "1.2.3", "v1.2.3-beta", "~1", "~x.1"])
def test_a_dist_tag_that_reads_as_a_version_range_is_refused(tag: str) -> None:
    assert "reads as a version" in (dist_tag_fault(tag) or "")


@pytest.mark.parametrize("tag", ["", " ", "a b", "a/b", "a\nb", "^1", ">=1", "a||b", "ä", "a@b", "a%20b", "beta\n"])
def test_a_dist_tag_of_characters_that_urls_escape_is_refused(tag: str) -> None:
    assert "letters" in (dist_tag_fault(tag) or "")


@pytest.mark.parametrize("tag", ["--registry", "-x", ".a", "~a"])
def test_a_dist_tag_cannot_pass_for_an_option(tag: str) -> None:
    assert "must not begin with" in (dist_tag_fault(tag) or "")


@pytest.mark.parametrize(
    ("form", "given"),
    [
        ("@acme/tool@{version}", "@acme/tool@1.2.3-beta.1"),
        ("{family}@{version}", "@acme/tool@1.2.3-beta.1"),
        ("tool-v{version}", "tool-v1.2.3-beta.1"),
        ("{name}/{version}/{version}", "tool/1.2.3-beta.1/1.2.3-beta.1"),
        ("release.v{version}.x", "release.v1.2.3-beta.1.x"),
        ("tool-v{version}", "1.2.3-beta.1"),
        ("tool-v{version}", "v1.2.3-beta.1"),
        ("v{version}", "v1.2.3-beta.1"),
        ("{version}", "1.2.3-beta.1"),
    ],
)
def test_a_version_may_be_given_as_the_tag_that_was_pushed(small: str, form: str, given: str) -> None:
    family = Family(parse_config(f'{small}release: {{tag: "{form}"}}'), given)
    assert family.version == "1.2.3-beta.1"
    assert family.tag is not None
    assert Family(family.config, family.tag).version == family.version


@pytest.mark.parametrize(
    ("form", "given", "says"),
    [
        ("tool-v{version}", "tool-1.2.3", 'neither a version nor a tag of the form "tool-v{version}"'),
        ("tool-v{version}", "other-v1.2.3", 'neither a version nor a tag of the form "tool-v{version}"'),
        ("{family}@{version}", "@acme/other@1.2.3", 'a tag of the form "@acme/tool@{version}"'),
        ("v{version}", "@acme/tool@1.2.3", 'a tag of the form "v{version}"'),
        ("v{version}", "main", 'a tag of the form "v{version}"'),
        ("{name}.v{version}", "toolxv1.2.3", 'a tag of the form "tool.v{version}"'),
        ("{name}/{version}/{version}", "tool/1.2.3/1.2.4", "a tag of the form"),
        ("tool-v{version}", "tool-v1.2", 'names the version "1.2"'),
        ("tool-v{version}", "tool-vv1.2.3", 'names the version "v1.2.3"'),
        ("tool-v{version}", "tool-v1.2.3\n", "a tag of the form"),
        ("tool-v{version}", "1.2", "too few numbers"),
        ("v{version}", "v1.2", "too few numbers"),
    ],
)
def test_a_tag_of_another_form_is_refused(small: str, form: str, given: str, says: str) -> None:
    with pytest.raises(InputError) as refusal:
        Family(parse_config(f'{small}release: {{tag: "{form}"}}'), given)
    assert says in str(refusal.value)
