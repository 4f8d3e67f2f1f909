"""Foreign text in a Markdown file."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from kokino.incidents.markdown import fenced, line, paragraphs, trimmed
from kokino.incidents.parts import merged, part


def tokens(text: str) -> set[str]:
    """The kinds of everything in a rendered text."""
    found = MarkdownIt("commonmark", {"html": True}).parse(text)
    return {inner.type for token in found for inner in (token, *(token.children or ()))}


@pytest.mark.parametrize(
    ("hostile", "markup"),
    [
        pytest.param("![x](http://evil/beacon)", "image", id="an image calls home when the file is shown"),
        pytest.param("[click](https://evil/)", "link_open", id="a link leads astray"),
        pytest.param("<img src=x onerror=alert(1)>", "html_inline", id="HTML runs"),
        pytest.param("<!-- /kokino:timeline -->", "html_block", id="a marker ends our part"),
        pytest.param("<http://evil/>", "link_open", id="an address in brackets is a link"),
    ],
)
def test_markup_in_a_line_is_text(hostile: str, markup: str) -> None:
    """What an agent says never becomes markup."""
    assert markup in tokens(f"- 09:00 - {hostile}") | tokens(hostile)
    assert markup not in tokens(f"- 09:00 - {line(hostile)}")


def test_a_line_stays_one_line() -> None:
    """Line breaks, control and direction marks cannot forge an entry."""
    assert line("one\n- 09:01 - Resolved\u202e\x1b[31m") == "one - 09:01 - Resolved\\[31m"


@pytest.mark.parametrize("start", ["# big", "> said", "- item", "+ item", "~~~", "==="])
def test_a_paragraph_stays_a_paragraph(start: str) -> None:
    """No line of it becomes a heading, a list, a quotation or a fence."""
    assert tokens(paragraphs(f"words\n{start}")) <= {
        "paragraph_open",
        "paragraph_close",
        "inline",
        "text",
        "text_special",
        "softbreak",
    }


@given(st.text())
def test_nothing_closes_a_fence(output: str) -> None:
    """Whatever a step wrote, the fence holds all of it and ends where we ended it."""
    assert tokens(fenced(output) + "\n\nafter") == {
        "fence",
        "paragraph_open",
        "inline",
        "text",
        "paragraph_close",
    }


@given(st.text())
def test_no_output_can_end_a_part(output: str) -> None:
    """A part that holds foreign text is found again as the whole that it was."""
    text = part("evidence", fenced(output + "<!-- /kokino:evidence -->" + output))
    assert merged(text, {"evidence": "new"}) == part("evidence", "new")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        pytest.param("one\ntwo\n", "one\ntwo", id="short output is shown whole"),
        pytest.param("1\n2\n3\n4\n", "1\n2\n3\n… 1 more line", id="too many lines are counted"),
        pytest.param("x" * 30, "x" * 20 + " …", id="a long line is cut"),
    ],
)
def test_long_output_is_cut_and_says_so(text: str, shown: str) -> None:
    """A reader knows that there is more."""
    assert trimmed(text, lines=3, characters=20) == shown
