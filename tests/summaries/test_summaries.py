"""The job summaries of a release, in a real browser, wide and narrow."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.summaries.page import Look, browser, html, look
from tests.summaries.pictures import FIRST, NARROW, VERSION, WIDE, rehearsed

from flotilla.text import code, folded, table

SITE = "https://github.com/acme/chroma"


@pytest.mark.npm
@pytest.mark.registry
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_summaries_of_a_release_show_the_whole_family_wide_and_narrow(tmp_path: Path) -> None:
    browser()
    (tmp_path / "release").mkdir()
    done = rehearsed(tmp_path / "release")
    looks = [Look(markdown=run.summary, width=width) for run in done.runs.values() for width in (WIDE, NARROW)]
    seen = dict(
        zip([(name, width) for name in done.runs for width in (WIDE, NARROW)], look(looks, tmp_path), strict=True)
    )
    for one in seen.values():
        assert (one["overflow"], one["outside"]) == (0, [])
        assert all(heading[0] in "✓✗○" for heading in one["headings"])
        assert all((fold["closed"], fold["opened"]) == (False, True) for fold in one["folds"])
        assert not {"<", "**", "[`"} & set(one["text"])
    for name in ("family", "meta", "finish"):  # whichever job shows the family
        for width in (WIDE, NARROW):
            head, *rows = seen[name, width]["tables"][0]
            assert head == ["status", "package", f"size (since {FIRST})", "integrity", "provenance"]
            assert {row[0][0] for row in rows} == {"✓"}
            assert len({row[1] for row in rows}) == 7
            assert all(row[1].endswith(f"@{VERSION}") and row[2].endswith(" B)") for row in rows)
            assert all(row[3].startswith("sha512-") and row[3].endswith("…") for row in rows)
            assert {len(row[1]) for row in seen[name, width]["tables"][1][1:]} == {95}  # the whole sha512
    family = seen["family", WIDE]
    links, commit, run = dict(family["links"]), done.github.commit, f"{SITE}/actions/runs/{done.run_id}"
    assert links[commit[:12]] == f"{SITE}/commit/{commit}"
    assert links[str(done.run_id)] == run
    assert links[f"v{VERSION}"].startswith(f"{SITE}/releases/")
    made = {artifact.name: f"{run}/artifacts/{artifact.id}" for artifact in done.github.artifacts}
    listed = {name: url for name, url in links.items() if name in made}
    assert listed
    assert listed.items() <= made.items()
    for row in family["tables"][0][1:]:
        assert links[row[4].removeprefix("✓ ")].startswith(f"{SITE}/actions/runs/")
    stopped = seen["stopped", WIDE]
    assert [row[0] for row in stopped["tables"][0][1:]] == ["✓ published", "✗ failed"]
    assert stopped["headings"][0] == "✗ Platform linux-x64: 1 published, 1 failed"
    assert "Next:" not in stopped["text"]


def test_no_text_from_outside_ends_a_fold_or_becomes_html() -> None:
    shown = html(folded("Of each", table(("name",), [[code("</details><script>alert(1)</script>")]])))
    assert shown.count("</details>") == 1
    assert "<script" not in shown
