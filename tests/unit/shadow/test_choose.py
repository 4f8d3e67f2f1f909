"""Which executions are compared, and how the shadow side knows the past."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kokino.shadow.choose import NotComparable, context_of, is_sampled
from kokino.shadow.model import Context


@given(st.text(), st.floats(0, 1), st.floats(0, 1))
def test_a_larger_share_holds_the_smaller_one(execution_id: str, one: float, other: float) -> None:
    """An execution that is sampled at 10 % is sampled at 20 %, and always gets the same answer."""
    small, large = sorted((one, other))
    assert is_sampled(execution_id, small) <= is_sampled(execution_id, large)
    assert is_sampled(execution_id, 1.0)
    assert not is_sampled(execution_id, 0.0)


def test_a_share_is_that_share() -> None:
    """A tenth of a thousand ids is a hundred, give or take."""
    sampled = sum(is_sampled(f"exec-{number}", 0.1) for number in range(1000))
    assert 70 <= sampled <= 130


@pytest.mark.parametrize(
    ("is_resume", "can_fork", "is_in_step", "wanted"),
    [
        (False, False, False, Context.FRESH),
        (False, True, True, Context.FRESH),
        (True, True, True, Context.FORK),
        (True, True, False, Context.FORK),
        (True, False, True, Context.CONTINUE),
    ],
)
def test_the_past_is_forked_where_it_can_be(
    *, is_resume: bool, can_fork: bool, is_in_step: bool, wanted: Context
) -> None:
    """A copy knows exactly what the agent's session knows; without one both must have heard the same."""
    assert context_of(is_resume=is_resume, can_fork=can_fork, is_in_step=is_in_step) is wanted


def test_without_the_past_there_is_nothing_to_compare() -> None:
    """The reason says how both get into step again."""
    with pytest.raises(NotComparable, match="end-session"):
        context_of(is_resume=True, can_fork=False, is_in_step=False)
