from __future__ import annotations

import pytest
from markdown_it import MarkdownIt

from flotilla.text import block, code, link, linked, size, table


@pytest.mark.parametrize(
    "hostile", ["a`](https://evil.example)`b", "``` x", "`", "a\n\n# title", "<img src=x>", "a|b|c"]
)
def test_a_value_stays_inside_its_code_span(hostile: str) -> None:
    span = code(hostile)
    (paragraph,) = [token for token in MarkdownIt("commonmark").parse(span) if token.type == "inline"]
    assert [token.type for token in paragraph.children or []] == ["code_inline"]
    assert "\n" not in span
    assert "|" not in span.replace("\\|", "")


def test_a_code_span_shows_its_own_backticks() -> None:
    assert code("set `staged: false`") == "`` set `staged: false` ``"


def test_a_link_to_anything_but_a_page_is_no_link() -> None:
    assert link("x", "javascript:alert(1)") == "`x`"


def test_a_link_cannot_be_ended_by_its_address() -> None:
    assert link("x", "https://a.example/)[y](https://b.example") == (
        "[`x`](https://a.example/%29%5By%5D%28https://b.example)"
    )


def test_a_block_is_fenced_longer_than_its_text() -> None:
    assert block("a\n````\nb").splitlines()[0] == "`````"


def test_a_cell_keeps_its_row() -> None:
    assert len(table(["a", "b"], [[code("x|y\nz"), code("1")]]).splitlines()) == 3


@pytest.mark.parametrize(("count", "text"), [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (45_600_000, "45.6 MB")])
def test_sizes_read_as_npm_writes_them(count: int, text: str) -> None:
    assert size(count) == text


def test_only_pages_of_our_own_site_are_linked_in_a_sentence() -> None:
    text = "look at https://github.com/acme/tool/actions/runs/7 and not at https://github.com.evil.example/x"
    shown = linked(text, site="https://github.com")
    assert "](https://github.com/acme/tool/actions/runs/7)" in shown
    assert "](https://github.com.evil.example" not in shown
    assert "](" not in linked(text, site="")
