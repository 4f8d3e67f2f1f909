"""Counters that run over a whole session become what one execution took."""

from __future__ import annotations

from kokino.executions.attempts.taken import difference


def test_what_was_taken_before_is_subtracted_name_by_name() -> None:
    """A name that was not there before counts whole."""
    assert difference({"a": 30, "b": 5.5}, {"a": 10}) == {"a": 20, "b": 5.5}


def test_a_counter_that_went_down_was_begun_anew() -> None:
    """Nothing negative is ever told."""
    assert difference({"a": 4}, {"a": 10}) == {"a": 4}
