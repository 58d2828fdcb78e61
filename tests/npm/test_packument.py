from __future__ import annotations

from typing import Any

import pytest

from flotilla.errors import RegistryError
from flotilla.npm.packument import is_own_tarball, parse_json, parse_packument, same_integrity

VERSION = {"dist": {"integrity": "sha512-AAAA", "tarball": "https://registry.example/tool.tgz"}}
REGISTRY = "https://registry.example/"


def packument(**changes: Any) -> dict[str, Any]:
    return {"name": "@acme/tool", "dist-tags": {"latest": "1.0.0"}, "versions": {"1.0.0": VERSION}} | changes


def test_a_packument_keeps_versions_tags_and_manifests() -> None:
    parsed = parse_packument(packument(), name="@acme/tool", what="read")
    assert parsed.dist_tags == {"latest": "1.0.0"}
    assert parsed.versions["1.0.0"].integrity == "sha512-AAAA"
    assert parsed.versions["1.0.0"].manifest == VERSION
    assert parsed.tags_of("1.0.0") == ("latest",)


def test_an_old_version_without_integrity_is_known_by_its_shasum() -> None:
    old = {"dist": {"shasum": "00ff", "tarball": "https://registry.example/tool.tgz"}}
    parsed = parse_packument(packument(versions={"0.1.0": old}), name="@acme/tool", what="read")
    assert parsed.versions["0.1.0"].integrity == "sha1-AP8="


def test_unpublished_numbers_are_burnt() -> None:
    times = {"created": "x", "modified": "x", "1.0.0": "x", "0.9.0": "x", "unpublished": {"versions": ["0.8.0"]}}
    parsed = parse_packument(packument(time=times), name="@acme/tool", what="read")
    assert parsed.burnt == {"0.9.0", "0.8.0"}


@pytest.mark.parametrize(
    ("document", "named"),
    [
        ([], "read: .* a list"),
        (None, "read: .* nothing"),
        ("<html>", "read: .* text"),
        (packument(name="@evil/tool"), "another package, @evil/tool"),
        (packument(versions=[]), r"\(versions\).* a list"),
        (packument(versions={"1.0.0": "x"}), r"\(1.0.0\).* text"),
        (packument(versions={"1.0.0": {}}), r"\(1.0.0\) \(dist\)"),
        (packument(versions={"1.0.0": {"dist": {"integrity": 7}}}), r"\(1.0.0\) \(dist\).* a number as 'integrity'"),
        (packument(versions={"1.0.0": {"dist": {"integrity": "x"}}}), r"\(1.0.0\) \(dist\).*'tarball'"),
        (packument(versions={"1.0.0": {"dist": {"shasum": "zz", "tarball": "x"}}}), "is not hexadecimal"),
        (packument(versions={"1.0.0": {"dist": VERSION["dist"] | {"attestations": []}}}), "attestations"),
        (packument(**{"dist-tags": {"latest": {}}}), r"\(dist-tags\).* an object as 'latest'"),
        (packument(time=7), r"\(time\).* a number"),
    ],
)
def test_a_hostile_packument_is_refused_by_naming_the_part(document: object, named: str) -> None:
    with pytest.raises(RegistryError, match=named):
        parse_packument(document, name="@acme/tool", what="read")


@pytest.mark.parametrize("text", [b"", b"<html>", b"\xff\xfe", b"[" * 100_000, b'{"a":' + b"9" * 5000 + b"}"])
def test_what_is_no_json_is_refused_in_words(text: bytes) -> None:
    with pytest.raises(RegistryError, match="not JSON"):
        parse_json(text, what="read")


@pytest.mark.parametrize(
    ("ours", "theirs", "same"),
    [
        ("sha512-AA", "sha512-AA", True),
        ("sha512-AA", "sha1-xx sha512-AA?opt", True),
        ("sha512-AA", "sha512-AB", False),
        ("sha512-AA sha1-AA", "sha1-AA", True),
        ("sha512-AA sha1-AA", "sha512-AB sha1-AA", False),
        ("sha512-AA", "sha1-AA", False),
        ("", "", False),
    ],
)
def test_the_best_digest_that_both_have_tells_contents_apart(ours: str, theirs: str, same: bool) -> None:  # noqa: FBT001
    assert same_integrity(ours, theirs) is same


@pytest.mark.parametrize(
    ("url", "registry"),
    [
        ("https://registry.example/@acme/tool/-/tool-1.0.0.tgz", REGISTRY),
        ("http://registry.example/@acme/tool/-/tool-1.0.0.tgz", REGISTRY),
        ("https://registry.example/@acme/tool/-/@acme/tool-1.0.0.tgz", REGISTRY),
        ("https://registry.example/@acme%2ftool/-/tool-1.0.0.tgz", REGISTRY),
        ("https://registry.example:443/@acme/tool/-/tool-1.0.0.tgz", REGISTRY),
        ("https://r.example/api/npm/repo/@acme/tool/-/@acme/tool-1.0.0.tgz", "https://r.example/api/npm/repo/"),
        ("https://r.example/projects/7/npm/@acme/tool/-/@acme/tool-1.0.0.tgz", "https://r.example/packages/npm/"),
        (f"https://npm.example/download/@acme/tool/1.0.0/{'0a' * 20}", "https://npm.example/"),
        ("http://127.0.0.1:4873/@acme/tool/-/tool-1.0.0.tgz", "http://127.0.0.1:4873/"),
    ],
)
def test_a_tarball_of_this_version_on_this_registry_is_its_own(url: str, registry: str) -> None:
    assert is_own_tarball(url, registry=registry, name="@acme/tool", version="1.0.0")
