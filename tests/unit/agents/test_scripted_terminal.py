"""What the scripted agent makes of keys in its terminal."""

from __future__ import annotations

import pytest

from kokino.testing.scripted_terminal import text_in


@pytest.mark.parametrize(
    ("typed", "text"),
    [
        (b"caf\xc3\xa9", "café"),
        (b"\x1b[Anext", "next"),
        (b"\x1bOPnext", "next"),
        (b"\x1b[1;5Cnext", "next"),
        (b"\x1bnext", "next"),
    ],
)
def test_a_key_that_is_no_text_is_not_typed(typed: bytes, text: str) -> None:
    """It would move what is drawn: whoever looks could not find the box again."""
    assert text_in(typed) == text
