from __future__ import annotations

import pytest
from markdown_it import MarkdownIt

from flotilla.text import block, code, folded, link, linked, listed, size, table


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


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (999_900, "999.9 kB"),
        (10**6, "1.0 MB"),
        (45_600_000, "45.6 MB"),
        (10**9, "1.0 GB"),
        (25 * 10**11, "2500.0 GB"),
    ],
)
def test_sizes_read_as_npm_writes_them(count: int, text: str) -> None:
    assert size(count) == text


def test_only_pages_of_our_own_site_are_linked_in_a_sentence() -> None:
    text = "look at https://github.com/acme/tool/actions/runs/7 and not at https://github.com.evil.example/x"
    shown = linked(text, site="https://github.com")
    assert "](https://github.com/acme/tool/actions/runs/7)" in shown
    assert "](https://github.com.evil.example" not in shown
    assert "](" not in linked(text, site="")
    short = linked("a https://github.com/b c", site="https://github.com")
    assert short == "`a` [`https://github.com/b`](https://github.com/b) `c`"


@pytest.mark.parametrize(
    ("value", "span"),
    [("", ""), (7, "`7`"), ("a  b\n", "`a b`"), ("`a", "`` `a ``"), ("a`", "`` a` ``"), ("a`b", "``a`b``")],
)
def test_a_code_span_has_no_more_space_than_it_needs(value: object, span: str) -> None:
    assert code(value) == span


def test_a_page_is_linked_with_every_character_that_an_address_has() -> None:
    page = "http://a.example:80/x-y_z.~/?q=1&r=%20,;+@#part"
    assert link("x", page) == f"[`x`]({page})"
    assert link("x", "HTTPS://a.example/") == "[`x`](HTTPS://a.example/)"


@pytest.mark.parametrize("end", [".", ",", ";", ":", "!", "?", ")", "]", '"', "'", "|", ">", "`"])
def test_an_address_ends_before_the_punctuation_of_its_sentence(end: str) -> None:
    shown = linked(f"see https://github.com/a/b{end} then", site="https://github.com/a")
    assert "](https://github.com/a/b) " in shown
    assert "](https://github.com/a" not in linked("https://github.com/a", site="http://github.com")


def test_a_table_has_a_row_a_line_and_leaves_numbers_as_they_are() -> None:
    lines = table(("name", "version"), [("a", "1.10"), ("b", "2.0")]).splitlines()
    assert [[cell.strip() for cell in line.strip("|").split("|")] for line in (lines[0], *lines[2:])] == [
        *(["name", "version"], ["a", "1.10"], ["b", "2.0"])
    ]
    assert set(lines[1]) == {"|", "-"}


def test_a_list_has_an_item_a_line_and_nothing_is_no_list() -> None:
    assert listed(["a", "b|c"]) == "\n- `a`\n- `b\\|c`\n"
    assert listed([]) == ""


def test_what_is_folded_is_markdown_below_its_title() -> None:
    assert folded("More", "*x*") == "<details><summary>More</summary>\n\n*x*\n\n</details>"
    assert folded("More", "") == ""


def test_a_block_is_fenced_and_says_its_language() -> None:
    assert block("x") == "```\nx\n```"
    assert block("x", "json") == "```json\nx\n```"
