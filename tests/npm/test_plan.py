from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from flotilla.errors import ConflictError
from flotilla.npm import (
    AlreadyPublished,
    AlreadyStaged,
    Conflict,
    Decision,
    Packument,
    Publish,
    PublishedVersion,
    Staged,
    Wanted,
    decide,
    decide_all,
)
from flotilla.npm.plan import Differs

REGISTRY = "https://registry.example/"
TARBALL = f"{REGISTRY}@acme/tool/-/tool-1.0.0.tgz"
MANIFEST: dict[str, object] = {"name": "@acme/tool", "version": "1.0.0"}
WANTED = Wanted(
    name="@acme/tool", version="1.0.0", dist_tag="latest", integrity="sha512-OURS", shasum="00ff", manifest=MANIFEST
)


def packument(integrity: str = "sha512-OURS", **tags: str) -> Packument:
    version = PublishedVersion(
        name="@acme/tool", version="1.0.0", integrity=integrity, tarball=TARBALL, manifest=MANIFEST
    )
    return Packument(name="@acme/tool", dist_tags=tags or {"latest": "1.0.0"}, versions={"1.0.0": version})


def decided(wanted: Wanted, found: Packument | None, *, differs: Differs, staged: Sequence[Staged] = ()) -> Decision:
    return decide(wanted, found, differs=differs, staged=staged, registry=REGISTRY, files={"package.json"})


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
    assert decided(WANTED, found, differs=never) == Publish(wanted=WANTED)


def test_the_same_tarball_is_already_published() -> None:
    decision = decided(WANTED, packument(), differs=never)
    assert isinstance(decision, AlreadyPublished)
    assert (decision.repacked, decision.next_step(never_below)) == (False, "")


def test_another_tarball_with_the_same_files_is_already_published() -> None:
    decision = decided(WANTED, packument("sha512-THEIRS"), differs=same)
    assert isinstance(decision, AlreadyPublished)
    assert decision.repacked


def test_the_same_name_with_other_files_is_a_conflict_and_not_a_success() -> None:
    decision = decided(WANTED, packument("sha512-THEIRS"), differs=other)
    assert decision == Conflict(wanted=WANTED, differences=("lib/libtool.so: 10 bytes here, 12 there",))


def test_a_dist_tag_elsewhere_is_reported_with_the_command_and_not_moved() -> None:
    decision = decided(WANTED, packument(next="1.0.0", latest="0.9.0"), differs=never)
    assert isinstance(decision, AlreadyPublished)
    assert decision.next_step(never_below) == (
        '@acme/tool@1.0.0 is there, but the dist-tag "latest" is on 0.9.0. '
        "Set it by hand if you want it: npm dist-tag add @acme/tool@1.0.0 latest"
    )


def test_a_dist_tag_on_a_newer_version_stays_there_and_no_command_moves_it_back() -> None:
    decision = decided(WANTED, packument(next="1.0.0", latest="2.0.0"), differs=never)
    assert isinstance(decision, AlreadyPublished)
    said = decision.next_step(lambda version: version == "2.0.0")
    assert said == 'the dist-tag "latest" is on 2.0.0, a newer version, and stays there'


@pytest.mark.parametrize(("shasum", "kind"), [("00ff", AlreadyStaged), ("ee", Conflict)])
def test_a_staged_version_is_compared_by_its_shasum(shasum: str, kind: type[Any]) -> None:
    waiting = [Staged(id="other", version="0.9.0", shasum="00ff"), Staged(id="id-1", version="1.0.0", shasum=shasum)]
    decision = decided(WANTED, None, differs=never, staged=waiting)
    assert isinstance(decision, kind)
    assert "id-1" in str(decision)


@pytest.mark.parametrize(("tag", "says"), [("next", 'for the dist-tag "next", not "latest"'), ("latest", ""), ("", "")])
def test_a_version_staged_for_another_dist_tag_says_so(tag: str, says: str) -> None:
    waiting = [Staged(id="id-1", version="1.0.0", shasum="00ff", tag=tag)]
    decision = decided(WANTED, None, differs=never, staged=waiting)
    assert isinstance(decision, AlreadyStaged)
    assert decision.dist_tag == (tag or "latest")
    assert says in decision.next_step()
    assert bool(says) == ("npm stage reject id-1" in decision.next_step())


def test_what_is_published_counts_before_what_is_staged() -> None:
    waiting = [Staged(id="id-1", version="1.0.0", shasum="ee")]
    assert isinstance(decided(WANTED, packument(), differs=never, staged=waiting), AlreadyPublished)


def test_one_conflict_anywhere_stops_the_job_and_every_conflict_is_named() -> None:
    conflicts = [Conflict(wanted=WANTED, differences=(f"file {number}",)) for number in (1, 2)]
    with pytest.raises(ConflictError) as raised:
        decide_all([Publish(wanted=WANTED), conflicts[0], conflicts[1]])
    assert len(raised.value.faults) == 2
    assert "file 2" in str(raised.value)
    assert "Nothing was published" in str(raised.value)


def test_without_conflict_the_decisions_stand_in_their_order() -> None:
    decisions = [decided(WANTED, None, differs=never), decided(WANTED, packument(), differs=never)]
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
    decision = decided(WANTED, replace(found, versions={"1.0.0": other}), differs=never)
    assert isinstance(decision, Conflict)
    assert decision.differences[0].startswith(f"manifest on the registry: {named} is ")
