from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from flotilla.errors import ConflictError
from flotilla.family import DistTag, PackedPackage
from flotilla.npm import (
    AlreadyPublished,
    AlreadyStaged,
    Packument,
    Publish,
    PublishedVersion,
    Staged,
    Terms,
    decide,
    decide_all,
)
from flotilla.npm.decisions import Conflict, Decision, Differs

REGISTRY = "https://registry.example/"
TARBALL = f"{REGISTRY}@acme/tool/-/tool-1.0.0.tgz"
MANIFEST: dict[str, object] = {"name": "@acme/tool", "version": "1.0.0"}
PACKAGE = PackedPackage(
    name="@acme/tool",
    version="1.0.0",
    path=Path("tool.tgz"),
    integrity="sha512-OURS",
    shasum="00ff",
    size=1,
    manifest=MANIFEST,
)
TERMS = Terms(
    repository="acme/tool",
    workflow="release.yml",
    staged=False,
    below=lambda _version: False,
    registry=REGISTRY,
    dist_tag=DistTag(name="latest"),
)


def packument(integrity: str = "sha512-OURS", **tags: str) -> Packument:
    version = PublishedVersion(
        name="@acme/tool", version="1.0.0", integrity=integrity, tarball=TARBALL, manifest=MANIFEST
    )
    return Packument(name="@acme/tool", dist_tags=tags or {"latest": "1.0.0"}, versions={"1.0.0": version})


def decided(
    package: PackedPackage, found: Packument | None, *, differs: Differs, staged: Sequence[Staged] = ()
) -> Decision:
    return decide(package, found, TERMS, differs=differs, staged=staged, files={"package.json"})


def never(_published: PublishedVersion) -> Sequence[str]:
    raise AssertionError("asked for the files though the tarballs are the same")


def never_below(_version: str) -> bool:
    return False


def same(_published: PublishedVersion) -> Sequence[str]:
    return ()


def other(_published: PublishedVersion) -> Sequence[str]:
    return ("lib/libtool.so: 10 bytes here, 12 there",)


@pytest.mark.parametrize("found", [None, Packument(name="@acme/tool", dist_tags={}, versions={})])
def test_what_is_not_there_is_published(found: Packument | None) -> None:
    assert decided(PACKAGE, found, differs=never) == Publish(package=PACKAGE)


def test_the_same_tarball_is_already_published() -> None:
    decision = decided(PACKAGE, packument(), differs=never)
    assert isinstance(decision, AlreadyPublished)
    assert (decision.repacked, decision.next_step(never_below)) == (False, "")


def test_another_tarball_with_the_same_files_is_already_published() -> None:
    decision = decided(PACKAGE, packument("sha512-THEIRS"), differs=same)
    assert isinstance(decision, AlreadyPublished)
    assert decision.repacked


def test_the_same_name_with_other_files_is_a_conflict_and_not_a_success() -> None:
    decision = decided(PACKAGE, packument("sha512-THEIRS"), differs=other)
    assert decision == Conflict(package=PACKAGE, differences=("lib/libtool.so: 10 bytes here, 12 there",))


def test_a_dist_tag_elsewhere_is_reported_with_the_command_and_not_moved() -> None:
    decision = decided(PACKAGE, packument(next="1.0.0", latest="0.9.0"), differs=never)
    assert isinstance(decision, AlreadyPublished)
    assert decision.dist_tag == "next"
    assert decision.next_step(never_below).endswith("npm dist-tag add @acme/tool@1.0.0 latest")


def test_a_dist_tag_on_a_newer_version_stays_there_and_no_command_moves_it_back() -> None:
    decision = decided(PACKAGE, packument(next="1.0.0", latest="2.0.0"), differs=never)
    assert isinstance(decision, AlreadyPublished)
    said = decision.next_step(lambda version: version == "2.0.0")
    assert "npm dist-tag" not in said
    assert "2.0.0" in said


def test_the_dist_tag_is_what_the_registry_has_and_none_where_it_has_none() -> None:
    for tags, has in (({"latest": "1.0.0", "x": "1.0.0"}, "latest"), ({"x": "1.0.0"}, "x"), ({"x": "2.0.0"}, "")):
        decision = decided(PACKAGE, packument(**tags), differs=never)
        assert isinstance(decision, AlreadyPublished)
        assert decision.dist_tag == has
        assert bool(decision.next_step(never_below)) == (has != "latest")


@pytest.mark.parametrize(("shasum", "kind"), [("00ff", AlreadyStaged), ("ee", Conflict)])
def test_a_staged_version_is_compared_by_its_shasum(shasum: str, kind: type[Any]) -> None:
    waiting = [Staged(id="other", version="0.9.0", shasum="00ff"), Staged(id="id-1", version="1.0.0", shasum=shasum)]
    decision = decided(PACKAGE, None, differs=never, staged=waiting)
    assert isinstance(decision, kind)
    assert "id-1" in str(decision)


@pytest.mark.parametrize(("tag", "says"), [("next", 'the dist-tag "next", not "latest"'), ("latest", ""), ("", "")])
def test_a_version_staged_for_another_dist_tag_says_so(tag: str, says: str) -> None:
    waiting = [Staged(id="id-1", version="1.0.0", shasum="00ff", tag=tag)]
    decision = decided(PACKAGE, None, differs=never, staged=waiting)
    assert isinstance(decision, AlreadyStaged)
    assert decision.dist_tag == (tag or "latest")
    assert says in decision.next_step()
    assert bool(says) == ("npm stage reject id-1" in decision.next_step())


def test_what_is_published_counts_before_what_is_staged() -> None:
    waiting = [Staged(id="id-1", version="1.0.0", shasum="ee")]
    assert isinstance(decided(PACKAGE, packument(), differs=never, staged=waiting), AlreadyPublished)


def test_one_conflict_anywhere_stops_the_job_and_every_conflict_is_named() -> None:
    conflicts = [Conflict(package=PACKAGE, differences=(f"file {number}",)) for number in (1, 2)]
    with pytest.raises(ConflictError) as raised:
        decide_all([Publish(package=PACKAGE), conflicts[0], conflicts[1]])
    assert len(raised.value.faults) == 2
    assert "file 2" in str(raised.value)
    assert "Nothing was published" in str(raised.value)


def test_without_conflict_the_decisions_stand_in_their_order() -> None:
    decisions = [decided(PACKAGE, None, differs=never), decided(PACKAGE, packument(), differs=never)]
    assert list(decide_all(decisions)) == decisions


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"manifest": MANIFEST | {"scripts": {"postinstall": "node evil.js"}}}, "scripts.postinstall"),
        ({"manifest": MANIFEST | {"bundleDependencies": ["evil"]}}, "bundleDependencies"),
        ({"manifest": MANIFEST | {"name": "@acme/evil"}}, "name"),
        ({"tarball": "https://evil.example/@acme/tool/-/tool-1.0.0.tgz"}, "dist.tarball"),
    ],
)
def test_our_tarball_under_another_manifest_is_a_conflict_that_says_so(change: dict[str, Any], named: str) -> None:
    found = packument()
    other = replace(found.versions["1.0.0"], **change)
    decision = decided(PACKAGE, replace(found, versions={"1.0.0": other}), differs=never)
    assert isinstance(decision, Conflict)
    assert decision.differences[0].startswith(f"manifest: {named} is ")
