"""A file that the broker and people write together."""

from __future__ import annotations

import pytest

from kokino.incidents.parts import merged, part

OLD = f"# Title\n\n{part('timeline', '- 09:00 - fired')}\n\n## Mine\n\nMy own words.\n"
NEWER = {"timeline": "- 09:00 - fired\n- 09:05 - told"}


def test_an_untouched_part_is_replaced() -> None:
    """The broker's newer version takes the place of the older one; the rest of the file stays as it is."""
    assert merged(OLD, NEWER) == OLD.replace(
        part("timeline", "- 09:00 - fired"), part("timeline", NEWER["timeline"])
    )


def test_the_same_version_changes_nothing() -> None:
    """Writing twice is writing once."""
    once = merged(OLD, NEWER)
    assert merged(once, NEWER) == once


def test_an_edited_part_is_kept_and_the_record_stands_below() -> None:
    """A person's words inside the markers are never lost, and what the broker has to add is not either."""
    edited = OLD.replace("- 09:00 - fired", "- 09:00 - fired, I saw it")
    text = merged(edited, NEWER)
    assert (
        text.index("I saw it")
        < text.index("Kokino's record")
        < text.index("09:05 - told")
        < text.index("Mine")
    )


def test_an_edited_part_without_news_gets_no_record() -> None:
    """While the broker has nothing new to say, an edit leaves no second copy beside it."""
    edited = OLD.replace("- 09:00 - fired", "- 09:00 - fired, I saw it")
    assert merged(edited, {"timeline": "- 09:00 - fired"}) == edited


def test_the_record_is_brought_up_to_date() -> None:
    """There is one record, however often the file is written."""
    edited = merged(OLD.replace("fired", "fired, I saw it"), NEWER)
    text = merged(edited, {"timeline": "- 09:10 - over"})
    assert text.count("Kokino's record") == 1
    assert "09:10 - over" in text
    assert "09:05 - told" not in text


def test_an_edited_record_is_kept_too() -> None:
    """A person may take over both."""
    edited = merged(OLD.replace("fired", "fired, I saw it"), NEWER).replace("09:05 - told", "09:05 - told me")
    assert merged(edited, {"timeline": "- 09:10 - over"}) == edited


def test_a_part_without_its_markers_is_left_away() -> None:
    """Who removes a part does not find it there again."""
    text = "# Title\n\n## Mine\n"
    assert merged(text, NEWER) == text


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(OLD.replace("<!-- /kokino:timeline -->", ""), id="its end is gone"),
        pytest.param(OLD.replace("<!-- kokino:timeline", "<!-- timeline"), id="its start is gone"),
    ],
)
def test_broken_markers_are_nobodys(text: str) -> None:
    """What cannot be told apart is taken for a person's."""
    assert merged(text, NEWER) == text


def test_an_editor_that_trims_lines_has_changed_nothing() -> None:
    """Line ends and trailing blanks are no edit."""
    body = "one  \ntwo\n"
    text = part("timeline", body).replace("one  \n", "one\n").replace("\n", "\r\n")
    assert merged(text, {"timeline": "three"}) == part("timeline", "three")
