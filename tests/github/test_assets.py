from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from flotilla.errors import ArtifactError, ConflictError
from flotilla.github import AssetPlan, decide_assets, plan_for
from flotilla.github.assets import Replacement, asset_name_faults

if TYPE_CHECKING:
    from tests.github.conftest import Maker


def test_each_asset_is_uploaded_replaced_kept_or_left_alone(make: Maker, tmp_path: Path) -> None:
    new, cut, other, same = (make.wanted(tmp_path, name) for name in ("new", "cut", "other", "same"))
    starter = make.an_asset(1, name="cut", state="starter", size=0, digest=None)
    differs = make.an_asset(2, name="other", digest=f"sha256:{'0' * 64}")
    kept, foreign = make.an_asset(3, name="same"), make.an_asset(4, name="notes.pdf")
    assert decide_assets([new, cut, other, same], [starter, differs, kept, foreign]) == AssetPlan(
        upload=(new,),
        replace=(Replacement(asset=starter, wanted=cut), Replacement(asset=differs, wanted=other)),
        keep=(kept,),
        foreign=(foreign,),
    )


@pytest.mark.parametrize(
    "changed",
    [{"size": 6}, {"digest": None}, {"digest": f"sha256:{'0' * 64}"}, {"state": "starter"}, {"state": "open"}],
)
def test_only_size_digest_and_state_together_make_an_asset_the_same(
    make: Maker, tmp_path: Path, changed: dict[str, object]
) -> None:
    wanted = make.wanted(tmp_path)
    assert decide_assets([wanted], [make.an_asset()]).complete
    assert decide_assets([wanted], [make.an_asset(51, **changed)]).replace != ()


@pytest.mark.parametrize("name", ["a b.zip", "a~b", ".hidden", "end.", "a..b", "é.zip", "a/b", "a@b", "", "a\n"])
def test_a_name_that_github_would_change_is_refused(make: Maker, tmp_path: Path, name: str) -> None:
    assert len(asset_name_faults([name])) == 1
    wanted = make.wanted(tmp_path)
    with pytest.raises(ArtifactError):
        decide_assets([type(wanted)(name=name, size=5, digest=wanted.digest, path=wanted.path)], [])


def test_names_that_github_keeps_are_taken() -> None:
    assert asset_name_faults(["ffmpeg-1.0.0+build_2-linux-x64.tar.gz", "SHA256SUMS", "a"]) == []


def test_one_name_for_two_contents_and_an_empty_file_are_refused_together(make: Maker, tmp_path: Path) -> None:
    (tmp_path / "two").mkdir()
    files = [make.wanted(tmp_path), make.wanted(tmp_path / "two", content=b"other"), make.wanted(tmp_path, "e", b"")]
    with pytest.raises(ArtifactError) as refused:
        decide_assets(files, [])
    assert len(refused.value.faults) == 2


def test_one_file_from_two_artifacts_is_one_asset(make: Maker, tmp_path: Path) -> None:
    assert len(decide_assets([make.wanted(tmp_path), make.wanted(tmp_path)], []).upload) == 1


def test_a_published_release_takes_what_is_missing(make: Maker, tmp_path: Path) -> None:
    wanted = make.wanted(tmp_path)
    assert plan_for(make.a_release(draft=False), [wanted]).upload == (wanted,)
    broken = make.a_release(draft=False, assets=[make.asset(state="starter", digest=None)])
    assert len(plan_for(broken, [wanted]).replace) == 1


def test_a_published_release_that_is_complete_is_a_success(make: Maker, tmp_path: Path) -> None:
    release = make.a_release(draft=False, immutable=True, assets=[make.asset()])
    assert plan_for(release, [make.wanted(tmp_path)]).complete


def test_a_published_asset_is_never_replaced(make: Maker, tmp_path: Path) -> None:
    release = make.a_release(draft=False, assets=[make.asset(size=6)])
    with pytest.raises(ConflictError, match=r"a\.tar\.gz has 6 bytes") as refused:
        plan_for(release, [make.wanted(tmp_path)])
    assert "`run-id`" in str(refused.value)


def test_an_immutable_release_takes_nothing_and_says_why(make: Maker, tmp_path: Path) -> None:
    release = make.a_release(draft=False, immutable=True, assets=[make.asset(state="starter")])
    with pytest.raises(ConflictError) as refused:
        plan_for(release, [make.wanted(tmp_path), make.wanted(tmp_path, "b")])
    assert "a.tar.gz" in str(refused.value)
    assert "b is missing" in str(refused.value)
    assert "immutable" in str(refused.value)


def test_a_draft_gives_up_a_different_asset(make: Maker, tmp_path: Path) -> None:
    assert len(plan_for(make.a_release(assets=[make.asset(size=6)]), [make.wanted(tmp_path)]).replace) == 1


def test_more_or_larger_files_than_github_takes_are_refused(make: Maker, tmp_path: Path) -> None:
    wanted = make.wanted(tmp_path)
    many = [replace(wanted, name=f"a{number}") for number in range(1000)]
    assert len(decide_assets(many, []).upload) == 1000
    with pytest.raises(ArtifactError, match="more than 1000 assets"):
        decide_assets(many, [make.an_asset(name="theirs")])
    with pytest.raises(ArtifactError, match="2147483648"):
        decide_assets([replace(wanted, size=2**31 + 1)], [])


def test_two_files_of_one_name_are_told_by_their_artifacts(make: Maker, tmp_path: Path) -> None:
    one = replace(make.wanted(tmp_path), source="tool-linux-x64")
    with pytest.raises(ArtifactError, match=r"artifact tool-linux-x64.* artifact tool-win32"):
        decide_assets([one, replace(one, source="tool-win32", size=6)], [])
