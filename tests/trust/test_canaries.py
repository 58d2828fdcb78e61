"""No secret stands anywhere that a release writes to, however it ends."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from tests.world.stage import shapes, shown

if TYPE_CHECKING:
    from tests.trust.conftest import Release

pytestmark = [pytest.mark.npm]


def test_no_secret_of_a_whole_release_is_written_anywhere(release: Release) -> None:
    assert shown(release.secrets, release.stage.written()) == []


def test_the_search_finds_what_is_there(release: Release) -> None:
    secret = next(iter(release.secrets.values()))
    for shape in shapes(secret):
        assert "x in here" in shown({"x": secret}, iter([("here", b"before" + shape + b"after")]))


def test_every_kind_of_secret_came_up(release: Release) -> None:
    kinds = {name.rstrip(" 0123456789") for name in release.secrets}
    assert {"the GitHub token", "the npm token", "the id-token's bearer", "id-token", "payload of id-token"} < kinds
    assert any(name.startswith("signature") for name in release.secrets)
    trusted = not release.stage.inputs.get("npm-token")
    assert any(name.startswith("exchanged") for name in release.secrets) is trusted
    assert release.stage.world.sigstore is not None
    assert release.stage.world.sigstore.state.entries == 4


def test_what_npm_wrote_was_searched_and_its_arguments_too(release: Release) -> None:
    seen = release.stage.npm_seen()
    published = [one for one in seen if "publish" in one["argv"]]  # type: ignore[operator] # a list, as the wrapper wrote it
    assert len(published) == 4
    assert any(" publish " in line for line in release.stage.cmdlines)
    assert list(release.stage.kept.glob("*/private/cache/**/*"))


def test_the_credential_lies_in_a_private_file_of_a_private_folder(release: Release) -> None:
    for one in release.stage.npm_seen():
        modes = one["modes"]
        assert isinstance(modes, dict)
        assert modes.get("npmrc", 0o600) == 0o600
        assert modes.get(".", 0o700) == 0o700
    written = ["npmrc" in json.dumps(one["modes"]) for one in release.stage.npm_seen()]
    assert any(written) is bool(release.stage.inputs.get("npm-token"))


def test_secrets_are_masked_before_anything_else_is_printed(release: Release) -> None:
    for ended in release.jobs.values():
        lines = ended.log.splitlines()
        masked = [line for line in lines if line.startswith("::add-mask::")]
        first = next((n for n, line in enumerate(lines) if not line.startswith("::add-mask::")), len(lines))
        assert f"::add-mask::{release.secrets['the GitHub token']}" in masked[:first]
        if release.stage.inputs.get("npm-token"):
            assert f"::add-mask::{release.secrets['the npm token']}" in masked[:first]


def test_nothing_is_left_in_the_folder_for_temporary_files(release: Release) -> None:
    assert {ended.name: ended.left for ended in release.jobs.values() if ended.left} == {}
    homes = [path for ended in release.jobs.values() for path in (ended.folder / "home").rglob("*")]
    assert homes == []


def test_no_secret_can_lie_in_a_core_file(release: Release) -> None:
    assert {json.dumps(one["core"]) for one in release.stage.npm_seen()} == {"[0, 0]"}
