"""Text that any database takes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from kokino.storage.text import storable

ANY = st.text(alphabet=st.characters(codec=None) | st.sampled_from("\x00\ud800\udfff"))


def test_ordinary_text_is_left_as_it_is() -> None:
    """Newlines, escapes and rare characters are not our business here."""
    for text in ("", "hello\n", "\x1b[0m", "\U0010ffff"):
        assert storable(text) == text


def test_nul_and_half_surrogate_pairs_are_replaced_one_for_one() -> None:
    """So that a reader sees where something was."""
    assert storable("a\x00b") == "a\ufffdb"
    assert len(storable("a\ud800b\udfff")) == 4


@given(ANY)
def test_whatever_goes_in_comes_out_as_text_that_utf8_can_hold(text: str) -> None:
    """And once is enough."""
    clean = storable(text)
    assert "\x00" not in clean
    assert clean.encode().decode() == clean == storable(clean)
